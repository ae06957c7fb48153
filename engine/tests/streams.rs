//! Reading artifacts from streams: the same programs and the same faults as from slices, however the bytes come.

use phasic_engine::artifact::{Checks, StreamError, decode, decode_stream, encode_ptdprmc1, encode_ptdprmc3};
use phasic_engine::graph::{Graph, GraphLimits};
use phasic_engine::model;
use phasic_engine::trace::{Limits, eliminate};
use std::io::{self, Read};

fn graph() -> Graph {
    let queue = model::find("mm1k").expect("it is in the library").read().expect("it is readable");
    queue.build(&GraphLimits::default()).expect("it builds")
}

fn files(graph: &Graph) -> [Vec<u8>; 2] {
    let trace = eliminate(graph, &Limits::default(), &mut ()).expect("it fits");
    let memory = trace.final_memory(graph, &graph.unit_weights()).expect("it is this graph's program");
    let (mut one, mut three) = (Vec::new(), Vec::new());
    encode_ptdprmc1(&trace, &graph.content_hash(), &memory, &mut one).expect("a vector takes everything");
    encode_ptdprmc3(&trace, &mut three).expect("a vector takes everything");
    [one, three]
}

/// Gives at most some bytes a call, as a network does.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = self.1.min(into.len());
        self.0.read(&mut into[..most])
    }
}

#[test]
fn a_stream_gives_the_program_of_the_slice_however_its_bytes_come() {
    let graph = graph();
    let checks = Checks { graph: Some(&graph), ..Checks::default() };
    for file in files(&graph) {
        let wanted = decode(&file, &checks).expect("we wrote it");
        for chunk in [1, 7, 79, 80, 81, 4096, usize::MAX] {
            let found = decode_stream(Trickle(&file, chunk), file.len() as u64, &checks);
            assert_eq!(found.expect("we wrote it"), wanted, "{chunk} bytes at a time");
        }
    }
}

#[test]
fn a_stream_that_ends_too_early_is_an_error_of_the_stream() {
    for file in files(&graph()) {
        for length in (0..file.len()).step_by(61).chain([file.len() - 1]) {
            let error = decode_stream(&file[..length], file.len() as u64, &Checks::default()).unwrap_err();
            let StreamError::Io(error) = error else { panic!("{length} bytes: {error}") };
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}

#[test]
fn a_stream_that_goes_on_after_its_end_is_refused() {
    for mut file in files(&graph()) {
        let size = file.len() as u64;
        file.push(0);
        let error = decode_stream(&file[..], size, &Checks::default()).unwrap_err();
        let StreamError::Artifact(error) = error else { panic!("{error}") };
        assert_eq!((error.offset, error.field.as_str()), (size, "end"));
    }
}

#[test]
fn every_flipped_byte_is_the_same_fault_in_a_stream_and_in_a_slice() {
    let graph = graph();
    let checks = Checks { graph: Some(&graph), hash: Some(graph.content_hash()), ..Checks::default() };
    for file in files(&graph) {
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 0x81;
            let size = changed.len() as u64;
            match (decode(&changed, &checks), decode_stream(Trickle(&changed, 333), size, &checks)) {
                (Ok(slice), Ok(stream)) => assert_eq!(slice.trace, stream.trace, "byte {at}"),
                (Err(slice), Err(StreamError::Artifact(stream))) => assert_eq!(slice, stream, "byte {at}"),
                (slice, stream) => panic!("byte {at}: {slice:?} from the slice, {stream:?} from the stream"),
            }
        }
    }
}
