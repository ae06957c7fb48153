//! What administrators do: long actions, pins, quarantine, and the settings in force.

pub(super) mod blobs;
pub(super) mod settings;
pub(super) mod tasks;

use phasic_hub_api::ProblemCode;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use super::object;

/// A body that may be empty.
fn read<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, ApiError> {
    if body.is_empty() {
        return Ok(T::default());
    }
    object::read(body)
        .map_err(|error| ApiError::new(ProblemCode::InvalidRequest, format!("The body: {error}.")))
}
