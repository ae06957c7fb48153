use super::*;
use crate::graph::{Graph, GraphBuilder, GraphHash, Rate, START};
use crate::trace::{Command, Input, Trace, eliminate};
use proptest::prelude::*;

/// A cycle of three with an exit: some fill, all command types.
fn graph() -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=4 {
        builder.add_vertex(&[state]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for (from, to, rate) in [(1, 2, 1.0), (2, 3, 2.0), (3, 1, 3.0), (2, 1, 0.5), (3, 4, 1.5), (1, 4, 0.25)] {
        builder.add_edge(from, to, Rate::Coefficients(&[rate])).unwrap();
    }
    builder.finish()
}

fn trace(graph: &Graph) -> Trace {
    eliminate(graph, &crate::trace::Limits::default(), &mut ()).unwrap()
}

fn files(graph: &Graph) -> [(Format, Vec<u8>); 2] {
    let trace = trace(graph);
    let memory = trace.final_memory(graph, &graph.unit_weights()).unwrap();
    let (mut one, mut three) = (Vec::new(), Vec::new());
    encode_ptdprmc1(&trace, &graph.content_hash(), &memory, &mut one).unwrap();
    encode_ptdprmc3(&trace, &mut three).unwrap();
    [(Format::Ptdprmc1, one), (Format::Ptdprmc3, three)]
}

fn command_at(format: Format, number: usize) -> usize {
    match format {
        Format::Ptdprmc1 => 56 + 128 * number,
        Format::Ptdprmc3 => 40 + 80 * number,
    }
}

#[test]
fn both_formats_carry_the_same_program() {
    let graph = graph();
    let wanted = trace(&graph);
    for (format, bytes) in files(&graph) {
        let decoded = decode(&bytes, &Checks::default()).unwrap();
        assert_eq!((decoded.format, &decoded.trace), (format, &wanted));
    }
}

#[test]
fn a_ptdprmc1_header_must_carry_the_hash_of_the_graph() {
    let graph = graph();
    let [(_, bytes), _] = files(&graph);
    let checks = Checks { hash: Some(graph.content_hash()), ..Checks::default() };
    assert!(decode(&bytes, &checks).is_ok());
    let other = GraphHash::from_bytes([7; 32]);
    let error = decode(&bytes, &Checks { hash: Some(other), ..Checks::default() }).unwrap_err();
    assert_eq!((error.offset, error.field.as_str()), (16, "graph_hash"));
}

#[test]
fn a_program_for_a_larger_graph_does_not_fit_a_smaller_one() {
    let mut builder = GraphBuilder::new(1).unwrap();
    builder.add_vertex(&[1]).unwrap();
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    let small = builder.finish();
    for (_, bytes) in files(&graph()) {
        decode(&bytes, &Checks { graph: Some(&small), ..Checks::default() }).unwrap_err();
    }
}

#[test]
fn every_truncation_and_every_extension_is_refused() {
    for (_, bytes) in files(&graph()) {
        for length in 0..bytes.len().min(4096) {
            let error = decode(&bytes[..length], &Checks::default()).unwrap_err();
            assert!(matches!(error.fault, Fault::TooShort { .. } | Fault::Size { .. }), "{length}: {error}");
        }
        let longer = [&bytes[..], &[0]].concat();
        let error = decode(&longer, &Checks::default()).unwrap_err();
        assert!(matches!(error.fault, Fault::Size { .. }), "{error}");
    }
}

#[test]
fn extreme_header_counts_are_refused_before_anything_is_allocated() {
    let extremes = [0, 1, 1 << 31, 1 << 32, 1 << 63, u64::MAX];
    for (format, bytes) in files(&graph()) {
        let fields: &[usize] = match format {
            Format::Ptdprmc1 => &[8, 16, 24, 32, 40, 48],
            Format::Ptdprmc3 => &[8, 16, 24, 32],
        };
        for &field in fields {
            for value in extremes {
                let mut hostile = bytes.clone();
                hostile[field..field + 8].copy_from_slice(&value.to_le_bytes());
                let checks = Checks { hash: Some(graph().content_hash()), ..Checks::default() };
                let Err(error) = decode(&hostile, &checks) else {
                    assert_eq!(hostile, bytes, "{format:?}: {value:#x} at byte {field} was accepted");
                    continue;
                };
                let header = [8, 12, 16, 24, 32, 40, 48, 0].contains(&error.offset);
                assert!(header, "{format:?}: {value:#x} at byte {field}: {error}");
            }
        }
    }
}

#[test]
fn limits_are_held_before_the_size_is_looked_at() {
    for (_, bytes) in files(&graph()) {
        let mut checks = Checks::default();
        checks.limits.commands = 3;
        let error = decode(&bytes, &checks).unwrap_err();
        assert_eq!(error.field, "commands_length");
        assert!(matches!(error.fault, Fault::AboveLimit { limit: 3, .. }));
    }
}

#[test]
fn every_reserved_byte_must_be_zero() {
    for (format, bytes) in files(&graph()) {
        let reserved = match format {
            Format::Ptdprmc1 => vec![48, command_at(format, 0) + 4, command_at(format, 1) + 33],
            Format::Ptdprmc3 => {
                vec![32, command_at(format, 0) + 4, command_at(format, 1) + 45, bytes.len() - 1]
            }
        };
        for at in reserved {
            let mut hostile = bytes.clone();
            hostile[at] = 1;
            let error = decode(&hostile, &Checks::default()).unwrap_err();
            assert!(matches!(error.fault, Fault::NotZero), "byte {at}: {error}");
        }
    }
}

#[test]
fn slot_zero_is_never_written() {
    let (format, mut bytes) = files(&graph()).into_iter().nth(1).unwrap();
    let slot = command_at(format, 0) + 32;
    bytes[slot..slot + 8].fill(0);
    let error = decode(&bytes, &Checks::default()).unwrap_err();
    assert_eq!((error.offset as usize, error.field.as_str()), (slot, "commands[0].fromT.slot"));
}

#[test]
fn a_slot_read_before_it_is_zeroed_is_refused() {
    let graph = graph();
    let mut trace = trace(&graph);
    let first_zero = trace.commands.iter().position(|c| matches!(c, Command::Zero { slot: 1 })).unwrap();
    trace.commands.swap(first_zero, first_zero + 1);
    let mut bytes = Vec::new();
    encode_ptdprmc3(&trace, &mut bytes).unwrap();
    let error = decode(&bytes, &Checks::default()).unwrap_err();
    assert_eq!(error.fault, Fault::ReadBeforeZero { slot: 1 });
}

#[test]
fn external_operands_need_a_table_long_enough() {
    let graph = graph();
    let mut trace = trace(&graph);
    trace.inputs[2] = Input::External { index: 4 };
    let mut bytes = Vec::new();
    encode_ptdprmc1(&trace, &graph.content_hash(), &[], &mut bytes).unwrap();
    assert_eq!(bytes[12], 2, "format revision");
    decode(&bytes, &Checks::default()).unwrap_err();
    decode(&bytes, &Checks { external_inputs: 4, ..Checks::default() }).unwrap_err();
    let decoded = decode(&bytes, &Checks { external_inputs: 5, ..Checks::default() }).unwrap();
    assert_eq!(decoded.trace, trace);
    bytes[12] = 1;
    decode(&bytes, &Checks { external_inputs: 5, ..Checks::default() }).unwrap_err();
}

#[test]
fn an_edge_the_graph_does_not_have_is_refused() {
    let graph = graph();
    let mut trace = trace(&graph);
    trace.inputs[1] = Input::Edge { vertex: 1, edge: 9 };
    let mut bytes = Vec::new();
    encode_ptdprmc3(&trace, &mut bytes).unwrap();
    let error = decode(&bytes, &Checks { graph: Some(&graph), ..Checks::default() }).unwrap_err();
    assert_eq!(error.fault, Fault::NoSuchEdge { vertex: 1, edge: 9 });
}

/// Small random graphs: cycles, parallel edges, edges into the start, unreachable parts.
fn graphs() -> impl Strategy<Value = Graph> {
    let edge = (0..7_u32, 0..7_u32, 0.1..4.0);
    prop::collection::vec(edge, 0..24).prop_map(|edges| {
        let mut builder = GraphBuilder::new(1).unwrap();
        for state in 1..=6 {
            builder.add_vertex(&[state]).unwrap();
        }
        for (from, to, rate) in edges.into_iter().filter(|&(from, to, _)| from != to) {
            builder.add_edge(from, to, Rate::Coefficients(&[rate])).unwrap();
        }
        builder.finish()
    })
}

proptest! {
    #[test]
    fn programs_survive_both_formats_and_conversion(graph in graphs()) {
        let wanted = trace(&graph);
        let checks = Checks { graph: Some(&graph), ..Checks::default() };
        let [(_, one), (_, three)] = files(&graph);
        let from_one = decode(&one, &checks).unwrap();
        prop_assert_eq!(&from_one.trace, &wanted);
        let mut converted = Vec::new();
        encode_ptdprmc3(&from_one.trace, &mut converted).unwrap();
        prop_assert_eq!(&converted, &three);
        let from_three = decode(&three, &checks).unwrap();
        let mut back = Vec::new();
        encode_ptdprmc1(&from_three.trace, &graph.content_hash(), &from_one.memory, &mut back).unwrap();
        prop_assert_eq!(back, one);
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), magic in 0..3) {
        if bytes.len() >= 8 && magic > 0 {
            bytes[..8].copy_from_slice(if magic == 1 { b"PTDPRMC1" } else { b"PTDPRMC3" });
        }
        let _ = decode(&bytes, &Checks::default());
    }

    #[test]
    fn a_flipped_bit_is_refused_or_leaves_a_program_that_runs(at in any::<prop::sample::Index>(), bit in 0..8, which in 0..2_usize) {
        let graph = graph();
        let (_, mut bytes) = files(&graph).into_iter().nth(which).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        if let Ok(decoded) = decode(&bytes, &Checks { graph: Some(&graph), ..Checks::default() }) {
            let _ = decoded.trace.replay(&graph, &graph.unit_weights()).unwrap().waiting_times(None);
        }
    }
}
