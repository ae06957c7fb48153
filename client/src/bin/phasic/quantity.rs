//! The quantities `phasic eval` computes, as words on the command line and as keys in its JSON.
//!
//! Names and their arguments only; the numbers are made in `commands::eval`.

use std::fmt;

use crate::failure::Failure;
use crate::points::{self, Observations};

/// Most samples of one question.
const MOST_SAMPLES: usize = 10_000_000;

/// What can be asked of a model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Quantity {
    Expectation,
    Variance,
    /// The first so many raw moments.
    Moments(u32),
    /// The first so many factorial moments.
    FactorialMoments(u32),
    Covariance,
    Correlation,
    WaitingTime,
    /// In the vertices named, or in all.
    Sojourn(Vec<u32>),
    /// A number for each of some numbers.
    Function(Function, Vec<f64>),
    /// A number for each vertex, at each of some times.
    States(States, Vec<f64>),
    /// So many draws.
    Sample(usize),
    LogLikelihood(Observations),
}

/// Quantities with a number for each number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Pdf,
    Pmf,
    Cdf,
    Survival,
    Hazard,
    Quantile,
    Laplace,
}

/// Quantities with a number for each vertex at each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum States {
    StopProbability,
    VisitingTime,
}

const SUPPORTED: &str = "expectation, variance, moments=K, factorial-moments=K, covariance, correlation, waiting-time, sojourn, sojourn=V, pdf=T, pmf=J, \
                         cdf=T, survival=T, hazard=T, quantile=P, laplace=S, stop-probability=T, visiting-time=T, \
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

const STATES: [States; 2] = [States::StopProbability, States::VisitingTime];

impl Function {
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Pmf => "pmf",
            Self::Cdf => "cdf",
            Self::Survival => "survival",
            Self::Hazard => "hazard",
            Self::Quantile => "quantile",
            Self::Laplace => "laplace",
        }
    }

    /// Whether it is a function of time, and can be drawn over it.
    pub(crate) fn is_of_time(self) -> bool {
        !matches!(self, Self::Quantile | Self::Laplace)
    }

    /// What its argument is called in a model of this kind of time.
    pub(crate) fn variable(self, discrete: bool) -> &'static str {
        match self {
            Self::Quantile => "p",
            Self::Laplace => "s",
            _ if discrete => "jumps",
            _ => "t",
        }
    }

    fn points(self, text: &str) -> Result<Vec<f64>, Failure> {
        let (fits, rule): (fn(f64) -> bool, _) = match self {
            Self::Quantile => (|p| (0.0..=1.0).contains(&p), "probabilities are from 0 to 1"),
            Self::Laplace => (|s| s >= 0.0, "s is a number from 0 on"),
            _ => (|t| t >= 0.0, "times are numbers from 0 on"),
        };
        points::read(self.key(), text, fits, rule)
    }
}

impl States {
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::StopProbability => "stop-probability",
            Self::VisitingTime => "visiting-time",
        }
    }
}

impl Quantity {
    /// The key under which it appears in JSON, which is its name on the command line.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::Expectation => "expectation",
            Self::Variance => "variance",
            Self::Moments(_) => "moments",
            Self::FactorialMoments(_) => "factorial-moments",
            Self::Covariance => "covariance",
            Self::Correlation => "correlation",
            Self::WaitingTime => "waiting-time",
            Self::Sojourn(_) => "sojourn",
            Self::Function(function, _) => function.key(),
            Self::States(states, _) => states.key(),
            Self::Sample(_) => "sample",
            Self::LogLikelihood(_) => "loglik",
        }
    }

    /// The numbers at which it is asked, if it is a function of numbers.
    pub(crate) fn points(&self) -> Option<&[f64]> {
        match self {
            Self::Function(_, points) | Self::States(_, points) => Some(points),
            _ => None,
        }
    }

    /// Whether it follows from an elimination alone: expected totals and their moments.
    pub(crate) fn is_total(&self) -> bool {
        matches!(
            self,
            Self::Expectation
                | Self::Variance
                | Self::Moments(_)
                | Self::Covariance
                | Self::Correlation
                | Self::WaitingTime
                | Self::Sojourn(_)
        )
    }

    /// Whether there is a gradient of it.
    pub(crate) fn has_gradient(&self) -> bool {
        match self {
            Self::Expectation
            | Self::Variance
            | Self::Moments(_)
            | Self::Covariance
            | Self::LogLikelihood(_) => true,
            Self::Function(function, _) => {
                matches!(function, Function::Pdf | Function::Pmf | Function::Cdf | Function::Survival)
            }
            _ => false,
        }
    }

    /// Reads one quantity as it is written on the command line.
    pub(crate) fn read(text: &str) -> Result<Self, Failure> {
        let (name, argument) = match text.split_once('=') {
            Some((name, argument)) => (name, Some(argument)),
            None => (text, None),
        };
        let refused = |why: String| Failure::input(format!("--quantity {text}: {why}"));
        if let Some(function) = FUNCTIONS.into_iter().find(|function| function.key() == name) {
            let argument = argument.ok_or_else(|| refused(missing_points(name)))?;
            return Ok(Self::Function(function, function.points(argument)?));
        }
        if let Some(states) = STATES.into_iter().find(|states| states.key() == name) {
            let argument = argument.ok_or_else(|| refused(missing_points(name)))?;
            let times = points::read(name, argument, |t| t >= 0.0, "times are numbers from 0 on")?;
            return Ok(Self::States(states, times));
        }
        match (name, argument) {
            ("moments", count) => Ok(Self::Moments(how_many(name, count).map_err(refused)?)),
            ("factorial-moments", count) => {
                Ok(Self::FactorialMoments(how_many(name, count).map_err(refused)?))
            }
            ("sample", Some(count)) => match count.parse() {
                Ok(count @ 1..=MOST_SAMPLES) => Ok(Self::Sample(count)),
                _ => Err(refused(format!(
                    "sample=N needs a whole number N from 1 to {MOST_SAMPLES}, as in sample=1000"
                ))),
            },
            ("sample", None) => Err(refused("say how many samples, as in sample=1000".into())),
            ("loglik", Some(data)) => Ok(Self::LogLikelihood(points::read_observations(name, data)?)),
            ("loglik", None) => Err(refused(
                "say which observations, as in loglik=@data.csv or loglik=0.5,1.2 (a + after those still alive)".into(),
            )),
            ("expectation", None) => Ok(Self::Expectation),
            ("variance", None) => Ok(Self::Variance),
            ("covariance", None) => Ok(Self::Covariance),
            ("correlation", None) => Ok(Self::Correlation),
            ("waiting-time", None) => Ok(Self::WaitingTime),
            ("sojourn", None) => Ok(Self::Sojourn(Vec::new())),
            ("sojourn", Some(list)) => {
                let vertices = list.split(',').map(|vertex| vertex.trim().parse()).collect::<Result<_, _>>();
                vertices.map(Self::Sojourn).map_err(|_| {
                    refused("sojourn=V needs numbers of vertices, as in sojourn=1,4; sojourn is of all".into())
                })
            }
            ("expectation" | "variance" | "covariance" | "correlation" | "waiting-time", Some(_)) => {
                Err(refused(format!("{name} takes no '=…'")))
            }
            _ => Err(refused(format!("this version computes {SUPPORTED}"))),
        }
    }
}

/// How many moments are asked for.
fn how_many(name: &str, count: Option<&str>) -> Result<u32, String> {
    let Some(count) = count else { return Err(format!("say how many moments, as in {name}=4")) };
    match count.parse() {
        Ok(count @ 1..=1000) => Ok(count),
        _ => Err(format!("{name}=K needs a whole number K from 1 to 1000, as in {name}=4")),
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

impl fmt::Display for Quantity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.key())
    }
}

#[cfg(test)]
mod tests {
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
            ("waiting-time", Quantity::WaitingTime),
            ("sojourn", Quantity::Sojourn(vec![])),
            ("sojourn=4,1", Quantity::Sojourn(vec![4, 1])),
            ("pdf=1,2", Quantity::Function(Function::Pdf, vec![1.0, 2.0])),
            ("pmf=3", Quantity::Function(Function::Pmf, vec![3.0])),
            ("cdf=0:1:3", Quantity::Function(Function::Cdf, vec![0.0, 0.5, 1.0])),
            ("survival=1", Quantity::Function(Function::Survival, vec![1.0])),
            ("hazard=1", Quantity::Function(Function::Hazard, vec![1.0])),
            ("quantile=0.5", Quantity::Function(Function::Quantile, vec![0.5])),
            ("laplace=2", Quantity::Function(Function::Laplace, vec![2.0])),
            ("stop-probability=1", Quantity::States(States::StopProbability, vec![1.0])),
            ("visiting-time=1", Quantity::States(States::VisitingTime, vec![1.0])),
            ("sample=10", Quantity::Sample(10)),
            ("loglik=1,2+", Quantity::LogLikelihood(Observations { seen: vec![1.0], alive: vec![2.0] })),
        ] {
            assert_eq!(Quantity::read(text).unwrap(), quantity, "{text}");
            assert!(SUPPORTED.contains(quantity.key()), "{text}");
        }
    }

    #[test]
    fn an_unknown_quantity_names_the_supported_ones() {
        for text in ["median", "", "PDF=1"] {
            let message = Quantity::read(text).unwrap_err().to_string();
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
            assert_eq!(Quantity::read(text).unwrap_err().exit_status(), 2, "{text}");
        }
    }
}
