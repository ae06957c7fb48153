//! `phasic eval`: numbers of a model.
//!
//! One program, replayed at each θ. Which numbers, and how they are printed, is in `question`.

mod question;

use phasic_engine::graph::Graph;
use phasic_engine::trace::{Limits, Trace, eliminate};
use phasic_hub_client::verification::verify;

use super::Answer;
use super::inspect;
use crate::arguments::EvalArguments;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::{Bar, Unit};
use crate::vectors::Vector;
use crate::{Context, note, vectors};
use question::{Question, Results};

pub(crate) fn run(arguments: &EvalArguments, context: &mut Context<'_>) -> Result<Answer, Failure> {
    let thetas = vectors::read("--theta", &arguments.theta)?;
    let question = Question::new(&arguments.quantity, vectors::read("--rewards", &arguments.rewards)?)?;
    let graph = context.graph(&arguments.model)?;
    question.check_lengths(&graph)?;
    // Every θ is found fit before the long work begins.
    thetas.iter().try_for_each(|theta| weights(&graph, Some(theta)).map(drop))?;
    let program = Program::of(graph, arguments)?;
    if program.graph.was_dph() && question.asks_for_higher_moments() {
        note(
            "note: moments of a model in discrete time are those of its jump chain with exponential steps, as in phasic",
        );
    }
    let asked: Vec<_> = if thetas.is_empty() { vec![None] } else { thetas.iter().map(Some).collect() };
    // All or nothing: half a list would be no JSON.
    let answers =
        asked.into_iter().map(|theta| program.evaluate(theta, &question)).collect::<Result<Vec<_>, _>>()?;
    print(&answers, &mut context.output)?;
    Ok(Answer::Done)
}

fn print(answers: &[Results<'_>], output: &mut Output<'_>) -> Result<(), Failure> {
    for (place, results) in answers.iter().enumerate() {
        if output.json {
            output.list_item(place, &results.json())?;
            continue;
        }
        if place > 0 {
            output.line("")?;
        }
        results.print(output)?;
    }
    if output.json { output.end_list() } else { Ok(()) }
}

/// A program and the graph whose edges it reads.
struct Program {
    graph: Graph,
    trace: Trace,
}

impl Program {
    fn of(graph: Graph, arguments: &EvalArguments) -> Result<Self, Failure> {
        let Some(path) = &arguments.artifact else {
            let graph = if graph.has_parallel_edges() { graph.merge_parallel_edges() } else { graph };
            let trace = eliminate(&graph, &Limits::default(), &mut Bar::new("eliminating", Unit::Vertices))?;
            return Ok(Self { graph, trace });
        };
        let bytes = inspect::read(path)?;
        let mut bar = Bar::new("verifying", Unit::Vertices);
        let verified =
            verify(&bytes, &graph, graph.content_hash(), &Limits::default(), &mut bar).map_err(|error| {
                Failure::refused(format!("'{}' must not be used for this model: {error}", path.display()))
            })?;
        drop(bar);
        if graph.has_parallel_edges() {
            note(
                "warning: this model has parallel edges, which phasic's program can count wrongly; without --artifact the \
             numbers are right",
            );
        }
        Ok(Self { graph, trace: verified.decoded.trace })
    }

    fn evaluate<'a>(
        &self,
        theta: Option<&'a Vector>,
        question: &'a Question,
    ) -> Result<Results<'a>, Failure> {
        let place = theta.map_or_else(
            || "with the model's own weights".to_owned(),
            |theta| format!("at {}", theta.origin),
        );
        let weights = weights(&self.graph, theta)?;
        self.trace
            .replay(&self.graph, &weights)
            .and_then(|replay| question.answer(&replay, theta))
            .map_err(|error| Failure::input(format!("the model has no such number {place}: {error}")))
    }
}

/// The weights under θ; without one those the model was built with.
fn weights(graph: &Graph, theta: Option<&Vector>) -> Result<Vec<f64>, Failure> {
    match theta {
        None => Ok(graph.unit_weights()),
        Some(theta) => {
            graph.weights(&theta.values).map_err(|error| Failure::input(format!("{}: {error}", theta.origin)))
        }
    }
}
