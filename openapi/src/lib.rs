//! The wire contract of Phasic Hub: registry documents, identifiers, REST types and problems.
//!
//! Server and client meet here and nowhere else. Types, their JSON and their validation live here; nothing that
//! opens a socket or a file does.
#![forbid(unsafe_code)]

pub mod access;
pub mod admin;
mod bounded;
pub mod computes;
pub mod evaluate;
pub mod health;
pub mod identifier;
pub mod jobs;
pub mod mirror;
pub mod model;
pub mod problem;
pub mod registry;
pub mod verification;

pub use access::{AuditLine, AuditPage, NewToken, Scope, ScopeError, TokenInfo, TokenPage, TokenRequest};
pub use evaluate::{
    EvaluateRequest, EvaluateResponse, EvaluateResult, Gradients, Observations, Quantity, Real, StartChoice,
    Thetas, Values,
};
pub use identifier::{ArtifactName, ComputeId, IdPattern, IdPatterns, Sha256};
pub use model::{GraphIdentity, ModelSource};
pub use phasic_engine::graph::{EdgeOrderDigest, GraphHash};
pub use problem::{Problem, ProblemCode};
pub use registry::{
    ArtifactRef, Artifacts, ComputeFilter, EntryFault, Metadata, ReadLimits, RegistryDocument, RegistryEntry,
    RegistryError, RegistryReading, SccRef, Search,
};
