use super::{ArtifactName, ComputeId, ComputeIdError, Sha256};

const HASH: &str = "4d652ed73c66ed4ada3dd13e0dde2051c151aa24be097bcd96c5bc04713be0f6";

#[test]
fn upstream_ids_and_the_longest_id_are_accepted() {
    for text in ["coal_n5_theta1", "a", "9", "A.b-C_d", &"x".repeat(128)] {
        assert_eq!(text.parse::<ComputeId>().unwrap().as_str(), text);
    }
}

#[test]
fn an_id_that_could_leave_a_directory_or_break_a_branch_name_is_refused() {
    let refused = [
        "", ".", "..", ".hidden", "-flag", "_x", "a/b", "a\\b", "a b", "a\nb", "a\0b", "a..b", "a.",
        "a.lock", "a~1", "a^", "a:b", "a?", "a*", "a[", "a@{1}", "é", "a%2fb", "ａ",
    ];
    for text in refused {
        assert!(text.parse::<ComputeId>().is_err(), "{text:?} was accepted");
    }
    assert_eq!("x".repeat(129).parse::<ComputeId>(), Err(ComputeIdError::Length { length: 129 }));
}

#[test]
fn the_error_names_the_character_and_its_place() {
    assert_eq!("ab/c".parse::<ComputeId>(), Err(ComputeIdError::Character { character: '/', offset: 2 }));
}

#[test]
fn an_id_is_validated_when_it_comes_from_json() {
    assert!(serde_json::from_str::<ComputeId>("\"coal_n5\"").is_ok());
    assert!(serde_json::from_str::<ComputeId>("\"coal\\u002fn5\"").is_err());
    assert!(serde_json::from_str::<ComputeId>("5").is_err());
}

#[test]
fn a_digest_has_one_spelling() {
    assert_eq!(HASH.parse::<Sha256>().unwrap().to_string(), HASH);
    let refused = [
        HASH.to_uppercase(),
        HASH[1..].to_owned(),
        format!("{HASH}0"),
        format!(" {}", &HASH[1..]),
        "+1".repeat(32),
    ];
    for text in refused {
        assert!(text.parse::<Sha256>().is_err(), "{text:?} was accepted");
    }
}

#[test]
fn a_digest_is_that_of_the_bytes() {
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(Sha256::of(b"abc").to_string(), abc);
}

#[test]
fn artifact_names_round_trip() {
    for name in [format!("{HASH}.bin"), format!("scc_{HASH}.bin")] {
        let parsed: ArtifactName = name.parse().unwrap();
        assert_eq!(parsed.to_string(), name);
        assert_eq!(parsed.registry_path(), format!("artifacts/{name}"));
        assert_eq!(parsed.graph_hash().to_string(), HASH);
    }
}

#[test]
fn anything_but_a_hash_between_prefix_and_suffix_is_no_artifact_name() {
    let refused = [
        HASH.to_owned(),
        format!("{HASH}.bin.tmp"),
        format!("SCC_{HASH}.bin"),
        format!("scc_scc_{HASH}.bin"),
        format!("../{HASH}.bin"),
        format!("{}.bin", HASH.to_uppercase()),
        "scc_../../../etc/passwd.bin".to_owned(),
        ".bin".to_owned(),
    ];
    for text in refused {
        assert!(text.parse::<ArtifactName>().is_err(), "{text:?} was accepted");
    }
}
