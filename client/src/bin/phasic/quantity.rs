//! The quantities `phasic eval` computes, as words on the command line and as keys in its JSON.
//!
//! Names only; the numbers are made in `commands::eval`.

use std::fmt;
use std::str::FromStr;

/// What can be asked of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantity {
    Expectation,
    Variance,
    /// The first so many raw moments.
    Moments(u32),
    Covariance,
    WaitingTime,
    Sojourn,
}

const SUPPORTED: &str = "expectation, variance, moments=K, covariance, waiting-time, sojourn";

impl Quantity {
    /// The key under which it appears in JSON, which is its name on the command line.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Expectation => "expectation",
            Self::Variance => "variance",
            Self::Moments(_) => "moments",
            Self::Covariance => "covariance",
            Self::WaitingTime => "waiting-time",
            Self::Sojourn => "sojourn",
        }
    }
}

impl Quantity {
    /// Whether there is a gradient of it: of numbers, not of lists by vertex.
    pub(crate) fn has_gradient(self) -> bool {
        !matches!(self, Self::WaitingTime | Self::Sojourn)
    }
}

impl FromStr for Quantity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, argument) = match text.split_once('=') {
            Some((name, argument)) => (name, Some(argument)),
            None => (text, None),
        };
        let quantity = match (name, argument) {
            ("moments", Some(count)) => match count.parse() {
                Ok(count @ 1..=1000) => Self::Moments(count),
                _ => {
                    return Err("moments=K needs a whole number K from 1 to 1000, as in moments=4".to_owned());
                }
            },
            ("moments", None) => return Err("say how many moments, as in moments=4".to_owned()),
            ("expectation", None) => Self::Expectation,
            ("variance", None) => Self::Variance,
            ("covariance", None) => Self::Covariance,
            ("waiting-time", None) => Self::WaitingTime,
            ("sojourn", None) => Self::Sojourn,
            ("expectation" | "variance" | "covariance" | "waiting-time" | "sojourn", Some(_)) => {
                return Err(format!("{name} takes no '=…'"));
            }
            _ => return Err(format!("this version computes {SUPPORTED}")),
        };
        Ok(quantity)
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
            ("covariance", Quantity::Covariance),
            ("waiting-time", Quantity::WaitingTime),
            ("sojourn", Quantity::Sojourn),
        ] {
            assert_eq!(text.parse(), Ok(quantity));
        }
    }

    #[test]
    fn an_unknown_quantity_names_the_supported_ones() {
        for text in ["pdf=1,2", "cdf=1", "median", ""] {
            assert_eq!(text.parse::<Quantity>().unwrap_err(), format!("this version computes {SUPPORTED}"));
        }
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for text in
            ["moments", "moments=", "moments=0", "moments=-1", "moments=1001", "moments=two", "sojourn=3"]
        {
            assert!(text.parse::<Quantity>().is_err(), "{text}");
        }
    }
}
