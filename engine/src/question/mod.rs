//! Questions: everything that can be asked of a model at a θ, in one form for the command and for the hub.
//!
//! `quantity` has what there is, `rules` what goes together and with which model. A `model` has the eliminations that
//! answers need, a `law` each way of answering: continuous or discrete time, parameters that change, phasic's own numbers.
//! Words, flags, JSON, and what a request may cost are known to those who ask.

mod answer;
mod continuous;
mod discrete;
mod epochs;
mod law;
mod model;
mod no_answer;
mod phasic;
mod quantity;
mod rules;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Asked};
pub use law::{Epoch, Found, Source, Treatment};
pub use model::{Eliminations, Model, jump_rewards};
pub use no_answer::NoAnswer;
pub use quantity::{Function, Observations, Quantity, States};
pub use rules::{MOST_MOMENTS, Misfit, Question, RewardVectors, Shape};
