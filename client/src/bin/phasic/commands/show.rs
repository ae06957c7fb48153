//! `phasic show`: one compute of the hub.

use phasic_hub_client::hub::Compute;
use serde_json::{Map, Value};

use super::Answer;
use crate::arguments::ShowArguments;
use crate::failure::Failure;
use crate::output::printable;
use crate::{Context, note};

pub(crate) fn run(arguments: &ShowArguments, context: &mut Context<'_>) -> Result<Answer, Failure> {
    let Some(compute) = context.hub()?.show(&arguments.id)? else {
        note(format_args!(
            "the hub at {} has no compute '{}'; 'phasic list' shows what it has",
            context.settings.hub_url,
            printable(&arguments.id)
        ));
        if context.output.json {
            context.output.json(&Value::Null)?;
        }
        return Ok(Answer::No);
    };
    if context.output.json {
        context.output.json(&whole(&compute))?;
    } else {
        context.output.fields(&fields(&compute))?;
    }
    Ok(Answer::Done)
}

/// The id in front of the entry as the registry has it.
fn whole(compute: &Compute) -> Value {
    let mut whole = Map::new();
    whole.insert("compute_id".to_owned(), compute.id.as_str().into());
    if let Value::Object(entry) = compute.entry.to_value() {
        whole.extend(entry);
    }
    Value::Object(whole)
}

fn fields(compute: &Compute) -> Vec<(&'static str, String)> {
    let Compute { id, entry } = compute;
    let metadata = &entry.metadata;
    let mut fields = vec![("id", id.to_string()), ("graph hash", entry.graph_hash.to_string())];
    let texts = [
        ("description", &metadata.description),
        ("domain", &metadata.domain),
        ("model type", &metadata.model_type),
        ("author", &metadata.author),
        ("license", &metadata.license),
    ];
    fields.extend(texts.into_iter().filter_map(|(name, text)| Some((name, printable(text.as_deref()?)))));
    if !metadata.tags.is_empty() {
        fields.push(("tags", printable(&metadata.tags.join(", "))));
    }
    let counts = [("vertices", metadata.vertices), ("parameters", metadata.param_length)];
    fields.extend(counts.into_iter().filter_map(|(name, count)| Some((name, count?.to_string()))));
    let parent = &entry.artifacts.parent;
    fields.push(("artifact", printable(&parent.cid_or_path)));
    fields.push(("sha256", parent.sha256.to_string()));
    fields.push(("size", format!("{} bytes", parent.size_bytes)));
    if !entry.artifacts.scc.is_empty() {
        fields.push(("components", entry.artifacts.scc.len().to_string()));
    }
    if entry.retracted {
        fields.push(("retracted", "yes: it is not listed and cannot be pulled".to_owned()));
    }
    fields
}
