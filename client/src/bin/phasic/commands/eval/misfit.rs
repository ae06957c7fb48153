//! Questions that the engine refuses, in the words of the command line.

use phasic_engine::question::{Misfit, Quantity, RewardVectors};

use super::question::Written;
use crate::failure::Failure;
use crate::quantity::key;

/// A quantity that is given twice.
pub(super) fn twice(quantity: &Quantity) -> Failure {
    Failure::input(format!("--quantity {} is given twice", key(quantity)))
}

/// Why a question cannot be asked.
pub(super) fn failure(misfit: &Misfit, written: &Written) -> Failure {
    Failure::input(sentence(misfit, written).unwrap_or_else(|| misfit.to_string()))
}

fn sentence(misfit: &Misfit, written: &Written) -> Option<String> {
    let quantity = |place: &usize| written.question.quantities.get(*place);
    let word = |place: &usize| quantity(place).map(key);
    Some(match misfit {
        Misfit::NoGradient { place, .. } => match quantity(place)? {
            Quantity::Covariances => {
                rewards("covariance", "exactly two --rewards with --grad", written.rewards.len())
            }
            other => format!(
                "--grad gives gradients of expectation, variance, moments, covariance, pdf, pmf, cdf, survival and \
                 loglik, but none of {}",
                key(other)
            ),
        },
        Misfit::Rewards { place, takes, given, .. } => {
            let gradients = written.question.gradients;
            rewards(word(place)?, takes_text(*takes, gradients), *given)
        }
        Misfit::RewardLength { index, found, vertices } => format!(
            "{}: {found} rewards, but the model has {vertices} vertices, the start included",
            written.rewards.get(*index)?
        ),
        Misfit::Vertex { place, vertex, vertices, .. } => format!(
            "{}: vertex {vertex} does not exist; the model has {vertices} vertices, the start is 0",
            word(place)?
        ),
        Misfit::Continuous { place, .. } if matches!(quantity(place)?, Quantity::FactorialMoments(_)) => {
            "factorial-moments are those of a number of jumps, but this model is in continuous time; ask for moments"
                .to_owned()
        }
        Misfit::Continuous { .. } => "pmf is the probability of a number of jumps, but this model is in continuous time; ask \
                                      for pdf"
            .to_owned(),
        Misfit::Discrete { place, .. } => {
            format!("{}: the model is in discrete time, and has no Laplace transform here", word(place)?)
        }
        Misfit::LawGradient { place, .. } => format!(
            "{}: the model is in discrete time, where --grad knows no functions of total rewards; leave out --grad",
            word(place)?
        ),
        Misfit::Jumps { place, index, value, .. } => jumps(quantity(place)?, *index, *value),
        Misfit::Tolerance { value } => format!("--tolerance {value}: a tolerance is from 1e-14 to 0.01"),
        Misfit::AliveWithoutSample => "--alive-at is for --quantity sample=N".to_owned(),
        Misfit::StartedWithoutSample => "--started-in is for --quantity sample=N".to_owned(),
        Misfit::StartedIn { vertex, vertices } => format!(
            "--started-in: vertex {vertex} does not exist; the model has {vertices} vertices, the start is 0"
        ),
        Misfit::StartedInEpochs => "--epoch does not go with --started-in; leave out one of them".to_owned(),
        Misfit::AliveAt { value } => format!("--alive-at {value}: a time is a number from 0 on"),
        Misfit::AliveAtJumps { .. } => {
            "--alive-at: the model is in discrete time, where numbers of jumps are whole".to_owned()
        }
        Misfit::NotOfProgram { place, .. } => {
            format!("{} does not come from a program; leave out --artifact, or give it a plan", word(place)?)
        }
        Misfit::NotOfPhasic { place, why, .. } => {
            let why = why.replace("reward vectors", "--rewards");
            format!("{}: {why}; leave out --compat for the right numbers", word(place)?)
        }
        Misfit::OptionOfPhasic { .. } => {
            "--compat takes initial probabilities as phasic does, as they are given; leave out --start conditional"
                .to_owned()
        }
        _ => return of_epochs(misfit, written),
    })
}

fn of_epochs(misfit: &Misfit, written: &Written) -> Option<String> {
    let word = |place: &usize| written.question.quantities.get(*place).map(key);
    Some(match misfit {
        Misfit::EpochsOfJumps => {
            "--epoch is for models in continuous time; this one is in discrete time".to_owned()
        }
        Misfit::NotOfRewardsInEpochs { place, .. } => format!(
            "--epoch goes with --rewards for expectation, variance, moments, covariance, correlation and sample, but not \
             for {}",
            word(place)?
        ),
        Misfit::NotOfEpochs { place, .. } => format!(
            "--epoch goes with expectation, variance, moments, covariance, correlation, functions of time, quantile, \
             stop-probability, visiting-time, loglik and sample, not with {}",
            word(place)?
        ),
        Misfit::NoGradientInEpochs { place, .. } => {
            format!(
                "--epoch goes with --grad for pdf, cdf, survival and loglik, but not for {}",
                word(place)?
            )
        }
        Misfit::EpochOrder { index, before, .. } => format!(
            "--epoch {}: epochs begin one after the other, each later than {before}",
            written.epochs.get(*index)?.origin
        ),
        _ => return None,
    })
}

fn takes_text(takes: RewardVectors, gradients: bool) -> &'static str {
    match takes {
        RewardVectors::None => "no --rewards",
        RewardVectors::AtMostOne => "at most one --rewards",
        RewardVectors::Two if gradients => "exactly two --rewards with --grad",
        _ => "at least two --rewards",
    }
}

fn rewards(word: &str, takes: &str, given: usize) -> String {
    let given = if given == 1 { "1 is".to_owned() } else { format!("{given} are") };
    format!("{word} takes {takes}, but {given} given")
}

fn jumps(quantity: &Quantity, index: usize, value: f64) -> String {
    let (word, number) = (key(quantity), index + 1);
    let why = if let Quantity::LogLikelihood(_) = quantity {
        format!("the observation {value} is no whole number of jumps")
    } else {
        format!("number {number} is {value}, but numbers of jumps are whole")
    };
    format!("{word}: the model is in discrete time; {why}")
}
