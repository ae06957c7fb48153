//! What is asked of a model at each θ, and whether it can be asked.
//!
//! Everything that can be refused before the long work begins is refused here.

use phasic_engine::distribution::Start;
use phasic_engine::graph::Graph;

use super::epochs::Changing;
use super::law::{Source, Treatment};
use crate::failure::Failure;
use crate::points::all_whole;
use crate::quantity::{Function, Quantity};
use crate::vectors::Vector;

/// Most numbers one list by vertex and time may have: 1 GiB.
const MOST_NUMBERS: u64 = 1 << 27;

/// Quantities and the rewards they are asked under.
pub(super) struct Question {
    pub(super) quantities: Vec<Quantity>,
    pub(super) rewards: Vec<Vector>,
    pub(super) gradients: bool,
}

impl Question {
    /// Checks that the quantities go together with each other, with this many reward vectors, and with gradients.
    pub(super) fn new(
        quantities: Vec<Quantity>,
        rewards: Vec<Vector>,
        gradients: bool,
    ) -> Result<Self, Failure> {
        let quantities =
            if quantities.is_empty() { vec![Quantity::Expectation, Quantity::Variance] } else { quantities };
        for (place, quantity) in quantities.iter().enumerate() {
            if quantities[..place].iter().any(|earlier| earlier.key() == quantity.key()) {
                return Err(Failure::input(format!("--quantity {quantity} is given twice")));
            }
            if gradients && !quantity.has_gradient() {
                return Err(Failure::input(format!(
                    "--grad gives gradients of expectation, variance, moments, covariance, pdf, pmf, cdf, survival \
                     and loglik, but none of {quantity}"
                )));
            }
            check_rewards(quantity, rewards.len(), gradients)?;
        }
        Ok(Self { quantities, rewards, gradients })
    }

    /// Checks that the model can be asked this, and that there is a reward for each of its vertices.
    pub(super) fn check_model(&self, graph: &Graph) -> Result<(), Failure> {
        let vertices = graph.vertex_count() as usize;
        if let Some(wrong) = self.rewards.iter().find(|rewards| rewards.values.len() != vertices) {
            return Err(Failure::input(format!(
                "{}: {} rewards, but the model has {vertices} vertices, the start included",
                wrong.origin,
                wrong.values.len()
            )));
        }
        for quantity in &self.quantities {
            if let Quantity::States(_, times) = quantity
                && times.len() as u64 * vertices as u64 > MOST_NUMBERS
            {
                return Err(Failure::input(format!(
                    "{quantity} at {} times of {vertices} vertices are more than {MOST_NUMBERS} numbers; ask at fewer \
                     times",
                    times.len()
                )));
            }
            if let Quantity::Sojourn(asked) = quantity
                && let Some(vertex) = asked.iter().find(|&&vertex| vertex as usize >= vertices)
            {
                return Err(Failure::input(format!(
                    "{quantity}: vertex {vertex} does not exist; the model has {vertices} vertices, the start is 0"
                )));
            }
            if graph.was_dph() {
                self.check_discrete(quantity)?;
            } else if let Quantity::FactorialMoments(_) = quantity {
                return Err(Failure::input(
                    "factorial-moments are those of a number of jumps, but this model is in continuous time; ask for moments",
                ));
            } else if let Quantity::Function(Function::Pmf, _) = quantity {
                return Err(Failure::input(
                    "pmf is the probability of a number of jumps, but this model is in continuous time; ask for pdf",
                ));
            }
        }
        Ok(())
    }

    fn check_discrete(&self, quantity: &Quantity) -> Result<(), Failure> {
        let refuse =
            |why: String| Err(Failure::input(format!("{quantity}: the model is in discrete time{why}")));
        if let Quantity::Function(Function::Laplace, _) = quantity {
            return refuse(", and has no Laplace transform here".to_owned());
        }
        if self.gradients && matches!(quantity, Quantity::Moments(2..)) {
            return refuse(", where --grad knows no moments beyond the first and the variance".to_owned());
        }
        if self.gradients
            && !self.rewards.is_empty()
            && matches!(quantity, Quantity::Function(..) | Quantity::LogLikelihood(_))
        {
            return refuse(", where --grad knows no functions of total rewards; leave out --grad".to_owned());
        }
        let counts = match quantity {
            Quantity::Function(function, points) if function.is_of_time() => &points[..],
            Quantity::States(_, times) => times,
            Quantity::LogLikelihood(observations) => {
                return [&observations.seen, &observations.alive].into_iter().try_for_each(|counts| {
                    all_whole(counts).or_else(|(_, value)| {
                        refuse(format!("; the observation {value} is no whole number of jumps"))
                    })
                });
            }
            _ => &[],
        };
        all_whole(counts).or_else(|(place, value)| {
            refuse(format!("; number {} is {value}, but numbers of jumps are whole", place + 1))
        })
    }

    /// Checks that it can be treated so.
    pub(super) fn check_treatment(&self, treatment: &Treatment, graph: &Graph) -> Result<(), Failure> {
        if treatment.source == Source::Phasic && treatment.start == Start::Conditional {
            return Err(Failure::input(
                "--compat takes initial probabilities as phasic does, as they are given; leave out --start conditional",
            ));
        }
        if treatment.source == Source::Phasic {
            self.check_phasic(graph)?;
        }
        if treatment.source == Source::Program
            && let Some(quantity) = self.quantities.iter().find(|quantity| !quantity.is_total())
        {
            return Err(Failure::input(format!(
                "{quantity} does not come from a program; leave out --artifact, or give it a plan"
            )));
        }
        let samples = self.quantities.iter().any(|quantity| matches!(quantity, Quantity::Sample(_)));
        for (flag, given) in
            [("--alive-at", treatment.alive_at.is_some()), ("--started-in", !treatment.started_in.is_empty())]
        {
            if given && !samples {
                return Err(Failure::input(format!("{flag} is for --quantity sample=N")));
            }
        }
        let vertices = graph.vertex_count();
        if let Some((vertex, _)) = treatment.started_in.iter().find(|&&(vertex, _)| vertex >= vertices) {
            return Err(Failure::input(format!(
                "--started-in: vertex {vertex} does not exist; the model has {vertices} vertices, the start is 0"
            )));
        }
        if let Some(time) = treatment.alive_at.filter(|_| graph.was_dph()) {
            all_whole(&[time]).map_err(|_| {
                Failure::input("--alive-at: the model is in discrete time, where numbers of jumps are whole")
            })?;
        }
        self.check_epochs(treatment, graph)
    }

    /// Refuses what phasic has no number of its own for, or one that is wrong in a way nobody could want.
    fn check_phasic(&self, graph: &Graph) -> Result<(), Failure> {
        let refuse =
            |why: &str| Err(Failure::input(format!("{why}; leave out --compat for the right numbers")));
        for quantity in &self.quantities {
            match quantity {
                Quantity::Function(Function::Laplace, _)
                    if graph.is_parameterized() && graph.param_length() > 1 =>
                {
                    return refuse(
                        "laplace: phasic's follows no rule where there are two parameters or more",
                    );
                }
                Quantity::FactorialMoments(_) => return refuse("factorial-moments: phasic has none"),
                Quantity::Correlation if graph.was_dph() => {
                    return refuse("correlation: phasic's covariances in discrete time lack a part");
                }
                Quantity::Covariance if graph.was_dph() && self.rewards.len() != 2 => {
                    return refuse(
                        "covariance: phasic's in discrete time lacks a part and is only of two --rewards",
                    );
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn check_epochs(&self, treatment: &Treatment, graph: &Graph) -> Result<(), Failure> {
        if treatment.epochs.is_empty() {
            return Ok(());
        }
        let refuse = |why: &str| Err(Failure::input(format!("--epoch {why}")));
        if !treatment.started_in.is_empty() {
            return refuse("does not go with --started-in");
        }
        if graph.was_dph() {
            return refuse("is for models in continuous time; this one is in discrete time");
        }
        let rewarded =
            |quantity: &&Quantity| !self.rewards.is_empty() && !Changing::answers_rewarded(quantity);
        if let Some(quantity) = self.quantities.iter().find(rewarded) {
            return refuse(&format!(
                "goes with --rewards for expectation, variance, moments, covariance, correlation and sample, but not for \
                 {quantity}"
            ));
        }
        if let Some(quantity) = self.quantities.iter().find(|quantity| !Changing::answers(quantity)) {
            return refuse(&format!(
                "goes with expectation, variance, moments, covariance, correlation, functions of time, quantile, \
                 stop-probability, visiting-time, loglik and sample, not with {quantity}"
            ));
        }
        if let Some(quantity) =
            self.quantities.iter().find(|quantity| self.gradients && !Changing::has_gradient(quantity))
        {
            return refuse(&format!(
                "goes with --grad for pdf, cdf, survival and loglik, but not for {quantity}"
            ));
        }
        let mut before = 0.0;
        for epoch in &treatment.epochs {
            if epoch.from <= before {
                return refuse(&format!(
                    "{}: epochs begin one after the other, each later than {before}",
                    epoch.theta.origin
                ));
            }
            before = epoch.from;
        }
        Ok(())
    }

    /// Whether the distribution of a total reward is asked for, not only its moments.
    pub(super) fn asks_for_law_of_rewards(&self) -> bool {
        let of_law =
            |quantity: &Quantity| matches!(quantity, Quantity::Function(..) | Quantity::LogLikelihood(_));
        !self.rewards.is_empty() && self.quantities.iter().any(of_law)
    }

    pub(super) fn asks_for_higher_moments(&self) -> bool {
        self.quantities.iter().any(|quantity| matches!(quantity, Quantity::Moments(2..)))
    }

    pub(super) fn asks_for_transforms(&self) -> bool {
        self.quantities.iter().any(|quantity| matches!(quantity, Quantity::Function(Function::Laplace, _)))
    }

    /// Whether it is about what phasic computes wrongly in discrete time.
    pub(super) fn asks_for_faults(&self) -> bool {
        self.quantities.iter().any(|quantity| match quantity {
            Quantity::Variance => self.rewards.is_empty(),
            Quantity::Covariance => true,
            _ => false,
        })
    }
}

/// Checks that a quantity can be asked under this many reward vectors.
fn check_rewards(quantity: &Quantity, count: usize, gradients: bool) -> Result<(), Failure> {
    let (fits, takes) = match quantity {
        Quantity::Covariance if gradients => (count == 2, "exactly two --rewards with --grad"),
        Quantity::Covariance | Quantity::Correlation => (count >= 2, "at least two --rewards"),
        Quantity::Sojourn(_) | Quantity::States(..) | Quantity::FactorialMoments(_) => {
            (count == 0, "no --rewards")
        }
        Quantity::Sample(_) => (true, ""),
        _ => (count <= 1, "at most one --rewards"),
    };
    if fits {
        return Ok(());
    }
    let given = if count == 1 { "1 is".to_owned() } else { format!("{count} are") };
    Err(Failure::input(format!("{quantity} takes {takes}, but {given} given")))
}
