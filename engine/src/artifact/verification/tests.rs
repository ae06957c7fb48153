use std::ops::ControlFlow;

use crate::artifact::{Checks, decode, encode_ptdprmc1, encode_ptdprmc3};
use crate::graph::{Graph, GraphBuilder, Rate, START};
use crate::trace::{Command, Limits, Trace, eliminate};

use super::{Evidence, VerificationError, verify};

/// A ring with exits; `swapped` turns the order of each vertex's edges around, which the content hash does not see.
fn ring(length: i32, swapped: bool) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    let vertices: Vec<u32> =
        (1..=length).map(|state| builder.find_or_add_vertex(&[state]).unwrap()).collect();
    let out = builder.find_or_add_vertex(&[0]).unwrap();
    builder.add_edge(START, vertices[0], Rate::Scalar(1.0)).unwrap();
    for (place, &vertex) in vertices.iter().enumerate() {
        let next = vertices[(place + 1) % vertices.len()];
        let mut edges = [(next, [1.0, 0.0]), (out, [0.0, place as f64 + 1.0])];
        if swapped {
            edges.reverse();
        }
        for (to, coefficients) in edges {
            builder.add_edge(vertex, to, Rate::Coefficients(&coefficients)).unwrap();
        }
    }
    builder.finish()
}

fn program(graph: &Graph) -> Trace {
    eliminate(graph, &Limits::default(), &mut ()).unwrap()
}

fn ptdprmc3(graph: &Graph) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_ptdprmc3(&program(graph), &mut bytes).unwrap();
    bytes
}

fn judge(bytes: &[u8], graph: &Graph, limits: Limits) -> Result<Evidence, VerificationError> {
    verify(bytes, graph, graph.content_hash(), &limits, 7, &mut ()).map(|verified| verified.evidence)
}

#[test]
fn both_formats_of_the_right_program_are_reproduced() {
    let graph = ring(5, false);
    assert_eq!(judge(&ptdprmc3(&graph), &graph, Limits::default()), Ok(Evidence::Reproduced));
    let trace = program(&graph);
    let memory = trace.final_memory(&graph, &graph.unit_weights()).unwrap();
    let mut bytes = Vec::new();
    encode_ptdprmc1(&trace, &graph.content_hash(), &memory, &mut bytes).unwrap();
    assert_eq!(judge(&bytes, &graph, Limits::default()), Ok(Evidence::Reproduced));
}

#[test]
fn a_program_for_another_edge_order_is_refused_although_the_hash_is_the_same() {
    let (graph, swapped) = (ring(5, false), ring(5, true));
    assert_eq!(graph.content_hash(), swapped.content_hash());
    let error = judge(&ptdprmc3(&swapped), &graph, Limits::default()).unwrap_err();
    assert!(matches!(error, VerificationError::Differs { .. }), "{error}");
}

#[test]
fn a_changed_byte_of_the_program_is_refused_or_changes_no_result() {
    let graph = ring(3, false);
    let bytes = ptdprmc3(&graph);
    let trace = program(&graph);
    let memory_at = 40 + 80 * trace.commands().len();
    let inputs_at = memory_at + 8 * trace.slots() as usize;
    let totals = |trace: &Trace| {
        let replay = trace.replay(&graph, &graph.weights(&[0.7, 1.9]).unwrap()).unwrap();
        replay.waiting_times(Some(&[1.0, 2.0, 3.0, 5.0, 7.0])).unwrap()
    };
    let right = totals(&trace);
    let mut without_effect = 0;
    for place in (0..memory_at).chain(inputs_at..bytes.len()) {
        let mut changed = bytes.clone();
        changed[place] ^= 0x10;
        let Ok(evidence) = judge(&changed, &graph, Limits::default()) else { continue };
        assert_eq!(evidence, Evidence::Solved, "byte {place}");
        let found = totals(&decode(&changed, &Checks::default()).unwrap().trace);
        assert!(found.iter().zip(&right).all(|(a, b)| (a - b).abs() <= 1e-12 * b.abs()), "byte {place}");
        without_effect += 1;
    }
    assert!(without_effect <= 4, "{without_effect} changed bytes without effect");
}

#[test]
fn a_program_in_another_order_of_elimination_is_accepted_for_its_results() {
    let graph = ring(6, false);
    let lowered = crate::plan::lower(&graph, &crate::plan::Limits::default()).unwrap();
    let mut bytes = Vec::new();
    encode_ptdprmc3(&lowered, &mut bytes).unwrap();
    assert_eq!(judge(&bytes, &graph, Limits::default()), Ok(Evidence::Solved));
    let error = judge(&bytes, &ring(6, true), Limits::default()).unwrap_err();
    assert!(matches!(error, VerificationError::Differs { .. }), "{error}");
}

#[test]
fn beyond_the_limits_the_equations_of_the_graph_decide() {
    let graph = ring(6, false);
    let tight = Limits::default().with_commands(10);
    assert_eq!(judge(&ptdprmc3(&graph), &graph, tight), Ok(Evidence::Solved));
    let error = judge(&ptdprmc3(&ring(6, true)), &graph, tight).unwrap_err();
    assert!(matches!(error, VerificationError::Wrong { .. }), "{error}");
}

#[test]
fn the_equations_notice_every_left_out_product_that_changes_a_result() {
    let graph = ring(4, false);
    let bytes = ptdprmc3(&graph);
    let totals = |trace: &Trace| {
        let replay = trace.replay(&graph, &graph.weights(&[0.7, 1.9]).unwrap()).unwrap();
        replay.waiting_times(Some(&[1.0, 2.0, 3.0, 5.0, 7.0, 11.0])).unwrap()
    };
    let right = totals(&program(&graph));
    let tight = Limits::default().with_commands(1);
    let (mut noticed, mut neutral) = (0, 0);
    for (number, command) in program(&graph).commands().iter().enumerate() {
        let Command::AddProduct { slot, .. } = *command else { continue };
        // With its own slot, still zero, as first factor the command adds nothing; the file stays intact.
        let mut changed = bytes.clone();
        let operand = 40 + 80 * number + 48;
        changed[operand..operand + 8].copy_from_slice(&u64::from(slot).to_le_bytes());
        let result = totals(&decode(&changed, &Checks::default()).unwrap().trace);
        let verdict = judge(&changed, &graph, tight);
        // A lone child's probability is divided by itself later, whatever it was.
        if result.iter().zip(&right).all(|(a, b)| (a - b).abs() <= 1e-12 * b.abs()) {
            neutral += 1;
            assert_eq!(verdict, Ok(Evidence::Solved), "command {number}");
        } else {
            noticed += 1;
            assert!(matches!(verdict, Err(VerificationError::Wrong { .. })), "command {number}: {verdict:?}");
        }
    }
    assert_eq!((noticed, neutral), (5, 1));
}

#[test]
fn an_observer_can_stop_the_verification() {
    let graph = ring(5000, false);
    let mut stop = |_| ControlFlow::Break(());
    let outcome = verify(&ptdprmc3(&graph), &graph, graph.content_hash(), &Limits::default(), 7, &mut stop);
    assert_eq!(outcome, Err(VerificationError::Cancelled));
}
