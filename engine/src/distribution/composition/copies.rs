//! Where copies of a process may get to together, when only their numbers by vertex count.

use std::collections::BTreeMap;

use super::product::{ENDED, Tuple};

/// Bytes that a multiset takes beside its numbers and the tuple that is made of it.
const BYTES: u64 = 96;

/// How many copies are in which vertex, ascending.
type Numbers = Vec<(u32, usize)>;

/// The vertices that copies get to, sorted, and how probably, when each takes one of its choices: all that comes to the same
/// together, and together whatever ends `rank` of them. None if these take more than so many bytes.
///
/// One copy after the other, so that for `n` of them all with the same `c` choices this takes
/// `n·c` steps for each of `C(n + c − 1, c − 1)` multisets at most, and sums of products of probabilities are all there is.
pub(super) fn together(choices: &[&[(u32, f64)]], rank: usize, most_bytes: u64) -> Option<Vec<(Tuple, f64)>> {
    let mut sets: BTreeMap<Numbers, f64> = BTreeMap::from([(Numbers::new(), 1.0)]);
    // Enough have ended: nothing else matters.
    let mut over = 0.0;
    for list in choices {
        let (mut next, mut bytes) = (BTreeMap::new(), 0);
        let whole: f64 = list.iter().map(|(_, probability)| probability).sum();
        over *= whole;
        for (numbers, before) in sets {
            for &(vertex, probability) in *list {
                let numbers = with(&numbers, vertex);
                if numbers.first().is_some_and(|&(vertex, count)| vertex == ENDED && count >= rank) {
                    over += before * probability;
                    continue;
                }
                let held = BYTES + 16 * numbers.len() as u64 + 4 * choices.len() as u64;
                *next.entry(numbers).or_insert_with(|| {
                    bytes += held;
                    0.0
                }) += before * probability;
                if bytes > most_bytes {
                    return None;
                }
            }
        }
        sets = next;
    }
    let all_over = (over > 0.0).then(|| (vec![ENDED; choices.len()].into(), over));
    let tuples = sets.into_iter().map(|(numbers, probability)| (listed(&numbers), probability));
    Some(tuples.chain(all_over).collect())
}

/// With one more in a vertex.
fn with(numbers: &Numbers, vertex: u32) -> Numbers {
    let mut numbers = numbers.clone();
    match numbers.binary_search_by_key(&vertex, |&(vertex, _)| vertex) {
        Ok(at) => numbers[at].1 += 1,
        Err(at) => numbers.insert(at, (vertex, 1)),
    }
    numbers
}

/// A place for each.
fn listed(numbers: &Numbers) -> Tuple {
    numbers.iter().flat_map(|&(vertex, count)| std::iter::repeat_n(vertex, count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_that_toss_a_coin_are_binomial() {
        let coin = [(ENDED, 0.25), (7, 0.75)];
        let found = together(&[&coin[..]; 4], 5, 10_000).unwrap();
        assert_eq!(found.len(), 5);
        for (tuple, probability) in found {
            let ended = tuple.iter().filter(|&&vertex| vertex == ENDED).count();
            let wanted = [0.316_406_25, 0.421_875, 0.210_937_5, 0.046_875, 0.003_906_25][ended];
            assert!((probability - wanted).abs() < 1e-16 && tuple.is_sorted(), "{tuple:?} {probability}");
        }
    }

    #[test]
    fn what_ends_enough_of_them_is_one() {
        let (coin, die) = ([(ENDED, 0.5), (3, 0.5)], [(ENDED, 0.5), (4, 0.25), (5, 0.25)]);
        let found = together(&[&coin, &die, &die], 1, 10_000).unwrap();
        let ends = found.iter().filter(|(tuple, _)| tuple.contains(&ENDED)).count();
        assert_eq!((found.len(), ends), (4, 1));
        assert!((found.iter().map(|(_, probability)| probability).sum::<f64>() - 1.0).abs() < 1e-15);
        assert!((found[3].1 - 0.875).abs() < 1e-15, "{found:?}");
    }

    #[test]
    fn more_than_there_may_be_are_refused() {
        let die: Vec<(u32, f64)> = (1..=6).map(|side| (side, 1.0 / 6.0)).collect();
        assert!(together(&[&die[..]; 1000], 1, 1 << 20).is_none());
        assert_eq!(together(&[&die[..]; 4], 1, 1 << 20).unwrap().len(), 126);
    }
}
