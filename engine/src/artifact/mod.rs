//! Programs as files: PTDPRMC1 and PTDPRMC3, written and read over byte slices and streams.
//!
//! Whatever comes from outside goes through [`decode`] and all its checks before anything runs. How a program is made
//! or run is not this room's business.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "every converted number was checked against its bound, far below 2^63"
)]

mod decode;
mod encode;
mod error;
mod fields;
mod layout;
mod reader;
mod record;
mod source;
mod verification;

pub use decode::{Checks, Decoded, Format, Limits, decode, decode_stream};
pub use encode::{encode_ptdprmc1, encode_ptdprmc3};
pub use error::{ArtifactError, Fault, StreamError};
pub use layout::{ptdprmc1_size_bytes, ptdprmc3_size_bytes};
pub use verification::{
    Disagreement, Evidence, Trial, VerificationError, Verified, verify, verify_in_any_order,
};

#[cfg(test)]
mod tests;
