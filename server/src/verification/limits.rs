//! What comparisons are made under, out of the settings.

use std::fmt;

use phasic_hub_api::GraphHash;

use super::judge::Comparison;
use crate::config;

/// Settings a comparison is made under.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits<'a> {
    /// Limits of the graph.
    pub(crate) models: &'a config::Models,
    /// Limits of the comparison.
    pub(crate) verification: &'a config::Verification,
    /// Whether it is made in a process of its own.
    pub(crate) compute: &'a config::Compute,
}

impl<'a> Limits<'a> {
    /// Those of the settings.
    pub(crate) fn of(config: &'a config::Config) -> Self {
        Self { models: &config.models, verification: &config.verification, compute: &config.compute }
    }

    /// A comparison with the graph of a recipe, which is said to have this hash.
    pub(crate) fn comparison(self, recipe: String, graph_hash: GraphHash) -> Comparison {
        let memory_bytes = self.verification.max_memory_bytes.get();
        Comparison { recipe, graph_hash, models: self.models.within(self.verification), memory_bytes }
    }
}

/// What decides whether a graph and its programs are too large to be compared: equal texts for equal limits.
impl fmt::Display for Limits<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory_bytes = self.verification.max_memory_bytes.get();
        let models = self.models.within(self.verification);
        let (building_bytes, steps) = (models.max_memory_bytes.get(), models.max_steps.get());
        let (vertices, edges) = (models.max_vertices.get(), models.max_edges.get());
        write!(
            out,
            "memory_bytes={memory_bytes} building_bytes={building_bytes} vertices={vertices} edges={edges} steps={steps}"
        )
    }
}
