//! Draws of times, jumps and total rewards.

use phasic_engine::distribution::{SampleLimits, Sampler, SamplingError};
use phasic_engine::plan::Plan;
use phasic_hub_api::{Quantity, Real, Values};

use super::Question;
use super::answer::{list, rows};
use super::no_number::NoNumber;

/// Draws what is asked for. The stream is a promise: the same seed gives the same draws, at every θ and on every machine.
pub(super) fn draw(
    plan: &Plan,
    question: &Question,
    theta: &[f64],
    quantity: &Quantity,
    values: &mut Values,
) -> Result<(), NoNumber> {
    let limits = SampleLimits::default().with_steps(question.jump_limit);
    let sampler = sampler(plan, question, theta)?.with_limits(limits);
    let seed = question.seed;
    match quantity {
        Quantity::Sample(count) => {
            let count = *count as usize;
            let drawn: Vec<f64> = match question.rewards.first() {
                Some(rewards) => sampler.totals(seed, count, rewards)?,
                None => sampler.times(seed, count)?,
            };
            values.sample = Some(list(&drawn));
        }
        Quantity::JointSample(count) => {
            let rewards: Vec<&[f64]> = question.rewards.iter().map(Vec::as_slice).collect();
            values.joint_sample = Some(rows(&sampler.joint_totals(seed, *count as usize, &rewards)?));
        }
        // All others are answered elsewhere.
        _ => {}
    }
    Ok(())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of jumps were checked")]
fn sampler(plan: &Plan, question: &Question, theta: &[f64]) -> Result<Sampler, NoNumber> {
    let Some(time) = question.alive_at else { return Ok(plan.sampler(theta)?) };
    let survivors = if plan.is_discrete() {
        plan.jumps(theta)?.with_jump_limit(question.jump_limit).survivors(time as u64)
    } else {
        // As all samples: of a process that starts.
        plan.distribution(theta)?.with_jump_limit(question.jump_limit).survivors(time)
    };
    survivors.map_err(|error| match error {
        SamplingError::NoMass => {
            NoNumber(format!("nothing is alive at {}; sample at an earlier alive_at", Real(time).0))
        }
        other => other.into(),
    })
}
