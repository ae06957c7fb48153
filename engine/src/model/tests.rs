use std::ops::ControlFlow;

use super::{Fault, MAX_PLACES, ModelDocument, ModelProblem, Number, read};
use crate::document::{DocumentError, Problem};
use crate::graph::{Graph, GraphError, GraphLimits};
use crate::state_space::StateSpaceError;

/// A model of one state variable `a` that starts at 3, and one parameter `p`, with this transition.
fn one(transition: &str) -> String {
    format!(
        "{{\"constants\": {{\"n\": 3}}, \"state\": [\"a\"], \"parameters\": [\"p\"],\n \"initial\": [{{\"state\": {{\"a\": \"n\"}}}}],\n \"transitions\": [\n{transition}]}}"
    )
}

/// The same with a vector `k` of 4 beside `a`, starting at (0, 2, 0, 0), and a vector `q` of 2 parameters.
fn vectors(transition: &str) -> String {
    format!(
        "{{\"state\": [\"a\", {{\"k\": 4}}], \"parameters\": [{{\"q\": 2}}],\n \"initial\": [{{\"state\": {{\"k[2]\": 2}}}}],\n \"transitions\": [\n{transition}]}}"
    )
}

fn model(text: &str) -> ModelDocument {
    read(text).unwrap_or_else(|error| panic!("{error}"))
}

fn build(text: &str) -> Graph {
    model(text).build(&GraphLimits::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn unreadable(text: &str) -> DocumentError {
    read(text).expect_err(text)
}

fn unbuildable(text: &str) -> DocumentError {
    model(text).build(&GraphLimits::default()).expect_err(text)
}

fn states(graph: &Graph) -> Vec<&[i32]> {
    (1..graph.vertex_count()).map(|vertex| graph.state(vertex)).collect()
}

/// Target and coefficients of the edges of the first state.
fn first_edges(graph: &Graph) -> Vec<(u32, Vec<f64>)> {
    graph.edges(1).map(|edge| (edge.target, edge.coefficients.to_vec())).collect()
}

#[test]
fn new_values_all_come_from_the_old_state() {
    let swap = r#"{"state": ["a", "b"], "initial": [{"state": {"a": 1, "b": 2}}],
        "transitions": [{"when": "a < b", "to": {"a": "b", "b": "a"}, "rate": 1}]}"#;
    assert_eq!(states(&build(swap)), [[1, 2], [2, 1]]);
}

#[test]
fn increments_of_one_place_add_up() {
    let graph = build(&vectors(
        r#"{"for": [{"i": [1, 4]}, {"j": ["i", 4]}], "when": "k[2] > 1 and i == j and i == 2",
            "add": {"k[i]": -1, "k[j]": -1, "k[i+j]": 1}, "rate": {"q[i-1]": "k[i]"}}"#,
    ));
    assert_eq!(states(&graph), [[0, 0, 2, 0, 0], [0, 0, 0, 0, 1]]);
    assert_eq!(first_edges(&graph), [(2, vec![2.0, 0.0])]);
}

#[test]
fn loops_run_innermost_last_and_do_runs_in_order_for_each_binding() {
    let graph = build(&one(r#"{"when": "a == 3", "for": [{"i": [1, 2]}, {"j": ["i", 2]}], "do": [
            {"to": {"a": "100*i + 10*j"}, "rate": {"p": 1}},
            {"when": "i == j", "to": {"a": "100*i + 10*j + 1"}, "rate": {"p": 2}}]}"#));
    assert_eq!(states(&graph), [[3], [110], [111], [120], [220], [221]]);
}

#[test]
fn a_false_condition_keeps_everything_of_its_transition_from_being_evaluated() {
    let graph = build(&one(
        r#"{"when": "a < 0", "do": [{"for": [{"i": ["1/0", 2]}], "to": {"a": "1/0"}, "rate": {"p": "1/0"}}]}"#,
    ));
    assert_eq!(graph.edge_count(), 1);
}

#[test]
fn bounds_that_cross_bind_nothing() {
    let graph = build(&one(r#"{"for": [{"i": [2, 1]}], "to": {"a": 9}, "rate": {"p": 1}}"#));
    assert_eq!(states(&graph), [[3]]);
}

#[test]
fn a_rate_of_zero_still_makes_an_edge() {
    let graph = build(&one(r#"{"when": "a == 3", "to": {"a": 4}, "rate": {"p": 0}}"#));
    assert_eq!(first_edges(&graph), [(2, vec![0.0])]);
}

#[test]
fn parameters_without_a_coefficient_get_zero() {
    let graph = build(&vectors(r#"{"when": "a == 0", "to": {"a": 1}, "rate": {"q[2]": "1/4"}}"#));
    assert_eq!(first_edges(&graph), [(2, vec![0.0, 0.25])]);
    let none = build(&vectors(r#"{"when": "a == 0", "to": {"a": 1}, "rate": {}}"#));
    assert_eq!(first_edges(&none), [(2, vec![0.0, 0.0])]);
}

#[test]
fn whole_floats_are_states_and_fractions_are_not() {
    let half =
        |value: &str| one(&format!(r#"{{"when": "a > 2", "to": {{"a": "{value}"}}, "rate": {{"p": 1}}}}"#));
    assert_eq!(states(&build(&half("(a+1)/2"))), [[3], [2]]);
    let error = unbuildable(&half("a/2"));
    let Problem::Evaluation { fault, situation } = error.problem() else { panic!("{error}") };
    assert_eq!(*fault, Fault::NotWhole(Number::Float(1.5)));
    assert_eq!(situation, " (in state a = 3)");
}

#[test]
fn parallel_edges_are_kept_or_merged_at_their_first_place() {
    let text = |parallel: &str| {
        one(r#"{"when": "a == 3", "do": [{"to": {"a": 1}, "rate": {"p": 1}}, {"to": {"a": 2}, "rate": {"p": 2}},
            {"add": {"a": -2}, "rate": {"p": 4}}]}"#)
        .replacen('{', &format!("{{\"parallel\": \"{parallel}\", "), 1)
    };
    assert_eq!(first_edges(&build(&text("keep"))), [(2, vec![1.0]), (3, vec![2.0]), (2, vec![4.0])]);
    assert_eq!(first_edges(&build(&text("merge"))), [(2, vec![5.0]), (3, vec![2.0])]);
    assert!(matches!(unreadable(&text("sum")).problem(), Problem::Model(ModelProblem::Parallel(_))));
}

#[test]
fn constants_can_be_overridden_by_name_only() {
    let kingman = super::find("kingman").expect("a built-in model").read().expect("it is readable");
    let larger = kingman.with_constant("n", 7).expect("n exists");
    assert_eq!(larger.constants().collect::<Vec<_>>(), [("n", Number::Integer(7))]);
    assert_eq!(kingman.constants().collect::<Vec<_>>(), [("n", Number::Integer(5))]);
    assert_eq!(larger.build(&GraphLimits::default()).expect("it builds").vertex_count(), 8);
    let error = kingman.with_constant("m", 7).expect_err("no m");
    assert!(error.to_string().contains("the model has no constant `m`; its constants are `n`"), "{error}");
    assert!(kingman.with_constant("n", f64::NAN).is_err());
    assert_eq!(larger.text(), super::find("kingman").expect("a built-in model").text);
}

#[test]
fn names_of_states_and_parameters_count_elements_of_vectors() {
    let text = r#"{"constants": {"n": 2}, "state": ["a", {"k": "n+1"}], "parameters": [{"q": "n"}, "r"],
        "initial": [{"state": {"a": 1}}], "transitions": [{"when": "a == 1", "to": {"a": 0}, "rate": {"r": 1}}],
        "discretize": {"tick": "1/n"}}"#;
    let model = model(text);
    assert_eq!(model.state_names().expect("names"), ["a", "k[1]", "k[2]", "k[3]"]);
    assert_eq!(model.parameter_names().expect("names"), ["q[1]", "q[2]", "r", "tick"]);
    let graph = model.build(&GraphLimits::default()).expect("it builds");
    assert_eq!(graph.param_length(), 4);
    assert!(graph.was_dph());
    let wider = model.with_constant("n", 4).expect("n exists");
    assert_eq!(wider.parameter_names().expect("names").len(), 6);
    let certain = model.with_constant("n", 1).expect("n exists").build(&GraphLimits::default());
    let error = certain.expect_err("the rate is 1");
    assert!(matches!(error.problem(), Problem::Graph(GraphError::DiscretizationRate { .. })));
    assert_eq!(error.place().path, "discretize.tick");
}

#[test]
fn structural_slips_are_reported_where_they_are() {
    let to = r#""to": {"a": 0}"#;
    let cases = [
        (one(r#"{"whne": "a > 1"}"#), "transitions[0].whne", 4, 2),
        (one(&format!("{{{to}}}")), "transitions[0]", 4, 1),
        (one(&format!("{{{to}, \"add\": {{\"a\": 1}}, \"rate\": {{\"p\": 1}}}}")), "transitions[0]", 4, 1),
        (one(r#"{"do": [], "rate": 1}"#), "transitions[0].rate", 4, 20),
        (one(&format!("{{{to}, \"rate\": 1}}")), "transitions[0].rate", 4, 26),
        (one(&format!("{{{to}, \"rate\": {{\"q\": 1}}}}")), "transitions[0].rate.q", 4, 27),
        (one(r#"{"to": {"b": 0}, "rate": {"p": 1}}"#), "transitions[0].to.b", 4, 9),
        (one(r#"{"to": {"a[1]": 0}, "rate": {"p": 1}}"#), r#"transitions[0].to["a[1]"]"#, 4, 9),
        (one(r#"{"to": {"a": [0]}, "rate": {"p": 1}}"#), "transitions[0].to.a", 4, 14),
        (
            one(&format!("{{\"for\": [{{\"a\": [1, 2]}}], {to}, \"rate\": {{\"p\": 1}}}}")),
            "transitions[0].for[0].a",
            4,
            11,
        ),
        (
            one(&format!("{{\"for\": [{{\"i\": [1]}}], {to}, \"rate\": {{\"p\": 1}}}}")),
            "transitions[0].for[0]",
            4,
            10,
        ),
        (
            one(&format!("{{\"for\": {{\"i\": [1, 2]}}, {to}, \"rate\": {{\"p\": 1}}}}")),
            "transitions[0].for",
            4,
            9,
        ),
        (
            one(&format!("{{\"for\": [{{\"i\": [1, 2]}}, {{\"i\": [1, 2]}}], {to}}}")),
            "transitions[0].for[1].i",
            4,
            26,
        ),
        (vectors(r#"{"to": {"k": 0}, "rate": {"q[1]": 1}}"#), "transitions[0].to.k", 4, 9),
        (r#"{"state": [], "initial": [], "transitions": []}"#.into(), "state", 1, 11),
        (r#"{"state": ["a", "a"], "initial": [], "transitions": []}"#.into(), "state[1]", 1, 17),
        (r#"{"state": ["min"], "initial": [], "transitions": []}"#.into(), "state[0]", 1, 12),
        (r#"{"state": ["2a"], "initial": [], "transitions": []}"#.into(), "state[0]", 1, 12),
        (r#"{"state": [{"k": 1, "l": 2}], "initial": [], "transitions": []}"#.into(), "state[0]", 1, 12),
        (
            r#"{"constants": {"n": 1}, "state": ["n"], "initial": [], "transitions": []}"#.into(),
            "state[0]",
            1,
            35,
        ),
        (
            r#"{"constants": {"n": "1"}, "state": ["a"], "initial": [], "transitions": []}"#.into(),
            "constants.n",
            1,
            21,
        ),
        (r#"{"state": ["a"], "transitions": []}"#.into(), "", 1, 1),
        (
            r#"{"state": ["a"], "initial": [{"state": {"a": "a"}}], "transitions": []}"#.into(),
            "initial[0].state.a",
            1,
            47,
        ),
        (
            r#"{"state": ["a"], "initial": [], "transitions": [], "discretize": {"x": 0.1}}"#.into(),
            "discretize",
            1,
            66,
        ),
        (one("").replace("\"state\": [", "\"discretize\": 0.1, \"state\": ["), "discretize", 1, 39),
        (
            one("").replace("\"state\": [", "\"discretize\": {\"p\": 0.1}, \"state\": ["),
            "discretize.p",
            1,
            40,
        ),
    ];
    for (text, path, line, column) in cases {
        let error = unreadable(&text);
        let place = error.place();
        assert_eq!((&*place.path, place.line, place.column), (path, line, column), "{text}\n{error}");
    }
}

#[test]
fn faults_of_evaluation_name_the_place_the_state_and_the_loop_variables() {
    let error = unbuildable(&vectors(
        r#"{"for": [{"i": [1, 4]}], "when": "k[2] > 0", "do": [{"for": [{"j": [3, 4]}],
  "add": {"k[i]": 1}, "rate": {"q[1]": "j / (k[i+1] - 2)"}}]}"#,
    ));
    assert_eq!(
        error.to_string(),
        "transitions[0].do[0].rate[\"q[1]\"] (line 5, column 43): division by zero (in state a = 0, k[1] = 0, \
         k[2] = 2, k[3] = 0, k[4] = 0; i = 1, j = 3)\n\
         5 |   \"add\": {\"k[i]\": 1}, \"rate\": {\"q[1]\": \"j / (k[i+1] - 2)\"}}]}]}\n  \
           |                                           ^"
    );
}

#[test]
fn values_that_do_not_fit_are_refused_where_they_arise() {
    let index = unbuildable(&vectors(r#"{"add": {"k[a+5]": 1}, "rate": {"q[1]": 1}}"#));
    assert!(matches!(
        index.problem(),
        Problem::Evaluation { fault: Fault::IndexOutOfRange { index: 5, length: 4 }, .. }
    ));
    assert_eq!((&*index.place().path, index.place().column), (r#"transitions[0].add["k[a+5]"]"#, 14));
    let fixed = unbuildable(&vectors(r#"{"add": {"k[9]": 1}, "rate": {"q[1]": 1}}"#));
    assert!(matches!(fixed.problem(), Problem::Evaluation { fault: Fault::IndexOutOfRange { .. }, .. }));
    for large in
        [r#""to": {"a": 2147483648}"#, r#""add": {"a": 2147483647}"#, r#""add": {"a": -9223372036854775807}"#]
    {
        let text = one(&format!("{{{large}, \"rate\": {{\"p\": 1}}}}"));
        let error = unbuildable(&text);
        assert!(
            matches!(error.problem(), Problem::Evaluation { fault: Fault::OutsideState(_), .. }),
            "{error}"
        );
    }
}

#[test]
fn transitions_that_the_graph_refuses_name_the_rule_and_the_state() {
    let unchanged = unbuildable(&one(r#"{"to": {"a": "a"}, "rate": {"p": 1}}"#));
    let Problem::Transition { source, situation } = unchanged.problem() else { panic!("{unchanged}") };
    assert_eq!(*source, StateSpaceError::UnchangedState { state: vec![3] });
    assert_eq!((&**situation, &*unchanged.place().path), (" (in state a = 3)", "transitions[0]"));
    for rate in ["-1", "\"1e300*1e300\""] {
        let error =
            unbuildable(&one(&format!("{{\"to\": {{\"a\": \"a+1\"}}, \"rate\": {{\"p\": {rate}}}}}")));
        assert!(
            matches!(error.problem(), Problem::Transition { source: StateSpaceError::Graph(_), .. }),
            "{error}"
        );
    }
}

#[test]
fn one_place_or_parameter_takes_one_value_only() {
    let cases = [
        (vectors(r#"{"to": {"k[1]": 1, "k[2-1]": 2}, "rate": {"q[1]": 1}}"#), "k[1]"),
        (vectors(r#"{"to": {"k[a+1]": 1, "k[1]": 2}, "rate": {"q[1]": 1}}"#), "k[1]"),
        (vectors(r#"{"to": {"a": 1}, "rate": {"q[a+2]": 1, "q[2]": 2}}"#), "q[2]"),
        (vectors(r#"{"to": {"a": 1}, "rate": {"q[2]": 1, "q[1+1]": 2}}"#), "q[2]"),
        (vectors("").replace("\"k[2]\": 2", "\"k[2]\": 2, \"k[1+1]\": 2"), "k[2]"),
    ];
    for (text, expected) in cases {
        let error = unbuildable(&text);
        let Problem::Model(ModelProblem::AssignedTwice { name, .. }) = error.problem() else {
            panic!("{error}")
        };
        assert_eq!(name, expected, "{error}");
    }
}

#[test]
fn initial_distributions_are_checked_as_phasic_checks_them() {
    let with =
        |initial: &str| format!("{{\"state\": [\"a\"], \"initial\": [{initial}], \"transitions\": []}}");
    let entry = |a: i32, p: &str| format!("{{\"state\": {{\"a\": {a}}}, \"probability\": {p}}}");
    let graph = build(&with(&[entry(1, "0.5"), entry(2, "\"1/4\""), entry(1, "0")].join(", ")));
    assert_eq!(graph.unit_weights(), [0.5, 0.25, 0.0]);
    assert_eq!(graph.targets(0), [1, 2, 1]);
    for (initial, expected) in [
        (String::new(), StateSpaceError::NoInitialState),
        (entry(1, "-0.1"), StateSpaceError::Probability { index: 0, probability: -0.1 }),
        (entry(1, "0.5") + ", " + &entry(2, "0.75"), StateSpaceError::ProbabilitySum { sum: 1.25 }),
    ] {
        let error = unbuildable(&with(&initial));
        assert_eq!(*error.problem(), Problem::StateSpace(expected));
        assert_eq!(error.place().path, "initial");
    }
}

#[test]
fn limits_on_vertices_edges_memory_and_steps_are_named_when_hit() {
    let endless = model(&one(r#"{"to": {"a": "a+1"}, "rate": {"p": 1}}"#));
    let default = GraphLimits::default();
    let limits = [
        (default.with_vertices(100), "100 vertices"),
        (default.with_edges(100), "100 edges"),
        (default.with_memory_bytes(10_000), "10000 bytes of memory"),
    ];
    for (limits, expected) in limits {
        let error = endless.build(&limits).expect_err("it is endless").to_string();
        assert!(error.contains(&format!("more than {expected}")), "{error}");
    }
    let error = endless.build_within(&default, 1000).expect_err("it is endless");
    assert_eq!(*error.problem(), Problem::Model(ModelProblem::Steps { limit: 1000 }));
}

#[test]
fn loops_without_end_and_without_transitions_run_out_of_steps() {
    let idle = model(&one(
        r#"{"for": [{"i": [1, 9223372036854775807]}], "when": "i < 0", "to": {"a": 0}, "rate": {"p": 1}}"#,
    ));
    let error = idle.build_within(&GraphLimits::default(), 100_000).expect_err("it is endless");
    assert_eq!(*error.problem(), Problem::Model(ModelProblem::Steps { limit: 100_000 }));
}

#[test]
fn building_ends_when_nobody_wants_the_graph() {
    let endless = model(&one(
        r#"{"for": [{"i": [1, 9223372036854775807]}], "when": "i < 0", "to": {"a": 0}, "rate": {"p": 1}}"#,
    ));
    let mut looks = 0;
    let mut watch = || {
        looks += 1;
        if looks == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let error =
        endless.build_watched(&GraphLimits::default(), u64::MAX, &mut watch).expect_err("it is endless");
    assert_eq!(*error.problem(), Problem::Model(ModelProblem::Cancelled));
    assert_eq!(looks, 3);
}

#[test]
fn vectors_have_a_length_within_limits() {
    let with = |length: &str| {
        format!(
            "{{\"state\": [{{\"k\": {length}}}], \"initial\": [{{\"state\": {{}}}}], \"transitions\": []}}"
        )
    };
    assert_eq!(build(&with("\"2**3\"")).state_length(), 8);
    assert_eq!(build(&with("4.0")).state_length(), 4);
    for length in ["0", "-1", "65537", "\"10**18\""] {
        let error = unbuildable(&with(length));
        let problem = error.problem();
        assert!(
            matches!(problem, Problem::Model(ModelProblem::VectorLength { max: MAX_PLACES, .. })),
            "{error}"
        );
    }
    assert!(matches!(
        unbuildable(&with("2.5")).problem(),
        Problem::Evaluation { fault: Fault::NotWhole(_), .. }
    ));
    let two = "{\"state\": [{\"k\": 65536}, \"a\"], \"initial\": [{\"state\": {}}], \"transitions\": []}";
    assert!(matches!(unbuildable(two).problem(), Problem::Model(ModelProblem::TooLong { .. })));
}

#[test]
fn names_and_loops_are_limited() {
    let states: Vec<String> = (0..1025).map(|position| format!("\"a{position}\"")).collect();
    let text = format!("{{\"state\": [{}], \"initial\": [], \"transitions\": []}}", states.join(", "));
    let expected = ModelProblem::TooMany { what: "state variables", max: super::MAX_NAMES };
    assert_eq!(*unreadable(&text).problem(), Problem::Model(expected));
    let loops = |count: usize| {
        let loops: Vec<String> = (0..count).map(|position| format!("{{\"i{position}\": [1, 1]}}")).collect();
        let rest = r#""when": "a == 3", "to": {"a": 2}, "rate": {"p": 1}"#;
        one(&format!("{{\"for\": [{}], {rest}}}", loops.join(", ")))
    };
    assert_eq!(build(&loops(super::MAX_LOOPS)).vertex_count(), 3);
    let error = unreadable(&loops(super::MAX_LOOPS + 1));
    assert_eq!(error.place().path, "transitions[0].for[32]");
    assert!(matches!(error.problem(), Problem::Model(ModelProblem::TooMany { max: super::MAX_LOOPS, .. })));
}

#[test]
fn limits_hold_for_discretized_graphs_too() {
    let kingman = super::find("kingman_mutations").expect("a built-in model").read().expect("it is readable");
    let default = GraphLimits::default();
    for (limits, fits) in [
        (default.with_vertices(10), true),
        (default.with_vertices(9), false),
        (default.with_edges(13), true),
        (default.with_edges(12), false),
    ] {
        assert_eq!(kingman.build(&limits).is_ok(), fits);
    }
}

#[test]
fn many_initial_states_of_many_variables_are_within_the_memory_limit() {
    let entries = vec!["{\"state\": {}}"; 1000].join(", ");
    let text = format!("{{\"state\": [{{\"k\": 65536}}], \"initial\": [{entries}], \"transitions\": []}}");
    let limits = GraphLimits::default().with_memory_bytes(100_000_000);
    let error = model(&text).build(&limits).expect_err("they take 262 MB");
    assert!(matches!(error.problem(), Problem::Graph(GraphError::Limit { what: "bytes of memory", .. })));
}
