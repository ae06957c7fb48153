//! What a job comes down to: all that one elimination takes, for this process or another one.
//!
//! Synchronous; no database, no files.

use std::ops::ControlFlow;

use phasic_engine::trace::Progress;
use phasic_hub_api::GraphIdentity;
use phasic_hub_api::jobs::Variant;
use serde::{Deserialize, Serialize};

use super::work::{self, Made, WorkError};
use crate::config;
use crate::models::{ModelError, Recipe, identify_watched};

/// One elimination.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    /// The recipe of the graph, as it is stored.
    pub(crate) recipe: String,
    /// The graph it must build.
    pub(crate) identity: GraphIdentity,
    pub(crate) variant: Variant,
    pub(crate) compute: config::Compute,
    pub(crate) models: config::Models,
}

/// Why a task has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TaskError {
    #[error("its graph cannot be read any more: {0}")]
    Recipe(#[from] serde_json::Error),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("its graph is built as another one by this version of the hub")]
    OtherGraph,
    #[error(transparent)]
    Work(#[from] WorkError),
    #[error("it was cancelled")]
    Cancelled,
}

impl Task {
    /// Builds the graph, eliminates it and verifies the result. `watch` is told of progress, once there is any, and says
    /// whether to go on; it is asked every few milliseconds.
    pub(crate) fn perform(
        &self,
        mut watch: impl FnMut(Option<Progress>) -> ControlFlow<()>,
    ) -> Result<Made, TaskError> {
        let recipe = Recipe::from_json(&self.recipe)?;
        let graph = recipe.build_watched(&self.models, &mut || watch(None))?;
        let ControlFlow::Continue(identity) = identify_watched(&graph, &mut || watch(None)) else {
            return Err(TaskError::Cancelled);
        };
        if identity != self.identity {
            return Err(TaskError::OtherGraph);
        }
        if watch(None).is_break() {
            return Err(TaskError::Cancelled);
        }
        Ok(work::make(&graph, &identity, self.variant, &self.compute, watch)?)
    }
}
