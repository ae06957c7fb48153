use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::distribution::{SamplingError, TransformError};
use crate::document::read_within;
use crate::graph::{Graph, GraphBuilder, GraphLimits, Rate, START};
use crate::plan::{AnalysisError, EvaluationError, Limits, Plan};
use crate::trace::{EliminationError, Trace, eliminate};

struct Plain;

impl Eliminations for Plain {
    fn graph_limits(&self) -> GraphLimits {
        GraphLimits::default()
    }

    fn analyze(&self, graph: &Graph) -> Result<Plan, AnalysisError> {
        Plan::analyze(graph, &Limits::default())
    }

    fn eliminate(&self, graph: &Graph) -> Result<Trace, EliminationError> {
        eliminate(graph, &Limits::default(), &mut ())
    }
}

fn graph(name: &str) -> Arc<Graph> {
    let text = crate::model::find(name).unwrap().text;
    let limits = GraphLimits::default();
    Arc::new(read_within(text, &limits).unwrap().into_graph(&limits).unwrap())
}

fn shape(graph: &Graph) -> Shape {
    let (parameters, discrete) = (graph.param_length(), graph.was_dph());
    Shape { vertices: graph.vertex_count().into(), parameters, discrete }
}

fn ask(model: &Model<'_>, question: &Question, theta: &[f64]) -> Result<Vec<Answer>, NoAnswer> {
    Asked::new(model, question).answer(Some(theta))
}

/// Everything there is for a kind of time, each in a question of its own.
fn all(discrete: bool, vertices: u64) -> Vec<Question> {
    let at = vec![1.0, 2.0, 5.0];
    let functions = [
        Function::Pdf,
        Function::Cdf,
        Function::Survival,
        Function::Hazard,
        if discrete { Function::Pmf } else { Function::Laplace },
    ];
    let mut quantities: Vec<Quantity> =
        functions.map(|function| Quantity::Function(function, at.clone())).to_vec();
    quantities.extend([
        Quantity::Expectation,
        Quantity::Variance,
        Quantity::Moments(4),
        Quantity::FactorialMoments(3),
        Quantity::WaitingTimes(None),
        Quantity::WaitingTimes(Some(vec![2, 0])),
        Quantity::SojournTimes(None),
        Quantity::SojournTimes(Some(vec![2, 1])),
        Quantity::Function(Function::Quantile, vec![0.1, 0.9]),
        Quantity::States(States::StopProbability, at.clone()),
        Quantity::States(States::VisitingTimes, at.clone()),
        Quantity::LogLikelihood(Observations { seen: at.clone(), alive: vec![3.0] }),
        Quantity::Sample(5),
        Quantity::Covariance,
        Quantity::Correlation,
        Quantity::Covariances,
        Quantity::Correlations,
        Quantity::JointSample(5),
    ]);
    let vector = |of: fn(u64) -> u64| (0..vertices).map(|vertex| of(vertex) as f64).collect::<Vec<_>>();
    let vectors = [vector(|vertex| vertex), vector(|vertex| 1 + vertex % 2), vector(|vertex| vertex % 3)];
    let mut questions = Vec::new();
    for quantity in quantities {
        for count in 0..=3 {
            for gradients in [false, true] {
                let quantities = vec![quantity.clone()];
                questions.push(Question {
                    quantities,
                    rewards: vectors[..count].to_vec(),
                    gradients,
                    ..Question::default()
                });
            }
        }
    }
    questions
}

#[test]
fn every_question_that_the_rules_let_pass_is_answered() {
    for name in ["mm1k", "mm1k_inspections"] {
        let graph = graph(name);
        let (model, shape) = (Model::new(Arc::clone(&graph), &Plain), shape(&graph));
        let theta = vec![0.5; shape.parameters];
        let later = Epoch { from: 0.75, theta: vec![0.25; shape.parameters] };
        for source in [Source::Plan, Source::Phasic, Source::Program] {
            for epochs in [vec![], vec![later.clone()]] {
                let mut answered = 0;
                for mut question in all(shape.discrete, shape.vertices) {
                    question.treatment = Treatment { source, epochs: epochs.clone(), ..Treatment::default() };
                    if question.check(&shape).is_ok() {
                        let answers = ask(&model, &question, &theta);
                        assert!(answers.is_ok(), "{name} {question:?}: {answers:?}");
                        assert_eq!(answers.unwrap()[0].gradient.is_some(), question.gradients);
                        answered += 1;
                    }
                }
                let is_possible = epochs.is_empty() || source == Source::Plan && !shape.discrete;
                assert_eq!(answered > 5, is_possible, "{name} {source:?}: {answered}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_was_asked_before_changes_no_bit(rates in prop::collection::vec(0.1_f64..4.0, 6), discrete: bool) {
        let graph = graph(if discrete { "mm1k_inspections" } else { "mm1k" });
        let (model, shape) = (Model::new(Arc::clone(&graph), &Plain), shape(&graph));
        let (one, other) = (&rates[..shape.parameters], &rates[6 - shape.parameters..]);
        for question in all(shape.discrete, shape.vertices) {
            if question.check(&shape).is_err() {
                continue;
            }
            let mut asked = Asked::new(&model, &question);
            let (first, second) = (asked.answer(Some(one)), asked.answer(Some(other)));
            // As texts, in which every bit shows, and what is no number is as itself.
            let shown = |answers: Result<Vec<Answer>, NoAnswer>| format!("{answers:?}");
            prop_assert_eq!(shown(asked.answer(Some(one))), shown(first));
            prop_assert_eq!(shown(second), shown(ask(&model, &question, other)));
        }
    }
}

#[test]
fn an_error_at_one_theta_is_none_at_the_next() {
    let graph = graph("mm1k");
    let model = Model::new(Arc::clone(&graph), &Plain);
    let quantities = vec![Quantity::Expectation, Quantity::Function(Function::Cdf, vec![1.0])];
    let question = Question { quantities, ..Question::default() };
    let mut asked = Asked::new(&model, &question);
    let good = asked.answer(Some(&[1.0, 2.0])).unwrap();
    assert!(asked.answer(Some(&[-1.0, 2.0])).is_err());
    assert_eq!(asked.answer(Some(&[1.0, 2.0])).unwrap(), good);
    assert_eq!(asked.answer(None).unwrap(), ask(&model, &question, &[1.0, 1.0]).unwrap());
}

/// Looks on the way to an answer, and the answer where whoever watches goes on for so many of them.
fn watched(question: &Question, most: u32) -> (u32, Result<Vec<Answer>, NoAnswer>) {
    let model = Model::new(graph("mm1k"), &Plain);
    let looks = Cell::new(0);
    let watch = || {
        looks.set(looks.get() + 1);
        if looks.get() > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let found = Asked::new(&model, question).watched(&watch).answer(Some(&[1.0, 2.0]));
    (looks.get(), found)
}

#[test]
fn whoever_watches_an_answer_can_give_it_up_within_its_parts() {
    let points: Vec<f64> = (0..100).map(f64::from).collect();
    let transform = Quantity::Function(Function::Laplace, points);
    let of_plan = Question { quantities: vec![transform], ..Question::default() };
    let mut of_phasic = of_plan.clone();
    of_phasic.treatment.source = Source::Phasic;
    let slopes = Question { quantities: vec![Quantity::Moments(12)], gradients: true, ..Question::default() };
    for (question, parts) in [(of_plan, 13), (of_phasic, 13), (slopes, 12)] {
        let (looks, found) = watched(&question, u32::MAX);
        assert_eq!(looks, 1 + parts);
        assert_eq!(
            found,
            Asked::new(&Model::new(graph("mm1k"), &Plain), &question).answer(Some(&[1.0, 2.0]))
        );
        let (looks, found) = watched(&question, 5);
        assert_eq!((looks, found), (6, Err(NoAnswer::GivenUp)));
    }
}

#[test]
fn functions_of_a_total_reward_are_those_of_the_transformed_model() {
    let graph = graph("kingman");
    let model = Model::new(Arc::clone(&graph), &Plain);
    let question = Question {
        quantities: vec![Quantity::Expectation, Quantity::Function(Function::Cdf, vec![2.0, 4.0])],
        rewards: vec![vec![0.0, 5.0, 4.0, 3.0, 2.0, 0.0]],
        ..Question::default()
    };
    let answers = ask(&model, &question, &[1.0]).unwrap();
    let Found::Many(cdf) = &answers[1].value else { panic!("{answers:?}") };
    for (found, t) in cdf.iter().zip([2.0_f64, 4.0]) {
        // Tavaré 1984.
        assert!((found - (1.0 - (-t / 2.0).exp()).powi(4)).abs() < 1e-10);
    }
    let fractions = Question { rewards: vec![vec![0.5; 5]], ..question.clone() };
    assert!(matches!(fractions.check(&shape(&graph)), Err(Misfit::RewardLength { found: 5, .. })));
}

#[test]
fn rewards_in_discrete_time_are_whole_numbers_up_to_a_million() {
    let graph = graph("mm1k_inspections");
    let (model, shape) = (Model::new(Arc::clone(&graph), &Plain), shape(&graph));
    for wrong in [0.5, -1.0, 1e6 + 1.0] {
        let mut rewards = vec![1.0; graph.vertex_count() as usize];
        rewards[1] = wrong;
        let quantities = vec![Quantity::Function(Function::Pmf, vec![1.0])];
        let question = Question { quantities, rewards: vec![rewards], ..Question::default() };
        assert_eq!(question.check(&shape), Ok(()));
        let refused = ask(&model, &question, &vec![0.5; shape.parameters]);
        assert_eq!(refused, Err(NoAnswer::RewardCount { vertex: 1, value: wrong }));
    }
}

#[test]
fn correlations_do_not_depend_on_the_units_of_rewards() {
    for name in ["mm1k", "mm1k_inspections"] {
        let graph = graph(name);
        let (model, shape) = (Model::new(Arc::clone(&graph), &Plain), shape(&graph));
        let theta = vec![0.5; shape.parameters];
        let later = Epoch { from: 0.75, theta: vec![0.25; shape.parameters] };
        let vector = |unit: f64, of: fn(u32) -> u32| {
            (0..graph.vertex_count()).map(|vertex| unit * f64::from(of(vertex))).collect::<Vec<_>>()
        };
        for source in [Source::Plan, Source::Phasic, Source::Program] {
            for (epochs, quantity) in [
                (vec![], Quantity::Correlation),
                (vec![], Quantity::Correlations),
                (vec![later.clone()], Quantity::Correlation),
                (vec![later.clone()], Quantity::Correlations),
            ] {
                // The units of both totals, powers of two so that no digit changes.
                let found = [[0, 0], [-600, -560], [600, 620], [-600, 600]].map(|units| {
                    let [first, second] = units.map(|exponent| 2.0_f64.powi(exponent));
                    let question = Question {
                        quantities: vec![quantity.clone()],
                        rewards: vec![
                            vector(first, |vertex| vertex % 3),
                            vector(second, |vertex| 1 + vertex),
                        ],
                        treatment: Treatment { source, epochs: epochs.clone(), ..Treatment::default() },
                        ..Question::default()
                    };
                    let is_asked = question.check(&shape).is_ok();
                    is_asked.then(|| ask(&model, &question, &theta).unwrap())
                });
                assert!(found.iter().all(|answers| *answers == found[0]), "{name} {source:?}: {found:?}");
                assert!(found[0].is_some() || shape.discrete || source != Source::Plan);
            }
        }
    }
}

#[test]
fn of_several_times_the_one_that_takes_too_many_steps_is_named() {
    let graph = graph("mm1k");
    let (model, shape) = (Model::new(Arc::clone(&graph), &Plain), shape(&graph));
    for states in [States::StopProbability, States::VisitingTimes] {
        let question = Question {
            quantities: vec![Quantity::States(states, vec![1.0, 2.0, 1e12])],
            treatment: Treatment { source: Source::Phasic, ..Treatment::default() },
            ..Question::default()
        };
        let error = ask(&model, &question, &vec![0.5; shape.parameters]).unwrap_err().to_string();
        assert!(error.contains("time 2 "), "{error}");
    }
}

#[test]
fn laws_of_rewards_are_the_same_with_and_without_gradients_where_a_rate_is_0() {
    let mut builder = GraphBuilder::new(1).unwrap();
    let [one, two, end] = [1, 2, 0].map(|state| builder.add_vertex(&[state]).unwrap());
    builder.add_edge(START, one, Rate::Scalar(1.0)).unwrap();
    for (from, to, rates) in
        [(one, two, [1.0, 0.0, 0.0]), (one, end, [0.0, 1.0, 0.0]), (two, end, [0.0, 0.0, 1.0])]
    {
        builder.add_edge(from, to, Rate::Coefficients(&rates)).unwrap();
    }
    let graph = Arc::new(builder.finish());
    let model = Model::new(Arc::clone(&graph), &Plain);
    let asked = |rewards: [f64; 4], gradients: bool, theta: [f64; 3]| {
        let quantities = vec![Quantity::Function(Function::Cdf, vec![0.5, 2.0])];
        let question =
            Question { quantities, rewards: vec![rewards.to_vec()], gradients, ..Question::default() };
        ask(&model, &question, &theta).map(|answers| answers[0].value.clone())
    };
    for rewards in [[0.0, 2.0, 0.0, 0.0], [0.0, 2.0, 1.0, 0.0]] {
        for gradients in [false, true] {
            let trapped = NoAnswer::Transform(TransformError::Trapped { vertex: two });
            assert_eq!(asked(rewards, gradients, [1.0, 0.5, 0.0]), Err(trapped));
            // Nothing comes there.
            let Ok(Found::Many(cdf)) = asked(rewards, gradients, [0.0, 0.5, 0.0]) else { panic!() };
            for (found, time) in cdf.iter().zip([0.5_f64, 2.0]) {
                assert!((found - (1.0 - (-0.25 * time).exp())).abs() < 1e-12, "{gradients} {cdf:?}");
            }
        }
    }
}

#[test]
fn samples_begun_where_no_path_ends_are_refused_with_the_vertex() {
    for discrete in [false, true] {
        let mut builder = GraphBuilder::new(1).unwrap();
        builder.set_was_dph(discrete);
        let [one, end, to, fro] = [1, 0, 3, 4].map(|state| builder.add_vertex(&[state]).unwrap());
        builder.add_edge(START, one, Rate::Scalar(1.0)).unwrap();
        for (from, target, rates) in [
            (one, end, [1.0, 0.0]),
            (to, fro, [1.0, 0.0]),
            (fro, to, [1.0, 0.0]),
            (one, to, [0.0, 1.0]),
            (fro, end, [0.0, 1.0]),
        ] {
            builder.add_edge(from, target, Rate::Coefficients(&rates)).unwrap();
        }
        let graph = Arc::new(builder.finish());
        let model = Model::new(Arc::clone(&graph), &Plain);
        for (quantity, rewards) in
            [(Quantity::Sample(1), vec![]), (Quantity::JointSample(1), vec![vec![0.0; 5], vec![1.0; 5]])]
        {
            let treatment = Treatment { started_in: vec![(to, 1.0)], ..Treatment::default() };
            let question = Question { quantities: vec![quantity], rewards, treatment, ..Question::default() };
            question.check(&shape(&graph)).unwrap();
            let trapped = EvaluationError::Trapped { vertex: to, state: Some(vec![3]) };
            let refused = NoAnswer::Sampling(SamplingError::Evaluation(trapped));
            assert_eq!(ask(&model, &question, &[1.0, 0.0]).map(|answers| answers.len()), Err(refused));
            assert!(ask(&model, &question, &[1.0, 0.5]).is_ok());
        }
    }
}
