//! The numbers at each θ.
//!
//! Questions about expectations and moments alone go through the plan sixteen θ at a time; all others one by one, on all
//! threads. Whatever the way, the numbers are the same.

use std::ops::{ControlFlow, Range};

use ndarray::ArrayView2;
use phasic_engine::plan::Plan;
use phasic_engine::question::{Answer, Asked, Found, Model, NoAnswer, Quantity, Source};
use phasic_hub_api::EvaluateResult;
use rayon::prelude::*;

use super::{Question, QuestionError, wire};
use crate::workers::Wanted;

/// θ that one thread goes through before it looks for others.
const RUN: usize = 16;

/// The results at a range of θ, in order; fewer when nobody wants them any more. Uses the threads of the pool it runs on.
pub(super) fn answer(
    model: &Model<'_>,
    plan: &Plan,
    question: &Question,
    range: Range<usize>,
    wanted: &Wanted,
) -> Vec<EvaluateResult> {
    let threads = rayon::current_num_threads().min(range.len().div_ceil(RUN)) as u64;
    if let Some(Some(results)) = question.purse.bill(threads).pay(|| in_lanes(plan, question, range.clone()))
    {
        return results;
    }
    let starts: Vec<usize> = range.clone().step_by(RUN).collect();
    let run = |&first: &usize| {
        let bill = question.purse.bill(1);
        let watch = || if bill.go_on() { wanted.go_on() } else { ControlFlow::Break(()) };
        let mut asked = Asked::new(model, &question.asked).watched(&watch);
        let run = (first..range.end.min(first + RUN)).take_while(|_| wanted.go_on().is_continue());
        let theta = |index| if question.as_built { None } else { Some(question.thetas.get(index)) };
        let answer = |index| {
            let found = bill.pay(|| asked.answer(theta(index))).unwrap_or(Err(NoAnswer::GivenUp));
            let said = |error| match error {
                NoAnswer::GivenUp => QuestionError::Spent.to_string(),
                other => other.to_string(),
            };
            result(question, index, found.map_err(said))
        };
        run.map(answer).collect::<Vec<_>>()
    };
    starts.par_iter().flat_map_iter(run).collect()
}

/// The results by the plan's own batches, if they suffice and every θ has numbers.
fn in_lanes(plan: &Plan, question: &Question, range: Range<usize>) -> Option<Vec<EvaluateResult>> {
    let (width, asked) = (question.thetas.width(), &question.asked);
    let simple = |quantity: &Quantity| match quantity {
        Quantity::Expectation | Quantity::Moments(1) => true,
        Quantity::Moments(_) => !plan.is_discrete(),
        _ => false,
    };
    let is_simple = question.side_by_side
        && asked.treatment.source == Source::Plan
        && asked.treatment.epochs.is_empty()
        && !asked.gradients
        && asked.quantities.iter().all(simple);
    if !is_simple || range.len() < 2 {
        return None;
    }
    let most =
        |quantity: &Quantity| if let Quantity::Moments(count) = quantity { *count as usize } else { 1 };
    let count = asked.quantities.iter().map(most).max()?;
    let numbers = question.thetas.values().get(range.start * width..range.end * width)?;
    let thetas = ArrayView2::from_shape((range.len(), width), numbers).ok()?;
    let mut batch = plan.batch(&thetas).ok()?;
    if let Some(rewards) = asked.rewards.first() {
        batch = batch.rewarded(rewards).ok()?;
    }
    let moments =
        batch.moments(count).ok().filter(|moments| moments.iter().all(|moment| moment.is_normal()))?;
    let shaped = |(index, row): (usize, ndarray::ArrayView1<'_, f64>)| {
        let value = |quantity: &Quantity| match quantity {
            Quantity::Moments(count) => Found::Many(row.iter().take(*count as usize).copied().collect()),
            _ => Found::One(row[0]),
        };
        let answer = |quantity| Answer { value: value(quantity), gradient: None };
        result(question, index, Ok(asked.quantities.iter().map(answer).collect()))
    };
    Some(range.zip(moments.rows()).map(shaped).collect())
}

fn result(question: &Question, index: usize, found: Result<Vec<Answer>, String>) -> EvaluateResult {
    let theta = question.thetas.get(index).to_vec();
    let mut result = EvaluateResult { index: index as u64, theta, ..EvaluateResult::default() };
    match found {
        Ok(answers) => {
            let (values, gradients) = wire::shaped(&question.asked.quantities, answers);
            (result.values, result.gradients) = (Some(values), gradients);
        }
        Err(error) => result.error = Some(error),
    }
    result
}
