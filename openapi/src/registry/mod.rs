//! The registry document: which computes exist, and which bytes belong to them.
//!
//! Reading is strict and keeps what it does not know; writing gives back the same keys in the same order. What a
//! location means, and fetching it, is the business of whoever reads the document.

mod document;
mod entry;
mod fields;
mod filter;
mod read;
mod search;
mod strict;
#[cfg(test)]
mod tests;

pub use document::{RegistryDocument, TakenId};
pub use entry::{ArtifactRef, Artifacts, Metadata, RegistryEntry, SccRef};
pub use fields::{EntryFault, FaultReason};
pub use filter::ComputeFilter;
pub use read::{ReadLimits, RegistryError, RegistryReading};
pub use search::Search;
