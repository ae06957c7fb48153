use std::ops::ControlFlow;

use crate::artifact::{encode_ptdprmc1, encode_ptdprmc3};
use crate::graph::{Graph, GraphBuilder, Rate, START};
use crate::plan::{self, Plan};
use crate::trace::{Command, Limits, Trace, eliminate};

use super::{Evidence, Trial, VerificationError, verify, verify_in_any_order};

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
    verify(bytes, graph, graph.content_hash(), &limits, &mut ()).map(|verified| verified.evidence)
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
fn a_program_for_another_edge_order_says_which_one_it_is_for() {
    let (graph, swapped) = (ring(5, false), ring(5, true));
    let any = |bytes: &[u8], graph: &Graph| {
        verify_in_any_order(bytes, graph, graph.content_hash(), &Limits::default(), &mut ())
            .map(|(verified, digest)| (verified.evidence, digest))
    };
    for (made_for, known) in [(&graph, &swapped), (&swapped, &graph), (&graph, &graph)] {
        let expected = (Evidence::Reproduced, made_for.edge_order_digest());
        assert_eq!(any(&ptdprmc3(made_for), known), Ok(expected));
        assert_eq!(program(made_for).edge_order_of(known).as_ref(), Some(made_for));
    }
}

#[test]
fn a_changed_program_fits_no_edge_order() {
    let (graph, swapped) = (ring(3, false), ring(3, true));
    let bytes = ptdprmc3(&swapped);
    let program_bytes = 40 + 80 * program(&swapped).commands().len();
    for place in 0..program_bytes {
        let mut changed = bytes.clone();
        changed[place] ^= 0x01;
        let judged = verify_in_any_order(&changed, &graph, graph.content_hash(), &Limits::default(), &mut ());
        assert!(judged.is_err(), "byte {place}");
    }
}

#[test]
fn no_changed_byte_of_the_program_goes_unnoticed() {
    let graph = ring(3, false);
    let lowered = {
        let mut bytes = Vec::new();
        encode_ptdprmc3(&fast(&graph), &mut bytes).unwrap();
        bytes
    };
    for (bytes, trace) in [(ptdprmc3(&graph), program(&graph)), (lowered, fast(&graph))] {
        let memory_at = 40 + 80 * trace.commands().len();
        let inputs_at = memory_at + 8 * trace.slots() as usize;
        for place in (0..memory_at).chain(inputs_at..bytes.len()) {
            let mut changed = bytes.clone();
            changed[place] ^= 0x10;
            assert!(judge(&changed, &graph, Limits::default()).is_err(), "byte {place}");
        }
    }
}

fn fast(graph: &Graph) -> Trace {
    crate::plan::lower(graph, &crate::plan::Limits::default()).unwrap()
}

#[test]
fn our_own_program_is_accepted_for_its_graph_only() {
    let graph = ring(6, false);
    let mut bytes = Vec::new();
    encode_ptdprmc3(&fast(&graph), &mut bytes).unwrap();
    assert_eq!(judge(&bytes, &graph, Limits::default()), Ok(Evidence::Fast));
    let error = judge(&bytes, &ring(6, true), Limits::default()).unwrap_err();
    assert!(matches!(error, VerificationError::Differs { .. }), "{error}");
}

#[test]
fn a_program_that_is_right_only_where_somebody_would_look_is_refused() {
    // Adds (w/4096)^32 of itself to the last multiplier: nothing at common parameters, everything at large ones.
    let graph = ring(3, false);
    let mut trace = program(&graph);
    let Some(Command::Row { multiplier, .. }) = trace.commands.pop() else { panic!("programs end in a row") };
    let first = trace.slots;
    let (scale, power) = (first, first + 1);
    let mut extra = vec![Command::Zero { slot: scale }, Command::OneMinus { slot: scale }];
    extra.extend([Command::Add { slot: scale, from: scale }; 12]);
    extra.extend([Command::Invert { slot: scale }, Command::Zero { slot: power }]);
    extra.push(Command::AddProductInput { slot: power, input: 1, right: scale });
    for slot in power + 1..power + 6 {
        extra.extend([Command::Zero { slot }, Command::AddProduct { slot, left: slot - 1, right: slot - 1 }]);
    }
    extra.push(Command::AddProduct { slot: multiplier, left: multiplier, right: power + 5 });
    trace.commands.extend(extra);
    trace.commands.push(Command::Row { from: 0, to: 1, multiplier });
    trace.slots = power + 6;
    let mut bytes = Vec::new();
    encode_ptdprmc3(&trace, &mut bytes).unwrap();
    let total = |trace: &Trace, theta: f64| {
        let replay = trace.replay(&graph, &graph.weights(&[theta, 1.0]).unwrap()).unwrap();
        replay.expectation(None).unwrap()
    };
    let right = program(&graph);
    assert_eq!(total(&trace, 2.0), total(&right, 2.0));
    assert!(total(&trace, 1e5) > 2.0 * total(&right, 1e5));
    let error = judge(&bytes, &graph, Limits::default()).unwrap_err();
    assert!(matches!(error, VerificationError::Differs { .. }), "{error}");
}

/// What running a refused file has shown.
fn trial(bytes: &[u8], graph: &Graph) -> Trial {
    match judge(bytes, graph, Limits::default()) {
        Err(VerificationError::Differs { trial, .. }) => trial,
        other => panic!("{other:?}"),
    }
}

/// The program of a graph, with a command that does nothing at its beginning: another program that is right everywhere.
fn lengthened(graph: &Graph) -> Vec<u8> {
    let mut trace = program(graph);
    trace.commands.insert(0, Command::Zero { slot: trace.slots - 1 });
    let mut bytes = Vec::new();
    encode_ptdprmc3(&trace, &mut bytes).unwrap();
    bytes
}

#[test]
fn a_refused_program_that_is_right_wherever_it_is_run_is_said_to_be_and_stays_refused() {
    let graph = ring(6, false);
    let file = lengthened(&graph);
    assert_eq!(trial(&file, &graph), Trial::Agrees { runs: 4 });
    let sentence = judge(&file, &graph, Limits::default()).unwrap_err().to_string();
    assert!(
        sentence.contains("in 4 runs at θ drawn at random it gives this graph's expected times"),
        "{sentence}"
    );
    // Without parameters there is one run only.
    let mut builder = GraphBuilder::new(1).unwrap();
    let (one, out) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[0]).unwrap());
    builder.add_edge(START, one, Rate::Scalar(1.0)).unwrap();
    builder.add_edge(one, out, Rate::Scalar(3.0)).unwrap();
    let graph = builder.finish();
    assert_eq!(trial(&lengthened(&graph), &graph), Trial::Agrees { runs: 1 });
}

#[test]
fn a_refused_program_that_is_wrong_says_where() {
    let (graph, swapped) = (ring(5, false), ring(5, true));
    let file = ptdprmc3(&swapped);
    let Trial::Disagrees(found) = trial(&file, &graph) else { panic!("its edges are others") };
    let right = Plan::analyze(&graph, &plan::Limits::default()).unwrap();
    assert_eq!(found.expected, right.at(&found.theta).unwrap().waiting_times()[found.vertex as usize]);
    let weights = graph.weights(&found.theta).unwrap();
    let wrong = program(&swapped).replay(&graph, &weights).unwrap().waiting_times(None).unwrap();
    assert_eq!(found.found, wrong[found.vertex as usize]);
    assert!(found.theta.iter().all(|rate| (1.0 / 16.0..16.0).contains(rate)), "{found:?}");
    assert_eq!(trial(&file, &graph), Trial::Disagrees(found), "the same file has the same answer");
}

#[test]
fn of_a_program_too_large_to_be_made_anew_nothing_is_said_whatever_it_gives() {
    // The right program for another order of edges gives wrong numbers in this one.
    let (graph, swapped) = (ring(6, false), ring(6, true));
    let narrow = Limits::default().with_commands(10);
    for bytes in [ptdprmc3(&swapped), lengthened(&graph)] {
        let error = judge(&bytes, &graph, narrow).unwrap_err();
        assert!(matches!(error, VerificationError::TooLarge(_)), "{error}");
        let any = verify_in_any_order(&bytes, &graph, graph.content_hash(), &narrow, &mut ()).map(drop);
        assert!(matches!(any, Err(VerificationError::TooLarge(_))), "{any:?}");
    }
}

#[test]
fn an_observer_can_stop_a_trial_and_leaves_no_judgement() {
    let graph = ring(6, false);
    let bytes = lengthened(&graph);
    let calls = |most: u32| {
        let mut seen = 0;
        let mut watch = |_| {
            seen += 1;
            if seen > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let outcome = verify(&bytes, &graph, graph.content_hash(), &Limits::default(), &mut watch);
        (outcome.map(drop), seen)
    };
    let (whole, reports) = calls(u32::MAX);
    assert!(matches!(whole, Err(VerificationError::Differs { .. })), "{whole:?}");
    assert!(reports >= 4, "{reports} reports");
    for stopped in 0..reports {
        assert_eq!(calls(stopped).0, Err(VerificationError::Cancelled), "after {stopped} of {reports}");
    }
}

#[test]
fn a_program_whose_run_would_pass_the_memory_is_not_run() {
    let graph = ring(400, false);
    let mut trace = program(&graph);
    let Some(&row) = trace.commands.iter().find(|command| matches!(command, Command::Row { .. })) else {
        panic!("it has rows")
    };
    let run = |trace: &Trace| {
        let limits = plan::Limits::default().with_memory_bytes(1 << 20);
        super::trial::run(trace, b"any", &graph, &limits, &mut ())
    };
    assert_eq!(run(&trace), Some(Trial::Agrees { runs: 4 }));
    trace.commands.extend(vec![row; 1 << 16]);
    assert_eq!(run(&trace), Some(Trial::NotRun));
}

#[test]
fn what_cannot_be_made_anew_is_not_accepted() {
    let graph = ring(6, false);
    let error = judge(&ptdprmc3(&graph), &graph, Limits::default().with_commands(10)).unwrap_err();
    assert!(matches!(error, VerificationError::TooLarge(_)), "{error}");
}

#[test]
fn an_observer_can_stop_the_verification() {
    let graph = ring(5000, false);
    let mut stop = |_| ControlFlow::Break(());
    let outcome = verify(&ptdprmc3(&graph), &graph, graph.content_hash(), &Limits::default(), &mut stop);
    assert_eq!(outcome, Err(VerificationError::Cancelled));
}
