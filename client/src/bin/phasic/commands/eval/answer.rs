//! The answers to a question at one θ.

use phasic_engine::distribution::{
    RewardOptions, SampleLimits, Sampler, reward_transform, reward_transform_discrete,
    reward_transform_parameterized,
};

use super::epochs::Changing;
use super::law::{Found, Source, Treatment, law};
use super::model::{Model, Subject};
use super::no_number::{NoNumber, of_survivors};
use super::question::Question;
use super::results::{Answered, Results};
use crate::quantity::Quantity;
use crate::rewards;
use crate::vectors::Vector;

/// Asks a model at one θ.
pub(super) fn answer<'a>(
    model: &Model,
    theta: Option<&'a Vector>,
    question: &'a Question,
    treatment: &Treatment,
) -> Result<Results<'a>, NoNumber> {
    let rewards: Vec<&[f64]> = question.rewards.iter().map(|rewards| &rewards.values[..]).collect();
    let subject = model.at(theta.map(|theta| &theta.values[..]));
    let own = law(subject, treatment)?;
    // Functions of a total reward are those of the time to absorption of another model.
    let transformed = match rewards.first() {
        Some(rewards) if question.asks_for_law_of_rewards() => {
            Some(transformed(subject, rewards, treatment, question.gradients)?)
        }
        _ => None,
    };
    // With gradients its weights are functions of θ, too.
    let given = theta.filter(|_| question.gradients).map(|theta| &theta.values[..]);
    let of_rewards = transformed.as_ref().map(|model| law(model.at(given), treatment)).transpose()?;
    let of_time = of_rewards.as_deref().unwrap_or(&*own);
    let mut results = Results { theta, answers: Vec::new() };
    for quantity in &question.quantities {
        let found = match quantity {
            Quantity::Function(function, points) => Found::Many(of_time.function(*function, points)?),
            Quantity::States(states, times) => by_vertex(own.states(*states, times)?),
            Quantity::LogLikelihood(observations) => Found::One(of_time.log_likelihood(observations)?),
            Quantity::Sample(count) => sample(subject, *count, &rewards, treatment)?,
            Quantity::Sojourn(vertices) => of_vertices(own.total(quantity, &rewards)?, vertices),
            _ => own.total(quantity, &rewards)?,
        };
        let gradient = match quantity {
            _ if !question.gradients => None,
            Quantity::Function(..) | Quantity::LogLikelihood(_) => Some(of_time.gradient(quantity, &[])?),
            _ => Some(own.gradient(quantity, &rewards)?),
        };
        results.answers.push(Answered { quantity, found, gradient });
    }
    Ok(results)
}

/// One list for one time, else one for each.
fn by_vertex(mut rows: Vec<Vec<f64>>) -> Found {
    if rows.len() == 1 { Found::Many(rows.remove(0)) } else { Found::Table(rows) }
}

/// The model whose time to absorption is the total reward: at this θ or, for gradients, at every one.
fn transformed(
    subject: Subject<'_>,
    rewards: &[f64],
    treatment: &Treatment,
    gradients: bool,
) -> Result<Model, NoNumber> {
    let Model { graph, limits, .. } = subject.model;
    let options =
        if treatment.source == Source::Phasic { RewardOptions::compat() } else { RewardOptions::default() };
    let options = options.with_limits(limits.graph());
    let graph = if gradients {
        reward_transform_parameterized(graph, rewards, limits.graph())?
    } else if graph.was_dph() {
        reward_transform_discrete(graph, &subject.theta(), &rewards::counts(rewards)?, &options)?
    } else {
        reward_transform(graph, &subject.theta(), rewards, &options)?
    };
    Ok(Model::new(graph, *limits))
}

/// Samples of the time to absorption, or of total rewards, a row for each draw if there are several.
fn sample(
    subject: Subject<'_>,
    count: usize,
    rewards: &[&[f64]],
    treatment: &Treatment,
) -> Result<Found, NoNumber> {
    let mut limits = SampleLimits::default().with_memory_bytes(subject.model.limits.graph().memory_bytes);
    if let Some(limit) = treatment.max_jumps {
        limits = limits.with_steps(limit);
    }
    if !treatment.epochs.is_empty() {
        return Changing::new(subject, treatment)?.sample(treatment, count, rewards, limits);
    }
    let sampler = sampler(subject, treatment)?.with_limits(limits);
    Ok(match rewards {
        [] => Found::Many(sampler.times(treatment.seed, count)?),
        [rewards] => Found::Many(sampler.totals(treatment.seed, count, rewards)?),
        several => {
            let rows = sampler.joint_totals(treatment.seed, count, several)?;
            Found::Table(rows.rows().into_iter().map(|row| row.to_vec()).collect())
        }
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of jumps were checked")]
fn sampler(subject: Subject<'_>, treatment: &Treatment) -> Result<Sampler, NoNumber> {
    let (plan, theta) = (subject.plan()?, subject.theta());
    let Some(time) = treatment.alive_at else {
        let sampler = plan.sampler(&theta)?;
        if treatment.started_in.is_empty() {
            return Ok(sampler);
        }
        let mut probabilities = vec![0.0; subject.model.graph.vertex_count() as usize];
        for &(vertex, probability) in &treatment.started_in {
            probabilities[vertex as usize] += probability;
        }
        return Ok(sampler.started_in(&probabilities)?);
    };
    let survivors = if subject.model.graph.was_dph() {
        let law = plan.jumps(&theta)?;
        match treatment.max_jumps {
            Some(limit) => law.with_jump_limit(limit).survivors(time as u64),
            None => law.survivors(time as u64),
        }
    } else {
        let law = plan.distribution(&theta)?;
        match treatment.max_jumps {
            Some(limit) => law.with_jump_limit(limit).survivors(time),
            None => law.survivors(time),
        }
    };
    survivors.map_err(|error| of_survivors(error, time))
}

/// Those of the vertices named, in the order they are named, or all.
fn of_vertices(found: Found, vertices: &[u32]) -> Found {
    match found {
        Found::Many(all) if !vertices.is_empty() => {
            Found::Many(vertices.iter().filter_map(|&vertex| all.get(vertex as usize).copied()).collect())
        }
        other => other,
    }
}
