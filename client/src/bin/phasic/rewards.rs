//! Rewards in discrete time, where each is a number of jumps.

use crate::failure::Failure;
use crate::points::all_whole;

/// The largest reward of a vertex; each takes so many vertices.
const MOST: f64 = 1e6;

/// Rewards as numbers of jumps.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "they are checked")]
pub(crate) fn counts(rewards: &[f64]) -> Result<Vec<u32>, Failure> {
    let large = || rewards.iter().position(|&reward| reward > MOST).map(|vertex| (vertex, rewards[vertex]));
    match all_whole(rewards).err().or_else(large) {
        Some((vertex, reward)) => Err(Failure::input(format!(
            "--rewards: the reward of vertex {vertex} is {reward}; for the distribution of a total in discrete time \
             rewards are whole numbers from 0 to a million"
        ))),
        None => Ok(rewards.iter().map(|&reward| reward as u32).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewards_are_whole_numbers_up_to_a_million() {
        assert_eq!(counts(&[0.0, 3.0, 1e6]).unwrap(), [0, 3, 1_000_000]);
        for wrong in [0.5, -1.0, 1e6 + 1.0] {
            let message = counts(&[0.0, wrong]).unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("--rewards: the reward of vertex 1 is {wrong};")),
                "{message}"
            );
        }
    }
}
