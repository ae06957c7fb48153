//! How analysis grows with a component that fills in: `cargo bench -p phasic-engine --bench ordering`.
//!
//! A walk on a square lattice that is left from one corner, at four sizes, each with four times the vertices of the one
//! before. Nearly all of it is ordering by minimum degree and finding the fill; items are vertices, so that a rate that
//! hardly falls from one size to the next means time that grows nearly as the graph does.
#![allow(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

use divan::Bencher;
use divan::counter::ItemsCount;
use phasic_engine::graph::{Graph, GraphBuilder, Rate, START};
use phasic_engine::plan::{Limits, Plan};

fn main() {
    divan::main();
}

fn lattice(side: u32) -> Graph {
    let mut builder = GraphBuilder::new(2).unwrap();
    for place in 0..side * side {
        builder.add_vertex(&[(place / side + 1).cast_signed(), (place % side).cast_signed()]).unwrap();
    }
    let end = builder.add_vertex(&[0, 0]).unwrap();
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for place in 0..side * side {
        let mut step = |to: u32| {
            builder.add_edge(place + 1, to + 1, Rate::Coefficients(&[1.0])).unwrap();
        };
        let (row, column) = (place / side, place % side);
        if row > 0 {
            step(place - side);
        }
        if row + 1 < side {
            step(place + side);
        }
        if column > 0 {
            step(place - 1);
        }
        if column + 1 < side {
            step(place + 1);
        }
    }
    builder.add_edge(side * side, end, Rate::Coefficients(&[1.0])).unwrap();
    builder.finish()
}

#[divan::bench(args = [64, 128, 256, 512], sample_count = 5, sample_size = 1)]
fn analysis_of_a_lattice(bencher: Bencher<'_, '_>, side: u32) {
    let graph = lattice(side);
    let mut limits = Limits::default();
    limits.multiply_adds = u64::MAX;
    bencher
        .counter(ItemsCount::new(side * side))
        .bench_local(|| Plan::analyze(&graph, &limits).unwrap().cost().multiply_adds);
}
