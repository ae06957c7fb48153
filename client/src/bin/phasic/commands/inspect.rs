//! `phasic inspect`: checks an artifact and says what is in it.

use std::path::Path;

use phasic_engine::artifact::{Checks, Decoded, Format, decode};
use phasic_hub_api::{GraphHash, Sha256};
use phasic_hub_client::refusal::Refusal;
use phasic_hub_client::verification::{Evidence, Verified, verify};
use serde_json::{Value, json};

use super::Answer;
use crate::Context;
use crate::arguments::InspectArguments;
use crate::failure::Failure;
use crate::limits::{advised, flag_of_refusal};
use crate::progress::{Bar, Unit};

pub(crate) fn run(arguments: &InspectArguments, context: &mut Context<'_>) -> Result<Answer, Failure> {
    let bytes = read(&arguments.artifact)?;
    let mut report = Report::new(&arguments.artifact, &bytes);
    let verdict = match &arguments.graph {
        None => decode(&bytes, &Checks::default())
            .map(|decoded| (decoded, None))
            .map_err(|error| error.to_string()),
        Some(model) => {
            let graph = context.graph_of(model, &arguments.set)?;
            let hash = graph.content_hash();
            report.graph_hash = Some(hash);
            verify(
                &bytes,
                &graph,
                hash,
                &context.limits.elimination(),
                &mut Bar::new("verifying", Unit::Vertices),
            )
            .map(|Verified { decoded, evidence }| (decoded, Some(evidence)))
            .map_err(|error| Refusal::new(error, &bytes, &graph))
            .map_err(|refusal| advised(&refusal, flag_of_refusal(&refusal)))
        }
    };
    // With a graph, a file may be intact and still not its program: say what is in it all the same.
    report.contents = match &verdict {
        Ok((decoded, _)) => Some(decoded.clone()),
        Err(_) => decode(&bytes, &Checks::default()).ok(),
    };
    let (evidence, problem) = match verdict {
        Ok((_, evidence)) => (evidence, None),
        Err(problem) => (None, Some(problem)),
    };
    report.print(evidence, problem.as_deref(), context)?;
    match problem {
        None => Ok(Answer::Done),
        Some(problem) => {
            Err(Failure::refused(format!("'{}' must not be used: {problem}", arguments.artifact.display())))
        }
    }
}

/// The bytes of an artifact file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::input(format!("cannot read '{}': {error}", path.display())))
}

/// What is known about a file, good or bad.
struct Report {
    path: String,
    size_bytes: usize,
    sha256: Sha256,
    graph_hash: Option<GraphHash>,
    contents: Option<Decoded>,
}

impl Report {
    fn new(path: &Path, bytes: &[u8]) -> Self {
        let (path, sha256) = (path.display().to_string(), Sha256::of(bytes));
        Self { path, size_bytes: bytes.len(), sha256, graph_hash: None, contents: None }
    }

    fn print(
        &self,
        evidence: Option<Evidence>,
        problem: Option<&str>,
        context: &mut Context<'_>,
    ) -> Result<(), Failure> {
        let proof = evidence.map(name);
        if context.output.json {
            return context.output.json(&self.json(proof, problem));
        }
        let mut fields = vec![("file", self.path.clone()), ("size", format!("{} bytes", self.size_bytes))];
        fields.push(("sha256", self.sha256.to_string()));
        if let Some(decoded) = &self.contents {
            fields.push(("format", format_name(decoded.format).to_owned()));
            if let Some(prefix) = decoded.hash_prefix {
                fields.push(("graph hash", format!("{}…", hexadecimal(prefix))));
            }
            let trace = &decoded.trace;
            let counts = [
                ("commands", trace.commands().len()),
                ("rows", trace.row_count()),
                ("memory slots", trace.slots() as usize),
                ("inputs", trace.inputs().len()),
                ("vertices", trace.vertex_count() as usize),
            ];
            fields.extend(counts.map(|(name, count)| (name, count.to_string())));
        }
        if let Some(hash) = self.graph_hash {
            fields.push(("checked for", hash.to_string()));
        }
        let verdict = match (problem, proof) {
            (Some(_), _) => "refused".to_owned(),
            (None, Some(proof)) => format!("verified ({proof})"),
            (None, None) => "intact; give --graph to verify the program itself".to_owned(),
        };
        fields.push(("verdict", verdict));
        context.output.fields(&fields)
    }

    fn json(&self, proof: Option<&str>, problem: Option<&str>) -> Value {
        let verdict = match (problem, proof) {
            (Some(_), _) => "refused",
            (None, Some(_)) => "verified",
            (None, None) => "intact",
        };
        let mut report = json!({
            "path": self.path,
            "size_bytes": self.size_bytes,
            "sha256": self.sha256.to_string(),
            "verdict": verdict,
            "evidence": proof,
            "problem": problem,
            "graph_hash": self.graph_hash.map(|hash| hash.to_string()),
        });
        if let Some(decoded) = &self.contents {
            let trace = &decoded.trace;
            report["format"] = format_name(decoded.format).into();
            report["hash_prefix"] = decoded.hash_prefix.map(hexadecimal).into();
            report["commands"] = trace.commands().len().into();
            report["rows"] = trace.row_count().into();
            report["slots"] = trace.slots().into();
            report["inputs"] = trace.inputs().len().into();
            report["vertices"] = trace.vertex_count().into();
        }
        report
    }
}

/// How a file format is called on the command line and in JSON.
pub(crate) fn format_name(format: Format) -> &'static str {
    match format {
        Format::Ptdprmc1 => "ptdprmc1",
        Format::Ptdprmc3 => "ptdprmc3",
    }
}

/// How evidence is called.
pub(crate) fn name(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Reproduced => "reproduced",
        Evidence::Fast => "reproduced, fast ordering",
        _ => "other",
    }
}

fn hexadecimal(bytes: [u8; 8]) -> String {
    format!("{:016x}", u64::from_be_bytes(bytes))
}
