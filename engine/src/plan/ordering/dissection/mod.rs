//! Nested dissection: few vertices that part a component in two, and each part again (George, SIAM J. Numer. Anal. 10,
//! 1973), for components in which much fills in.

mod separator;
mod sketch;

use separator::{Side, part};
use sketch::Sketch;

/// How often entries are looked at when a graph is parted, on it and its coarser images.
const STEPS: usize = 8;
/// Parts of at most so many vertices are not parted again.
const SMALLEST: usize = 400;
/// Nor are such of at most this part of the whole: separators further down fill in no less than what minimum degree does.
const SMALLEST_PART: usize = 16;

/// Which vertices of a component are in a separator, given the neighbours of each; none where separators would do no
/// good. `step` is told how much was looked at, and may stop it.
///
/// A separator of w vertices becomes dense and takes w³/3 multiply-adds: where the first takes `most` already, no others
/// are looked for. Separators are to be eliminated after the rest, but in no order of their own. Linear in the size of the
/// component but for heaps, which are small; takes about 32 bytes for each entry of a list and 64 for each vertex.
pub(super) fn separators<E>(
    lists: impl Iterator<Item = impl Iterator<Item = u32>>,
    most: u64,
    step: &mut impl FnMut(usize) -> Result<(), E>,
) -> Result<Option<Vec<bool>>, E> {
    let whole = Sketch::new(lists);
    let count = whole.len();
    let smallest = SMALLEST.max(count / SMALLEST_PART);
    let (mut found, mut place) = (vec![false; count], Vec::new());
    let mut parts = vec![(whole, (0..count as u32).collect::<Vec<u32>>())];
    while let Some((sketch, vertices)) = parts.pop() {
        step(STEPS * sketch.size())?;
        let sides = part(&sketch);
        let on = |side| sides.iter().filter(|&&other| other == side).count();
        let between = on(Side::Between);
        if vertices.len() == count && (between as u64).saturating_pow(3) / 3 >= most {
            return Ok(None);
        }
        // Hardly anything is parted.
        if between > on(Side::Left).min(on(Side::Right)) {
            continue;
        }
        for (&vertex, _) in vertices.iter().zip(&sides).filter(|(_, side)| **side == Side::Between) {
            found[vertex as usize] = true;
        }
        for side in [Side::Left, Side::Right] {
            if on(side) > smallest {
                let (part, which) = sketch.part(|at| sides[at as usize] == side, &mut place);
                parts.push((part, which.into_iter().map(|at| vertices[at as usize]).collect()));
            }
        }
    }
    Ok(Some(found))
}

#[cfg(test)]
mod tests;
