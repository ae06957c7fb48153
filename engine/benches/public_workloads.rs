//! Time of each stage on the public workloads, one thread: `cargo bench -p phasic-engine`, or with a filter,
//! `cargo bench -p phasic-engine -- eliminate/rabbit`.

mod workloads;

use divan::{Bencher, black_box};
use phasic_engine::artifact::{Checks, decode, encode_ptdprmc3};
use phasic_engine::plan::{self, Plan};
use phasic_engine::trace::{Limits, Trace, eliminate, forecast};
use std::fmt;
use std::sync::LazyLock;
use workloads::{Workload, build};

fn main() {
    divan::main();
}

/// Name and size of a workload, as divan lists it.
#[derive(Clone)]
struct Case(String, u32);

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.0, self.1)
    }
}

static CASES: LazyLock<Vec<Case>> =
    LazyLock::new(|| workloads::names().into_iter().map(|(name, n)| Case(name, n)).collect());

fn cases() -> impl Iterator<Item = &'static Case> {
    CASES.iter()
}

fn workload(case: &Case) -> Workload {
    build(&case.0, case.1).expect("it is listed")
}

fn encoded(trace: &Trace) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_ptdprmc3(trace, &mut bytes).expect("a vector takes everything");
    bytes
}

#[divan::bench(args = cases(), sample_count = 9, max_time = 2)]
fn hash(bencher: Bencher<'_, '_>, case: &Case) {
    let workload = workload(case);
    bencher.bench_local(|| black_box(&workload.graph).content_hash());
}

#[divan::bench(args = cases(), sample_count = 9, max_time = 2)]
fn elimination(bencher: Bencher<'_, '_>, case: &Case) {
    let workload = workload(case);
    bencher.bench_local(|| eliminate(black_box(&workload.graph), &Limits::default(), &mut ()));
}

#[divan::bench(args = cases(), sample_count = 9, max_time = 2)]
fn forecasting(bencher: Bencher<'_, '_>, case: &Case) {
    let workload = workload(case);
    bencher.bench_local(|| forecast(black_box(&workload.graph), &Limits::default(), &mut ()));
}

#[divan::bench(args = cases(), sample_count = 9, max_time = 2)]
fn encoding(bencher: Bencher<'_, '_>, case: &Case) {
    let trace = workload(case).eliminated();
    let mut bytes = encoded(&trace);
    bencher.bench_local(|| {
        bytes.clear();
        encode_ptdprmc3(black_box(&trace), &mut bytes)
    });
}

#[divan::bench(args = cases(), sample_count = 9, max_time = 2)]
fn decoding(bencher: Bencher<'_, '_>, case: &Case) {
    let workload = workload(case);
    let bytes = encoded(&workload.eliminated());
    let checks = Checks { graph: Some(&workload.graph), ..Checks::default() };
    bencher.bench_local(|| decode(black_box(&bytes), &checks));
}

#[divan::bench(args = cases(), sample_count = 9, max_time = 2)]
fn replay(bencher: Bencher<'_, '_>, case: &Case) {
    let workload = workload(case);
    let trace = workload.eliminated();
    bencher.bench_local(|| {
        let weights = workload.graph.weights(black_box(&workload.theta)).expect("θ fits");
        trace.replay(&workload.graph, &weights).expect("the program fits").expectation(None)
    });
}

#[divan::bench(args = cases(), sample_count = 9, max_time = 2)]
fn analysis(bencher: Bencher<'_, '_>, case: &Case) {
    let workload = workload(case);
    bencher.bench_local(|| Plan::analyze(black_box(&workload.graph), &plan::Limits::default()));
}

#[divan::bench(args = cases(), sample_count = 9, max_time = 2)]
fn evaluation(bencher: Bencher<'_, '_>, case: &Case) {
    let workload = workload(case);
    let plan = Plan::analyze(&workload.graph, &plan::Limits::default()).expect("it fits");
    bencher.bench_local(|| plan.at(black_box(&workload.theta)).expect("θ fits").expectation());
}
