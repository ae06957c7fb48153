//! The Phasic Hub SDK, and the `phasic` command built on it.
//!
//! A [`HubClient`] lists what a hub has and brings prepared eliminations into phasic's own cache, where phasic finds
//! them too. Nothing gets there unverified: size and checksum are held against the registry while the bytes arrive, and
//! the program is made anew by the engine and compared ([`verification`]) before it is installed in one step
//! ([`cache`]).
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use phasic_engine::graph::{GraphBuilder, Rate, START};
//! use phasic_hub_client::{HubClient, ListFilter};
//!
//! let hub = HubClient::new("http://127.0.0.1:8787")?;
//!
//! // What is published?
//! let coalescents = ListFilter { model_type: Some("coalescent".to_owned()), ..ListFilter::default() };
//! for compute in hub.list(&coalescents).await? {
//!     println!("{}  {}", compute.id, compute.entry.graph_hash);
//! }
//!
//! // Reuse one: Kingman's coalescent for five lineages, built here and looked up by its content hash.
//! let mut builder = GraphBuilder::new(1)?;
//! let states: Vec<u32> = (1..=5).rev().map(|n| builder.find_or_add_vertex(&[n])).collect::<Result<_, _>>()?;
//! builder.add_edge(START, states[0], Rate::Scalar(1.0))?;
//! for (pair, rate) in states.windows(2).zip([10.0, 6.0, 3.0, 1.0]) {
//!     builder.add_edge(pair[0], pair[1], Rate::Coefficients(&[rate]))?;
//! }
//! let graph = builder.finish();
//! assert!(hub.pull(&graph, false).await?, "the reference computes of every hub have this graph");
//! # Ok(())
//! # }
//! ```
//!
//! Programs without an async runtime use [`blocking::HubClient`].
//!
//! Numbers come from the engine, here as [`engine`]: a model document becomes a graph, the graph a plan, and the plan
//! answers at any parameters. No hub is asked; what is pulled is for phasic.
//!
//! ```
//! use phasic_hub_client::engine::document::{Document, read};
//! use phasic_hub_client::engine::graph::GraphLimits;
//! use phasic_hub_client::engine::plan::{Limits, Plan};
//!
//! // The birth of a queue: arrivals and services until it is first empty.
//! let text = r#"{
//!     "format": "phasic-model/1", "constants": { "places": 3 }, "state": ["customers"],
//!     "parameters": ["arrival", "service"], "initial": [{ "state": { "customers": 1 } }],
//!     "transitions": [
//!         { "when": "customers > 0 and customers < places", "to": { "customers": "customers + 1" }, "rate": { "arrival": 1 } },
//!         { "when": "customers > 0", "to": { "customers": "customers - 1" }, "rate": { "service": 1 } }
//!     ]
//! }"#;
//! let Document::Model(model) = read(text)? else { panic!("a graph") };
//! let graph = model.build(&GraphLimits::default())?;
//! let plan = Plan::analyze(&graph, &Limits::default())?;
//!
//! let mut at = plan.at(&[0.5, 1.0])?;
//! assert_eq!(at.expectation(), 1.75);
//! assert_eq!(at.expectation_gradient(), [2.0, -2.75]);
//! at.set(&[1.0, 1.0])?;
//! assert_eq!(at.expectation(), 3.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod blocking;
pub mod cache;
pub mod hub;
pub mod refusal;
pub mod verification;

pub use phasic_engine as engine;

pub use hub::{HubClient, HubError, ListFilter, PullError, PullOptions, Pulled};
