//! Hashes and files, byte for byte.

use super::recorded::{File, Vector, all};
use phasic_engine::artifact::{Checks, Format, decode, encode_ptdprmc1, encode_ptdprmc3};
use phasic_engine::graph::GraphHash;
use phasic_engine::trace::{Limits, Trace, component_graphs, eliminate, forecast};
use sha2::{Digest, Sha256};

fn check_file(what: &str, bytes: &[u8], file: &File) {
    assert_eq!(bytes.len() as u64, file.size, "{what}: size");
    assert_eq!(hex(bytes), file.sha256, "{what}: bytes");
}

fn hex(bytes: &[u8]) -> String {
    GraphHash::from_bytes(Sha256::digest(bytes).into()).to_string()
}

fn ptdprmc3(trace: &Trace) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_ptdprmc3(trace, &mut bytes).unwrap();
    bytes
}

fn trace_of(vector: &Vector) -> Trace {
    eliminate(&vector.graph(), &Limits::default(), &mut ()).unwrap()
}

#[test]
fn every_graph_has_its_recorded_hash() {
    for vector in all() {
        assert_eq!(vector.graph().content_hash().to_string(), vector.graph_hash, "{}", vector.name);
    }
}

#[test]
fn every_ptdprmc3_file_is_reproduced_and_read_back() {
    let mut checked = 0;
    for vector in all() {
        let Some(files) = &vector.artifact_rev3 else { continue };
        let [file] = &files[..] else { panic!("{}: one file was recorded", vector.name) };
        assert_eq!(file.name.as_deref(), Some(format!("{}.bin", vector.graph_hash).as_str()));
        let (graph, trace) = (vector.graph(), trace_of(&vector));
        let bytes = ptdprmc3(&trace);
        check_file(&vector.name, &bytes, file);
        let forecast = forecast(&graph, &Limits::default(), &mut ()).unwrap();
        assert_eq!(forecast.ptdprmc3_bytes(), file.size, "{}: forecast", vector.name);
        assert_eq!(forecast.rows, trace.row_count() as u64, "{}: forecast of rows", vector.name);
        let decoded = decode(&bytes, &Checks { graph: Some(&graph), ..Checks::default() }).unwrap();
        assert_eq!(decoded.trace, trace, "{}: read back", vector.name);
        assert_eq!(
            decode(&bytes, &Checks::default()).unwrap().trace,
            trace,
            "{}: read without graph",
            vector.name
        );
        checked += 1;
    }
    assert_eq!(checked, RECORDED_REV3);
}

#[test]
fn every_ptdprmc1_file_is_reproduced_and_read_back() {
    let mut checked = 0;
    for vector in all() {
        let graph = vector.graph();
        let hash: GraphHash = vector.graph_hash.parse().unwrap();
        let trace = trace_of(&vector);
        for run in &vector.runs {
            let Some(file) = run.artifact.as_ref() else { continue };
            let memory = trace.final_memory(&graph, &run.weights(&graph)).unwrap();
            let mut bytes = Vec::new();
            encode_ptdprmc1(&trace, &hash, &memory, &mut bytes).unwrap();
            check_file(&vector.name, &bytes, file);
            let checks = Checks { graph: Some(&graph), hash: Some(hash), ..Checks::default() };
            let decoded = decode(&bytes, &checks).unwrap();
            assert_eq!(decoded.format, Format::Ptdprmc1);
            assert_eq!(decoded.trace, trace, "{}: read back", vector.name);
            let mut again = Vec::new();
            encode_ptdprmc1(&decoded.trace, &hash, &decoded.memory, &mut again).unwrap();
            assert_eq!(again, bytes, "{}: written again", vector.name);
            assert_eq!(ptdprmc3(&decoded.trace), ptdprmc3(&trace), "{}: converted", vector.name);
            checked += 1;
        }
    }
    assert_eq!(checked, RECORDED_REV1);
}

#[test]
fn every_component_graph_has_its_recorded_hash_and_file() {
    let (mut hashes, mut files) = (0, 0);
    for vector in all() {
        let graph = vector.graph();
        let Some(run) = vector.runs.first() else { continue };
        let components = component_graphs(&graph, &run.weights(&graph)).unwrap();
        if let Some(recorded) = &vector.scc_synthetic {
            assert_eq!(components.len(), recorded.len(), "{}: components", vector.name);
            for (component, recorded) in components.iter().zip(recorded) {
                let hash = component.graph.content_hash().to_string();
                assert_eq!(
                    (hash, component.graph.vertex_count()),
                    (recorded.hash.clone(), recorded.vertices)
                );
                hashes += 1;
            }
        }
        for file in vector.scc_files.iter().flatten() {
            let name = file.name.as_deref().unwrap();
            let hash = name.strip_prefix("scc_").and_then(|name| name.strip_suffix(".bin")).unwrap();
            let component = components.iter().find(|c| c.graph.content_hash().to_string() == hash);
            let component = component.unwrap_or_else(|| panic!("{}: no component {hash}", vector.name));
            let trace = eliminate(&component.graph, &Limits::default(), &mut ()).unwrap();
            check_file(name, &ptdprmc3(&trace), file);
            files += 1;
        }
    }
    assert_eq!((hashes, files), (RECORDED_COMPONENTS, RECORDED_COMPONENT_FILES));
}

const RECORDED_REV3: usize = 70;
const RECORDED_REV1: usize = 111;
const RECORDED_COMPONENTS: usize = 151;
const RECORDED_COMPONENT_FILES: usize = 151;
