//! What can be asked.

/// What can be asked of a model at one θ.
///
/// Under one reward vector expectation, variance, moments and waiting times are those of the total reward, and so are
/// functions and likelihoods. Lists by vertex have an entry for every vertex of the graph, the start first. Moments in
/// discrete time are those of the number of jumps.
#[derive(Clone, Debug, PartialEq)]
pub enum Quantity {
    /// Expected time to absorption.
    Expectation,
    /// Its variance.
    Variance,
    /// The first so many raw moments.
    Moments(u32),
    /// The first so many factorial moments of the number of jumps, in discrete time.
    FactorialMoments(u32),
    /// Covariance of two total rewards.
    Covariance,
    /// Their correlation.
    Correlation,
    /// Covariances of all total rewards, row by row.
    Covariances,
    /// Their correlations, row by row.
    Correlations,
    /// Expected time to absorption from each vertex, or from those named, in their order.
    WaitingTimes(Option<Vec<u32>>),
    /// Expected time spent in each vertex, or in those named, in their order.
    SojournTimes(Option<Vec<u32>>),
    /// A number for each of some numbers.
    Function(Function, Vec<f64>),
    /// A number for each vertex, at each of some times.
    States(States, Vec<f64>),
    /// So many draws of the time, the number of jumps, or a total reward.
    Sample(usize),
    /// So many draws of all total rewards at once, a row for each.
    JointSample(usize),
    /// The log-likelihood of observations.
    LogLikelihood(Observations),
}

/// Quantities with a number for each number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Density; in discrete time, the probability of so many jumps.
    Pdf,
    /// Probability of so many jumps, in discrete time.
    Pmf,
    /// Distribution function.
    Cdf,
    /// Survival function.
    Survival,
    /// Hazard rate; in discrete time, the probability of absorption by that jump, given none before.
    Hazard,
    /// Quantiles of probabilities.
    Quantile,
    /// Laplace transform, in continuous time.
    Laplace,
}

/// Quantities with a number for each vertex at each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum States {
    /// Probability of being in each vertex.
    StopProbability,
    /// Expected time, or number of visits, in each vertex until then.
    VisitingTimes,
}

/// Observed times, and times at which a process was last seen alive (right-censored); in discrete time, numbers of jumps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observations {
    /// Times of absorption.
    pub seen: Vec<f64>,
    /// Times at which a process was last seen alive.
    pub alive: Vec<f64>,
}

impl Function {
    /// Its name.
    pub const fn name(self) -> &'static str {
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

    /// Whether it is a function of time.
    pub const fn is_of_time(self) -> bool {
        !matches!(self, Self::Quantile | Self::Laplace)
    }
}

impl Quantity {
    /// Its name, as the API has it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Expectation => "expectation",
            Self::Variance => "variance",
            Self::Moments(_) => "moments",
            Self::FactorialMoments(_) => "factorial_moments",
            Self::Covariance => "covariance",
            Self::Correlation => "correlation",
            Self::Covariances => "covariances",
            Self::Correlations => "correlations",
            Self::WaitingTimes(None) => "waiting_times",
            Self::WaitingTimes(Some(_)) => "waiting_times_of",
            Self::SojournTimes(None) => "sojourn_times",
            Self::SojournTimes(Some(_)) => "sojourn_times_of",
            Self::Function(function, _) => function.name(),
            Self::States(States::StopProbability, _) => "stop_probability",
            Self::States(States::VisitingTimes, _) => "visiting_times",
            Self::Sample(_) => "sample",
            Self::JointSample(_) => "joint_sample",
            Self::LogLikelihood(_) => "log_likelihood",
        }
    }

    /// Whether it follows from an elimination alone: expected totals and their moments.
    pub const fn is_total(&self) -> bool {
        matches!(
            self,
            Self::Expectation
                | Self::Variance
                | Self::Moments(_)
                | Self::FactorialMoments(_)
                | Self::Covariance
                | Self::Correlation
                | Self::Covariances
                | Self::Correlations
                | Self::WaitingTimes(_)
                | Self::SojournTimes(_)
        )
    }

    /// Whether it draws samples.
    pub const fn is_sampled(&self) -> bool {
        matches!(self, Self::Sample(_) | Self::JointSample(_))
    }

    /// Whether under rewards it is about the distribution of their total, and not only its moments.
    pub const fn is_of_law(&self) -> bool {
        matches!(self, Self::Function(..) | Self::LogLikelihood(_))
    }

    /// Whether there is a gradient of it with respect to θ.
    pub const fn has_gradient(&self) -> bool {
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

    /// Whether there is an answer when parameters change.
    pub const fn is_of_epochs(&self) -> bool {
        match self {
            Self::Function(function, _) => !matches!(function, Function::Laplace | Function::Pmf),
            Self::WaitingTimes(_) | Self::SojournTimes(_) | Self::FactorialMoments(_) => false,
            _ => true,
        }
    }

    /// Whether there is one under rewards when parameters change.
    pub const fn is_of_rewards_in_epochs(&self) -> bool {
        self.is_of_epochs() && !self.is_of_law()
    }

    /// Whether there is a gradient when parameters change.
    pub const fn has_gradient_in_epochs(&self) -> bool {
        self.is_of_epochs() && self.is_of_law() && self.has_gradient()
    }
}
