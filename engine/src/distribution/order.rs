//! The order of positions: sinks first, and inside stretches so that neighbours have neighbouring targets.
//!
//! Models are mostly numbered by their states, row by row, and then their own numbers are such an order. Where they are not,
//! because a model comes from a search or a file, an order is made: by targets where there are no cycles, and breadth first
//! where there are (Cuthill, Proceedings of the 24th ACM National Conference, 1969). Numbers only; nothing here
//! depends on θ.

use std::ops::Range;

use super::slices::{BAND, WIDTH};
use crate::plan::Plan;

/// Shorter stretches stay in the order of their numbers.
const SHORT: usize = 64;

/// Plan positions in the order of the pattern, and where it may be cut.
pub(super) fn ordered(plan: &Plan, start: usize) -> (Vec<u32>, Vec<u32>) {
    let mut order: Vec<u32> = Vec::with_capacity(plan.transient().len());
    let mut cut_below = vec![0];
    let mut level = vec![0_u32; plan.transient().len()];
    // Where each plan position has got to.
    let mut place = vec![0_u32; plan.transient().len()];
    for stretch in plan.stretches() {
        let first = order.len();
        if !stretch.cyclic {
            // Sinks first: targets have their level already.
            for at in stretch.range.clone() {
                let inside =
                    plan.edges_of(at).filter(|&(target, _)| stretch.range.contains(&(target as usize)));
                level[at] = inside.map(|(target, _)| level[target as usize] + 1).max().unwrap_or(0);
            }
        }
        let mut here: Vec<u32> =
            stretch.range.clone().filter(|&at| at != start).map(|at| at as u32).collect();
        here.sort_unstable_by_key(|&at| (level[at as usize], plan.transient()[at as usize]));
        put(&here, first, &mut place);
        let inside = Inside { plan, range: stretch.range, start };
        if here.len() >= SHORT {
            let (banded, edges) = inside.banded(&here, &place);
            if 2 * banded < edges {
                let made = if stretch.cyclic {
                    inside.breadth_first(&here)
                } else {
                    inside.by_targets(&here, &level, first, &mut place)
                };
                put(&made, first, &mut place);
                if inside.banded(&made, &place).0 > banded {
                    here = made;
                } else {
                    put(&here, first, &mut place);
                }
            }
        }
        order.extend(here);
        let below = |at: usize| if stretch.cyclic { first } else { at };
        cut_below.extend((first..order.len()).map(|at| below(at) as u32));
    }
    (order, cut_below)
}

fn put(order: &[u32], first: usize, place: &mut [u32]) {
    for (&at, new) in order.iter().zip(first as u32..) {
        place[at as usize] = new;
    }
}

/// A stretch of a plan.
struct Inside<'a> {
    plan: &'a Plan,
    range: Range<usize>,
    start: usize,
}

impl Inside<'_> {
    /// Targets of a plan position in the stretch.
    fn targets(&self, at: u32) -> impl Iterator<Item = u32> + '_ {
        let targets = self.plan.edges_of(at as usize).map(|(target, _)| target);
        targets.filter(|&target| target as usize != self.start && self.range.contains(&(target as usize)))
    }

    /// How many of the edges inside are in bands, and how many there are.
    fn banded(&self, order: &[u32], place: &[u32]) -> (usize, usize) {
        let edges = order.iter().flat_map(|&from| {
            let source = place[from as usize] as usize;
            // The slice of the target, and where a band with this edge begins.
            self.targets(from).map(move |to| {
                let target = place[to as usize] as usize;
                (target / WIDTH, source + WIDTH - target % WIDTH)
            })
        });
        let mut edges: Vec<(usize, usize)> = edges.collect();
        edges.sort_unstable();
        let bands = edges.chunk_by(|a, b| a == b).map(<[_]>::len);
        (bands.filter(|&length| length >= BAND).sum(), edges.len())
    }

    /// Level by level, by the places of targets.
    fn by_targets(&self, order: &[u32], level: &[u32], first: usize, place: &mut [u32]) -> Vec<u32> {
        let mut made = Vec::with_capacity(order.len());
        for same in order.chunk_by(|&a, &b| level[a as usize] == level[b as usize]) {
            let mut keyed: Vec<(u32, u32, u32)> = Vec::with_capacity(same.len());
            for &at in same {
                let targets = self.plan.edges_of(at as usize).map(|(target, _)| target);
                let places =
                    targets.filter(|&target| target as usize != self.start).map(|to| place[to as usize]);
                let (least, most) = places.fold((u32::MAX, 0), |(l, m), to| (l.min(to), m.max(to)));
                keyed.push((least, most, at));
            }
            keyed.sort_unstable();
            let next = first + made.len();
            made.extend(keyed.into_iter().map(|(_, _, at)| at));
            put(&made[next - first..], next, place);
        }
        made
    }

    /// Breadth first from a vertex at the edge, neighbours with few neighbours first.
    fn breadth_first(&self, order: &[u32]) -> Vec<u32> {
        let base = self.range.start;
        let mut neighbours = vec![Vec::new(); self.range.len()];
        for &from in order {
            for to in self.targets(from) {
                neighbours[from as usize - base].push(to);
                neighbours[to as usize - base].push(from);
            }
        }
        for list in &mut neighbours {
            list.sort_unstable();
            list.dedup();
        }
        let degree = |at: u32| neighbours[at as usize - base].len();
        let search = |from: u32| {
            let mut seen = vec![false; neighbours.len()];
            seen[from as usize - base] = true;
            let mut found = vec![from];
            let mut done = 0;
            while let Some(&at) = found.get(done) {
                let new = found.len();
                let next = neighbours[at as usize - base].iter();
                found.extend(next.filter(|&&to| !std::mem::replace(&mut seen[to as usize - base], true)));
                found[new..].sort_by_key(|&to| degree(to));
                done += 1;
            }
            (found, seen)
        };
        let Some(&least) = order.iter().min_by_key(|&&at| degree(at)) else { return Vec::new() };
        // What a search finds last is at the edge; a second one goes farther.
        let edge = (0..2).fold(least, |from, _| search(from).0.last().copied().unwrap_or(from));
        let (mut made, seen) = search(edge);
        // Without the start the stretch may fall into parts.
        made.extend(order.iter().filter(|&&at| !seen[at as usize - base]));
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Graph, GraphBuilder, Rate, START};
    use crate::plan::Limits;

    /// A queue of two kinds of customers, `side` of each at most, that is over once it is empty; numbers are `scattered`
    /// over the states, or follow them.
    fn grid(side: u32, returns: bool, scattered: bool) -> Graph {
        let count = side * side;
        // Without any pattern.
        let mix = |at: &u32| {
            (u64::from(*at) + 1)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .rotate_left(29)
                .wrapping_mul(0xBF58_476D_1CE4_E5B9)
        };
        let mut numbers: Vec<u32> = (0..count).collect();
        if scattered {
            numbers.sort_by_key(mix);
        }
        let number = |x: u32, y: u32| 1 + numbers[(x * side + y) as usize];
        let mut builder = GraphBuilder::new(1).unwrap();
        for state in 1..=count {
            builder.add_vertex(&[state.cast_signed()]).unwrap();
        }
        builder.add_edge(START, number(side - 1, side - 1), Rate::Scalar(1.0)).unwrap();
        let mut add = |from, to| builder.add_edge(from, to, Rate::Coefficients(&[1.0])).unwrap();
        for (x, y) in (0..side).flat_map(|x| (0..side).map(move |y| (x, y))).filter(|&pair| pair != (0, 0)) {
            for (dx, dy) in [(1, 0), (0, 1)] {
                if x >= dx && y >= dy {
                    add(number(x, y), number(x - dx, y - dy));
                }
                if returns && x + dx < side && y + dy < side {
                    add(number(x, y), number(x + dx, y + dy));
                }
            }
        }
        builder.finish()
    }

    /// Edges in bands, and edges, of the first chain of a model.
    fn banded(graph: &Graph) -> (usize, usize) {
        let plan = Plan::analyze(graph, &Limits::default()).unwrap();
        let chain = plan.chain(&[1.0]).unwrap();
        let out = &chain.pattern().out;
        let mut edges = Vec::new();
        for source in 0..chain.len() {
            let targets = out.items[out.range(source)].iter().map(|&target| target as usize);
            edges.extend(targets.map(|target| (target / WIDTH, source + WIDTH - target % WIDTH)));
        }
        edges.sort_unstable();
        let bands = edges.chunk_by(|a, b| a == b).map(<[_]>::len).filter(|&length| length >= BAND);
        (bands.sum(), edges.len())
    }

    #[test]
    fn scattered_numbers_cost_few_bands() {
        for returns in [false, true] {
            let (natural, edges) = banded(&grid(40, returns, false));
            let (scattered, same) = banded(&grid(40, returns, true));
            assert_eq!(edges, same);
            assert!(
                10 * natural > 8 * edges && 10 * scattered > 7 * edges,
                "{returns}: {natural} {scattered} of {edges}"
            );
        }
    }

    #[test]
    fn the_order_changes_no_number() {
        for returns in [false, true] {
            let mut densities = Vec::new();
            for scattered in [false, true] {
                let plan = Plan::analyze(&grid(12, returns, scattered), &Limits::default()).unwrap();
                densities.push(plan.distribution(&[1.0]).unwrap().pdf(&[1.0, 5.0, 20.0]).unwrap());
            }
            for (a, b) in densities[0].iter().zip(&densities[1]) {
                assert!((a - b).abs() < 1e-13, "{a} {b}");
            }
        }
    }
}
