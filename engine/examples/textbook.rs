//! Textbook results, from models built in Rust: each number beside what the book says.
//!
//! ```text
//! cargo run -p phasic-engine --example textbook
//! ```
//!
//! `cargo test -p phasic-engine --example textbook` holds each number to the book's and does no more.

#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

use std::error::Error;

use phasic_engine::distribution::{Parameters, maximum, minimum, order_statistic_of_copies};
use phasic_engine::graph::{Graph, GraphBuilder, GraphError, GraphLimits, Rate, START};
use phasic_engine::plan::{Limits, Plan};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    coalescent()?;
    busy_period()?;
    system_of_components()
}

fn plan(graph: &Graph) -> Result<Plan, Box<dyn Error>> {
    Ok(Plan::analyze(graph, &Limits::default())?)
}

/// Prints numbers, which must be those of the book.
fn show(what: &str, found: &[f64], book: &[f64]) -> Outcome {
    println!("{what}: {found:?}");
    let near = |(found, wanted): (&f64, &f64)| (found - wanted).abs() <= 1e-12 * wanted.abs().max(1.0);
    if found.len() == book.len() && found.iter().zip(book).all(near) {
        return Ok(());
    }
    Err(format!("{what} is {found:?}, but the book has {book:?}").into())
}

/// Kingman's coalescent for `n` genes: `k` lineages become `k − 1` at the rate `k(k − 1)/2`, times θ.
fn kingman(n: u32) -> Result<Graph, GraphError> {
    let mut builder = GraphBuilder::new(1)?;
    for lineages in (1..=n).rev() {
        builder.add_vertex(&[lineages.cast_signed()])?;
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0))?;
    for (lineages, vertex) in (2..=n).rev().zip(1..) {
        let pairs = f64::from(lineages) * f64::from(lineages - 1) / 2.0;
        builder.add_edge(vertex, vertex + 1, Rate::Coefficients(&[pairs]))?;
    }
    Ok(builder.finish())
}

/// Wakeley, Coalescent Theory, 2009, sections 3.2 and 3.3: age `2(1 − 1/n)`, its variance `Σ 4/(k²(k−1)²)`; length
/// `2 Σ 1/k`, its variance `4 Σ 1/k²`; and the density of the age of two genes is exponential.
fn coalescent() -> Outcome {
    let n = 10_u32;
    let graph = kingman(n)?;
    let plan = plan(&graph)?;
    let law = plan.distribution(&[1.0])?;
    let sum = |term: fn(f64) -> f64| (1..n).map(|k| term(f64::from(k))).sum::<f64>();
    show("age", &[law.expectation()?], &[2.0 * (1.0 - 1.0 / f64::from(n))])?;
    let variance = sum(|k| 4.0 / (k * k * (k + 1.0) * (k + 1.0)));
    show("variance of the age", &[law.variance()?], &[variance])?;
    let lineages: Vec<f64> = (0..graph.vertex_count())
        .map(|v| if graph.is_absorbing(v) { 0.0 } else { f64::from(graph.state(v)[0]) })
        .collect();
    show("length", &[law.reward_expectation(&lineages)?], &[2.0 * sum(|k| 1.0 / k)])?;
    show("variance of the length", &[law.reward_variance(&lineages)?], &[4.0 * sum(|k| 1.0 / (k * k))])?;
    // The last coalescence is that of two genes, whatever came before: age and time with two lineages go together.
    let last: Vec<f64> = (0..graph.vertex_count()).map(|v| f64::from(u8::from(v == n - 1))).collect();
    show("variance of the last step", &[law.covariance(&[], &last)?], &[1.0])
}

/// Takács, Introduction to the Theory of Queues, 1962, chapter 1: the busy period of M/M/1 with load `ρ = λ/μ` lasts
/// `1/(μ − λ)`, its variance is `(1 + ρ)/(μ²(1 − ρ)³)`, its transform the smaller root of
/// `λ g² − (λ + μ + s) g + μ = 0`. 200 places stand for no limit.
fn busy_period() -> Outcome {
    let places = 200;
    let mut builder = GraphBuilder::new(1)?;
    for waiting in (1..=places).chain([0]) {
        builder.add_vertex(&[waiting])?;
    }
    let (first, last) = (1, places.cast_unsigned());
    builder.add_edge(START, first, Rate::Scalar(1.0))?;
    let (arrival, service) = (Rate::Coefficients(&[1.0, 0.0]), Rate::Coefficients(&[0.0, 1.0]));
    builder.add_edge(first, last + 1, service)?;
    for vertex in first..last {
        builder.add_edge(vertex, vertex + 1, arrival)?;
        builder.add_edge(vertex + 1, vertex, service)?;
    }
    let (lambda, mu) = (0.5, 1.0);
    let plan = plan(&builder.finish())?;
    let law = plan.distribution(&[lambda, mu])?;
    let load: f64 = lambda / mu;
    show("busy period", &[law.expectation()?], &[1.0 / (mu - lambda)])?;
    let variance = (1.0 + load) / (mu * mu * (1.0 - load).powi(3));
    show("its variance", &[law.variance()?], &[variance])?;
    let transform = |s: f64| {
        let sum = lambda + mu + s;
        // The smaller root, without subtracting what nearly agrees.
        2.0 * mu / (sum + (sum * sum - 4.0 * lambda * mu).sqrt())
    };
    show("its transform", &law.laplace(&[0.1, 1.0, 10.0])?, &[0.1, 1.0, 10.0].map(transform))
}

/// Ross, Introduction to Probability Models, 2014, chapters 5 and 9: units that fail at the rates 1, 2 and 3. In series the
/// first failure is exponential with their sum; in parallel the mean is `Σ 1/λ − Σ 1/(λ+μ) + 1/(λ+μ+ν)`; and the `r`-th of `n`
/// like units fails after `Σ 1/(n − i)` lives for `i` below `r`.
fn system_of_components() -> Outcome {
    let mut builder = GraphBuilder::new(1)?;
    let (on, off) = (builder.add_vertex(&[1])?, builder.add_vertex(&[0])?);
    builder.add_edge(START, on, Rate::Scalar(1.0))?;
    builder.add_edge(on, off, Rate::Coefficients(&[1.0]))?;
    let unit = builder.finish();
    let (units, limits, rates) = ([&unit; 3], GraphLimits::default(), [1.0, 2.0, 3.0]);
    let series = plan(&minimum(&units, Parameters::SideBySide, limits)?)?;
    let survival = series.distribution(&rates)?.survival(&[0.1, 1.0])?;
    show("reliability in series", &survival, &[(-0.6_f64).exp(), (-6.0_f64).exp()])?;
    let parallel = plan(&maximum(&units, Parameters::SideBySide, limits)?)?;
    let mean = 1.0 + 1.0 / 2.0 + 1.0 / 3.0 - 1.0 / 3.0 - 1.0 / 4.0 - 1.0 / 5.0 + 1.0 / 6.0;
    show("life in parallel", &[parallel.distribution(&rates)?.expectation()?], &[mean])?;
    let failed = plan(&order_statistic_of_copies(&unit, 50, 20, limits)?)?;
    let mean: f64 = (0..20).map(|i| 1.0 / f64::from(50 - i)).sum();
    show("until 20 of 50 have failed", &[failed.distribution(&[1.0])?.expectation()?], &[mean])
}

#[test]
fn the_numbers_are_those_of_the_books() {
    main().unwrap();
}
