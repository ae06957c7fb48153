//! `phasic eval`: numbers of a model.
//!
//! What is asked is in `question`, why it cannot be in `misfit` and `no_number`; the engine answers; `results` prints and
//! `picture` draws.

mod misfit;
mod no_number;
mod picture;
mod question;
mod results;

use std::sync::Arc;

use phasic_engine::graph::{Graph, GraphLimits};
use phasic_engine::plan::{AnalysisError, Plan};
use phasic_engine::question::{Asked, Eliminations, Model, Source};
use phasic_engine::trace::{EliminationError, Trace, eliminate};
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
use question::Written;
use results::Results;

pub(crate) fn run(arguments: &EvalArguments, context: &mut Context<'_>) -> Result<Answer, Failure> {
    let thetas = vectors::read("--theta", &arguments.theta)?;
    let mut written = Written::read(arguments)?;
    if let Some(file) = &arguments.plot {
        picture::check_file(file)?;
        picture::check(&written.question, "--plot")?;
    }
    if arguments.spark {
        picture::check(&written.question, "--spark")?;
    }
    let graph = Arc::new(context.graph(&arguments.model)?);
    // Every θ is found fit before the long work begins.
    thetas.iter().chain(&written.epochs).try_for_each(|theta| check(&graph, theta))?;
    written.check(&graph)?;
    let shown = Shown { limits: context.limits };
    let (model, source) = model(&graph, arguments, &shown)?;
    written.question.treatment.source = source;
    written.check(&graph)?;
    note_differences(&written, &graph, source);
    let asked: Vec<_> = if thetas.is_empty() { vec![None] } else { thetas.iter().map(Some).collect() };
    let mut answering = Asked::new(&model, &written.question);
    let mut all = Vec::new();
    for theta in asked {
        let answers = answering.answer(theta.map(|theta| &theta.values[..]));
        let answers = answers.map_err(|error| no_number::failure(error, theta))?;
        let results = Results::new(theta, &written.question.quantities, answers);
        if arguments.ndjson {
            context.output.line_at_once(results.json())?;
        }
        if !arguments.ndjson || arguments.plot.is_some() {
            all.push(results);
        }
    }
    let discrete = graph.was_dph();
    if let Some(file) = &arguments.plot {
        picture::write(file, &arguments.model.model, discrete, &all)?;
    }
    if !arguments.ndjson {
        // All or nothing: half a list would be no JSON.
        print(&all, discrete, arguments.spark, &mut context.output)?;
    }
    Ok(Answer::Done)
}

/// Says where phasic's numbers are not what one would think.
fn note_differences(written: &Written, graph: &Graph, source: Source) {
    if source == Source::Phasic && written.asks_for_transforms() {
        note(
            "warning: phasic's laplace takes every rate into absorption for 1; without --compat the numbers are right",
        );
    }
    if !graph.was_dph() || source == Source::Plan {
        return;
    }
    if written.asks_for_higher_moments() {
        note(
            "note: phasic's moments of a model in discrete time are those of its jump chain with exponential steps",
        );
    }
    if source == Source::Phasic && written.asks_for_faults() {
        note(
            "warning: phasic's variance without rewards and its covariance are wrong in discrete time; without --compat \
             the numbers are right",
        );
    }
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

/// Eliminations within the limits of the command line, shown as they go.
struct Shown {
    limits: Limits,
}

impl Eliminations for Shown {
    fn graph_limits(&self) -> GraphLimits {
        self.limits.graph()
    }

    fn analyze(&self, graph: &Graph) -> Result<Plan, AnalysisError> {
        plan_file::analyze(graph, &self.limits)
    }

    fn eliminate(&self, graph: &Graph) -> Result<Trace, EliminationError> {
        let mut bar = Bar::new("eliminating", Unit::Vertices);
        eliminate(graph, &self.limits.elimination(), &mut bar)
    }
}

/// What answers: a model, with the plan or program of a file if there is one.
fn model<'e>(
    graph: &Arc<Graph>,
    arguments: &EvalArguments,
    shown: &'e Shown,
) -> Result<(Model<'e>, Source), Failure> {
    let model = Model::new(Arc::clone(graph), shown);
    let Some(path) = &arguments.artifact else {
        if arguments.compat {
            warn_of_parallel_edges(graph, "--compat");
            return Ok((model, Source::Phasic));
        }
        return Ok((model, Source::Plan));
    };
    let bytes = inspect::read(path)?;
    let refused = |why: String| {
        Failure::refused(format!("'{}' must not be used for this model: {why}", path.display()))
    };
    if plan_file::is_plan(&bytes) {
        let plan = plan_file::verify(&bytes, graph, &shown.limits).map_err(|failure| match failure {
            Failure::Refused(why) => refused(why),
            other => other,
        })?;
        return Ok((model.with_plan(Arc::new(plan)), Source::Plan));
    }
    let mut bar = Bar::new("verifying", Unit::Vertices);
    let limits = shown.limits.elimination();
    let verified = verify(&bytes, graph, graph.content_hash(), &limits, &mut bar).map_err(|error| {
        let refusal = Refusal::new(error, &bytes, graph);
        refused(advised(&refusal, flag_of_refusal(&refusal)))
    })?;
    drop(bar);
    if verified.evidence == Evidence::Reproduced {
        warn_of_parallel_edges(graph, "--artifact");
    }
    Ok((model.with_trace(Arc::new(verified.decoded.trace)), Source::Program))
}

fn warn_of_parallel_edges(graph: &Graph, flag: &str) {
    if graph.has_parallel_edges() {
        note(format!(
            "warning: this model has parallel edges, which phasic's program can count wrongly; without {flag} the \
             numbers are right"
        ));
    }
}

/// Whether the model can be weighed by θ.
fn check(graph: &Graph, theta: &Vector) -> Result<(), Failure> {
    let weights = graph.weights(&theta.values);
    weights.map(drop).map_err(|error| Failure::input(format!("{}: {error}", theta.origin)))
}
