//! What each fuzz target does with its bytes.
//!
//! The targets call these functions under the fuzzer, the workspace's ordinary tests with every committed seed
//! (`tests/tests/seeds.rs`). Each must return for any input: a panic is the finding.
#![allow(dead_code, reason = "a target calls one of these functions")]

use phasic_engine::artifact::{Checks, Decoded, Format, decode, encode_ptdprmc1, encode_ptdprmc3, verify};
use phasic_engine::document::{Document, read_within, write_graph};
use phasic_engine::graph::{Graph, GraphHash, GraphLimits};
use phasic_engine::model::{self, ModelDocument};
use phasic_engine::plan::{self, Plan, lower};
use phasic_engine::trace::{Limits, Trace, eliminate, forecast};
use phasic_hub_api::{ReadLimits, RegistryDocument};
use std::sync::LazyLock;

/// Library models that artifacts are read against: acyclic, cyclic, several parameters, parallel edges, discrete time.
const GRAPHS: [(&str, &[(&str, i64)]); 6] = [
    ("kingman", &[("n", 5)]),
    ("mm1k", &[("capacity", 3)]),
    ("two_island", &[("start_a", 1), ("start_b", 1)]),
    ("rabbits", &[("n", 1)]),
    ("arg2", &[("n", 2)]),
    ("kingman_mutations", &[]),
];

static BUILT: LazyLock<Vec<Graph>> = LazyLock::new(|| {
    let build = |&(name, constants): &(&str, &[(&str, i64)])| {
        let document = model::find(name).expect("it is in the library").read().expect("it is readable");
        let with =
            |document: ModelDocument, &(name, value): &(&str, i64)| document.with_constant(name, value);
        let document = constants.iter().try_fold(document, with).expect("it has these constants");
        document.build(&GraphLimits::default()).expect("it builds")
    };
    GRAPHS.iter().map(build).collect()
});

/// A file as an artifact: read alone and against graphs; whatever is accepted can be written, read back, run and
/// compared.
pub(crate) fn artifact_read(bytes: &[u8]) {
    if let Ok(decoded) = decode(bytes, &Checks::default()) {
        let again = decode(&encoded(&decoded, decoded.format), &Checks::default()).expect("we wrote it");
        assert_eq!(again.trace, decoded.trace, "a program changed on its way through a file");
    }
    for graph in BUILT.iter() {
        let checks = Checks { graph: Some(graph), ..Checks::default() };
        if let Ok(decoded) = decode(bytes, &checks) {
            belongs(bytes, &decoded, graph, &checks);
        }
        let tabled = Checks { external_inputs: 2, ..checks };
        if let Ok(decoded) = decode(bytes, &tabled) {
            let again = decode(&encoded(&decoded, decoded.format), &tabled).expect("we wrote it");
            assert_eq!(again.trace, decoded.trace, "a program changed on its way through a file");
        }
    }
}

/// A program that a graph's checks let pass runs on that graph in either format, with one result.
fn belongs(bytes: &[u8], decoded: &Decoded, graph: &Graph, checks: &Checks<'_>) {
    let trace = &decoded.trace;
    let again = decode(&encoded(decoded, Format::Ptdprmc3), checks).expect("we wrote it");
    assert_eq!(&again.trace, trace, "a program changed on its way through PTDPRMC3");
    let memory = final_memory(trace, graph);
    // PTDPRMC1 names a slot for each vertex, so a program with fewer slots has no such form.
    if trace.slots() > graph.vertex_count() {
        let again = decode(&encoded(decoded, Format::Ptdprmc1), checks).expect("we wrote it");
        assert_eq!(
            final_memory(&again.trace, graph),
            memory,
            "a program changed on its way through PTDPRMC1"
        );
    }
    let replay = trace.replay(graph, &graph.unit_weights()).expect("it was checked against this graph");
    let _ = (replay.moments(3, None), replay.variance(None), replay.sojourn_times());
    let hash = graph.content_hash();
    let verdict = verify(bytes, graph, hash, &Limits::default(), &mut ());
    let own = eliminate(graph, &Limits::default(), &mut ()).expect("the graph is small");
    let named = decoded.hash_prefix.is_none_or(|prefix| prefix == hash.as_bytes()[..8]);
    let fast = lower(graph, &plan::Limits::default()).expect("the graph is small");
    assert_eq!(
        verdict.is_ok(),
        named && (*trace == own || *trace == fast),
        "verification and comparison disagree"
    );
}

/// A file as a plan, whatever its checksum says: what is accepted is written back byte for byte and runs.
pub(crate) fn plan_read(bytes: &[u8]) {
    use sha2::{Digest, Sha256};
    let limits = plan::Limits::default().with_memory_bytes(1 << 20).with_multiply_adds(1 << 20);
    let mut summed = bytes.to_vec();
    summed.extend(Sha256::digest(bytes));
    for file in [bytes, &summed] {
        let Ok((hash, plan)) = Plan::decode(file, &limits) else { continue };
        assert!(plan.encode(&hash) == file, "a plan has two forms");
        let theta = vec![0.7; plan.param_length()];
        let at = plan.at(&theta);
        if let Ok(at) = &at {
            let _ = (at.moments(3), at.variance_gradient(), at.waiting_times(), at.sojourn_times());
        }
        let thetas = ndarray::Array2::from_shape_fn((3, theta.len()), |(_, parameter)| theta[parameter]);
        let batch = plan.batch(&thetas.view()).expect("each row has a number for each parameter");
        match (batch.moments(3), &at) {
            (Ok(moments), Ok(at)) => {
                let (one, bits) =
                    (at.moments(3).expect("so few may be asked for"), |value: &f64| value.to_bits());
                let same =
                    moments.rows().into_iter().all(|row| row.iter().map(bits).eq(one.iter().map(bits)));
                assert!(same, "a batch gives other numbers: {moments} {one:?}");
            }
            (Err(error), Err(one)) => assert_eq!((error.index, &error.source), (0, one)),
            (batch, at) => panic!("only one has numbers: {batch:?} {at:?}"),
        }
        for graph in BUILT.iter() {
            let _ = (
                Plan::verify(file, graph, &limits),
                at.as_ref().map(|at| at.variance_weight_gradient(graph)),
            );
        }
    }
}

/// Bits, so that equal NaNs are equal.
fn final_memory(trace: &Trace, graph: &Graph) -> Vec<u64> {
    let memory = trace.final_memory(graph, &graph.unit_weights()).expect("it was checked against this graph");
    memory.iter().map(|value| if value.is_nan() { u64::MAX } else { value.to_bits() }).collect()
}

fn encoded(decoded: &Decoded, format: Format) -> Vec<u8> {
    let mut bytes = Vec::new();
    match format {
        Format::Ptdprmc3 => encode_ptdprmc3(&decoded.trace, &mut bytes),
        Format::Ptdprmc1 => {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&decoded.hash_prefix.unwrap_or_default());
            encode_ptdprmc1(&decoded.trace, &GraphHash::from_bytes(hash), &decoded.memory, &mut bytes)
        }
    }
    .expect("a vector takes everything");
    bytes
}

/// A text as a document of any kind; whatever graph comes out can be written, read back and eliminated.
pub(crate) fn graph_json(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match read_within(text, &graph_limits()) {
        Ok(Document::Graph(graph)) => stands(&graph),
        Ok(Document::Model(model)) => builds(&model),
        Ok(_) => unreachable!("there are two kinds of documents"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A text as a model document.
pub(crate) fn model_json(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match model::read(text) {
        Ok(model) => builds(&model),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A text as an expression: the condition and the rate of a rule.
pub(crate) fn expr_parse(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let document = serde_json::json!({
        "format": "phasic-model/1", "constants": { "n": 3, "x": 0.5 },
        "state": ["a", { "k": "n" }], "parameters": ["p"], "initial": [{ "state": { "a": 2, "k[1]": 1 } }],
        "transitions": [
            { "for": [{ "i": [1, "n"] }], "when": text, "to": { "k[i]": "k[i] + 1" }, "rate": { "p": text } },
            { "when": "a > 0", "to": { "a": "a - 1" }, "rate": { "p": text } },
        ],
    });
    model_json(document.to_string().as_bytes());
}

fn builds(model: &ModelDocument) {
    let _ = (model.state_names(), model.parameter_names(), model.name(), model.description());
    match model.build_within(&graph_limits(), 200_000) {
        Ok(graph) => stands(&graph),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn graph_limits() -> GraphLimits {
    GraphLimits::default().with_vertices(200).with_edges(1_000).with_memory_bytes(1 << 20)
}

fn stands(graph: &Graph) {
    let Ok(Document::Graph(again)) = read_within(&write_graph(graph), &GraphLimits::default()) else {
        panic!("a graph we wrote cannot be read");
    };
    assert_eq!(&again, graph, "a graph changed on its way through a document");
    assert_eq!(again.content_hash(), graph.content_hash());
    let limits = Limits::default().with_commands(50_000).with_memory_bytes(8 << 20);
    let (trace, expected) = (eliminate(graph, &limits, &mut ()), forecast(graph, &limits, &mut ()));
    let Ok(trace) = trace else { return };
    let expected = expected.expect("a forecast needs less than the elimination");
    assert_eq!(expected.commands, trace.commands().len() as u64, "the forecast was wrong");
    assert_eq!(expected.slots, u64::from(trace.slots()), "the forecast was wrong");
    let mut bytes = Vec::new();
    encode_ptdprmc3(&trace, &mut bytes).expect("a vector takes everything");
    let checks = Checks { graph: Some(graph), ..Checks::default() };
    assert_eq!(decode(&bytes, &checks).expect("we wrote it").trace, trace);
    let replay = trace.replay(graph, &graph.unit_weights()).expect("it is this graph's program");
    let _ = (replay.moments(2, None), replay.variance(None));
}

/// Bytes as a registry document; what is accepted is written and read back unchanged.
pub(crate) fn registry_read(bytes: &[u8]) {
    let Ok(reading) = RegistryDocument::read(bytes, &ReadLimits::default()) else { return };
    let (document, faults) = reading.into_document();
    assert!(faults.iter().all(|fault| !fault.to_string().is_empty()));
    let text = document.to_json();
    let again = RegistryDocument::read(text.as_bytes(), &ReadLimits::default()).expect("we wrote it");
    let (again, faults) = again.into_document();
    assert!(faults.is_empty(), "an entry was accepted once but not twice: {faults:?}");
    assert_eq!(again.to_json(), text, "a document changed on its way through its text");
}
