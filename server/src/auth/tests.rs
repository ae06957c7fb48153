use super::{Scope, TokenSecret, base32};

#[test]
fn base_32_is_that_of_five_bits_a_character() {
    assert_eq!(base32(&[0xff; 5]), "zzzzzzzz");
    assert_eq!(base32(&[0x00, 0x44, 0x32, 0x14, 0xc7]), "01234567");
    assert_eq!(base32(&[0x80]), "g0");
    assert_eq!(base32(&[]), "");
}

#[test]
fn a_token_is_read_back_and_a_mistyped_one_is_not() {
    let text = TokenSecret::from_random([7; 32]).to_string();
    assert_eq!(text.len(), 4 + 52 + 4);
    assert_eq!(TokenSecret::read(&text).unwrap().sha256(), TokenSecret::from_random([7; 32]).sha256());
    for place in 0..text.len() {
        let mut wrong = text.clone().into_bytes();
        wrong[place] = if wrong[place] == b'q' { b'r' } else { b'q' };
        assert!(TokenSecret::read(std::str::from_utf8(&wrong).unwrap()).is_none(), "place {place}");
    }
    for wrong in ["", "hub_", &text[..59], &format!("{text}0"), &text.to_uppercase(), "hub_é"] {
        assert!(TokenSecret::read(wrong).is_none(), "{wrong}");
    }
}

#[test]
fn tokens_are_different_and_do_not_show_in_debug_output_or_rows() {
    let (one, two) = (TokenSecret::generate().unwrap(), TokenSecret::generate().unwrap());
    assert_ne!(one.sha256(), two.sha256());
    let row = one.row(
        "ci",
        &[Scope::Publish, Scope::Read, Scope::Publish],
        "b-* a".parse().unwrap(),
        Some(90 * 86_400),
    );
    assert_eq!(row.scopes, [Scope::Read, Scope::Publish]);
    assert_eq!(row.ids.to_string(), "a b-*");
    let shown = format!("{one:?} {row:?}");
    assert!(!shown.contains(&one.to_string()[4..]), "{shown}");
}
