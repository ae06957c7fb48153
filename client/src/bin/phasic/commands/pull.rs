//! `phasic pull`: fetches a model's artifact into the cache, verified.

use std::sync::{Arc, Mutex, PoisonError};

use phasic_engine::graph::Graph;
use phasic_hub_client::hub::{PullEvent, PullOptions, Pulled};
use serde_json::{Value, json};

use super::Answer;
use super::inspect::{format_name, name};
use crate::arguments::PullArguments;
use crate::failure::Failure;
use crate::progress::{Bar, Unit};
use crate::{Context, note};

pub(crate) fn run(arguments: &PullArguments, context: &mut Context<'_>) -> Result<Answer, Failure> {
    let graph = context.graph(&arguments.model)?;
    let hub = context.hub()?;
    let bars = Arc::new(Mutex::new(None));
    let drawn = Arc::clone(&bars);
    let observer = Arc::new(move |event| show(&drawn, event));
    let pulled = hub.pull_with(&graph, PullOptions { force: arguments.force, observer: Some(observer) })?;
    // The bar goes before the result comes.
    drop(bars.lock().unwrap_or_else(PoisonError::into_inner).take());
    if context.output.json {
        context.output.json(&report(&graph, &pulled))?;
    }
    match &pulled {
        Pulled::Unregistered => {
            note(format_args!(
                "the hub at {} has no artifact for this graph ({}); 'phasic eliminate' makes it here",
                context.settings.hub_url,
                graph.content_hash()
            ));
            return Ok(Answer::No);
        }
        _ if context.output.json => {}
        Pulled::Present { path } => {
            context.output.line(format_args!("{}: in the cache already, verified", path.display()))?;
        }
        Pulled::Installed { path, id, evidence, .. } => {
            let proof = name(*evidence);
            context
                .output
                .line(format_args!("{}: installed from {id}, verified ({proof})", path.display()))?;
        }
        _ => {}
    }
    Ok(Answer::Done)
}

fn report(graph: &Graph, pulled: &Pulled) -> Value {
    let mut report =
        json!({"available": pulled.is_available(), "graph_hash": graph.content_hash().to_string()});
    match pulled {
        Pulled::Present { path } => {
            report["status"] = "present".into();
            report["path"] = path.display().to_string().into();
        }
        Pulled::Installed { path, id, evidence, format, components, .. } => {
            report["status"] = "installed".into();
            report["path"] = path.display().to_string().into();
            report["compute_id"] = id.as_str().into();
            report["evidence"] = name(*evidence).into();
            report["received_format"] = format_name(*format).into();
            report["components"] = (*components).into();
        }
        _ => report["status"] = "unregistered".into(),
    }
    report
}

/// The bar on the screen, and whether it shows a download.
type Shown = Option<(bool, Bar)>;

fn show(shown: &Mutex<Shown>, event: PullEvent) {
    // A thread that panicked while drawing is no reason to stop drawing.
    let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
    match event {
        PullEvent::Downloading { received_bytes, size_bytes, .. } => {
            bar(&mut shown, true).set(received_bytes, size_bytes);
        }
        PullEvent::Verifying { progress, .. } => {
            bar(&mut shown, false).set(progress.vertices_done, progress.vertices);
        }
        PullEvent::Replacing { path, reason } => {
            *shown = None;
            note(format_args!("note: '{}' is fetched again: {reason}", path.display()));
        }
        PullEvent::LeftOut { names } => {
            *shown = None;
            note(format_args!(
                "note: {} components listed by the hub are not of this graph and left out",
                names.len()
            ));
        }
        _ => {}
    }
}

fn bar(shown: &mut Shown, downloading: bool) -> &Bar {
    if shown.as_ref().is_some_and(|(is_download, _)| *is_download != downloading) {
        *shown = None;
    }
    let (label, unit) =
        if downloading { ("downloading", Unit::Bytes) } else { ("verifying", Unit::Vertices) };
    &shown.get_or_insert_with(|| (downloading, Bar::new(label, unit))).1
}
