//! `phasic list`: the hub's computes.

use phasic_hub_client::hub::{Compute, ListFilter};
use serde_json::{Map, Value};

use super::Answer;
use crate::arguments::ListArguments;
use crate::failure::Failure;
use crate::output::printable;
use crate::{Context, note};

pub(crate) fn run(arguments: &ListArguments, context: &mut Context<'_>) -> Result<Answer, Failure> {
    let registry = context.hub()?.registry()?;
    for fault in registry.faults() {
        let fault = printable(&fault.to_string());
        note(format_args!("note: the hub's entry {fault}; it is left out"));
    }
    let computes = registry.list(&ListFilter {
        domain: arguments.domain.clone(),
        model_type: arguments.model_type.clone(),
        tags: arguments.tag.clone(),
        search: arguments.search.clone(),
    });
    if context.output.json {
        context.output.json(&computes.iter().map(summary).collect())?;
    } else if computes.is_empty() {
        note("no compute of the hub matches");
    } else {
        let rows: Vec<_> = computes.iter().map(row).collect();
        context.output.table(&["ID", "VERTICES", "PARAMETERS", "DOMAIN", "TYPE", "DESCRIPTION"], &rows)?;
    }
    Ok(Answer::Done)
}

/// The keys of phasic's `list_computes`: names first, then everything in the metadata.
fn summary(compute: &Compute) -> Value {
    let Compute { id, entry } = compute;
    let whole = entry.to_value();
    let metadata = whole.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut summary = Map::new();
    summary.insert("compute_id".to_owned(), id.as_str().into());
    summary.insert("graph_hash".to_owned(), entry.graph_hash.to_string().into());
    summary.insert("format_revision".to_owned(), entry.format_revision.into());
    summary.insert("description".to_owned(), entry.metadata.description.clone().into());
    for (key, value) in metadata {
        summary.entry(key).or_insert(value);
    }
    Value::Object(summary)
}

fn row(compute: &Compute) -> [String; 6] {
    let metadata = &compute.entry.metadata;
    let text = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), printable);
    let count = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
    [
        compute.id.to_string(),
        count(metadata.vertices),
        count(metadata.param_length),
        text(&metadata.domain),
        text(&metadata.model_type),
        text(&metadata.description),
    ]
}
