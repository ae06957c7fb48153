//! What is asked on the command line: the engine's question, and where each part of it was written.
//!
//! What goes together is for the engine to say; only what has to do with words and lists is refused here.

use phasic_engine::graph::Graph;
use phasic_engine::question::{Epoch, Function, Quantity, Question, Shape, Source, Treatment};

use super::misfit;
use crate::arguments::EvalArguments;
use crate::failure::Failure;
use crate::quantity::{self, key};
use crate::vectors::{self, Vector};

/// Most numbers one list by vertex and time may have: 1 GiB.
const MOST_NUMBERS: u64 = 1 << 27;

/// A question, and where its vectors come from.
pub(super) struct Written {
    pub(super) question: Question,
    /// Of each reward vector.
    pub(super) rewards: Vec<String>,
    /// The parameters of each epoch.
    pub(super) epochs: Vec<Vector>,
}

impl Written {
    /// Reads what the arguments ask.
    pub(super) fn read(arguments: &EvalArguments) -> Result<Self, Failure> {
        let rewards = vectors::read("--rewards", &arguments.rewards)?;
        let read = |text: &String| Ok(quantity::under(quantity::read(text)?, rewards.len()));
        let mut quantities = arguments.quantity.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
        if quantities.is_empty() {
            quantities = vec![Quantity::Expectation, Quantity::Variance];
        }
        let word = |place: usize| key(&quantities[place]);
        if let Some(place) = (1..quantities.len()).find(|&at| (0..at).any(|before| word(before) == word(at)))
        {
            // Two quantities of the engine may share a word, and then a key in JSON.
            return Err(misfit::twice(&quantities[place]));
        }
        let (treatment, epochs) = treatment(arguments)?;
        let (origins, rewards) = rewards.into_iter().map(|vector| (vector.origin, vector.values)).unzip();
        let question = Question { quantities, rewards, gradients: arguments.grad, treatment };
        Ok(Self { question, rewards: origins, epochs })
    }

    /// Checks that the model can be asked this.
    pub(super) fn check(&self, graph: &Graph) -> Result<(), Failure> {
        let vertices = u64::from(graph.vertex_count());
        let shape = Shape { vertices, parameters: graph.param_length(), discrete: graph.was_dph() };
        self.question.check(&shape).map_err(|misfit| misfit::failure(&misfit, self))?;
        for quantity in &self.question.quantities {
            if let Quantity::States(_, times) = quantity
                && times.len() as u64 * vertices > MOST_NUMBERS
            {
                let (key, count) = (key(quantity), times.len());
                return Err(Failure::input(format!(
                    "{key} at {count} times of {vertices} vertices are more than {MOST_NUMBERS} numbers; ask at fewer \
                     times"
                )));
            }
        }
        Ok(())
    }

    pub(super) fn asks_for_transforms(&self) -> bool {
        let is_transform = |quantity: &Quantity| matches!(quantity, Quantity::Function(Function::Laplace, _));
        self.question.quantities.iter().any(is_transform)
    }

    pub(super) fn asks_for_higher_moments(&self) -> bool {
        self.question.quantities.iter().any(|quantity| matches!(quantity, Quantity::Moments(2..)))
    }

    /// Whether it is about what phasic computes wrongly in discrete time.
    pub(super) fn asks_for_faults(&self) -> bool {
        self.question.quantities.iter().any(|quantity| match quantity {
            Quantity::Variance => self.question.rewards.is_empty(),
            Quantity::Covariance | Quantity::Covariances => true,
            _ => false,
        })
    }
}

fn treatment(arguments: &EvalArguments) -> Result<(Treatment, Vec<Vector>), Failure> {
    let read = arguments.epoch.iter().map(|text| epoch(text)).collect::<Result<Vec<_>, _>>()?;
    let written = |(from, theta): &(f64, Vector)| Epoch { from: *from, theta: theta.values.clone() };
    let epochs = read.iter().map(written).collect();
    let treatment = Treatment {
        source: if arguments.compat { Source::Phasic } else { Source::Plan },
        start: arguments.start.into(),
        tolerance: arguments.tolerance,
        granularity: arguments.granularity,
        seed: arguments.seed,
        alive_at: arguments.alive_at,
        started_in: arguments
            .started_in
            .iter()
            .map(|text| vectors::read_start("--started-in", text))
            .collect::<Result<_, _>>()?,
        max_jumps: arguments.max_jumps,
        max_work: None,
        epochs,
    };
    Ok((treatment, read.into_iter().map(|(_, theta)| theta).collect()))
}

/// Reads `FROM:THETA`.
fn epoch(text: &str) -> Result<(f64, Vector), Failure> {
    let wrong = || Failure::input(format!("--epoch {text}: write FROM:THETA, as in 1.5:0.3,2"));
    let (from, theta) = text.split_once(':').ok_or_else(wrong)?;
    let from = from.trim().parse().ok().filter(|from: &f64| *from > 0.0 && from.is_finite());
    let from =
        from.ok_or_else(|| Failure::input(format!("--epoch {text}: an epoch begins at a time above 0")))?;
    let mut vectors = vectors::read("--epoch", &[theta.to_owned()])?;
    let mut theta = vectors.pop().filter(|_| vectors.is_empty()).ok_or_else(wrong)?;
    theta.origin = format!("--epoch {text}");
    Ok((from, theta))
}
