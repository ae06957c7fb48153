//! `phasic eval`: numbers of a model.
//!
//! One plan, evaluated at each θ. Which numbers, and how they are printed, is in `question`; how they are found, in
//! `solver`.

mod question;
mod solver;

use phasic_engine::graph::Graph;
use phasic_engine::trace::eliminate;
use phasic_hub_client::refusal::Refusal;
use phasic_hub_client::verification::{Evidence, verify};

use super::Answer;
use super::inspect;
use crate::arguments::EvalArguments;
use crate::failure::Failure;
use crate::limits::{Limits, advised, flag_of_refusal};
use crate::output::Output;
use crate::progress::{Bar, Unit};
use crate::vectors::Vector;
use crate::{Context, note, plan_file, vectors};
use question::{Question, Results};
use solver::Solver;

pub(crate) fn run(arguments: &EvalArguments, context: &mut Context<'_>) -> Result<Answer, Failure> {
    let thetas = vectors::read("--theta", &arguments.theta)?;
    let rewards = vectors::read("--rewards", &arguments.rewards)?;
    let question = Question::new(&arguments.quantity, rewards, arguments.grad)?;
    let graph = context.graph(&arguments.model)?;
    question.check_lengths(&graph)?;
    // Every θ is found fit before the long work begins.
    thetas.iter().try_for_each(|theta| check(&graph, theta))?;
    let discrete = graph.was_dph();
    let solver = solver(graph, arguments, &context.limits)?;
    if discrete && question.asks_for_higher_moments() {
        note(
            "note: moments of a model in discrete time are those of its jump chain with exponential steps, as in phasic",
        );
    }
    let asked: Vec<_> = if thetas.is_empty() { vec![None] } else { thetas.iter().map(Some).collect() };
    // All or nothing: half a list would be no JSON.
    let answers =
        asked.into_iter().map(|theta| evaluate(&solver, theta, &question)).collect::<Result<Vec<_>, _>>()?;
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

/// What answers: a plan of the model, or the program of a file.
fn solver(graph: Graph, arguments: &EvalArguments, limits: &Limits) -> Result<Solver, Failure> {
    let Some(path) = &arguments.artifact else {
        if arguments.compat {
            warn_of_parallel_edges(&graph, "--compat");
            let trace =
                eliminate(&graph, &limits.elimination(), &mut Bar::new("eliminating", Unit::Vertices))?;
            return Ok(Solver::Program(Box::new((graph, trace))));
        }
        return Ok(Solver::Plan(Box::new(plan_file::analyze(&graph, limits)?)));
    };
    let bytes = inspect::read(path)?;
    let refused = |why: String| {
        Failure::refused(format!("'{}' must not be used for this model: {why}", path.display()))
    };
    if plan_file::is_plan(&bytes) {
        let plan = plan_file::verify(&bytes, &graph, limits).map_err(|failure| match failure {
            Failure::Refused(why) => refused(why),
            other => other,
        })?;
        return Ok(Solver::Plan(Box::new(plan)));
    }
    let mut bar = Bar::new("verifying", Unit::Vertices);
    let verified =
        verify(&bytes, &graph, graph.content_hash(), &limits.elimination(), &mut bar).map_err(|error| {
            let refusal = Refusal::new(error, &bytes, &graph);
            refused(advised(&refusal, flag_of_refusal(&refusal)))
        })?;
    drop(bar);
    if verified.evidence == Evidence::Reproduced {
        warn_of_parallel_edges(&graph, "--artifact");
    }
    Ok(Solver::Program(Box::new((graph, verified.decoded.trace))))
}

fn warn_of_parallel_edges(graph: &Graph, flag: &str) {
    if graph.has_parallel_edges() {
        note(format!(
            "warning: this model has parallel edges, which phasic's program can count wrongly; without {flag} the \
             numbers are right"
        ));
    }
}

fn evaluate<'a>(
    solver: &Solver,
    theta: Option<&'a Vector>,
    question: &'a Question,
) -> Result<Results<'a>, Failure> {
    let place =
        || theta.map_or_else(|| "with all parameters 1".to_owned(), |theta| format!("at {}", theta.origin));
    solver
        .at(theta.map(|theta| &theta.values[..]))
        .and_then(|numbers| question.answer(&numbers, theta))
        .map_err(|error| Failure::input(format!("the model has no such number {}: {error}", place())))
}

/// Whether the model can be weighed by θ.
fn check(graph: &Graph, theta: &Vector) -> Result<(), Failure> {
    let weights = graph.weights(&theta.values);
    weights.map(drop).map_err(|error| Failure::input(format!("{}: {error}", theta.origin)))
}
