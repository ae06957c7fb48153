//! The documents: every command of a `console` block prints what stands below it, the last digits aside.

use std::fmt::Write as _;

use crate::scene::Scene;

/// Text with numbers rounded to ten digits, so that it is the same on every machine, and columns moved together.
pub(crate) fn rounded(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let words = line.split(' ').filter(|word| !word.is_empty()).map(rounded_word);
        words.collect::<Vec<_>>().join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn rounded_word(word: &str) -> String {
    let is_part = |c: char| c.is_ascii_digit() || ".e-".contains(c);
    let mut out = String::new();
    let mut rest = word;
    while let Some(begin) = rest.find(|c: char| c.is_ascii_digit() || c == '-') {
        out.push_str(&rest[..begin]);
        let end = rest[begin..].find(|c| !is_part(c)).map_or(rest.len(), |end| begin + end);
        let number = &rest[begin..end];
        match number.parse::<f64>() {
            Ok(value) if number.contains('.') => write!(out, "{value:.9e}").unwrap(),
            _ => out.push_str(number),
        }
        rest = &rest[end..];
    }
    out + rest
}

/// Runs the commands of a document and gives how many there were.
fn follow(document: &str) -> usize {
    let path = format!("{}/../{document}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```console\n").skip(1).map(|block| block.split("```").next().unwrap());
    let mut commands = 0;
    for block in blocks {
        let (command, expected) = block.strip_prefix("$ phasic ").unwrap().split_once('\n').unwrap();
        let arguments: Vec<&str> = command.split(' ').collect();
        let found = Scene::new().output(&arguments);
        assert_eq!(rounded(&found), rounded(expected), "{document}: {command}");
        commands += 1;
    }
    commands
}

#[test]
fn the_examples_of_the_documents_print_what_stands_there() {
    assert_eq!(follow("docs/eval.md"), 22);
    assert_eq!(follow("README.md"), 1);
}

#[test]
fn rounding_leaves_all_but_numbers_alone() {
    assert_eq!(
        rounded("t    pdf\n1.0  0.33412936780357073\n[{\"a\":-1.2345678901234e-7}] e-x 2 --at"),
        "t pdf\n1.000000000e0 3.341293678e-1\n[{\"a\":-1.234567890e-7}] e-x 2 --at"
    );
    assert_eq!(rounded("0.7999999999999993"), rounded("0.8"));
}
