//! `phasic transform`: models made of models.
//!
//! Chooses and calls; the engine rewrites. Matrices as JSON are in `matrices`.

mod matrices;

use std::io::Write as _;

use phasic_engine::distribution::{
    self, Parameters, RewardOptions, TransformError, ZeroPaths, first_passage, reward_transform,
    reward_transform_discrete,
};
use phasic_engine::document::write_graph;
use phasic_engine::graph::Graph;
use phasic_engine::question::jump_rewards;

use super::{Answer, graph};
use crate::arguments::transform::{
    DiscretizeArguments, MixtureArguments, NormalizeArguments, OrderArguments, RewardsArguments, Transform,
    TransformArguments,
};
use crate::destination::Destination;
use crate::failure::Failure;
use crate::limits::{advised, flag_of_transform};
use crate::vectors::Vector;
use crate::{Context, vectors};

pub(crate) fn run(arguments: &TransformArguments, context: &mut Context<'_>) -> Result<Answer, Failure> {
    let limits = context.limits.graph();
    let (target, text) = match &arguments.kind {
        Transform::Rewards(arguments) => (&arguments.target, rewarded(arguments, context)?),
        Transform::Discretize(arguments) => (&arguments.target, discretized(arguments, context)?),
        Transform::Normalize(arguments) => (&arguments.target, normalized(arguments, context)?),
        Transform::Passage(arguments) => {
            let passage = first_passage(&context.graph(&arguments.model)?, &arguments.to, limits);
            (&arguments.target, document(passage)?)
        }
        Transform::Start(arguments) => {
            let starts = arguments
                .at
                .iter()
                .map(|text| vectors::read_start("--at", text))
                .collect::<Result<Vec<_>, _>>()?;
            let graph = context.graph(&arguments.model)?;
            (&arguments.target, document(distribution::started_at(&graph, &starts, limits))?)
        }
        Transform::Settle(arguments) => {
            let graph = context.graph(&arguments.model)?;
            let settled = distribution::settle_deficit(&graph, arguments.deficit.into(), limits);
            (&arguments.target, document(settled)?)
        }
        Transform::Sum(arguments) => {
            let sum = |graphs: &[&Graph], parameters| distribution::sum(graphs, parameters, limits);
            (&arguments.target, composed(&arguments.models, arguments.shared, context, sum)?)
        }
        Transform::Minimum(arguments) => {
            let minimum = |graphs: &[&Graph], parameters| distribution::minimum(graphs, parameters, limits);
            (&arguments.target, composed(&arguments.models, arguments.shared, context, minimum)?)
        }
        Transform::Maximum(arguments) => {
            let maximum = |graphs: &[&Graph], parameters| distribution::maximum(graphs, parameters, limits);
            (&arguments.target, composed(&arguments.models, arguments.shared, context, maximum)?)
        }
        Transform::Order(arguments) => (&arguments.target, order(arguments, context)?),
        Transform::Mixture(MixtureArguments { composition, weights }) => {
            let weights = one_vector("--weights", weights)?.values;
            let mixture =
                |graphs: &[&Graph], parameters| distribution::mixture(&weights, graphs, parameters, limits);
            (&composition.target, composed(&composition.models, composition.shared, context, mixture)?)
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

fn rewarded(arguments: &RewardsArguments, context: &Context<'_>) -> Result<String, Failure> {
    let values = one_vector("--rewards", &arguments.rewards)?.values;
    let graph = context.graph(&arguments.model)?;
    let theta = theta(arguments.theta.as_deref(), &graph)?;
    let mut options = RewardOptions::default().with_limits(context.limits.graph());
    if arguments.condition {
        options = options.with_zero_paths(ZeroPaths::Condition);
    }
    document(if graph.was_dph() {
        let counts = jump_rewards(&values).map_err(|error| Failure::input(format!("--rewards: {error}")))?;
        reward_transform_discrete(&graph, &theta, &counts, &options)
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

/// Every vertex at rate 1, or stays as vertices; what visits are worth goes to a file of its own.
fn normalized(arguments: &NormalizeArguments, context: &Context<'_>) -> Result<String, Failure> {
    let graph = context.graph(&arguments.model)?;
    let (theta, limits) = (theta(arguments.theta.as_deref(), &graph)?, context.limits.graph());
    let made = if arguments.discrete {
        if graph.was_dph() {
            return Err(Failure::input(
                "the model is in discrete time already, where weights are divided by their sums; leave out --discrete",
            ));
        }
        let weights = if theta.is_empty() { Ok(graph.unit_weights()) } else { graph.weights(&theta) };
        weights
            .map_err(TransformError::from)
            .and_then(|weights| Ok(graph.normalize_discrete(&weights, limits)?))
    } else {
        distribution::normalized(&graph, &theta, limits)
    };
    let (graph, worth) = made.map_err(|error| failed(&error))?;
    if let Some(path) = &arguments.worth {
        let numbers: Vec<String> = worth.iter().map(f64::to_string).collect();
        let mut destination = Destination::create(path)?;
        destination.write_all(numbers.join(",").as_bytes()).map_err(destination.failed())?;
        destination.write_all(b"\n").map_err(destination.failed())?;
        destination.finish()?;
    }
    Ok(write_graph(&graph))
}

fn order(arguments: &OrderArguments, context: &Context<'_>) -> Result<String, Failure> {
    let (limits, rank) = (context.limits.graph(), arguments.rank);
    match (&arguments.models[..], arguments.copies) {
        ([model], Some(copies)) => {
            let graph = context.graph_of(model, &[])?;
            document(distribution::order_statistic_of_copies(&graph, copies, rank, limits))
        }
        ([_], None) => {
            Err(Failure::input("give two models or more, or say how many --copies there are of one"))
        }
        (_, Some(_)) => Err(Failure::input("--copies is for one model; give it once")),
        (models, None) => composed(models, arguments.shared, context, |graphs, parameters| {
            distribution::order_statistic(graphs, rank, parameters, limits)
        }),
    }
}

fn composed(
    models: &[String],
    shared: bool,
    context: &Context<'_>,
    compose: impl Fn(&[&Graph], Parameters) -> Result<Graph, TransformError>,
) -> Result<String, Failure> {
    let graphs = models.iter().map(|model| context.graph_of(model, &[])).collect::<Result<Vec<_>, _>>()?;
    let graphs: Vec<&Graph> = graphs.iter().collect();
    let parameters = if shared { Parameters::Shared } else { Parameters::SideBySide };
    document(compose(&graphs, parameters))
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
