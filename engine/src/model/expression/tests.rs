use super::super::number::{Fault, Number};
use super::{Binding, ExpressionProblem, Layout, Scope, Span, Symbol, SyntaxError, parse, parse_target};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Scalars `a`, `b`, … (constants or state variables alike), the vector `k`, the loop variable `i`.
struct Names {
    constants: Vec<(String, Number)>,
    state: Vec<(String, i32)>,
    vector: Vec<i32>,
    loops: Vec<(String, i64)>,
}

impl Scope for Names {
    fn resolve(&self, name: &str) -> Option<Symbol> {
        let at = |position: usize| position as u32;
        let constant =
            self.constants.iter().position(|(other, _)| other == name).map(at).map(Symbol::Constant);
        let state = self.state.iter().position(|(other, _)| other == name).map(at).map(Symbol::State);
        let variable = self.loops.iter().position(|(other, _)| other == name).map(at).map(Symbol::Loop);
        let vector = (name == "k").then_some(Symbol::Vector(at(self.state.len())));
        constant.or(state).or(variable).or(vector)
    }

    fn is_parameter(&self, name: &str) -> bool {
        name == "theta"
    }

    fn known(&self) -> String {
        "these".to_owned()
    }
}

impl Names {
    /// `a = 3`, `n = 10`, `k = (2, 0, 5, -1)`, `i = 2`.
    fn few() -> Self {
        Self {
            constants: vec![("n".to_owned(), Number::Integer(10))],
            state: vec![("a".to_owned(), 3)],
            vector: vec![2, 0, 5, -1],
            loops: vec![("i".to_owned(), 2)],
        }
    }

    fn evaluate(&self, text: &str) -> Result<Number, Fault> {
        let written = parse(text, self).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let length = self.state.len() as u32;
        let mut spans: Vec<Span> = (0..length).map(|first| Span { first, length: 1 }).collect();
        spans.push(Span { first: length, length: self.vector.len() as u32 });
        let constants: Vec<Number> = self.constants.iter().map(|&(_, value)| value).collect();
        let placed = written.placed(&Layout { constants: &constants, states: &spans });
        let state: Vec<i32> = self.state.iter().map(|&(_, value)| value).chain(self.vector.clone()).collect();
        let loops: Vec<i64> = self.loops.iter().map(|&(_, value)| value).collect();
        placed.evaluate(&Binding { state: &state, loops: &loops }).map_err(|error| error.fault)
    }
}

fn problem(text: &str) -> SyntaxError {
    parse(text, &Names::few()).expect_err(text)
}

/// The table of `tests/data/expressions.py`, once with all names constants, so that everything is folded, and once
/// with those names variables that can be.
fn agrees_with_python(integers_are_variables: bool) {
    let table: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/data/expressions.json")).expect("JSON");
    let mut names = Names { constants: Vec::new(), state: Vec::new(), vector: Vec::new(), loops: Vec::new() };
    for (name, value) in table["scalars"].as_object().expect("scalars") {
        let number: Number = value.to_string().parse().expect("a number");
        match (number, integers_are_variables) {
            (Number::Integer(value), true) if i32::try_from(value).is_ok() => {
                names.state.push((name.clone(), i32::try_from(value).expect("it is small")));
            }
            (Number::Integer(value), true) => names.loops.push((name.clone(), value)),
            _ => names.constants.push((name.clone(), number)),
        }
    }
    names.vector = serde_json::from_value(table["k"].clone()).expect("a vector");
    let rows = table["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 2000);
    for row in rows {
        let result = names.evaluate(row["e"].as_str().expect("text"));
        let expected = if let Some(integer) = row["i"].as_str() {
            Ok(Number::Integer(integer.parse().expect("an integer")))
        } else if let Some(bits) = row["f"].as_str() {
            Ok(Number::Float(f64::from_bits(u64::from_str_radix(bits, 16).expect("bits"))))
        } else {
            Err(row["x"] == "zero")
        };
        let agrees = match (expected, &result) {
            (Ok(Number::Float(expected)), Ok(Number::Float(found))) => {
                // Mathematical libraries differ in the last bit of exp, log and powers.
                let distance = expected.to_bits().abs_diff(found.to_bits());
                let allowed = u64::from(row["approximate"] == true) * 2;
                distance <= allowed || expected.is_nan() && found.is_nan()
            }
            (Ok(expected), Ok(found)) => expected == *found,
            (Err(by_zero), Err(fault)) => by_zero == (*fault == Fault::DivisionByZero),
            _ => false,
        };
        assert!(agrees, "{row}: {result:?}");
    }
}

#[test]
fn folded_expressions_have_the_values_that_python_gives_them() {
    agrees_with_python(false);
}

#[test]
fn expressions_of_variables_have_the_values_that_python_gives_them() {
    agrees_with_python(true);
}

#[test]
fn operands_that_decide_stop_the_evaluation() {
    let names = Names::few();
    assert_eq!(names.evaluate("a > 3 and 1/0"), Ok(Number::Integer(0)));
    assert_eq!(names.evaluate("a == 3 or 1/0"), Ok(Number::Integer(1)));
    assert_eq!(names.evaluate("a > 4 > 1/0"), Ok(Number::Integer(0)));
    assert_eq!(names.evaluate("a and 1/0"), Err(Fault::DivisionByZero));
    assert_eq!(names.evaluate("n == 10 and a"), Ok(Number::Integer(3)));
    assert_eq!(names.evaluate("n == 11 or k[i+1]"), Ok(Number::Integer(5)));
}

#[test]
fn faults_in_constant_parts_wait_until_they_are_evaluated() {
    assert_eq!(Names::few().evaluate("n < 10 and 1/(n-10)"), Ok(Number::Integer(0)));
    assert_eq!(Names::few().evaluate("a < 3 and k[9]"), Ok(Number::Integer(0)));
    assert_eq!(Names::few().evaluate("k[9]"), Err(Fault::IndexOutOfRange { index: 9, length: 4 }));
}

#[test]
fn folding_leaves_only_what_depends_on_variables() {
    let names = Names::few();
    let layout = Layout {
        constants: &[Number::Integer(10)],
        states: &[Span { first: 0, length: 1 }, Span { first: 1, length: 4 }],
    };
    let nodes = |text| parse(text, &names).expect(text).placed(&layout).nodes.len();
    assert_eq!(nodes("(n+1)**2 - 3*n"), 1);
    assert_eq!(nodes("a + (n-1)*2"), 3);
    assert_eq!(nodes("k[n-7]"), 1);
    assert_eq!(nodes("n == 10 and a > 1"), 3);
    assert_eq!(nodes("n < 10 and a > 1"), 1);
    assert_eq!(nodes("1 < n < 20 or a > 1"), 1);
}

#[test]
fn values_of_states_and_indices_are_whole_or_an_error() {
    assert_eq!(Number::Float(2.0).to_whole(), Ok(2));
    assert_eq!(Number::Float(-0.0).to_whole(), Ok(0));
    for float in [2.5, f64::INFINITY, f64::NAN, 9.3e18] {
        assert!(matches!(Number::Float(float).to_whole(), Err(Fault::NotWhole(_))), "{float}");
    }
    assert_eq!(Names::few().evaluate("k[a/3]"), Ok(Number::Integer(2)));
    assert!(matches!(Names::few().evaluate("k[a/2]"), Err(Fault::NotWhole(_))));
}

#[test]
fn slips_are_reported_where_they_are() {
    let cases = [
        ("", 0),
        ("a +", 3),
        ("a b", 2),
        ("(a", 2),
        ("a)", 1),
        ("k[1", 3),
        ("min(1 2)", 6),
        ("min(1,", 6),
        ("a == not a", 5),
        ("- not a", 2),
        ("and a", 0),
        ("a and and a", 6),
        ("2n", 0),
        ("a + 007", 4),
        ("0x10", 0),
        ("1e999", 0),
        ("9223372036854775808", 0),
        ("a $ 1", 2),
        ("sum(a)", 4),
        ("sum(k+1)", 5),
        ("1e", 0),
    ];
    for (text, offset) in cases {
        assert_eq!(problem(text).offset, offset, "{text}: {:?}", problem(text));
    }
}

#[test]
fn slips_are_named() {
    assert!(matches!(problem("a && a").problem, ExpressionProblem::Foreign { found: "&&", .. }));
    assert!(matches!(problem("a = 1").problem, ExpressionProblem::Foreign { found: "=", .. }));
    assert!(matches!(problem("!a").problem, ExpressionProblem::Foreign { found: "!", .. }));
    assert!(matches!(problem("a^2").problem, ExpressionProblem::Foreign { found: "^", .. }));
    assert!(matches!(problem("q + 1").problem, ExpressionProblem::UnknownName { .. }));
    assert!(matches!(problem("2*theta").problem, ExpressionProblem::ParameterInExpression(_)));
    assert!(matches!(problem("k + 1").problem, ExpressionProblem::VectorWithoutIndex(_)));
    assert!(matches!(problem("a[1]").problem, ExpressionProblem::IndexOnScalar(_)));
    assert!(matches!(problem("sin(1)").problem, ExpressionProblem::UnknownFunction(_)));
    assert!(matches!(problem("min(1)").problem, ExpressionProblem::ArgumentCount { found: 1, .. }));
    assert!(matches!(problem("abs(1, 2)").problem, ExpressionProblem::ArgumentCount { found: 2, .. }));
    assert!(matches!(problem("comb(1)").problem, ExpressionProblem::ArgumentCount { found: 1, .. }));
}

#[test]
fn depth_and_length_are_limited() {
    let depth = usize::from(super::MAX_DEPTH);
    let nested = |levels: usize| format!("{}1{}", "(".repeat(levels), ")".repeat(levels));
    assert!(parse(&nested(depth - 1), &Names::few()).is_ok());
    assert_eq!(problem(&nested(depth)).problem, ExpressionProblem::TooDeep);
    assert_eq!(problem(&"-".repeat(5000)).problem, ExpressionProblem::TooDeep);
    assert_eq!(problem(&"not ".repeat(4000)).problem, ExpressionProblem::TooDeep);
    assert_eq!(problem(&format!("1{}", "**1".repeat(5000))).problem, ExpressionProblem::TooDeep);
    assert_eq!(problem(&format!("1{}", "+1".repeat(5000))).problem, ExpressionProblem::TooDeep);
    assert!(parse(&format!("1{}", "+1".repeat(depth - 1)), &Names::few()).is_ok());
    assert_eq!(problem(&" ".repeat(super::MAX_LENGTH_BYTES + 1)).problem, ExpressionProblem::TooLong);
}

#[test]
fn chains_of_shared_operands_cost_no_more_than_they_are_long() {
    // Were inner operands evaluated twice, each level would double the work.
    let text = (0..60).fold("a".to_owned(), |text, _| format!("(0 <= {text} <= 9)"));
    assert_eq!(Names::few().evaluate(&text), Ok(Number::Integer(1)));
}

#[test]
fn targets_are_a_name_with_or_without_an_index() {
    let names = Names::few();
    let parsed = |text| parse_target(text, &names).map(|(name, index)| (name.to_owned(), index.is_some()));
    assert_eq!(parsed("a"), Ok(("a".to_owned(), false)));
    assert_eq!(parsed(" k [ 2*i ] "), Ok(("k".to_owned(), true)));
    for (text, offset) in [("", 0), ("a+1", 1), ("k[1]+1", 4), ("k[", 2), ("1", 0)] {
        assert_eq!(parsed(text).map_err(|error| error.offset), Err(offset), "{text}");
    }
}

/// An expression as the tests see it, evaluated without any of the code under test but the operations on numbers.
#[derive(Debug, Clone)]
enum Expr {
    Number(i64),
    Name(&'static str),
    Element(Box<Expr>),
    Negate(Box<Expr>),
    Not(Box<Expr>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
    Chain(Box<Expr>, Vec<(&'static str, Expr)>),
}

const BINARY: [(&str, u8); 9] =
    [("or", 0), ("and", 1), ("+", 4), ("-", 4), ("*", 5), ("/", 5), ("//", 5), ("%", 5), ("**", 7)];

fn level(expr: &Expr) -> u8 {
    match expr {
        Expr::Number(_) | Expr::Name(_) | Expr::Element(_) => 9,
        Expr::Negate(_) => 6,
        Expr::Not(_) => 2,
        Expr::Chain(..) => 3,
        Expr::Binary(operator, ..) => {
            BINARY.iter().find(|(name, _)| name == operator).expect("it is listed").1
        }
    }
}

/// Prints with the parentheses that Python's precedences need, or with all of them.
fn print(expr: &Expr, all: bool) -> String {
    let within = |inner: &Expr, weakest: u8| {
        let text = print(inner, all);
        if all || level(inner) < weakest { format!("({text})") } else { text }
    };
    match expr {
        Expr::Number(value) => value.to_string(),
        Expr::Name(name) => (*name).to_owned(),
        Expr::Element(index) => format!("k[{}]", print(index, all)),
        Expr::Negate(inner) => format!("-{}", within(inner, 6)),
        Expr::Not(inner) => format!("not {}", within(inner, 2)),
        // The power binds a sign on its right, and itself, but neither on its left.
        Expr::Binary("**", left, right) => format!("{} ** {}", within(left, 8), within(right, 6)),
        Expr::Binary(operator, left, right) => {
            format!("{} {operator} {}", within(left, level(expr)), within(right, level(expr) + 1))
        }
        Expr::Chain(first, links) => {
            let links = links.iter().map(|(relation, operand)| format!(" {relation} {}", within(operand, 4)));
            within(first, 4) + &links.collect::<String>()
        }
    }
}

fn reference(expr: &Expr, names: &Names) -> Result<Number, ()> {
    use super::super::number as n;
    let value = |expr: &Expr| reference(expr, names);
    match expr {
        Expr::Number(value) => Ok(Number::Integer(*value)),
        Expr::Name("a") => Ok(Number::Integer(i64::from(names.state[0].1))),
        Expr::Name("n") => Ok(names.constants[0].1),
        Expr::Name(_) => Ok(Number::Integer(names.loops[0].1)),
        Expr::Element(index) => match value(index)?.to_whole() {
            Ok(index @ 1..=4) => Ok(Number::Integer(i64::from(
                [2, 0, 5, -1][usize::try_from(index).expect("it is small") - 1],
            ))),
            _ => Err(()),
        },
        Expr::Negate(inner) => n::negate(value(inner)?).map_err(drop),
        Expr::Not(inner) => Ok(Number::Integer(i64::from(!value(inner)?.is_true()))),
        Expr::Binary("or", left, right) => {
            Some(value(left)?).filter(|v| v.is_true()).map_or_else(|| value(right), Ok)
        }
        Expr::Binary("and", left, right) => {
            Some(value(left)?).filter(|v| !v.is_true()).map_or_else(|| value(right), Ok)
        }
        Expr::Binary(operator, left, right) => {
            let apply = match *operator {
                "+" => n::add,
                "-" => n::subtract,
                "*" => n::multiply,
                "/" => n::divide,
                "//" => n::floor_divide,
                "%" => n::remainder,
                _ => n::power,
            };
            apply(value(left)?, value(right)?).map_err(drop)
        }
        Expr::Chain(first, links) => {
            let mut left = value(first)?;
            for (relation, operand) in links {
                let right = value(operand)?;
                let order = n::compare(left, right);
                let holds = match *relation {
                    "<" => order.is_some_and(std::cmp::Ordering::is_lt),
                    "<=" => order.is_some_and(std::cmp::Ordering::is_le),
                    ">" => order.is_some_and(std::cmp::Ordering::is_gt),
                    ">=" => order.is_some_and(std::cmp::Ordering::is_ge),
                    "==" => order.is_some_and(std::cmp::Ordering::is_eq),
                    _ => !order.is_some_and(std::cmp::Ordering::is_eq),
                };
                if !holds {
                    return Ok(Number::Integer(0));
                }
                left = right;
            }
            Ok(Number::Integer(1))
        }
    }
}

fn expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        (0_i64..7).prop_map(Expr::Number),
        prop::sample::select(vec!["a", "n", "i"]).prop_map(Expr::Name),
    ];
    leaf.prop_recursive(6, 40, 4, |inner| {
        let operators: Vec<&'static str> = BINARY.iter().map(|&(operator, _)| operator).collect();
        let relations = prop::sample::select(vec!["<", "<=", ">", ">=", "==", "!="]);
        prop_oneof![
            1 => inner.clone().prop_map(|index| Expr::Element(Box::new(index))),
            2 => inner.clone().prop_map(|operand| Expr::Negate(Box::new(operand))),
            1 => inner.clone().prop_map(|operand| Expr::Not(Box::new(operand))),
            8 => (prop::sample::select(operators), inner.clone(), inner.clone())
                .prop_map(|(operator, left, right)| Expr::Binary(operator, Box::new(left), Box::new(right))),
            2 => (inner.clone(), prop::collection::vec((relations, inner), 1..3))
                .prop_map(|(first, links)| Expr::Chain(Box::new(first), links)),
        ]
    })
}

/// NaN equals itself here.
fn same(left: &Result<Number, ()>, right: &Result<Number, ()>) -> bool {
    match (left, right) {
        (Ok(Number::Float(a)), Ok(Number::Float(b))) => {
            a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
        }
        _ => left == right,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, rng_seed: RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn parentheses_that_precedence_makes_needless_change_nothing(expr in expr()) {
        let names = Names::few();
        let expected = reference(&expr, &names);
        for all in [false, true] {
            let text = print(&expr, all);
            let found = names.evaluate(&text).map_err(drop);
            prop_assert!(same(&found, &expected), "{text}: {found:?}, expected {expected:?}");
        }
    }

    #[test]
    fn any_text_parses_or_is_an_error_within_it(text in "\\PC{0,40}") {
        if let Err(error) = parse(&text, &Names::few()) {
            prop_assert!(error.offset <= text.len());
        }
    }

    #[test]
    fn any_row_of_words_and_signs_parses_or_is_an_error_within_it(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "a", "n", "i", "k", "k[", "]", "(", ")", "+", "-", "*", "**", "/", "//", "%", "<", "==", "!=", "and",
                "or", "not", "min(", "sum(k)", "comb(", ",", "1", "2.5", "1e3", ".", "é", "\u{0}",
            ]),
            0..30,
        )
    ) {
        let text = words.join(" ");
        match parse(&text, &Names::few()) {
            Ok(_) => _ = Names::few().evaluate(&text),
            Err(error) => prop_assert!(error.offset <= text.len()),
        }
    }
}
