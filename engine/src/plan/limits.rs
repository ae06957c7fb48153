//! What an analysis may use.

/// Bounds on one analysis, held while it works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Most bytes that an analysis holds at a time beside the graph, the plan included: about 144 for each vertex and 24
    /// for each edge whatever fills in, 80 for each distinct linear form, and 4 for each entry of the factors (more while
    /// their list grows). A program made from the plan may take as much again. Never above 8 GiB for the factors.
    pub memory_bytes: u64,
    /// Most multiply-adds of one elimination. Ordering may take as many steps beside those that are linear in the graph.
    pub multiply_adds: u64,
}

impl Default for Limits {
    /// 4 GiB, and 2^37 multiply-adds: about a minute.
    fn default() -> Self {
        Self { memory_bytes: 4 << 30, multiply_adds: 1 << 37 }
    }
}

impl Limits {
    /// These limits with another memory budget, in bytes.
    #[must_use]
    pub fn with_memory_bytes(mut self, memory_bytes: u64) -> Self {
        self.memory_bytes = memory_bytes;
        self
    }

    /// These limits with another bound on the multiply-adds of one elimination.
    #[must_use]
    pub fn with_multiply_adds(mut self, multiply_adds: u64) -> Self {
        self.multiply_adds = multiply_adds;
        self
    }
}
