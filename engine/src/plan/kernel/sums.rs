//! Sums over the ways out of a position.

use std::ops::Range;

use crate::plan::lane::Lane;

/// More terms than this are added up in groups, and then the groups. Added one by one, equal terms are rounded alike, so that
/// a start that leads to a million places would lose 2e-11; this way it is 1e-13 at most for each 2^18 ways.
const GROUP: usize = 512;

/// Has `add` add the terms of each entry to several sums.
#[inline(always)]
pub(super) fn grouped<L: Lane, const N: usize>(
    entries: Range<usize>,
    sums: &mut [L; N],
    mut add: impl FnMut(&mut [L; N], usize),
) {
    if entries.len() <= GROUP {
        entries.for_each(|entry| add(sums, entry));
        return;
    }
    let mut begin = entries.start;
    while begin < entries.end {
        let end = entries.end.min(begin + GROUP);
        let mut group = [L::splat(0.0); N];
        (begin..end).for_each(|entry| add(&mut group, entry));
        sums.iter_mut().zip(group).for_each(|(sum, group)| *sum = *sum + group);
        begin = end;
    }
}
