//! Time of sampling on public workloads, one thread: `cargo bench -p phasic-engine --bench sampling`.
//!
//! Each case draws 2,048 samples; `docs/performance.md` tells how phasic was timed beside it.

#[allow(dead_code, reason = "the list of all workloads is for the other bench")]
mod workloads;

use divan::{Bencher, black_box};
use phasic_engine::plan::{Limits, Plan};
use std::fmt;
use workloads::build;

const SAMPLES: usize = 2048;

fn main() {
    // Samples are drawn on the current pool; one thread is what is compared.
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("no pool was made before");
    divan::main();
}

/// Name and size of a workload, as divan lists it.
#[derive(Clone, Copy)]
struct Case(&'static str, u32);

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.0, self.1)
    }
}

const CASES: [Case; 9] = [
    Case("kingman", 500),
    Case("coxian", 1000),
    Case("mm1k", 300),
    Case("two_island", 40),
    Case("rabbit", 40),
    Case("two_locus_arg", 6),
    Case("sfs", 25),
    Case("stepping_stone", 20),
    Case("random_sparse", 300),
];

#[divan::bench(args = CASES, sample_count = 25, max_time = 4)]
fn times(bencher: Bencher<'_, '_>, case: Case) {
    let workload = build(case.0, case.1).expect("it is listed");
    let plan = Plan::analyze(&workload.graph, &Limits::default()).expect("it fits");
    let sampler = plan.sampler(&workload.theta).expect("θ fits");
    bencher
        .counter(divan::counter::ItemsCount::new(SAMPLES))
        .bench_local(|| sampler.times(black_box(1), SAMPLES));
}

#[divan::bench(args = CASES, sample_count = 9, max_time = 2)]
fn tables(bencher: Bencher<'_, '_>, case: Case) {
    let workload = build(case.0, case.1).expect("it is listed");
    let plan = Plan::analyze(&workload.graph, &Limits::default()).expect("it fits");
    bencher.bench_local(|| plan.sampler(black_box(&workload.theta)));
}
