//! `phasic eval`: numbers of a model.
//!
//! What is asked, and whether it can be, is in `question`; `model` has the eliminations; a `law` answers at one θ, in
//! continuous or discrete time, with changing parameters or as phasic does; `results` prints.

mod answer;
mod continuous;
mod discrete;
mod epochs;
mod law;
mod model;
mod no_number;
mod phasic;
mod picture;
mod question;
mod results;

use phasic_engine::graph::Graph;
use phasic_hub_client::refusal::Refusal;
use phasic_hub_client::verification::{Evidence, verify};

use super::Answer;
use super::inspect;
use crate::arguments::EvalArguments;
use crate::failure::Failure;
use crate::limits::{Limits, advised, flag_of_refusal};
use crate::output::Output;
use crate::progress::{Bar, Unit};
use crate::quantity::Quantity;
use crate::vectors::Vector;
use crate::{Context, note, plan_file, vectors};
use law::{Epoch, Source, Treatment};
use model::Model;
use no_number::NoNumber;
use question::Question;
use results::Results;

pub(crate) fn run(arguments: &EvalArguments, context: &mut Context<'_>) -> Result<Answer, Failure> {
    let thetas = vectors::read("--theta", &arguments.theta)?;
    let rewards = vectors::read("--rewards", &arguments.rewards)?;
    let quantities = arguments.quantity.iter().map(|text| Quantity::read(text)).collect::<Result<_, _>>()?;
    let question = Question::new(quantities, rewards, arguments.grad)?;
    let mut treatment = treatment(arguments)?;
    if let Some(file) = &arguments.plot {
        picture::check_file(file)?;
        picture::check(&question, "--plot")?;
    }
    if arguments.spark {
        picture::check(&question, "--spark")?;
    }
    let graph = context.graph(&arguments.model)?;
    let discrete = graph.was_dph();
    question.check_model(&graph)?;
    // Every θ is found fit before the long work begins.
    let epochs = treatment.epochs.iter().map(|epoch| &epoch.theta);
    thetas.iter().chain(epochs).try_for_each(|theta| check(&graph, theta))?;
    let (model, source) = model(graph, arguments, &context.limits)?;
    treatment.source = source;
    question.check_treatment(&treatment, &model.graph)?;
    if discrete && source != Source::Plan && question.asks_for_higher_moments() {
        note(
            "note: phasic's moments of a model in discrete time are those of its jump chain with exponential steps",
        );
    }
    if discrete && source == Source::Phasic && question.asks_for_faults() {
        note(
            "warning: phasic's variance without rewards and its covariance are wrong in discrete time; without --compat \
             the numbers are right",
        );
    }
    if source == Source::Phasic && question.asks_for_transforms() {
        note(
            "warning: phasic's laplace takes every rate into absorption for 1; without --compat the numbers are right",
        );
    }
    let asked: Vec<_> = if thetas.is_empty() { vec![None] } else { thetas.iter().map(Some).collect() };
    let mut all = Vec::new();
    for theta in asked {
        let results = evaluate(&model, theta, &question, &treatment)?;
        if arguments.ndjson {
            context.output.line_at_once(results.json())?;
        }
        if !arguments.ndjson || arguments.plot.is_some() {
            all.push(results);
        }
    }
    if let Some(file) = &arguments.plot {
        picture::write(file, &arguments.model.model, discrete, &all)?;
    }
    if !arguments.ndjson {
        // All or nothing: half a list would be no JSON.
        print(&all, discrete, arguments.spark, &mut context.output)?;
    }
    Ok(Answer::Done)
}

fn treatment(arguments: &EvalArguments) -> Result<Treatment, Failure> {
    if let Some(tolerance) = arguments.tolerance.filter(|tolerance| !(1e-14..=0.01).contains(tolerance)) {
        return Err(Failure::input(format!("--tolerance {tolerance}: a tolerance is from 1e-14 to 0.01")));
    }
    if let Some(time) = arguments.alive_at.filter(|time| !(0.0..f64::INFINITY).contains(time)) {
        return Err(Failure::input(format!("--alive-at {time}: a time is a number from 0 on")));
    }
    Ok(Treatment {
        source: Source::Plan,
        start: arguments.start.into(),
        tolerance: arguments.tolerance,
        granularity: arguments.granularity,
        seed: arguments.seed,
        alive_at: arguments.alive_at,
        started_in: arguments
            .started_in
            .iter()
            .map(|text| vectors::read_start("--started-in", text))
            .collect::<Result<_, _>>()?,
        max_jumps: arguments.max_jumps,
        epochs: arguments.epoch.iter().map(|text| epoch(text)).collect::<Result<_, _>>()?,
    })
}

/// Reads `FROM:THETA`.
fn epoch(text: &str) -> Result<Epoch, Failure> {
    let wrong = || Failure::input(format!("--epoch {text}: write FROM:THETA, as in 1.5:0.3,2"));
    let (from, theta) = text.split_once(':').ok_or_else(wrong)?;
    let from = from.trim().parse().ok().filter(|from: &f64| *from > 0.0 && from.is_finite());
    let from =
        from.ok_or_else(|| Failure::input(format!("--epoch {text}: an epoch begins at a time above 0")))?;
    let mut vectors = vectors::read("--epoch", &[theta.to_owned()])?;
    let mut theta = vectors.pop().filter(|_| vectors.is_empty()).ok_or_else(wrong)?;
    theta.origin = format!("--epoch {text}");
    Ok(Epoch { from, theta })
}

fn print(
    answers: &[Results<'_>],
    discrete: bool,
    spark: bool,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    for (place, results) in answers.iter().enumerate() {
        if output.json {
            output.list_item(place, &results.json())?;
            continue;
        }
        if place > 0 {
            output.line("")?;
        }
        results.print(discrete, output)?;
        if spark {
            picture::print_sparks(results, discrete, output)?;
        }
    }
    if output.json { output.end_list() } else { Ok(()) }
}

/// What answers: a model, with the plan or program of a file if there is one.
fn model(graph: Graph, arguments: &EvalArguments, limits: &Limits) -> Result<(Model, Source), Failure> {
    let Some(path) = &arguments.artifact else {
        if arguments.compat {
            warn_of_parallel_edges(&graph, "--compat");
            return Ok((Model::new(graph, *limits), Source::Phasic));
        }
        return Ok((Model::new(graph, *limits), Source::Plan));
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
        return Ok((Model::new(graph, *limits).with_plan(plan), Source::Plan));
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
    Ok((Model::new(graph, *limits).with_trace(verified.decoded.trace), Source::Program))
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
    model: &Model,
    theta: Option<&'a Vector>,
    question: &'a Question,
    treatment: &Treatment,
) -> Result<Results<'a>, Failure> {
    answer::answer(model, theta, question, treatment).map_err(|error| match error {
        NoNumber::Failure(failure) => failure,
        NoNumber::Here(why) => {
            let place = theta
                .map_or_else(|| "with all parameters 1".to_owned(), |theta| format!("at {}", theta.origin));
            Failure::input(format!("the model has no such number {place}: {why}"))
        }
    })
}

/// Whether the model can be weighed by θ.
fn check(graph: &Graph, theta: &Vector) -> Result<(), Failure> {
    let weights = graph.weights(&theta.values);
    weights.map(drop).map_err(|error| Failure::input(format!("{}: {error}", theta.origin)))
}
