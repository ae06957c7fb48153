//! The Phasic Hub service: it keeps eliminations of phase-type graphs, verified, and serves them to phasic.
//!
//! The story of one process: [`command`] reads the command line and [`config`] the settings; [`hub`] opens the data
//! directory ([`store`] for SQL, [`blobs`] for bytes), and renders the [`registry`] once per change; [`listen`]
//! accepts connections and hands them to [`http`]; [`reference`] eliminates the built-in models; [`models`] builds those
//! that requests bring, [`evaluate`] computes their numbers and [`jobs`] their eliminations, on the threads of
//! [`workers`] or [`isolated`] in a process of their own, as far as [`admission`] lets them; [`mirror`] copies an upstream registry, trusting nothing, through [`fetch`], which goes nowhere it is led
//! to; [`auth`] makes tokens, and [`visibility`] says who sees what is private; [`metrics`] counts; [`upkeep`] keeps the
//! data directory in order, by itself or as [`tasks`] of administrators; [`verification`] makes the programs of known graphs
//! anew and compares; [`variants`] decides which program of a graph is served.
//!
//! [`readiness`] says what is missing, to whoever asks whether the hub can be used.
//! [`uploads`] takes bytes from clients, and [`publication`] makes computes of them.
//!
//! What goes over the wire is typed in `phasic-hub-api`, and the mathematics is `phasic-engine`'s: neither is here.
#![forbid(unsafe_code)]

pub mod admission;
pub mod auth;
pub mod blobs;
pub mod bundle;
mod cache;
pub mod command;
pub mod config;
pub mod evaluate;
pub mod fetch;
pub mod http;
pub mod hub;
mod isolated;
pub mod jobs;
pub mod listen;
pub mod metrics;
pub mod mirror;
pub mod models;
pub mod preparing;
pub mod publication;
pub mod readiness;
pub mod reference;
pub mod registry;
mod staging;
pub mod store;
pub mod tasks;
pub mod upkeep;
pub mod uploads;
pub mod variants;
pub mod verification;
pub mod visibility;
mod whole_file;

pub mod workers;
