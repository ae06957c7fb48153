//! Work that grows with the bytes of a request: at once where they are few, and else beside the threads that answer
//! requests, which a large body would hold up.

use phasic_hub_api::ProblemCode;

use super::error::ApiError;

/// From so many bytes on work is done aside: JSON of so many takes about as long as handing it over is worth.
pub(super) const FEW_BYTES: usize = 64 << 10;

/// The result of work on so many bytes.
pub(super) async fn run<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    if bytes <= FEW_BYTES {
        return Ok(work());
    }
    let broke_off = |_| ApiError::new(ProblemCode::Internal, "The hub broke off while it read the request.");
    tokio::task::spawn_blocking(work).await.map_err(broke_off)
}
