//! What an elimination may use, phasic's or our own.

/// Bounds on one elimination or analysis, held while it works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Most bytes of working memory and result together, beside the graph.
    ///
    /// An analysis takes about 144 for each vertex and 24 for each edge whatever fills in, 80 for each distinct linear form,
    /// and 4 for each entry of the factors (more while their list grows). A program made from a plan may take as much again.
    /// Factors have at most 2^31 entries on either side, whatever memory there is.
    pub memory_bytes: u64,
    /// Most commands of a program; never above 2^32 − 1.
    pub commands: u64,
    /// Most multiply-adds of one elimination by a plan. Ordering may take as many steps beside those that are linear in the
    /// graph.
    pub multiply_adds: u64,
}

impl Default for Limits {
    /// 4 GiB, 2^30 commands, and 2^37 multiply-adds: about a minute.
    fn default() -> Self {
        Self { memory_bytes: 4 << 30, commands: 1 << 30, multiply_adds: 1 << 37 }
    }
}

impl Limits {
    /// These limits with another memory budget, in bytes.
    #[must_use]
    pub fn with_memory_bytes(mut self, memory_bytes: u64) -> Self {
        self.memory_bytes = memory_bytes;
        self
    }

    /// These limits with another bound on the number of commands.
    #[must_use]
    pub fn with_commands(mut self, commands: u64) -> Self {
        self.commands = commands;
        self
    }

    /// These limits with another bound on the multiply-adds of one elimination.
    #[must_use]
    pub fn with_multiply_adds(mut self, multiply_adds: u64) -> Self {
        self.multiply_adds = multiply_adds;
        self
    }
}
