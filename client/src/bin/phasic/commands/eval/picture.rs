//! Functions of time as pictures: one panel for each function, one curve for each θ.

use std::io::Write as _;
use std::path::Path;

use phasic_engine::question::{Found, Function, Quantity, Question};

use super::results::Results;
use crate::chart::{Curve, Panel, Shape, spark, svg};
use crate::destination::Destination;
use crate::failure::Failure;
use crate::output::{Output, list};
use crate::quantity::variable;

/// Checks that there will be something to draw.
pub(super) fn check(question: &Question, flag: &str) -> Result<(), Failure> {
    let drawn = |quantity: &Quantity| match quantity {
        Quantity::Function(function, points) => {
            function.is_of_time() && points.iter().any(|point| *point != points[0])
        }
        _ => false,
    };
    if question.quantities.iter().any(drawn) {
        return Ok(());
    }
    Err(Failure::input(format!(
        "{flag} draws pdf, pmf, cdf, survival and hazard; ask for one of them at two times or more, as in --quantity \
         pdf=0:10:101"
    )))
}

/// Checks where a picture is to go.
pub(super) fn check_file(file: &Path) -> Result<(), Failure> {
    if file.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("svg")) {
        return Ok(());
    }
    Err(Failure::input(format!(
        "--plot writes SVG; call the file '{}'",
        file.with_extension("svg").display()
    )))
}

/// Writes the picture of everything found.
pub(super) fn write(file: &Path, model: &str, discrete: bool, all: &[Results<'_>]) -> Result<(), Failure> {
    let panels = panels(discrete, all);
    let names: Vec<&str> = panels.iter().map(|panel| &panel.y_label[..]).collect();
    let drawn = svg(&format!("{} of {model}", names.join(", ")), &panels);
    let mut destination = Destination::create(file)?;
    let failed = destination.failed();
    destination.write_all(drawn.as_bytes()).map_err(failed)?;
    destination.finish().map(drop)
}

/// A line for each function at one θ.
pub(super) fn print_sparks(
    results: &Results<'_>,
    discrete: bool,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    for Panel { x_label, y_label, curves, .. } in panels(discrete, std::slice::from_ref(results)) {
        for curve in curves {
            let ends = |end: Option<&(f64, f64)>| end.map_or(0.0, |point| point.0);
            let (first, last) = (ends(curve.points.first()), ends(curve.points.last()));
            let most = curve.points.iter().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max);
            output.line("")?;
            output.line(spark(&curve))?;
            output.line(format_args!("{y_label} for {x_label} from {first} to {last}, at most {most:.4}"))?;
        }
    }
    Ok(())
}

fn panels(discrete: bool, all: &[Results<'_>]) -> Vec<Panel> {
    let mut panels: Vec<Panel> = Vec::new();
    for (place, results) in all.iter().enumerate() {
        let name = match results.theta {
            Some(theta) if all.len() > 1 => format!("θ = {}", list(&theta.values)),
            _ => String::new(),
        };
        for (at, (function, points, answered)) in
            results.functions().filter(|(function, ..)| function.is_of_time()).enumerate()
        {
            if place == 0 {
                panels.push(Panel {
                    x_label: variable(function, discrete).to_owned(),
                    y_label: function.name().to_owned(),
                    shape: shape(function, discrete),
                    curves: Vec::new(),
                });
            }
            if let Found::Many(values) = &answered.found {
                panels[at].curves.push(Curve::new(name.clone(), points, values));
            }
        }
    }
    panels
}

fn shape(function: Function, discrete: bool) -> Shape {
    match function {
        _ if !discrete => Shape::Line,
        Function::Cdf | Function::Survival => Shape::Steps,
        _ => Shape::Stems,
    }
}
