//! `phasic transform`: models made of models.
//!
//! Chooses and calls; the engine rewrites. Matrices as JSON are in `matrices`.

mod matrices;

use phasic_engine::distribution::{
    self, Parameters, RewardOptions, TransformError, ZeroPaths, first_passage, reward_transform,
    reward_transform_discrete,
};
use phasic_engine::document::write_graph;
use phasic_engine::graph::Graph;

use super::{Answer, graph};
use crate::arguments::transform::{
    CompositionArguments, DiscretizeArguments, MixtureArguments, OrderArguments, RewardsArguments, Target,
    Transform, TransformArguments,
};
use crate::failure::Failure;
use crate::limits::{advised, flag_of_transform};
use crate::vectors::Vector;
use crate::{Context, rewards, vectors};

pub(crate) fn run(arguments: &TransformArguments, context: &mut Context<'_>) -> Result<Answer, Failure> {
    let limits = context.limits.graph();
    let (target, text) = match &arguments.kind {
        Transform::Rewards(arguments) => (&arguments.target, rewarded(arguments, context)?),
        Transform::Discretize(arguments) => (&arguments.target, discretized(arguments, context)?),
        Transform::Passage(arguments) => {
            let passage = first_passage(&context.graph(&arguments.model)?, &arguments.to, limits);
            (&arguments.target, document(passage)?)
        }
        Transform::Start(arguments) => {
            let starts = arguments.at.iter().map(|text| start(text)).collect::<Result<Vec<_>, _>>()?;
            let graph = context.graph(&arguments.model)?;
            (&arguments.target, document(distribution::started_at(&graph, &starts, limits))?)
        }
        Transform::Settle(arguments) => {
            let graph = context.graph(&arguments.model)?;
            let settled = distribution::settle_deficit(&graph, arguments.deficit.into(), limits);
            (&arguments.target, document(settled)?)
        }
        Transform::Sum(arguments) => {
            composed(arguments, context, |graphs, parameters| distribution::sum(graphs, parameters, limits))?
        }
        Transform::Minimum(arguments) => composed(arguments, context, |graphs, parameters| {
            distribution::minimum(graphs, parameters, limits)
        })?,
        Transform::Maximum(arguments) => composed(arguments, context, |graphs, parameters| {
            distribution::maximum(graphs, parameters, limits)
        })?,
        Transform::Order(OrderArguments { composition, rank }) => {
            composed(composition, context, |graphs, parameters| {
                distribution::order_statistic(graphs, *rank, parameters, limits)
            })?
        }
        Transform::Mixture(MixtureArguments { composition, weights }) => {
            let weights = one_vector("--weights", weights)?.values;
            composed(composition, context, |graphs, parameters| {
                distribution::mixture(&weights, graphs, parameters, limits)
            })?
        }
        Transform::Matrices(arguments) => (&arguments.target, matrices::print(arguments, context)?),
        Transform::FromMatrices(arguments) => (&arguments.target, matrices::read(arguments, limits)?),
    };
    graph::write(&text, target.output.as_deref(), context)?;
    Ok(Answer::Done)
}

fn document(graph: Result<Graph, TransformError>) -> Result<String, Failure> {
    graph.map(|graph| write_graph(&graph)).map_err(|error| failed(&error))
}

fn failed(error: &TransformError) -> Failure {
    Failure::input(advised(&error, flag_of_transform(error)))
}

/// Reads `VERTEX:PROBABILITY`, or a vertex that is certain.
fn start(text: &str) -> Result<(u32, f64), Failure> {
    let (vertex, probability) = text.split_once(':').unwrap_or((text, "1"));
    let wrong = || Failure::input(format!("--at {text}: write VERTEX:PROBABILITY, as in 3:0.5"));
    let vertex = vertex.trim().parse().map_err(|_| wrong())?;
    Ok((vertex, probability.trim().parse().map_err(|_| wrong())?))
}

fn rewarded(arguments: &RewardsArguments, context: &Context<'_>) -> Result<String, Failure> {
    let values = one_vector("--rewards", &arguments.rewards)?.values;
    let graph = context.graph(&arguments.model)?;
    let theta = theta(arguments.theta.as_deref(), &graph)?;
    let mut options = RewardOptions::default().with_limits(context.limits.graph());
    if arguments.condition {
        options = options.with_zero_paths(ZeroPaths::Condition);
    }
    document(if graph.was_dph() {
        reward_transform_discrete(&graph, &theta, &rewards::counts(&values)?, &options)
    } else {
        reward_transform(&graph, &theta, &values, &options)
    })
}

fn discretized(arguments: &DiscretizeArguments, context: &Context<'_>) -> Result<String, Failure> {
    let graph = context.graph(&arguments.model)?;
    if graph.was_dph() {
        return Err(Failure::input("the model is in discrete time already"));
    }
    document(graph.discretize_by(|_| arguments.rate, context.limits.graph()).map_err(TransformError::from))
}

fn composed<'a>(
    arguments: &'a CompositionArguments,
    context: &Context<'_>,
    compose: impl Fn(&[&Graph], Parameters) -> Result<Graph, TransformError>,
) -> Result<(&'a Target, String), Failure> {
    let models = arguments.models.iter();
    let graphs = models.map(|model| context.graph_of(model, &[])).collect::<Result<Vec<_>, _>>()?;
    let graphs: Vec<&Graph> = graphs.iter().collect();
    let parameters = if arguments.shared { Parameters::Shared } else { Parameters::SideBySide };
    Ok((&arguments.target, document(compose(&graphs, parameters))?))
}

/// θ of a flag, or the model as built; nothing for a model without parameters.
fn theta(flag: Option<&str>, graph: &Graph) -> Result<Vec<f64>, Failure> {
    match flag {
        Some(text) => Ok(one_vector("--theta", text)?.values),
        None if graph.is_parameterized() => Ok(vec![1.0; graph.param_length()]),
        None => Ok(Vec::new()),
    }
}

fn one_vector(flag: &str, text: &str) -> Result<Vector, Failure> {
    let mut vectors = vectors::read(flag, &[text.to_owned()])?;
    match vectors.pop() {
        Some(vector) if vectors.is_empty() => Ok(vector),
        _ => Err(Failure::input(format!("{flag} {text}: write one vector, like 0.5,2"))),
    }
}
