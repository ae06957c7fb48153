//! What goes together in a question, and with which model. Whatever can be refused before the long work is refused here.

use super::law::{Source, Treatment};
use super::{Function, Quantity};
use crate::distribution::Start;

/// Raw moments that may be asked for.
pub const MOST_MOMENTS: u32 = 1000;

/// The largest number up to which all whole ones are floating-point numbers: 2⁵³.
const LARGEST_WHOLE: f64 = 9_007_199_254_740_992.0;

/// Quantities, the rewards they are asked under, and how they are to be found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Question {
    /// What is asked.
    pub quantities: Vec<Quantity>,
    /// Reward vectors, one number for each vertex of the graph, the start first.
    pub rewards: Vec<Vec<f64>>,
    /// Whether gradients are wanted, too.
    pub gradients: bool,
    /// How numbers are to be found.
    pub treatment: Treatment,
}

/// What a question has to fit of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Vertices of its graph.
    pub vertices: u64,
    /// Parameters.
    pub parameters: usize,
    /// Whether it is in discrete time.
    pub discrete: bool,
}

/// How many reward vectors a quantity takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RewardVectors {
    /// None: it is about the time to absorption.
    None,
    /// One or none.
    AtMostOne,
    /// Two.
    Two,
    /// Two or more.
    AtLeastTwo,
}

impl RewardVectors {
    const fn fit(self, count: usize) -> bool {
        match self {
            Self::None => count == 0,
            Self::AtMostOne => count <= 1,
            Self::Two => count == 2,
            Self::AtLeastTwo => count >= 2,
        }
    }

    /// For a sentence.
    const fn text(self) -> &'static str {
        match self {
            Self::None => "no rewards: it is about the time to absorption",
            Self::AtMostOne => "at most one reward vector",
            Self::Two => "exactly two reward vectors",
            Self::AtLeastTwo => "at least two reward vectors",
        }
    }
}

/// Why a question cannot be asked. Sentences have the names of the API; `place` is that of the quantity in the question.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "names and places of quantities, and the numbers that the sentences show")]
pub enum Misfit {
    /// Nothing is asked.
    #[error("quantities is empty; leave it out for expectation and variance")]
    Nothing,
    /// A quantity is asked for twice.
    #[error("the quantity {quantity} is asked for twice")]
    Twice { place: usize, quantity: &'static str },
    /// A quantity takes another number of reward vectors.
    #[error("{quantity} takes {}, but {given} are given", takes.text())]
    Rewards { place: usize, quantity: &'static str, takes: RewardVectors, given: usize },
    /// A reward vector has not one number for each vertex.
    #[error(
        "reward vector {index} (counted from 0) has {found} numbers, and the model has {vertices} vertices, the start \
         included"
    )]
    RewardLength { index: usize, found: usize, vertices: u64 },
    /// There is no gradient of a quantity.
    #[error("there are no gradients of {quantity}; ask for it in a request without gradients")]
    NoGradient { place: usize, quantity: &'static str },
    /// There are no gradients of functions of total rewards in discrete time.
    #[error("in discrete time there are no gradients of {quantity} of a total reward")]
    LawGradient { place: usize, quantity: &'static str },
    /// So many moments cannot be asked for.
    #[error("{quantity} takes a number from 1 to {MOST_MOMENTS}, not {count}")]
    Moments { place: usize, quantity: &'static str, count: u32 },
    /// No samples.
    #[error("{quantity} takes a number of draws from 1 on")]
    NoDraws { place: usize, quantity: &'static str },
    /// A vertex does not exist.
    #[error(
        "{quantity}: entry {index} (counted from 0) names vertex {vertex}, which does not exist; the model has {vertices} \
         vertices, the start is 0"
    )]
    Vertex { place: usize, quantity: &'static str, index: usize, vertex: u32, vertices: u64 },
    /// A quantity of continuous time of a model in discrete time.
    #[error("the model is in discrete time, where there is no {quantity}")]
    Discrete { place: usize, quantity: &'static str },
    /// A quantity of discrete time of a model in continuous time.
    #[error("the model is in continuous time, where there is no {quantity}; ask for {}", of_time(quantity))]
    Continuous { place: usize, quantity: &'static str },
    /// A number of jumps is not whole.
    #[error(
        "{quantity} takes whole numbers of jumps in discrete time, and entry {index} (counted from 0) is {value}"
    )]
    Jumps { place: usize, quantity: &'static str, index: usize, value: f64 },
    /// A tolerance is out of range.
    #[error("tolerance is from 1e-14 to 0.01, not {value}")]
    Tolerance { value: f64 },
    /// Survivors are for samples.
    #[error("alive_at is for sample and joint_sample")]
    AliveWithoutSample,
    /// The time of survivors is none.
    #[error("alive_at is a time from 0 on, not {value}")]
    AliveAt { value: f64 },
    /// The time of survivors is no number of jumps.
    #[error("alive_at is a number of jumps of this model, and {value} is none")]
    AliveAtJumps { value: f64 },
    /// Where samples begin is for samples.
    #[error("started_in is for sample and joint_sample")]
    StartedWithoutSample,
    /// Samples begin in given vertices, or with who is alive.
    #[error("started_in and alive_at are two answers to where samples begin; give one of them")]
    StartedAndAlive,
    /// Samples are to begin in a vertex that does not exist.
    #[error("started_in: vertex {vertex} does not exist; the model has {vertices} vertices, the start is 0")]
    StartedIn { vertex: u32, vertices: u64 },
    /// Samples begin in given vertices without epochs only.
    #[error("started_in is without epochs")]
    StartedInEpochs,
    /// Parameters change in continuous time only.
    #[error("epochs are for continuous time, and this model is in discrete time")]
    EpochsOfJumps,
    /// A quantity has no answer when parameters change.
    #[error(
        "there are no numbers of {quantity} with epochs; there are of expectation, variance, moments, covariances, \
         correlations, pdf, cdf, survival, hazard, quantile, stop_probability, visiting_times, log_likelihood and samples"
    )]
    NotOfEpochs { place: usize, quantity: &'static str },
    /// A quantity has none under rewards when parameters change.
    #[error(
        "there are no numbers of {quantity} with both epochs and rewards; there are of expectation, variance, moments, \
         covariances, correlations and samples"
    )]
    NotOfRewardsInEpochs { place: usize, quantity: &'static str },
    /// There is no gradient when parameters change.
    #[error(
        "there are no gradients of {quantity} with epochs; there are of pdf, cdf, survival and log_likelihood"
    )]
    NoGradientInEpochs { place: usize, quantity: &'static str },
    /// Epochs are out of order.
    #[error(
        "epoch {index} (counted from 0, after the first theta) begins at {from}, which is no time later than {before}"
    )]
    EpochOrder { index: usize, from: f64, before: f64 },
    /// An epoch has not one number for each parameter.
    #[error(
        "the theta of epoch {index} (counted from 0, after the first theta), from {from} on, has {found} numbers, and the \
         model has {parameters} parameters"
    )]
    EpochTheta { index: usize, from: f64, found: usize, parameters: usize },
    /// Fixed steps are phasic's.
    #[error("granularity is for compat: only phasic's own numbers come in fixed steps")]
    Granularity,
    /// phasic's own numbers do not go with an option.
    #[error("compat is without {option}; leave out compat for the right numbers")]
    OptionOfPhasic { option: &'static str },
    /// phasic has no number of a quantity, or one that nobody could want.
    #[error("there are no numbers of {quantity} with compat: {why}; leave out compat for the right numbers")]
    NotOfPhasic { place: usize, quantity: &'static str, why: &'static str },
    /// A program does not go with an option.
    #[error("a program has no {option}; ask a plan")]
    OptionOfProgram { option: &'static str },
    /// A program has totals only.
    #[error("{quantity} does not come from a program; ask a plan")]
    NotOfProgram { place: usize, quantity: &'static str },
}

/// What takes the place of a quantity of jumps in continuous time.
fn of_time(quantity: &str) -> &'static str {
    if quantity == "pmf" { "pdf" } else { "moments" }
}

/// The place and value of the first number that is no number of jumps.
fn first_not_whole(numbers: &[f64]) -> Option<(usize, f64)> {
    let fits = |number: &f64| (0.0..=LARGEST_WHOLE).contains(number) && number.fract() == 0.0;
    let index = numbers.iter().position(|number| !fits(number))?;
    Some((index, numbers[index]))
}

impl Quantity {
    /// How many reward vectors it takes.
    pub const fn takes(&self) -> RewardVectors {
        match self {
            Self::Covariance | Self::Correlation => RewardVectors::Two,
            Self::Covariances | Self::Correlations | Self::JointSample(_) => RewardVectors::AtLeastTwo,
            Self::SojournTimes(_) | Self::States(..) | Self::FactorialMoments(_) => RewardVectors::None,
            _ => RewardVectors::AtMostOne,
        }
    }
}

impl Question {
    /// Whether the question can be asked of such a model.
    ///
    /// # Errors
    /// [`Misfit`] with what is wrong.
    pub fn check(&self, model: &Shape) -> Result<(), Misfit> {
        if self.quantities.is_empty() {
            return Err(Misfit::Nothing);
        }
        for (place, quantity) in self.quantities.iter().enumerate() {
            let name = quantity.name();
            if self.quantities[..place].iter().any(|earlier| earlier.name() == name) {
                return Err(Misfit::Twice { place, quantity: name });
            }
            if self.gradients && !quantity.has_gradient() {
                return Err(Misfit::NoGradient { place, quantity: name });
            }
            let (takes, given) = (quantity.takes(), self.rewards.len());
            if !takes.fit(given) {
                return Err(Misfit::Rewards { place, quantity: name, takes, given });
            }
            self.check_quantity(place, quantity, model)?;
        }
        let wrong = |rewards: &Vec<f64>| rewards.len() as u64 != model.vertices;
        if let Some(index) = self.rewards.iter().position(wrong) {
            let found = self.rewards[index].len();
            return Err(Misfit::RewardLength { index, found, vertices: model.vertices });
        }
        self.check_options(model)?;
        self.check_epochs(model)?;
        self.check_source(model)
    }

    /// What can be wrong with a quantity itself.
    fn check_quantity(&self, place: usize, quantity: &Quantity, model: &Shape) -> Result<(), Misfit> {
        let name = quantity.name();
        match quantity {
            Quantity::Moments(count) | Quantity::FactorialMoments(count)
                if !(1..=MOST_MOMENTS).contains(count) =>
            {
                return Err(Misfit::Moments { place, quantity: name, count: *count });
            }
            _ if model.discrete && self.gradients && !self.rewards.is_empty() && quantity.is_of_law() => {
                return Err(Misfit::LawGradient { place, quantity: name });
            }
            Quantity::Sample(0) | Quantity::JointSample(0) => {
                return Err(Misfit::NoDraws { place, quantity: name });
            }
            Quantity::WaitingTimes(Some(vertices)) | Quantity::SojournTimes(Some(vertices)) => {
                let is_beyond = |&(_, &vertex): &(usize, &u32)| u64::from(vertex) >= model.vertices;
                if let Some((index, &vertex)) = vertices.iter().enumerate().find(is_beyond) {
                    let vertices = model.vertices;
                    return Err(Misfit::Vertex { place, quantity: name, index, vertex, vertices });
                }
            }
            Quantity::Function(Function::Laplace, _) if model.discrete => {
                return Err(Misfit::Discrete { place, quantity: name });
            }
            Quantity::Function(Function::Pmf, _) | Quantity::FactorialMoments(_) if !model.discrete => {
                return Err(Misfit::Continuous { place, quantity: name });
            }
            _ => {}
        }
        let jumps = match quantity {
            _ if !model.discrete => [&[][..]; 2],
            Quantity::Function(function, points) if function.is_of_time() => [&points[..], &[]],
            Quantity::States(_, times) => [&times[..], &[]],
            Quantity::LogLikelihood(observed) => [&observed.seen[..], &observed.alive],
            _ => [&[][..]; 2],
        };
        match jumps.into_iter().find_map(first_not_whole) {
            Some((index, value)) => Err(Misfit::Jumps { place, quantity: name, index, value }),
            None => Ok(()),
        }
    }

    fn check_options(&self, model: &Shape) -> Result<(), Misfit> {
        let Treatment { tolerance, alive_at, .. } = self.treatment;
        if let Some(value) = tolerance.filter(|tolerance| !(1e-14..=0.01).contains(tolerance)) {
            return Err(Misfit::Tolerance { value });
        }
        self.check_started(model)?;
        let Some(value) = alive_at else { return Ok(()) };
        if !self.quantities.iter().any(Quantity::is_sampled) {
            return Err(Misfit::AliveWithoutSample);
        }
        if model.discrete && first_not_whole(&[value]).is_some() {
            return Err(Misfit::AliveAtJumps { value });
        }
        if !(0.0..f64::INFINITY).contains(&value) {
            return Err(Misfit::AliveAt { value });
        }
        Ok(())
    }

    fn check_started(&self, model: &Shape) -> Result<(), Misfit> {
        let Treatment { started_in, alive_at, epochs, .. } = &self.treatment;
        let Some(&(first, _)) = started_in.first() else { return Ok(()) };
        if !self.quantities.iter().any(Quantity::is_sampled) {
            return Err(Misfit::StartedWithoutSample);
        }
        if alive_at.is_some() {
            return Err(Misfit::StartedAndAlive);
        }
        if !epochs.is_empty() {
            return Err(Misfit::StartedInEpochs);
        }
        let vertex = started_in.iter().fold(first, |most, &(vertex, _)| most.max(vertex));
        if u64::from(vertex) >= model.vertices {
            return Err(Misfit::StartedIn { vertex, vertices: model.vertices });
        }
        Ok(())
    }

    fn check_epochs(&self, model: &Shape) -> Result<(), Misfit> {
        let epochs = &self.treatment.epochs;
        if epochs.is_empty() {
            return Ok(());
        }
        if model.discrete {
            return Err(Misfit::EpochsOfJumps);
        }
        for (place, quantity) in self.quantities.iter().enumerate() {
            let name = quantity.name();
            if !quantity.is_of_epochs() {
                return Err(Misfit::NotOfEpochs { place, quantity: name });
            }
            if !self.rewards.is_empty() && !quantity.is_of_rewards_in_epochs() {
                return Err(Misfit::NotOfRewardsInEpochs { place, quantity: name });
            }
            if self.gradients && !quantity.has_gradient_in_epochs() {
                return Err(Misfit::NoGradientInEpochs { place, quantity: name });
            }
        }
        let mut before = 0.0;
        for (index, epoch) in epochs.iter().enumerate() {
            let (from, found) = (epoch.from, epoch.theta.len());
            if !(from > before && from.is_finite()) {
                return Err(Misfit::EpochOrder { index, from, before });
            }
            if found != model.parameters {
                return Err(Misfit::EpochTheta { index, from, found, parameters: model.parameters });
            }
            before = from;
        }
        Ok(())
    }

    fn check_source(&self, model: &Shape) -> Result<(), Misfit> {
        let treatment = &self.treatment;
        match treatment.source {
            Source::Plan if treatment.granularity != 0 => Err(Misfit::Granularity),
            Source::Plan => Ok(()),
            Source::Phasic => self.check_phasic(model),
            Source::Program if self.gradients => Err(Misfit::OptionOfProgram { option: "gradients" }),
            Source::Program if !treatment.epochs.is_empty() => {
                Err(Misfit::OptionOfProgram { option: "epochs" })
            }
            Source::Program => {
                let is_had = |quantity: &Quantity| {
                    quantity.is_total() && !matches!(quantity, Quantity::FactorialMoments(_))
                };
                let other = self.quantities.iter().position(|quantity| !is_had(quantity));
                other.map_or(Ok(()), |place| {
                    Err(Misfit::NotOfProgram { place, quantity: self.quantities[place].name() })
                })
            }
        }
    }

    /// Refuses what phasic has no number of its own for, or one that is wrong in a way nobody could want.
    fn check_phasic(&self, model: &Shape) -> Result<(), Misfit> {
        let treatment = &self.treatment;
        let options = [
            (
                treatment.start == Start::Conditional,
                "start: it takes initial probabilities as they are given",
            ),
            (self.gradients, "gradients"),
            (treatment.tolerance.is_some(), "tolerance"),
            (!treatment.epochs.is_empty(), "epochs"),
        ];
        if let Some((_, option)) = options.into_iter().find(|(is_given, _)| *is_given) {
            return Err(Misfit::OptionOfPhasic { option });
        }
        for (place, quantity) in self.quantities.iter().enumerate() {
            let why = match quantity {
                Quantity::Function(Function::Laplace, _) if model.parameters > 1 => {
                    "phasic's follows no rule where there are two parameters or more"
                }
                Quantity::FactorialMoments(_) => "phasic has none",
                Quantity::Correlation | Quantity::Correlations if model.discrete => {
                    "phasic's covariances in discrete time lack a part"
                }
                Quantity::Covariances if model.discrete => {
                    "phasic's in discrete time lacks a part and is only of two reward vectors"
                }
                _ => continue,
            };
            return Err(Misfit::NotOfPhasic { place, quantity: quantity.name(), why });
        }
        Ok(())
    }
}
