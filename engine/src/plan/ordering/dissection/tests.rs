use super::super::minimum_degree::{Fill, Quotient};
use super::separator::{Side, part};
use super::sketch::Sketch;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::convert::Infallible;

fn symmetric(count: usize, edges: impl IntoIterator<Item = (usize, usize)>) -> Vec<Vec<u32>> {
    let mut neighbours = vec![BTreeSet::new(); count];
    for (a, b) in edges {
        if a != b {
            neighbours[a].insert(b as u32);
            neighbours[b].insert(a as u32);
        }
    }
    neighbours.into_iter().map(|list| list.into_iter().collect()).collect()
}

fn torus(side: usize) -> Vec<Vec<u32>> {
    let place = |row: usize, column: usize| row % side * side + column % side;
    let edges = (0..side * side).flat_map(|at| {
        let (row, column) = (at / side, at % side);
        [(at, place(row + 1, column)), (at, place(row, column + 1))]
    });
    symmetric(side * side, edges)
}

const GO_ON: fn(usize) -> Result<(), Infallible> = |_| Ok(());

fn each(lists: &[Vec<u32>]) -> impl Iterator<Item = impl Iterator<Item = u32> + '_> {
    lists.iter().map(|list| list.iter().copied())
}

fn found(lists: &[Vec<u32>], most: u64) -> Option<Vec<bool>> {
    let Ok(found) = separators(each(lists), most, &mut { GO_ON });
    found
}

/// What fills in with some vertices put off, and the order.
fn ordered(lists: &[Vec<u32>], late: &[bool]) -> (Fill, Vec<u32>) {
    let members: Vec<u32> = (0..lists.len() as u32).collect();
    let (mut quotient, mut order) = (Quotient::default(), Vec::new());
    let Ok(()) = quotient.load(&members, |at| lists[at as usize].iter().copied(), &mut { GO_ON });
    quotient.put_off(late);
    let Ok(fill) = quotient.order(&mut order, &mut |_, _| Ok::<_, Infallible>(()));
    (fill, order)
}

#[test]
fn a_torus_takes_far_fewer_multiply_adds_once_it_is_dissected() {
    let lists = torus(100);
    let (whole, _) = ordered(&lists, &vec![false; lists.len()]);
    let late = found(&lists, whole.multiply_adds).unwrap();
    let (dissected, order) = ordered(&lists, &late);
    assert!(dissected.multiply_adds * 5 < whole.multiply_adds * 4, "{whole:?} {dissected:?}");
    // What comes last are separators.
    assert!(order[lists.len() - 100..].iter().all(|&vertex| late[vertex as usize]));
}

#[test]
fn the_separator_of_a_long_grid_is_hardly_wider_than_the_grid() {
    let (rows, columns) = (300, 12);
    let right = (0..rows * columns).filter(|at| at % columns + 1 < columns).map(|at| (at, at + 1));
    let down = (0..(rows - 1) * columns).map(|at| (at, at + columns));
    let lists = symmetric(rows * columns, right.chain(down));
    let sides = part(&Sketch::new(each(&lists)));
    let on = |side| sides.iter().filter(|&&other| other == side).count();
    assert!(on(Side::Between) <= columns + 2, "{}", on(Side::Between));
    assert!(on(Side::Left).max(on(Side::Right)) <= rows * columns * 3 / 5 + 1);
}

#[test]
fn what_only_a_large_separator_would_part_is_left_whole() {
    let count = 1_000;
    let mut seed = 1_u64;
    let mut draw = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % count
    };
    let lists = symmetric(count, (0..8 * count).map(|at| (at % count, draw())));
    let (whole, _) = ordered(&lists, &vec![false; count]);
    let late = found(&lists, whole.multiply_adds);
    assert!(late.is_none_or(|late| !late.contains(&true)));
    // A first separator that takes as much as there is to win.
    assert_eq!(found(&torus(40), 1), None);
}

#[test]
fn a_place_that_is_next_to_all_others_is_left_out_of_separators() {
    let mut lists = torus(60);
    let count = lists.len();
    lists[0] = (1..count as u32).collect();
    lists[1..].iter_mut().filter(|list| !list.contains(&0)).for_each(|list| list.push(0));
    let members: Vec<u32> = (0..count as u32).collect();
    let mut quotient = Quotient::default();
    let Ok(()) = quotient.load(&members, |at| lists[at as usize].iter().copied(), &mut { GO_ON });
    let loaded: Vec<Vec<u32>> = quotient.lists().map(Iterator::collect).collect();
    for (list, at) in loaded.iter().zip(0..) {
        assert!(list.iter().all(|&other| loaded[other as usize].contains(&at)), "{at}");
    }
    assert!(loaded[0].is_empty());
    let late = found(&loaded, u64::MAX).unwrap();
    let separators = late.iter().filter(|&&late| late).count();
    assert!(!late[0] && separators > 60 && separators < count / 5, "{separators}");
}

#[test]
fn a_search_that_is_told_to_stop_does() {
    let lists = torus(40);
    assert_eq!(separators(each(&lists), u64::MAX, &mut |_| Err("stop")), Err("stop"));
}

proptest! {
    #[test]
    fn a_separator_parts_whatever_the_graph_is(
        count in 1..400_usize,
        edges in prop::collection::vec((0..400_usize, 0..400_usize), 0..1200),
    ) {
        let lists = symmetric(count, edges.into_iter().map(|(a, b)| (a % count, b % count)));
        let sides = part(&Sketch::new(each(&lists)));
        prop_assert_eq!(sides.len(), count);
        for (list, &side) in lists.iter().zip(&sides) {
            for &other in list {
                let pair = (side, sides[other as usize]);
                prop_assert!(!matches!(pair, (Side::Left, Side::Right) | (Side::Right, Side::Left)));
            }
        }
    }

    #[test]
    fn a_coarser_image_has_the_weight_of_all_and_a_tie_between_what_was_tied(
        count in 1..200_usize,
        edges in prop::collection::vec((0..200_usize, 0..200_usize), 0..600),
    ) {
        let lists = symmetric(count, edges.into_iter().map(|(a, b)| (a % count, b % count)));
        let sketch = Sketch::new(each(&lists));
        let (coarse, image) = sketch.coarsen();
        prop_assert_eq!(coarse.total(), count as u64);
        let tied = |a: u32, b: u32| coarse.others(a).contains(&b);
        for (list, &a) in lists.iter().zip(&image) {
            for &other in list {
                let b = image[other as usize];
                prop_assert!(a == b || tied(a, b) && tied(b, a));
            }
        }
        for at in 0..coarse.len() as u32 {
            let others: BTreeSet<u32> = coarse.others(at).iter().copied().collect();
            prop_assert!(others.len() == coarse.others(at).len() && !others.contains(&at));
        }
    }

    #[test]
    fn with_some_put_off_every_vertex_comes_once_and_fill_is_at_most_what_is_counted(
        count in 1..60_usize,
        edges in prop::collection::vec((0..60_usize, 0..60_usize), 0..200),
        late in prop::collection::vec(any::<bool>(), 60),
    ) {
        let lists = symmetric(count, edges.into_iter().map(|(a, b)| (a % count, b % count)));
        let (fill, order) = ordered(&lists, &late[..count]);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        prop_assert!(sorted.iter().copied().eq(0..count as u32));
        let mut left: Vec<BTreeSet<u32>> = lists.iter().map(|list| list.iter().copied().collect()).collect();
        let mut actual = Fill::default();
        for &vertex in &order {
            let reached = std::mem::take(&mut left[vertex as usize]);
            actual.entries += reached.len() as u64;
            actual.multiply_adds += (reached.len() as u64).pow(2);
            for &one in &reached {
                left[one as usize].extend(reached.iter().copied().filter(|&other| other != one));
                left[one as usize].remove(&vertex);
            }
        }
        prop_assert!(actual.entries <= fill.entries && actual.multiply_adds <= fill.multiply_adds);
    }
}
