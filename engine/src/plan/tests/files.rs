//! Plan files: a plan has one form, and every file that is read has it.

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::super::*;
use super::{from_first, plan};
use crate::graph::GraphHash;

const BODY: usize = 40;

/// A file of these bytes with a right checksum.
fn summed(mut file: Vec<u8>) -> Vec<u8> {
    let checksum = Sha256::digest(&file);
    file.extend(checksum);
    file
}

/// The contents of a plan file with mixed forms, a cycle, and what is watched.
fn contents() -> Vec<u8> {
    let edges = [
        (1, 2, &[1.0, 0.25][..]),
        (2, 1, &[300.0, 0.1]),
        (2, 3, &[2.0, -1.0]),
        (2, 3, &[0.0, 1.0]),
        (3, 4, &[0.0, 200.0]),
        (3, 5, &[1.0, 0.0]),
    ];
    let mut file = plan(&from_first(6, &edges)).encode(&GraphHash::from_bytes([7; 32]));
    file.truncate(file.len() - 32);
    file
}

fn read(file: &[u8]) -> Result<(GraphHash, Plan), PlanFileError> {
    Plan::decode(file, &Limits::default().with_memory_bytes(1 << 22))
}

#[test]
fn whatever_is_read_is_written_back_the_same() {
    let contents = contents();
    let mut accepted = 0;
    for (at, byte) in (BODY..contents.len()).flat_map(|at| (0..=255).map(move |byte| (at, byte))) {
        let mut changed = contents.clone();
        changed[at] = byte;
        let changed = summed(changed);
        if let Ok((hash, plan)) = read(&changed) {
            accepted += 1;
            assert!(plan.encode(&hash) == changed, "byte {at} as {byte}");
        }
    }
    assert!(accepted > 1000, "{accepted}");
}

#[test]
fn numbers_longer_than_need_be_are_refused() {
    let contents = contents();
    for at in BODY..contents.len() {
        if contents[at] & 0x80 != 0 {
            continue;
        }
        // The same number with a byte of nothing behind it.
        let mut longer = contents.clone();
        longer[at] |= 0x80;
        longer.insert(at + 1, 0);
        let longer = summed(longer);
        // Within the eight bytes of a float it is another float, and then another plan.
        match read(&longer) {
            Err(_) => {}
            Ok((hash, plan)) => assert!(plan.encode(&hash) == longer, "byte {at}"),
        }
    }
    // The number of vertices comes first.
    let mut longer = contents.clone();
    longer[BODY] |= 0x80;
    longer.insert(BODY + 1, 0);
    assert_eq!(read(&summed(longer)).unwrap_err(), PlanFileError::Number { offset: BODY as u64 });
}

#[test]
fn floats_in_full_that_are_short_otherwise_are_refused() {
    let contents = contents();
    // The coefficient 300, as twice of it and one: 601.
    let at = contents.windows(2).position(|bytes| bytes == [0xd9, 0x04]).unwrap();
    for (value, fits) in [(300.0_f64, false), (300.25, true), (-0.0, true), (f64::NAN, false)] {
        let field = [&[0][..], &value.to_le_bytes()].concat();
        let file = summed([&contents[..at], &field, &contents[at + 2..]].concat());
        assert_eq!(read(&file).is_ok(), fits, "{value}: {:?}", read(&file).err());
    }
}

#[test]
fn files_of_other_versions_are_told_apart() {
    let contents = contents();
    let of_version = |version: &[u8]| summed([b"PHPLAN", version, &contents[8..]].concat());
    assert!(read(&of_version(b"02")).is_ok());
    for (version, found) in [(&b"01"[..], "01"), (b"03", "03"), (b"\xff\n", "\\xff\\n")] {
        let error = read(&of_version(version)).unwrap_err();
        assert_eq!(error, PlanFileError::OtherVersion { found: found.to_owned() });
    }
    assert_eq!(
        read(&of_version(b"01")).unwrap_err().to_string(),
        "this is a plan file of version 01, and version 02 is read here; make the plan anew from its graph \
         (`phasic eliminate --format plan`)"
    );
}

#[test]
fn watched_forms_are_those_that_no_edge_uses() {
    let contents = contents();
    // The last bytes: how many, and the steps between their positions.
    let from = contents.len() - 1 - usize::from(plan_of(&contents).watched.len() as u8);
    for (count, steps) in [(0, &[][..]), (9, &[0, 0]), (2, &[9, 0])] {
        let file = summed([&contents[..from], &[count], steps].concat());
        assert!(read(&file).is_err(), "{count} {steps:?}");
    }
}

fn plan_of(contents: &[u8]) -> Plan {
    read(&summed(contents.to_vec())).unwrap().1
}

proptest! {
    #[test]
    fn files_with_several_changes_are_written_back_the_same_if_they_are_read(
        changes in prop::collection::vec((0..1000_usize, 0..4_u8, any::<u8>()), 1..4)
    ) {
        let mut file = contents();
        for (place, kind, byte) in changes {
            let at = BODY + place % (file.len() - BODY);
            match kind {
                0 => file.insert(at, byte),
                1 if file.len() > BODY + 4 => drop(file.remove(at)),
                2 => file[at] ^= 1 << (byte % 8),
                _ => file[at] = byte,
            }
        }
        let file = summed(file);
        if let Ok((hash, plan)) = read(&file) {
            prop_assert!(plan.encode(&hash) == file);
        }
    }
}
