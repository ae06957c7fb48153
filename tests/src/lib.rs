//! Whole-system tests of Phasic Hub: real processes, fake upstreams, the published golden vectors.
//!
//! Here is what the tests share: starting programs, talking raw HTTP, playing an upstream, spoiling its answers,
//! making artifacts, judging data directories. Everything
//! panics on failure, because a fixture that fails is a test that fails.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a failing fixture is a failing test")]

pub mod access;
pub mod blobs;
pub mod chaos;
pub mod database;

pub mod http;
pub mod hub;
pub mod oracle;
pub mod program;
pub mod registry;
pub mod seed;
pub mod upstream;
