//! What an elimination will need, and why it may not finish.

use crate::artifact::{ptdprmc1_size_bytes, ptdprmc3_size_bytes};

/// The exact size of a program, known before it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    /// Vertices of the graph.
    pub vertices: u64,
    /// Commands.
    pub commands: u64,
    /// Rows among the commands.
    pub rows: u64,
    /// Memory slots, slot 0 included.
    pub slots: u64,
    /// Edge weights read.
    pub inputs: u64,
}

impl Forecast {
    /// Size of the program as a PTDPRMC1 file.
    pub fn ptdprmc1_bytes(&self) -> u64 {
        ptdprmc1_size_bytes(self.commands, self.slots, self.vertices)
    }

    /// Size of the program as a PTDPRMC3 file.
    pub fn ptdprmc3_bytes(&self) -> u64 {
        ptdprmc3_size_bytes(self.commands, self.slots, self.inputs)
    }
}

/// Why an elimination did not finish.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EliminationError {
    /// The next step would pass the memory budget.
    #[error(
        "eliminating this graph needs more than the {budget_bytes} bytes of memory allowed ({vertices_done} of \
         {vertices} vertices done); raise the limit or use a smaller model"
    )]
    Memory {
        /// The budget.
        budget_bytes: u64,
        /// Vertices eliminated when it ran out.
        vertices_done: u64,
        /// Vertices in all.
        vertices: u64,
    },
    /// The program is longer than allowed.
    #[error(
        "eliminating this graph takes more than the {limit} commands allowed ({vertices_done} of {vertices} vertices \
         done); raise the limit or use a smaller model"
    )]
    Commands {
        /// The limit.
        limit: u64,
        /// Vertices eliminated when it was reached.
        vertices_done: u64,
        /// Vertices in all.
        vertices: u64,
    },
    /// The observer cancelled.
    #[error("the elimination was cancelled after {vertices_done} of {vertices} vertices")]
    Cancelled {
        /// Vertices eliminated by then.
        vertices_done: u64,
        /// Vertices in all.
        vertices: u64,
    },
}
