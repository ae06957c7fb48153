use super::{Document, DocumentError, JsonProblem, Problem, read, read_within, write_graph};
use crate::graph::{Graph, GraphBuilder, GraphError, GraphLimits, Rate};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn graph(text: &str) -> Graph {
    match read(text).unwrap_or_else(|error| panic!("{error}")) {
        Document::Graph(graph) => graph,
        Document::Model(_) => panic!("this is a model: {text}"),
    }
}

fn refused(text: &str) -> DocumentError {
    read(text).expect_err(text)
}

/// A graph document with these edges over three vertices.
fn with_edges(edges: &str) -> String {
    format!("{{\"vertices\": [[0], [1], [2]], \"edges\": [{edges}]}}")
}

#[test]
fn the_kind_is_told_by_format_or_by_what_is_there() {
    let model = r#""state": ["a"], "initial": [{"state": {"a": 1}}], "transitions": []"#;
    for text in [format!("{{{model}}}"), format!("{{\"format\": \"phasic-model/1\", {model}}}")] {
        assert!(matches!(read(&text), Ok(Document::Model(_))), "{text}");
    }
    assert!(matches!(read(&with_edges("")), Ok(Document::Graph(_))));
    assert_eq!(*refused("{}").problem(), Problem::UnknownKind);
    assert_eq!(
        *refused(r#"{"format": "phasic-graph/2"}"#).problem(),
        Problem::UnknownFormat("phasic-graph/2".into())
    );
    assert!(matches!(refused("[]").problem(), Problem::Type { expected: "an object", found: "a list" }));
    assert!(matches!(refused("{").problem(), Problem::Json(JsonProblem::Unexpected { .. })));
}

#[test]
fn what_a_graph_document_leaves_out_follows_from_its_edges() {
    let parameterized = graph(&with_edges("[0, 1, [1]], [1, 2, [0.5, 2]]"));
    assert!(parameterized.is_parameterized());
    assert_eq!((parameterized.state_length(), parameterized.param_length()), (1, 2));
    assert!(!parameterized.was_dph());
    let only_start = graph(&with_edges("[0, 1, [1]]"));
    assert!(!only_start.is_parameterized());
    assert_eq!(only_start.param_length(), 0);
}

#[test]
fn start_edges_weigh_the_sum_of_their_coefficients_unless_the_document_says_otherwise() {
    // Although the graph has one parameter only, both coefficients count.
    let graph = graph(&with_edges("[0, 1, [0.25, 0.5]], [0, 2, [0.5], 0.125], [1, 2, [3]]"));
    assert_eq!(graph.unit_weights(), [0.75, 0.125, 3.0]);
}

#[test]
fn a_graph_that_says_it_is_not_parameterized_has_plain_rates() {
    let plain = r#"{"parameterized": false, "vertices": [[0], [1], [2]], "edges": [[0,1,[1]], [1,2,[3]]]}"#;
    let plain = graph(plain);
    assert!(!plain.is_parameterized());
    assert_eq!(plain.param_length(), 1);
    let lists =
        r#"{"parameterized": false, "vertices": [[0], [1], [2]], "edges": [[0,1,[1]], [1,2,[3, 4]]]}"#;
    assert_eq!(refused(lists).place().path, "edges[1]");
}

#[test]
fn complaints_about_graphs_point_at_the_vertex_or_edge() {
    let cases = [
        (with_edges("[0, 1, [1]],\n [1, 1, [1]]"), "edges[1]", 2, 2),
        (with_edges("[0, 7, [1]]"), "edges[0]", 1, 41),
        (with_edges("[0, 1, [1]], [1, 2, [-1]]"), "edges[1]", 1, 54),
        (with_edges("[0, 1, []]"), "edges[0]", 1, 41),
        (with_edges("[0, 1, [1]], [1, 2, [1], 1]"), "edges[1]", 1, 54),
        (with_edges("[0, 1]"), "edges[0]", 1, 41),
        (with_edges("[0, 1, [1], 1, 1]"), "edges[0]", 1, 41),
        (with_edges("[0, 1, [1e999]]"), "edges[0][2][0]", 1, 49),
        (with_edges("[0, 1, [true]]"), "edges[0][2][0]", 1, 49),
        (with_edges("[0, 1.5, [1]]"), "edges[0][1]", 1, 45),
        (with_edges("[-1, 1, [1]]"), "edges[0][0]", 1, 42),
        (with_edges("[0, 1, [1]], [1, 2, [1, 2]], [2, 1, [1]]"), "edges[2]", 1, 70),
        (r#"{"vertices": [], "edges": []}"#.into(), "vertices", 1, 14),
        (r#"{"vertices": [[1]], "edges": []}"#.into(), "vertices[0]", 1, 15),
        (r#"{"vertices": [[0], [1, 2]], "edges": []}"#.into(), "vertices[1]", 1, 20),
        (r#"{"vertices": [[0], [2147483648]], "edges": []}"#.into(), "vertices[1][0]", 1, 21),
        (r#"{"state_length": 0, "vertices": [[]], "edges": []}"#.into(), "vertices", 1, 33),
        (r#"{"was_dph": 1, "vertices": [[0]], "edges": []}"#.into(), "was_dph", 1, 13),
        (
            r#"{"param_length": 0, "vertices": [[0], [1], [2]], "edges": [[1, 2, [1]]]}"#.into(),
            "edges[0]",
            1,
            60,
        ),
    ];
    for (text, path, line, column) in cases {
        let error = refused(&text);
        let place = error.place();
        assert_eq!((&*place.path, place.line, place.column), (path, line, column), "{text}\n{error}");
    }
}

#[test]
fn limits_hold_for_documents_too() {
    let limits = GraphLimits::default().with_vertices(2);
    let error = read_within(&with_edges(""), &limits).expect_err("three vertices");
    assert!(matches!(error.problem(), Problem::Graph(GraphError::Limit { what: "vertices", limit: 2 })));
    assert_eq!(error.place().path, "vertices[2]");
}

#[test]
fn graphs_that_phasic_serialized_have_the_hash_that_phasic_rebuilds() {
    let data: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/data/serialized.json")).expect("JSON");
    let cases = data["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 7);
    let mut discretized = 0;
    for case in cases {
        let graph = graph(&case["document"].to_string());
        if let Some(hash) = case["rebuilt_hash"].as_str() {
            assert_eq!(graph.content_hash().to_string(), hash, "{}", case["about"]);
            continue;
        }
        discretized += 1;
        let document = &case["document"];
        let count = |key: &str| document[key].as_array().expect("rows").len();
        let edges = count("param_edges") + count("start_edges") + count("constant_edges");
        assert_eq!(graph.vertex_count() as usize, count("states"));
        assert_eq!(graph.edge_count() as usize, edges);
    }
    assert_eq!(discretized, 1);
}

#[test]
fn serialized_values_that_name_code_are_refused() {
    let document = |states: &str| {
        format!("{{\"graph_data\": {{\"state_length\": 1, \"states\": {states}, \"param_edges\": []}}}}")
    };
    assert!(read(&document(r#"{"__type__": "ndarray", "__data__": [[0], [1]]}"#)).is_ok());
    let foreign = refused(&document(r#"{"__type__": "os.system", "__data__": [[0]]}"#));
    assert_eq!(*foreign.problem(), Problem::ForeignType("os.system".into()));
    assert_eq!(foreign.place().path, "graph_data.states.__type__");
    let whole = refused(r#"{"graph_data": {"__type__": "m.Graph", "__data__": {}}}"#);
    assert_eq!(*whole.problem(), Problem::ForeignType("m.Graph".into()));
}

#[test]
fn rows_of_the_wrong_shape_are_refused_where_they_are() {
    let document = |rows: &str| {
        format!("{{\"state_length\": 1, \"states\": [[0], [1], [2]], \"param_edges\": [], {rows}}}")
    };
    for (rows, path) in [
        ("\"start_edges\": [[1, 1, 1]]", "start_edges[0]"),
        ("\"start_edges\": [[1]]", "start_edges[0]"),
        ("\"edges\": [[1, 2]]", "edges[0]"),
        ("\"constant_edges\": [[1, 2, 1], [1]]", "constant_edges[1]"),
        ("\"start_param_edges\": [[1, 2]]", "start_param_edges[0]"),
        ("\"vertex_indices\": [0, 2, 1]", "vertex_indices[1]"),
        ("\"start_edges\": [[1.5, 1]]", "start_edges[0][0]"),
        ("\"start_edges\": [[0, 1]]", "start_edges[0]"),
    ] {
        assert_eq!(refused(&document(rows)).place().path, path);
    }
}

/// Any graph phasic could make, and some it could not.
fn any_graph() -> impl Strategy<Value = Graph> {
    let coefficient = || prop_oneof![Just(0.0), 0.0..10.0, Just(1e-300), Just(1.0 / 3.0), Just(1e300)];
    let start = (1_u32..6, prop::collection::vec(coefficient(), 0..3), prop::option::of(0.0..1.0));
    let edge = (1_u32..6, 0_u32..6, prop::collection::vec(coefficient(), 3));
    let vertices = prop::collection::vec(prop::array::uniform2(any::<i32>()), 5);
    let shape = (1_usize..=3, any::<bool>(), any::<bool>());
    (vertices, shape, prop::collection::vec(start, 0..4), prop::collection::vec(edge, 0..12)).prop_map(
        |(vertices, (parameters, parameterized, was_dph), starts, edges)| {
            let mut builder = GraphBuilder::new(2).expect("a builder");
            builder.set_was_dph(was_dph);
            for state in vertices {
                builder.add_vertex(&state).expect("a vertex");
            }
            for (to, coefficients, weight) in starts {
                let sum = coefficients.iter().sum::<f64>() + 0.0;
                builder.add_start_edge(to, &coefficients, weight.unwrap_or(sum)).expect("a start edge");
            }
            for (position, (from, to, coefficients)) in edges.into_iter().enumerate() {
                if from == to {
                    continue;
                }
                if position % 5 == 4 {
                    builder.add_fixed_edge(from, to, coefficients[0]).expect("an edge");
                } else if parameterized {
                    let rate = Rate::Coefficients(&coefficients[..parameters]);
                    builder.add_edge(from, to, rate).expect("an edge");
                } else {
                    builder.add_edge(from, to, Rate::Scalar(coefficients[0])).expect("an edge");
                }
            }
            builder.finish()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, rng_seed: RngSeed::Fixed(3), ..ProptestConfig::default() })]

    #[test]
    fn graphs_come_back_equal_from_what_is_written(expected in any_graph()) {
        let text = write_graph(&expected);
        let found = graph(&text);
        prop_assert_eq!(found.content_hash(), expected.content_hash());
        prop_assert_eq!(found.edge_order_digest(), expected.edge_order_digest());
        for edge in 0..expected.edge_count() {
            let bits = |graph: &Graph| graph.fixed_weight(edge).map(f64::to_bits);
            prop_assert_eq!(bits(&found), bits(&expected));
        }
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(write_graph(&found), text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        _ = read(&text);
    }

    #[test]
    fn documents_with_a_piece_changed_are_read_or_refused(
        model in prop::sample::select(crate::model::library().iter().map(|m| m.text).collect::<Vec<_>>()),
        at in any::<prop::sample::Index>(),
        piece in prop::sample::select(vec!["", "\"", "[", "}", "0", "-1", "1e9", "a", "k[1]", " and ", ",", "é", "null"]),
        removed in 0_usize..12,
    ) {
        let from = model.floor_char_boundary(at.index(model.len()));
        let to = model.ceil_char_boundary((from + removed).min(model.len()));
        let text = [&model[..from], piece, &model[to..]].concat();
        let limits = GraphLimits::default().with_vertices(2000).with_edges(20_000);
        match read_within(&text, &limits) {
            Ok(Document::Model(model)) => {
                if let Err(error) = model.build_within(&limits, 1_000_000) {
                    prop_assert!(error.place().line <= text.lines().count());
                }
            }
            Ok(Document::Graph(_)) => prop_assert!(false, "no graph is a model with a piece changed"),
            Err(error) => prop_assert!(error.place().line <= text.lines().count() + 1),
        }
    }
}
