use super::load::HUB_DEGREE;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::convert::Infallible;

/// The order of the method, and the entries above the diagonal that it says there will be.
fn ordered(neighbours: &[BTreeSet<u32>]) -> (Vec<u32>, u64) {
    let members: Vec<u32> = (0..neighbours.len() as u32).collect();
    let (mut quotient, mut order) = (Quotient::default(), Vec::new());
    // What an earlier component leaves behind must not matter.
    let Ok(()) = quotient.load(&[0, 1, 2], |vertex| 0..vertex, &mut |_| Ok::<_, Infallible>(()));
    let mut step = |_, _| Ok::<_, Infallible>(());
    let Ok(_) = quotient.order(&mut order, &mut step);
    // Each edge in one direction, and those to higher vertices twice.
    let edges = |vertex: u32| {
        let list = &neighbours[vertex as usize];
        list.iter().copied().chain(list.range(vertex..).copied())
    };
    let Ok(()) = quotient.load(&members, edges, &mut |_| Ok::<_, Infallible>(()));
    let Ok(fill) = quotient.order(&mut order, &mut step);
    (order, fill.entries)
}

/// Entries above the diagonal when a symmetric pattern is eliminated in this order, vertex by vertex.
fn eliminated(neighbours: &[BTreeSet<u32>], order: &[u32]) -> u64 {
    let mut left = neighbours.to_vec();
    let mut entries = 0;
    for &vertex in order {
        let reached = std::mem::take(&mut left[vertex as usize]);
        entries += reached.len() as u64;
        for &one in &reached {
            left[one as usize].extend(reached.iter().copied().filter(|&other| other != one));
            left[one as usize].remove(&vertex);
        }
    }
    entries
}

fn symmetric(count: usize, edges: impl IntoIterator<Item = (usize, usize)>) -> Vec<BTreeSet<u32>> {
    let mut neighbours = vec![BTreeSet::new(); count];
    for (a, b) in edges {
        if a != b {
            neighbours[a].insert(b as u32);
            neighbours[b].insert(a as u32);
        }
    }
    neighbours
}

fn grid(side: usize) -> Vec<BTreeSet<u32>> {
    let right = (0..side * side).filter(|at| at % side + 1 < side).map(|at| (at, at + 1));
    let down = (0..side * (side - 1)).map(|at| (at, at + side));
    symmetric(side * side, right.chain(down))
}

#[test]
fn a_grid_fills_in_as_little_as_nested_dissection_promises() {
    // George's nested dissection leaves 31/4 · n² log₂ n entries in an n × n grid (SIAM J. Numer. Anal. 10, 1973).
    let side = 24;
    let neighbours = grid(side);
    let (order, entries) = ordered(&neighbours);
    assert_eq!(entries, eliminated(&neighbours, &order));
    let promised = 7.75 * (side * side) as f64 * (side as f64).log2();
    assert!((entries as f64) < promised / 2.0, "{entries} {promised}");
}

#[test]
fn the_hub_of_a_wheel_comes_last() {
    let rim = 2000;
    let spokes = (0..rim).map(|at| (at, rim));
    let wheel = symmetric(rim + 1, (0..rim).map(|at| (at, (at + 1) % rim)).chain(spokes));
    let (order, entries) = ordered(&wheel);
    assert_eq!(order.last(), Some(&(rim as u32)));
    assert_eq!(entries, eliminated(&wheel, &order));
    assert_eq!(entries, 3 * (rim as u64 - 3) + 6);
}

/// Rows of vertices, each of which is next to some of a few hubs.
fn rows_with_hubs(count: usize, hubs: usize, links: &[(usize, usize)]) -> Vec<BTreeSet<u32>> {
    let rows = (hubs + 1..count).filter(|at| at % 7 > 0).map(|at| (at - 1, at));
    let links = links.iter().map(|&(hub, other)| (hub % hubs, other % count));
    symmetric(count, rows.chain(links))
}

#[test]
fn hubs_come_late_and_leave_the_rest_as_it_would_be_without_them() {
    let (count, hubs) = (2000, 8);
    let links: Vec<(usize, usize)> = (hubs..count).map(|at| (at / 7, at)).collect();
    let neighbours = rows_with_hubs(count, hubs, &links);
    assert!(neighbours[..hubs].iter().all(|near| near.len() > HUB_DEGREE as usize));
    let (order, entries) = ordered(&neighbours);
    assert!(eliminated(&neighbours, &order) <= entries);
    // Rows that hang on one hub each: an entry to the next and one to the hub.
    assert!(entries <= 2 * count as u64, "{entries}");
}

proptest! {
    #[test]
    fn with_hubs_too_every_vertex_comes_once(
        hubs in 1..12_usize,
        links in prop::collection::vec((0..12_usize, 0..700_usize), 300..1200),
    ) {
        let neighbours = rows_with_hubs(700, hubs, &links);
        let (order, entries) = ordered(&neighbours);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        prop_assert!(sorted.iter().copied().eq(0..700));
        prop_assert!(eliminated(&neighbours, &order) <= entries);
    }

    #[test]
    fn every_vertex_comes_once_and_entries_are_at_most_those_counted(
        count in 1..60_usize,
        edges in prop::collection::vec((0..60_usize, 0..60_usize), 0..200),
    ) {
        let neighbours = symmetric(count, edges.into_iter().map(|(a, b)| (a % count, b % count)));
        let (order, entries) = ordered(&neighbours);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        prop_assert!(sorted.iter().copied().eq(0..count as u32));
        prop_assert!(eliminated(&neighbours, &order) <= entries);
        prop_assert!(entries <= (count * (count - 1) / 2) as u64);
    }
}
