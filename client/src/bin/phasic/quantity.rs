//! The quantities `phasic eval` computes, as words on the command line and as keys in its JSON.
//!
//! Names and their arguments only; what they mean, and the numbers, are the engine's.

use phasic_engine::question::{Function, MOST_MOMENTS, Quantity, States};

use crate::failure::Failure;
use crate::points;

/// Most samples of one question.
const MOST_SAMPLES: usize = 10_000_000;

const SUPPORTED: &str = "expectation, variance, moments=K, factorial-moments=K, covariance, correlation, waiting-time, waiting-time=V, sojourn, sojourn=V, \
                         pdf=T, pmf=J, cdf=T, survival=T, hazard=T, quantile=P, laplace=S, stop-probability=T, visiting-time=T, \
                         sample=N, loglik=DATA";

const FUNCTIONS: [Function; 7] = [
    Function::Pdf,
    Function::Pmf,
    Function::Cdf,
    Function::Survival,
    Function::Hazard,
    Function::Quantile,
    Function::Laplace,
];

const STATES: [States; 2] = [States::StopProbability, States::VisitingTimes];

/// The word for a quantity, which is its key in JSON. One word may stand for several quantities of the engine, by the
/// number of reward vectors.
pub(crate) fn key(quantity: &Quantity) -> &'static str {
    match quantity {
        Quantity::Covariance | Quantity::Covariances => "covariance",
        Quantity::Correlation | Quantity::Correlations => "correlation",
        Quantity::FactorialMoments(_) => "factorial-moments",
        Quantity::WaitingTimes(_) => "waiting-time",
        Quantity::SojournTimes(_) => "sojourn",
        Quantity::States(states, _) => word(*states),
        Quantity::Sample(_) | Quantity::JointSample(_) => "sample",
        Quantity::LogLikelihood(_) => "loglik",
        other => other.name(),
    }
}

fn word(states: States) -> &'static str {
    match states {
        States::StopProbability => "stop-probability",
        States::VisitingTimes => "visiting-time",
    }
}

/// The numbers at which it is asked, if it is a function of numbers.
pub(crate) fn points(quantity: &Quantity) -> Option<&[f64]> {
    match quantity {
        Quantity::Function(_, points) | Quantity::States(_, points) => Some(points),
        _ => None,
    }
}

/// What the argument of a function is called in a model of this kind of time.
pub(crate) fn variable(function: Function, discrete: bool) -> &'static str {
    match function {
        Function::Quantile => "p",
        Function::Laplace => "s",
        _ if discrete => "jumps",
        _ => "t",
    }
}

/// The quantity that a word means under so many reward vectors: of several, all covariances, or draws of all totals.
pub(crate) fn under(quantity: Quantity, rewards: usize) -> Quantity {
    match quantity {
        Quantity::Covariance if rewards > 2 => Quantity::Covariances,
        Quantity::Correlation if rewards > 2 => Quantity::Correlations,
        Quantity::Sample(count) if rewards > 1 => Quantity::JointSample(count),
        other => other,
    }
}

fn function_points(function: Function, text: &str) -> Result<Vec<f64>, Failure> {
    let (fits, rule): (fn(f64) -> bool, _) = match function {
        Function::Quantile => (|p| (0.0..=1.0).contains(&p), "probabilities are from 0 to 1"),
        Function::Laplace => (|s| s >= 0.0, "s is a number from 0 on"),
        _ => (|t| t >= 0.0, "times are numbers from 0 on"),
    };
    points::read(function.name(), text, fits, rule)
}

/// Reads one quantity as it is written on the command line.
pub(crate) fn read(text: &str) -> Result<Quantity, Failure> {
    let (name, argument) = match text.split_once('=') {
        Some((name, argument)) => (name, Some(argument)),
        None => (text, None),
    };
    let refused = |why: String| Failure::input(format!("--quantity {text}: {why}"));
    if let Some(function) = FUNCTIONS.into_iter().find(|function| function.name() == name) {
        let argument = argument.ok_or_else(|| refused(missing_points(name)))?;
        return Ok(Quantity::Function(function, function_points(function, argument)?));
    }
    if let Some(states) = STATES.into_iter().find(|states| word(*states) == name) {
        let argument = argument.ok_or_else(|| refused(missing_points(name)))?;
        let times = points::read(name, argument, |t| t >= 0.0, "times are numbers from 0 on")?;
        return Ok(Quantity::States(states, times));
    }
    match (name, argument) {
        ("moments", count) => Ok(Quantity::Moments(how_many(name, count).map_err(refused)?)),
        ("factorial-moments", count) => {
            Ok(Quantity::FactorialMoments(how_many(name, count).map_err(refused)?))
        }
        ("sample", Some(count)) => match count.parse() {
            Ok(count @ 1..=MOST_SAMPLES) => Ok(Quantity::Sample(count)),
            _ => Err(refused(format!(
                "sample=N needs a whole number N from 1 to {MOST_SAMPLES}, as in sample=1000"
            ))),
        },
        ("sample", None) => Err(refused("say how many samples, as in sample=1000".into())),
        ("loglik", Some(data)) => Ok(Quantity::LogLikelihood(points::read_observations(name, data)?)),
        ("loglik", None) => Err(refused(
            "say which observations, as in loglik=@data.csv or loglik=0.5,1.2 (a + after those still alive)"
                .into(),
        )),
        ("expectation", None) => Ok(Quantity::Expectation),
        ("variance", None) => Ok(Quantity::Variance),
        ("covariance", None) => Ok(Quantity::Covariance),
        ("correlation", None) => Ok(Quantity::Correlation),
        ("waiting-time", list) => Ok(Quantity::WaitingTimes(vertices(name, list).map_err(refused)?)),
        ("sojourn", list) => Ok(Quantity::SojournTimes(vertices(name, list).map_err(refused)?)),
        ("expectation" | "variance" | "covariance" | "correlation", Some(_)) => {
            Err(refused(format!("{name} takes no '=…'")))
        }
        _ => Err(refused(format!("this version computes {SUPPORTED}"))),
    }
}

/// The vertices that are named, if any are.
fn vertices(name: &str, list: Option<&str>) -> Result<Option<Vec<u32>>, String> {
    let vertices = list.map(|list| list.split(',').map(|vertex| vertex.trim().parse()).collect());
    vertices
        .transpose()
        .map_err(|_| format!("{name}=V needs numbers of vertices, as in {name}=1,4; {name} is of all"))
}

/// How many moments are asked for.
fn how_many(name: &str, count: Option<&str>) -> Result<u32, String> {
    let Some(count) = count else { return Err(format!("say how many moments, as in {name}=4")) };
    match count.parse() {
        Ok(count @ 1..=MOST_MOMENTS) => Ok(count),
        _ => Err(format!("{name}=K needs a whole number K from 1 to {MOST_MOMENTS}, as in {name}=4")),
    }
}

fn missing_points(name: &str) -> String {
    match name {
        "quantile" => "say of which probabilities, as in quantile=0.05,0.5,0.95".to_owned(),
        "laplace" => "say at which s, as in laplace=0.1,1".to_owned(),
        "pmf" => "say for which numbers of jumps, as in pmf=0:20:21".to_owned(),
        _ => format!("say at which times, as in {name}=0.5,2 or {name}=0:10:101"),
    }
}

#[cfg(test)]
mod tests {
    use phasic_engine::question::Observations;

    use super::*;

    #[test]
    fn every_supported_name_is_read() {
        for (text, quantity) in [
            ("expectation", Quantity::Expectation),
            ("variance", Quantity::Variance),
            ("moments=4", Quantity::Moments(4)),
            ("factorial-moments=3", Quantity::FactorialMoments(3)),
            ("covariance", Quantity::Covariance),
            ("correlation", Quantity::Correlation),
            ("waiting-time", Quantity::WaitingTimes(None)),
            ("waiting-time=0,2", Quantity::WaitingTimes(Some(vec![0, 2]))),
            ("sojourn", Quantity::SojournTimes(None)),
            ("sojourn=4,1", Quantity::SojournTimes(Some(vec![4, 1]))),
            ("pdf=1,2", Quantity::Function(Function::Pdf, vec![1.0, 2.0])),
            ("pmf=3", Quantity::Function(Function::Pmf, vec![3.0])),
            ("cdf=0:1:3", Quantity::Function(Function::Cdf, vec![0.0, 0.5, 1.0])),
            ("survival=1", Quantity::Function(Function::Survival, vec![1.0])),
            ("hazard=1", Quantity::Function(Function::Hazard, vec![1.0])),
            ("quantile=0.5", Quantity::Function(Function::Quantile, vec![0.5])),
            ("laplace=2", Quantity::Function(Function::Laplace, vec![2.0])),
            ("stop-probability=1", Quantity::States(States::StopProbability, vec![1.0])),
            ("visiting-time=1", Quantity::States(States::VisitingTimes, vec![1.0])),
            ("sample=10", Quantity::Sample(10)),
            ("loglik=1,2+", Quantity::LogLikelihood(Observations { seen: vec![1.0], alive: vec![2.0] })),
        ] {
            assert_eq!(read(text).unwrap(), quantity, "{text}");
            assert!(SUPPORTED.contains(key(&quantity)), "{text}");
        }
    }

    #[test]
    fn an_unknown_quantity_names_the_supported_ones() {
        for text in ["median", "", "PDF=1"] {
            let message = read(text).unwrap_err().to_string();
            assert_eq!(message, format!("--quantity {text}: this version computes {SUPPORTED}"));
        }
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for text in [
            "moments",
            "moments=",
            "moments=0",
            "moments=-1",
            "moments=1001",
            "moments=two",
            "factorial-moments",
            "factorial-moments=1001",
            "waiting-time=",
            "waiting-time=x",
            "sojourn=",
            "sojourn=1.5",
            "sojourn=-1",
            "pdf",
            "pdf=",
            "cdf=-1",
            "quantile=1.5",
            "quantile",
            "laplace=-1",
            "sample",
            "sample=0",
            "sample=1.5",
            "loglik",
            "loglik=",
            "loglik=-1",
            "stop-probability",
        ] {
            assert_eq!(read(text).unwrap_err().exit_status(), 2, "{text}");
        }
    }
}
