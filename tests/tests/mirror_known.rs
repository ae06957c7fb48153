//! Mirroring programs of graphs that the hub knows itself.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use phasic_engine::artifact::{encode_ptdprmc3, verify};
use phasic_engine::plan::{self, lower};
use phasic_engine::trace::Limits;
use phasic_hub_tests::hub::sync;
use phasic_hub_tests::registry::{Model, document, entry, model, write_directory};

/// What a pass over a registry with this one file prints.
fn pass(model: &Model, bytes: &[u8]) -> String {
    let place = tempfile::tempdir().unwrap();
    let checkout = place.path().join("checkout");
    let document = document(&[("elsewhere", entry(model, bytes))]);
    write_directory(&checkout, &document, &[(format!("artifacts/{}.bin", model.hash), bytes)]);
    let output = sync(&place.path().join("hub-data"), checkout.to_str().unwrap(), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn an_intact_program_that_is_not_this_graphs_is_left_out() {
    let rabbits = model("rabbits_n7");
    // The last row twice: every check of structure passes, and the numbers are wrong.
    let commands = u64::from_le_bytes(rabbits.ptdprmc3[8..16].try_into().unwrap());
    let end = 40 + 80 * usize::try_from(commands).unwrap();
    let mut hostile = rabbits.ptdprmc3.clone();
    hostile.splice(end..end, rabbits.ptdprmc3[end - 80..end].to_vec());
    hostile[8..16].copy_from_slice(&(commands + 1).to_le_bytes());
    phasic_engine::artifact::decode(&hostile, &phasic_engine::artifact::Checks::default()).unwrap();
    let report = pass(&rabbits, &hostile);
    assert!(report.contains("0 mirrored"), "{report}");
    assert!(report.contains("another program than the elimination of this graph gives"), "{report}");
}

#[test]
fn both_programs_of_a_known_graph_are_taken() {
    let rabbits = model("rabbits_n7");
    let mut fast = Vec::new();
    let program = lower(&rabbits.graph, &plan::Limits::default()).unwrap();
    encode_ptdprmc3(&program, &mut fast).unwrap();
    verify(&fast, &rabbits.graph, rabbits.graph.content_hash(), &Limits::default(), &mut ()).unwrap();
    for bytes in [&rabbits.ptdprmc3, &rabbits.ptdprmc1, &fast] {
        let report = pass(&rabbits, bytes);
        assert!(report.contains("1 mirrored"), "{report}");
    }
}
