//! One elimination on one thread and on all: `cargo bench -p phasic-engine --bench threads`.
//!
//! The structured coalescent of 50 lineages on three islands: 23,426 vertices in 49 components with cycles.
#![allow(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

use divan::Bencher;
use phasic_engine::graph::GraphLimits;
use phasic_engine::model;
use phasic_engine::plan::{Limits, Plan};

fn main() {
    divan::main();
}

#[divan::bench(args = [1, 2])]
fn set_and_expectation(bencher: Bencher<'_, '_>, threads: usize) {
    let mut document = model::find("three_island").unwrap().read().unwrap();
    for (constant, lineages) in [("start_1", 20_i64), ("start_2", 15), ("start_3", 15)] {
        document = document.with_constant(constant, lineages).unwrap();
    }
    let graph = document.build(&GraphLimits::default()).unwrap();
    let plan = Plan::analyze(&graph, &Limits::default()).unwrap();
    let mut theta: Vec<f64> = (1..=plan.param_length()).map(|k| 0.5 * k as f64).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let mut at = plan.at(&theta).unwrap();
    bencher.bench_local(|| {
        theta[0] += 0.001;
        pool.install(|| at.set(&theta)).unwrap();
        at.expectation()
    });
}
