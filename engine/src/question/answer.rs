//! The answers to a question, at one θ after the other.

use std::ops::ControlFlow;

use super::law::{Found, Law, Watch, go_on, law};
use super::{Model, NoAnswer, Question};

/// The answer to one quantity of a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What was asked for.
    pub value: Found,
    /// Its gradient, if gradients were asked for. Of lists, a row for each entry.
    pub gradient: Option<Found>,
}

/// A model that is asked the same question at one θ after the other, and keeps its storage in between.
///
/// The numbers at a θ are the same ones, bit for bit, whatever was asked before.
pub struct Asked<'m> {
    model: &'m Model<'m>,
    question: &'m Question,
    rewards: Vec<&'m [f64]>,
    law: Option<Box<dyn Law + 'm>>,
    watch: Watch<'m>,
}

impl<'m> Asked<'m> {
    /// A model that is about to be asked a question that fits it.
    pub fn new(model: &'m Model<'_>, question: &'m Question) -> Self {
        let rewards = question.rewards.iter().map(|rewards| &rewards[..]).collect();
        Self { model, question, rewards, law: None, watch: &|| ControlFlow::Continue(()) }
    }

    /// The same, where somebody is asked whether to go on: before each quantity, and within one where there are many parts to
    /// it, each of which may need more digits than was to be expected. These are Laplace transforms, eight at a time, and
    /// gradients of moments.
    #[must_use]
    pub fn watched(self, watch: &'m dyn Fn() -> ControlFlow<()>) -> Self {
        Self { watch, ..self }
    }

    /// The answers at θ to each quantity, in order; without θ, those with all parameters 1, as the model was built.
    ///
    /// Quantities share what they need: one elimination, one process.
    ///
    /// # Errors
    /// [`NoAnswer`] with the first quantity that has no number there; [`NoAnswer::GivenUp`] where whoever
    /// [watches](Self::watched) does not go on.
    pub fn answer(&mut self, theta: Option<&[f64]>) -> Result<Vec<Answer>, NoAnswer> {
        // After an error the numbers are those of no θ, so that there is no law until all has gone well.
        let own = match self.law.take() {
            Some(mut law) => law.set(theta).map(|()| law)?,
            None => law(self.model, &self.question.treatment, theta, self.watch)?,
        };
        let answers = self.all(&*own, theta)?;
        self.law = Some(own);
        Ok(answers)
    }

    fn all(&self, own: &dyn Law, theta: Option<&[f64]>) -> Result<Vec<Answer>, NoAnswer> {
        let question = self.question;
        // Functions of a total reward are those of the time to absorption of another model.
        let transformed = match self.rewards.first() {
            Some(rewards) if question.quantities.iter().any(super::Quantity::is_of_law) => {
                Some(self.model.rewarded(theta, rewards, &question.treatment, question.gradients)?)
            }
            _ => None,
        };
        // With gradients its weights are functions of θ, too.
        let given = theta.filter(|_| question.gradients);
        let of_rewards = transformed
            .as_ref()
            .map(|model| law(model, &question.treatment, given, self.watch))
            .transpose()?;
        let answer = |quantity: &super::Quantity| {
            go_on(self.watch)?;
            let (law, rewards) = match &of_rewards {
                Some(of_rewards) if quantity.is_of_law() => (&**of_rewards, &[][..]),
                _ => (own, &self.rewards[..]),
            };
            if question.gradients {
                let (value, gradient) = law.with_gradient(quantity, rewards)?;
                return Ok(Answer { value, gradient: Some(gradient) });
            }
            Ok(Answer { value: law.value(quantity, rewards)?, gradient: None })
        };
        question.quantities.iter().map(answer).collect()
    }
}
