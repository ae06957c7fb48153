//! The tutorial of the README in Rust. With a hub running:
//!
//! ```text
//! cargo run --release -p phasic-hub-client --example pull_and_evaluate
//! ```

#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

use phasic_engine::graph::{Graph, GraphLimits, Rate};
use phasic_engine::plan::{Limits, Plan};
use phasic_engine::state_space::{StateSpaceError, explore};
use phasic_hub_client::ListFilter;
use phasic_hub_client::blocking::HubClient;

/// Kingman's coalescent: each pair of lineages finds its common ancestor at rate θ.
fn kingman(samples: i32) -> Result<Graph, StateSpaceError> {
    explore(1, GraphLimits::default(), &[([samples], 1.0)], |state, transitions| {
        let n = state[0];
        if n > 1 {
            transitions.add(&[n - 1], Rate::Coefficients(&[f64::from(n * (n - 1) / 2)]))?;
        }
        Ok::<(), StateSpaceError>(())
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = HubClient::new("http://127.0.0.1:8787")?;

    // What is published?
    let coalescents = ListFilter { domain: Some("population-genetics".to_owned()), ..ListFilter::default() };
    for compute in hub.list(&coalescents)? {
        println!("{}  {}", compute.id, compute.entry.graph_hash);
    }

    // Reuse a model: found by its content hash, verified, and installed where phasic finds it, too.
    let graph = kingman(5)?;
    println!("coal_n5 pulled: {}", hub.pull(&graph, false)?);

    // Nobody has registered this one.
    println!("n = 7 pulled: {}", hub.pull(&kingman(7)?, false)?);

    // Numbers come from our own plan, here at two values of θ.
    let plan = Plan::analyze(&graph, &Limits::default())?;
    for theta in [1.0, 2.0] {
        let at = plan.at(&[theta])?;
        println!("θ = {theta}: mean {}, variance {}", at.expectation(), at.variance());
    }
    Ok(())
}
