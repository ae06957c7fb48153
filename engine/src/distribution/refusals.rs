//! What people read when a distribution has no answer: what happened, to which of the things given, and what to do next.

use std::fmt::Display;

use ndarray::array;

use super::extremes::star_of;
use super::tests::{cycle, erlang, plan};
use super::*;
use crate::graph::{Graph, GraphBuilder, GraphLimits, Rate, START};

/// The edges of a graph with so many vertices beside the start, all of weight `weight` but those of the start.
fn graph(discrete: bool, vertices: i32, edges: &[(u32, u32)], weight: f64) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    builder.set_was_dph(discrete);
    for state in 1..=vertices {
        builder.add_vertex(&[state]).unwrap();
    }
    for &(from, to) in edges {
        let weight = if from == START { 1.0 } else { weight };
        builder.add_edge(from, to, Rate::Scalar(weight)).unwrap();
    }
    builder.finish()
}

/// So many successes of probability 1/4, one after the other.
fn trials(stages: i32) -> Graph {
    let edges: Vec<(u32, u32)> = (0..=stages.cast_unsigned()).map(|stage| (stage, stage + 1)).collect();
    graph(true, stages + 1, &edges, 0.25)
}

fn assert_says<T, E: Display>(found: Result<T, E>, sentence: &str) {
    let said = found.err().map(|error| error.to_string());
    assert_eq!(said.as_deref(), Some(sentence));
}

#[test]
fn questions_about_the_other_kind_of_time_say_what_to_ask_for() {
    let ticking = plan(&trials(2));
    assert_says(
        ticking.distribution(&[1.0]),
        "the graph is in discrete time; ask for its number of jumps instead of a time",
    );
    assert_says(
        plan(&erlang(1)).jumps(&[1.0]),
        "the graph is in continuous time; ask for a time instead of a number of jumps",
    );
}

#[test]
fn what_takes_too_many_jumps_is_named_with_its_place_and_the_limit() {
    assert_says(
        plan(&trials(2)).jumps(&[1.0]).unwrap().with_jump_limit(100).pmf(&[2, 300]),
        "entry 1 (counted from 0) takes more than the 100 jumps allowed; raise the limit",
    );
    // About 4√90,000,000 states of 4,000 numbers are remembered.
    assert_says(
        plan(&trials(4000)).jumps(&[1.0]).unwrap().cdf_gradient(&[2, 90_000_000]),
        "the gradient at 90000000 jumps, entry 1 (counted from 0), takes 1214272000 bytes for the way back, more than the \
         1073741824 allowed; ask for fewer jumps, or use a smaller model",
    );
    let star = star_of(1, true);
    let late = star.distribution(&[3e11, 7e11, 0.7]).unwrap().pdf_gradient(&[1e-12, 5e-4]);
    let late = late.unwrap_err().to_string();
    for part in [
        "entry 1 (counted from 0) is out of reach: the gradient takes about ",
        " bytes for the way back through all jumps, more than the 1073741824 allowed: at time 0 some vertex is still left 70000",
        " times per unit of time; ask for earlier times, or remove very fast transitions from the model",
    ] {
        assert!(late.contains(part), "{late}");
    }
}

#[test]
fn lists_that_do_not_fit_say_how_many_there_should_be() {
    let plan_ = plan(&erlang(2));
    assert_says(
        StepScheme::new(&erlang(2), &[1.0], 0),
        "1 weights were given, but the graph has 3 edges; give one weight per edge",
    );
    assert_says(
        plan_.epochs(&[1.0], &[[1.0]]),
        "1 parameter vectors were given for 1 breakpoints; give one for each epoch, one more than breakpoints",
    );
    assert_says(plan_.likelihood(&[]), "there are no observations; a likelihood needs at least one");
    let law = plan_.distribution(&[1.0]).unwrap();
    assert_says(
        law.sojourn_times_of(&[1, 9]),
        "vertex 9 (entry 1 of the list, counted from 0) does not exist; the graph has 4 vertices, the start is 0",
    );
    assert_says(
        law.moments(1001),
        "1001 moments were asked for, more than the 1000 there may be; ask for fewer",
    );
}

#[test]
fn what_is_out_of_range_says_what_would_be_in_it() {
    let plan_ = plan(&erlang(1));
    let law = plan_.distribution(&[1.0]).unwrap();
    assert_says(
        plan_.distribution(&[1.0]).unwrap().tolerance(0.5),
        "the tolerance is 0.5; it must be from 1e-14 to 0.01",
    );
    assert_says(
        law.moments(171),
        "moment 171 is beyond the range of floating-point numbers; scale the rates or ask for fewer moments",
    );
    let large = [0.0, 1e200, 0.0];
    assert_says(
        law.covariance(&large, &large),
        "the covariance of total rewards 0 and 1 (counted from 0) is beyond the range of floating-point numbers; scale the \
         rates or the rewards",
    );
}

#[test]
fn samplers_say_where_paths_cannot_begin() {
    let plan_ = plan(&erlang(2));
    let sampler = plan_.sampler(&[1.0]).unwrap();
    let started = |probabilities: &[f64]| sampler.clone().started_in(probabilities);
    assert_says(
        started(&[0.0, 1.0]),
        "2 probabilities were given, but the graph has 4 vertices; give one probability per vertex",
    );
    assert_says(
        started(&[0.0, 1.0, -0.5, 0.0]),
        "the probability of vertex 2 is -0.5; probabilities are finite and not negative",
    );
    assert_says(
        started(&[0.0, 0.5, 0.0, 0.5]),
        "vertex 3 has the probability 0.5, but it is not a transient vertex that the start reaches; give it 0",
    );
    let nowhere = "there is nowhere to begin: all probabilities are zero, or nothing is alive at that time; give a transient \
                   vertex a probability, or begin earlier";
    assert_says(started(&[0.0; 4]), nowhere);
    assert_says(plan_.distribution(&[1.0]).unwrap().survivors(f64::INFINITY), nowhere);
    assert_says(
        sampler.with_limits(SampleLimits::default().with_steps(3)).times(1, 2),
        "a batch of at most 2048 paths took more than the 3 steps allowed; raise the limit or check the rates",
    );
}

#[test]
fn transforms_say_which_vertex_is_in_the_way() {
    let options = RewardOptions::default().with_zero_paths(ZeroPaths::Condition);
    let ticking = trials(1);
    assert_says(
        reward_transform(&ticking, &[], &[0.0, 1.0, 0.0], &options),
        "the graph is in discrete time; this is for continuous time (see `reward_transform_discrete`)",
    );
    assert_says(
        reward_transform_discrete(&erlang(1), &[1.0], &[0, 1, 0], &options),
        "the graph is in continuous time; this is for discrete time (see `Graph::discretize`)",
    );
    assert_says(
        reward_transform(&erlang(1), &[1.0], &[0.0; 3], &options),
        "no path collects any reward, so nothing is left under the condition that some is collected; give a vertex that paths \
         visit a reward above 0",
    );
    assert_says(
        matrices(&erlang(1), &[0.0], Listing::Index),
        "at these parameters nothing leads away from vertex 1, although it is not absorbing; give one of its edges a weight \
         above 0",
    );
    assert_says(
        reward_transform_parameterized(&cycle(), &[0.0, 1.0, 0.0, 0.0], GraphLimits::default()),
        "vertex 2 earns nothing and leads to several others, so what follows it is no linear function of the parameters; give \
         it a reward above 0, or transform at one θ and do without gradients",
    );
    assert_says(
        first_passage(&cycle(), &[1, 9], GraphLimits::default()),
        "entry 1 (counted from 0) names vertex 9; the graph has 4 vertices",
    );
    assert_says(
        time_in(&cycle(), &[START]),
        "entry 0 (counted from 0) names the start, which takes no time and cannot stand there",
    );
    let mut endless = GraphBuilder::new(1).unwrap();
    for state in 1..=2 {
        endless.add_vertex(&[state]).unwrap();
    }
    for (from, to) in [(START, 1), (1, 2), (2, 1)] {
        endless.add_edge(from, to, Rate::Scalar(0.5)).unwrap();
    }
    assert_says(
        settle_deficit(&endless.finish(), Deficit::Atom, GraphLimits::default()),
        "the graph has no absorbing vertex, so an atom at 0 has nowhere to go; add one",
    );
}

#[test]
fn compositions_say_which_graph_does_not_fit() {
    let (side, limits) = (Parameters::SideBySide, GraphLimits::default());
    let one = erlang(1);
    let ticking = one.discretize(0.5).unwrap();
    assert_says(sum(&[], side, limits), "at least one distribution is needed, and none was given");
    assert_says(
        sum(&[&one, &ticking], side, limits),
        "graph 1 (counted from 0) differs from the first in its time: one is discrete, one continuous",
    );
    assert_says(
        minimum(&[&ticking, &ticking], side, limits),
        "graph 0 (counted from 0) is parameterized and in discrete time, where joint jumps are not linear in the parameters; \
         freeze it at one θ first (see `frozen`)",
    );
    assert_says(
        order_statistic(&[&one, &one], 3, side, limits),
        "number 3 of 2 was asked for; ranks run from 1 to the number of distributions",
    );
    assert_says(
        mixture(&[0.5, 0.25], &[&one, &one], side, limits),
        "the probabilities sum to 0.75, not to 1; divide them by their sum",
    );
    let back = graph(true, 2, &[(START, 1), (1, START), (1, 2)], 0.25);
    assert_says(
        sum(&[&trials(1), &back], side, limits),
        "graph 1 (counted from 0) is in discrete time and vertex 1 has an edge into its start, which has no counterpart \
         without loops; lead it to where the start leads",
    );
}

#[test]
fn matrices_say_which_row_is_no_distribution() {
    let plain = MatrixOptions::default();
    let refused = |initial: &[f64], dense: ndarray::Array2<f64>| {
        let matrix = SparseMatrix::from_dense(dense.view()).unwrap();
        graph_from_matrices(initial, &matrix, &plain)
    };
    assert_says(
        refused(&[1.0], array![[-1.0, 1.0]]),
        "the matrix has 1 rows and 2 columns; it must be square",
    );
    let good = array![[-2.0, 1.0], [0.0, -1.0]];
    assert_says(
        refused(&[1.0], good.clone()),
        "1 initial probabilities were given, but the matrix has 2 states; give one for each",
    );
    assert_says(
        refused(&[1.0, 0.0], array![[-2.0, 1.0], [-0.5, -1.0]]),
        "the entry at row 1 and column 0 is -0.5; it must not be negative",
    );
    assert_says(
        refused(&[1.0, 0.0], array![[-2.0, 1.0], [1.5, -1.0]]),
        "row 1 sums to 0.5; it must not exceed 0",
    );
    assert_says(
        refused(&[1.0, 0.0], array![[-2.0, 1.0], [0.0, 0.0]]),
        "row 1 never lets go: the state has rate 0 (or probability 1 to stay), so absorption is impossible; give it a way out",
    );
    assert_says(
        refused(&[0.75, 0.5], good.clone()),
        "the initial probabilities sum to 1.25; they may not exceed 1",
    );
    let exits = [1.0, 2.0];
    let matrix = SparseMatrix::from_dense(good.view()).unwrap();
    assert_says(
        graph_from_matrices(&[1.0, 0.0], &matrix, &MatrixOptions::default().with_exit(&exits)),
        "exit 1 is 2, but its row leaves 1; mend the row, or leave exits out",
    );
    assert_says(
        SparseMatrix::from_dense(array![[f64::INFINITY]].view()),
        "the entry at row 0 and column 0 is inf; entries must be finite",
    );
    assert_says(
        SparseMatrix::from_entries(2, 2, vec![(0, 0, -1.0), (2, 0, 1.0)]),
        "entry 1 is for row 2 and column 0, outside a matrix of 2 by 2",
    );
    assert_says(
        matrix.to_dense(31),
        "the dense matrix takes 32 bytes, more than the 31 allowed; use the sparse form",
    );
}
