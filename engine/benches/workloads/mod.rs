//! The public workloads (`bench/workloads.json`) as graphs.
//!
//! Most are documents of the model library with large constants, as `models/index.json` says; `random_sparse` is drawn
//! from a generator. Timing is not this room's business.

use phasic_engine::graph::{Graph, GraphLimits, Rate};
use phasic_engine::model::{self, Number};
use phasic_engine::state_space::{StateSpaceError, explore};
use phasic_engine::trace::{Limits, Trace, eliminate};
use serde_json::Value;

const WORKLOADS: &str = include_str!("../../../bench/workloads.json");
const MODELS: &str = include_str!("../../models/index.json");

/// One graph of the public set, with what must come out of it.
pub(crate) struct Workload {
    pub(crate) name: String,
    pub(crate) n: u32,
    pub(crate) theta: Vec<f64>,
    pub(crate) graph: Graph,
    /// Raw moments 1 to 4 at `theta`, from an independent solver.
    pub(crate) moments: Vec<f64>,
    /// Relative error that the reference allows.
    pub(crate) tolerance: f64,
}

impl Workload {
    /// The program of the graph; its moments were held against the reference.
    pub(crate) fn eliminated(&self) -> Trace {
        let trace = eliminate(&self.graph, &Limits::default(), &mut ()).expect("it fits");
        let weights = self.graph.weights(&self.theta).expect("θ fits");
        let replay = trace.replay(&self.graph, &weights).expect("the program fits");
        let moments = replay.moments(4, None).expect("they exist");
        for (found, wanted) in moments.iter().zip(&self.moments) {
            let error = (found - wanted).abs() / wanted.abs();
            assert!(error <= self.tolerance, "{} {}: moment {found}, not {wanted}", self.name, self.n);
        }
        trace
    }
}

/// Name and size of every workload, in the order of the file.
pub(crate) fn names() -> Vec<(String, u32)> {
    let set = parse(WORKLOADS);
    let cases = |family: &Value| {
        let name = family["name"].as_str().expect("a name").to_owned();
        list(&family["cases"]).iter().map(move |case| (name.clone(), whole(&case["n"]))).collect::<Vec<_>>()
    };
    list(&set["workloads"]).iter().flat_map(cases).collect()
}

/// Builds one workload; sizes are checked against the file.
pub(crate) fn build(name: &str, n: u32) -> Option<Workload> {
    let set = parse(WORKLOADS);
    let family = list(&set["workloads"]).iter().find(|family| family["name"] == name)?;
    let case = list(&family["cases"]).iter().find(|case| case["n"] == n)?;
    let graph = if name == "random_sparse" { random_sparse(n) } else { from_library(name, n) };
    assert_eq!(graph.vertex_count(), whole(&case["V"]), "{name} {n}: vertices");
    assert_eq!(graph.edge_count(), whole(&case["E"]), "{name} {n}: edges");
    Some(Workload {
        name: name.to_owned(),
        n,
        theta: numbers(&family["theta"]),
        graph,
        moments: numbers(&case["reference"]["moments"]),
        tolerance: case["reference"]["rel_tol"].as_f64().expect("a tolerance"),
    })
}

fn from_library(name: &str, n: u32) -> Graph {
    let index = parse(MODELS);
    let case = list(&index["cases"])
        .iter()
        .find(|case| case["workload"] == name && case["n"] == n)
        .expect("the index has every workload");
    let model = case["model"].as_str().expect("a model");
    let mut document = model::find(model).expect("a built-in model").read().expect("it is readable");
    for (constant, value) in case["constants"].as_object().expect("constants") {
        let value: Number = value.to_string().parse().expect("a number");
        document = document.with_constant(constant, value).expect("the constant exists");
    }
    let graph = document.build(&GraphLimits::default()).expect("it builds");
    assert_eq!(graph.content_hash().to_string(), case["graph_hash"], "{name} {n}: content hash");
    graph
}

/// The rule is in the file: three edges a state at most, drawn in the order of the states.
fn random_sparse(n: u32) -> Graph {
    let mut stream = SplitMix64(20_261_120 + u64::from(n));
    let mut rows: Vec<Vec<(u32, [f64; 3])>> = Vec::new();
    for i in 1..=n {
        let mut row: Vec<(u32, [f64; 3])> = Vec::new();
        for d in 0..3 {
            let target = if d == 0 { i % n + 1 } else { 1 + stream.below(n) };
            let (parameter, value) = (stream.below(3) as usize, 1 + stream.below(8));
            if target != i && row.iter().all(|&(used, _)| used != target) {
                let mut coefficients = [0.0; 3];
                coefficients[parameter] = f64::from(value);
                row.push((target, coefficients));
            }
        }
        if i % 16 == 0 {
            row.push((0, [0.0, 0.0, 1.0]));
        }
        rows.push(row);
    }
    explore(1, GraphLimits::default(), &[([1], 1.0)], |state, transitions| {
        if state[0] > 0 {
            for &(target, coefficients) in &rows[state[0].unsigned_abs() as usize - 1] {
                transitions.add(&[target.cast_signed()], Rate::Coefficients(&coefficients))?;
            }
        }
        Ok::<(), StateSpaceError>(())
    })
    .expect("it builds")
}

/// The splitmix64 generator (Steele, Lea, Flood 2014).
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound)).expect("it is below a u32")
    }
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn whole(value: &Value) -> u32 {
    u32::try_from(value.as_u64().expect("a whole number")).expect("a small one")
}

fn numbers(value: &Value) -> Vec<f64> {
    list(value).iter().map(|number| number.as_f64().expect("a number")).collect()
}
