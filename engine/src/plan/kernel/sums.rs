//! Sums over very many ways out of one vertex.
//!
//! Added one by one, equal terms are rounded alike, so that a start that leads to a million places would lose 2e-11; in
//! groups it is 1e-13 at most for each 2^18 ways. Apart from the loops over ordinary rows, which they would slow down.

use crate::plan::lane::Lane;

/// Rows of more ways than this are added up in groups of so many.
pub(super) const GROUP: usize = 512;

/// The total weight of some ways.
#[cold]
pub(super) fn weigh_many<L: Lane>(values: &[L], forms: &[u32]) -> L {
    let add = |sum: L, forms: &[u32]| forms.iter().fold(sum, |sum, &form| sum + values[form as usize]);
    forms.chunks(GROUP).fold(L::splat(0.0), |sum, group| sum + add(L::splat(0.0), group))
}

/// The solutions where some ways lead, each times its weight.
#[cold]
pub(super) fn follow_many<L: Lane, const N: usize>(
    values: &[L],
    forms: &[u32],
    columns: &[u32],
    x: &[[L; N]],
) -> [L; N] {
    let mut sums = [L::splat(0.0); N];
    for (forms, columns) in forms.chunks(GROUP).zip(columns.chunks(GROUP)) {
        let mut group = [L::splat(0.0); N];
        for (&form, &column) in forms.iter().zip(columns) {
            let weight = values[form as usize];
            for (sum, &x) in group.iter_mut().zip(&x[column as usize]) {
                *sum = *sum + weight * x;
            }
        }
        sums.iter_mut().zip(group).for_each(|(sum, group)| *sum = *sum + group);
    }
    sums
}
