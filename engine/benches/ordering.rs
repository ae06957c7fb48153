//! How analysis grows with a component that fills in: `cargo bench -p phasic-engine --bench ordering`.
//!
//! Walks on square lattices, left from one corner, at four sizes, each with four times the vertices of the one before.
//! Nearly all of it is ordering by minimum degree and finding the fill; items are vertices, so that a rate that hardly
//! falls from one size to the next means time that grows nearly as the graph does. Walks on tori and on lattices of three
//! dimensions fill in so much that they are dissected, too; of those, replays are timed as well.
#![allow(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

use divan::Bencher;
use divan::counter::ItemsCount;
use phasic_engine::graph::{Graph, GraphBuilder, Rate, START};
use phasic_engine::plan::{Limits, Plan};
use std::fmt;

fn main() {
    divan::main();
}

/// Where a walk goes: how long each dimension is, and whether its ends are next to one another.
#[derive(Debug, Clone, Copy)]
struct Place {
    lengths: &'static [u32],
    closed: bool,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths: Vec<String> = self.lengths.iter().map(u32::to_string).collect();
        write!(f, "{} {}", if self.closed { "torus" } else { "grid" }, lengths.join("x"))
    }
}

const fn grid(lengths: &'static [u32]) -> Place {
    Place { lengths, closed: false }
}

const fn torus(lengths: &'static [u32]) -> Place {
    Place { lengths, closed: true }
}

fn walk(Place { lengths, closed }: Place) -> Graph {
    let count: u32 = lengths.iter().product();
    let mut builder = GraphBuilder::new(1).unwrap();
    for place in 0..count {
        builder.add_vertex(&[place.cast_signed() + 1]).unwrap();
    }
    let end = builder.add_vertex(&[0]).unwrap();
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for place in 0..count {
        let mut stride = 1;
        for &length in lengths {
            let at = place / stride % length;
            let (before, after) = ((at + length - 1) % length, (at + 1) % length);
            for (to, inside) in [(before, at > 0), (after, at + 1 < length)] {
                if inside || closed {
                    let to = place - at * stride + to * stride;
                    builder.add_edge(place + 1, to + 1, Rate::Coefficients(&[1.0])).unwrap();
                }
            }
            stride *= length;
        }
    }
    builder.add_edge(count, end, Rate::Coefficients(&[1.0])).unwrap();
    builder.finish()
}

fn analyzed(graph: &Graph) -> Plan {
    let mut limits = Limits::default();
    limits.multiply_adds = u64::MAX;
    Plan::analyze(graph, &limits).unwrap()
}

const SQUARES: [Place; 4] = [grid(&[64, 64]), grid(&[128, 128]), grid(&[256, 256]), grid(&[512, 512])];
const DISSECTED: [Place; 6] = [
    grid(&[200, 200]),
    torus(&[100, 100]),
    torus(&[200, 200]),
    grid(&[16, 16, 16]),
    grid(&[22, 22, 22]),
    torus(&[16, 16, 16]),
];

#[divan::bench(args = SQUARES, sample_count = 5, sample_size = 1)]
fn analysis_of_a_lattice(bencher: Bencher<'_, '_>, place: Place) {
    let graph = walk(place);
    let vertices = ItemsCount::new(graph.vertex_count());
    bencher.counter(vertices).bench_local(|| analyzed(&graph).cost().multiply_adds);
}

#[divan::bench(args = DISSECTED, sample_count = 5, sample_size = 1)]
fn analysis_with_dissection(bencher: Bencher<'_, '_>, place: Place) {
    let graph = walk(place);
    bencher.bench_local(|| analyzed(&graph).cost().multiply_adds);
}

/// Items are multiply-adds.
#[divan::bench(args = DISSECTED, sample_count = 5, sample_size = 1)]
fn replay_after_dissection(bencher: Bencher<'_, '_>, place: Place) {
    let plan = analyzed(&walk(place));
    let mut at = plan.at(&[1.0]).unwrap();
    bencher.counter(ItemsCount::new(plan.cost().multiply_adds)).bench_local(|| {
        at.set(&[2.0]).unwrap();
        at.expectation()
    });
}
