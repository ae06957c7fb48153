//! phasic's elimination, command for command: the order of vertices, the command stream, its forecast and its replay.
//!
//! What is exchanged as an artifact is made here, so every detail follows the artifact specification to the bit. How
//! numbers are best computed is not this room's business, nor are file formats.
#![allow(clippy::cast_possible_truncation, reason = "every count is held below 2^32 by the limits")]

mod avl;
mod command;
mod eliminate;
mod hierarchy;
mod limits;
mod order;
mod reading;
mod replay;
mod rows;
mod sink;
mod sweep;
mod wide;

pub use crate::limits::Limits;
pub use crate::progress::{Observer, Progress};
pub use command::{Command, Input, Trace};
pub use eliminate::{eliminate, first_difference, forecast};
pub use hierarchy::{ComponentGraph, HierarchyError, component_graphs, hierarchical_waiting_times};
pub use limits::{EliminationError, Forecast};
pub use replay::{Replay, ReplayError};

pub(crate) use order::elimination_order;

#[cfg(test)]
mod tests;
