//! The `phasic` command.
//!
//! Reads the command line, runs one command, and turns its end into an exit status. What commands do is in
//! `commands`, one file each.
#![forbid(unsafe_code)]

mod arguments;
mod chart;
mod commands;
mod destination;
mod failure;
mod limits;
mod output;
mod plan_file;
mod points;
mod progress;
mod quantity;
mod settings;
mod source;
mod vectors;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Command};
use commands::Answer;
use failure::Failure;
use limits::Limits;
use output::Output;
use settings::Settings;

/// What every command is given.
struct Context<'a> {
    settings: Settings,
    limits: Limits,
    output: Output<'a>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(answer) => ExitCode::from(answer.exit_status()),
        Err(failure) => {
            if !matches!(failure, Failure::BrokenPipe) {
                note(format_args!("error: {failure}"));
            }
            ExitCode::from(failure.exit_status())
        }
    }
}

fn run(arguments: Arguments) -> Result<Answer, Failure> {
    let settings = Settings::gather(&arguments.global)?;
    let output = Output::new(arguments.global.json, std::io::stdout().lock());
    let mut context = Context { settings, limits: arguments.limits, output };
    let answer = match arguments.command {
        Command::Models(models) => commands::models::run(&models, &mut context),
        Command::Hash(model) => commands::hash::run(&model, &mut context),
        Command::Graph(graph) => commands::graph::run(&graph, &mut context),
        Command::Forecast(model) => commands::forecast::run(&model, &mut context),
        Command::Eliminate(eliminate) => commands::eliminate::run(&eliminate, &mut context),
        Command::Inspect(inspect) => commands::inspect::run(&inspect, &mut context),
        Command::Eval(eval) => commands::eval::run(&eval, &mut context),
        Command::Transform(transform) => commands::transform::run(&transform, &mut context),
        Command::List(list) => commands::list::run(&list, &mut context),
        Command::Show(show) => commands::show::run(&show, &mut context),
        Command::Pull(pull) => commands::pull::run(&pull, &mut context),
    };
    // What was printed before a failure is part of the story, as in `inspect` of a bad file.
    context.output.finish()?;
    answer
}

/// Says something on standard error. When even that has gone, there is nobody left to tell.
fn note(message: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{message}");
}
