//! `phasic hash`: the content hash of a model's graph.

use serde_json::json;

use super::Answer;
use crate::Context;
use crate::arguments::ModelArguments;
use crate::failure::Failure;

pub(crate) fn run(arguments: &ModelArguments, context: &mut Context<'_>) -> Result<Answer, Failure> {
    let graph = context.graph(arguments)?;
    let hash = graph.content_hash();
    if context.output.json {
        context.output.json(&json!({
            "graph_hash": hash.to_string(),
            "edge_order_digest": graph.edge_order_digest().to_string(),
            "vertices": graph.vertex_count(),
            "edges": graph.edge_count(),
            "param_length": graph.param_length(),
        }))?;
    } else {
        context.output.line(hash)?;
    }
    Ok(Answer::Done)
}
