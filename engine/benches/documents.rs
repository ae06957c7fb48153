//! Time of building, writing and reading large models: `cargo bench -p phasic-engine --bench documents`.

use divan::Bencher;
use phasic_engine::document::{read, write_graph};
use phasic_engine::graph::{Graph, GraphLimits, Rate};
use phasic_engine::model::{ModelDocument, find};
use phasic_engine::state_space::{StateSpaceError, explore};

fn main() {
    divan::main();
}

const MODELS: [(&str, &str, i64); 4] =
    [("rabbits", "n", 1000), ("kingman", "n", 1_000_000), ("two_locus_arg", "n", 6), ("sfs", "n", 25)];

fn document(name: &str) -> ModelDocument {
    let &(name, constant, value) = MODELS.iter().find(|(listed, ..)| *listed == name).expect("it is listed");
    let document = find(name).and_then(|model| model.read().ok()).expect("it is built in");
    document.with_constant(constant, value).expect("it has the constant")
}

fn built(document: &ModelDocument) -> Graph {
    document.build(&GraphLimits::default()).expect("it builds")
}

#[divan::bench(args = MODELS.map(|(name, ..)| name), sample_count = 10, sample_size = 1)]
fn build(bencher: Bencher<'_, '_>, name: &str) {
    let document = document(name);
    bencher.bench_local(|| built(&document));
}

/// The rabbits again, with rules in Rust: what of the time above is not the graph's own.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn rabbits_by_closure() -> Graph {
    let explored = explore(2, GraphLimits::default(), &[([1000, 0], 1.0)], |state, transitions| {
        let &[left, right] = state else { return Ok::<(), StateSpaceError>(()) };
        if left > 0 {
            transitions.add(&[left - 1, right + 1], Rate::Coefficients(&[1.0, 0.0, 0.0]))?;
            transitions.add(&[0, right], Rate::Coefficients(&[0.0, 1.0, 0.0]))?;
        }
        if right > 0 {
            transitions.add(&[left + 1, right - 1], Rate::Coefficients(&[1.0, 0.0, 0.0]))?;
            transitions.add(&[left, 0], Rate::Coefficients(&[0.0, 0.0, 1.0]))?;
        }
        Ok(())
    });
    explored.expect("it builds")
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn write_rabbits(bencher: Bencher<'_, '_>) {
    let graph = built(&document("rabbits"));
    bencher.bench_local(|| write_graph(&graph));
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn read_rabbits(bencher: Bencher<'_, '_>) {
    let text = write_graph(&built(&document("rabbits")));
    bencher.bench_local(|| read(&text).expect("it was written"));
}
