//! How large a graph may become.

/// Bounds on the size of a graph, so that a small document cannot ask for all memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct GraphLimits {
    /// Most vertices, the start included; never more than 2^31 − 2.
    pub vertices: u32,
    /// Most edges.
    pub edges: u32,
    /// Most bytes of states, edges and coefficients together.
    pub memory_bytes: u64,
}

impl Default for GraphLimits {
    /// 2^26 vertices, 2^28 edges, 8 GiB.
    fn default() -> Self {
        Self { vertices: 1 << 26, edges: 1 << 28, memory_bytes: 8 << 30 }
    }
}

impl GraphLimits {
    /// What algorithms on graphs count on: a bit of each vertex number is free, and so is the highest number.
    pub(super) const MOST_VERTICES: u32 = (1 << 31) - 2;

    /// These limits with another bound on the number of vertices.
    #[must_use]
    pub fn with_vertices(mut self, vertices: u32) -> Self {
        self.vertices = vertices;
        self
    }

    /// These limits with another bound on the number of edges.
    #[must_use]
    pub fn with_edges(mut self, edges: u32) -> Self {
        self.edges = edges;
        self
    }

    /// These limits with another bound on the memory, in bytes.
    #[must_use]
    pub fn with_memory_bytes(mut self, memory_bytes: u64) -> Self {
        self.memory_bytes = memory_bytes;
        self
    }
}
