//! `phasic inspect`: checks an artifact and says what is in it.

use std::path::Path;

use phasic_engine::artifact::{Checks, Decoded, Format, decode};
use phasic_engine::graph::Graph;
use phasic_engine::plan::Plan;
use phasic_hub_api::{GraphHash, Sha256};
use phasic_hub_client::refusal::Refusal;
use phasic_hub_client::verification::{Evidence, Verified, verify};
use serde_json::{Value, json};

use super::Answer;
use crate::arguments::InspectArguments;
use crate::failure::Failure;
use crate::limits::{Limits, advised, flag_of_refusal};
use crate::progress::{Bar, Unit};
use crate::{Context, plan_file};

pub(crate) fn run(arguments: &InspectArguments, context: &mut Context<'_>) -> Result<Answer, Failure> {
    let bytes = read(&arguments.artifact)?;
    let graph = match &arguments.graph {
        Some(model) => Some(context.graph_of(model, &arguments.set)?),
        None => None,
    };
    let mut report = Report::new(&arguments.artifact, &bytes, graph.as_ref());
    let verdict = if plan_file::is_plan(&bytes) {
        report.judge_plan(&bytes, graph.as_ref(), &context.limits)?
    } else {
        report.judge_program(&bytes, graph.as_ref(), &context.limits)
    };
    report.print(&verdict, context)?;
    match verdict {
        Ok(_) => Ok(Answer::Done),
        Err(problem) => {
            Err(Failure::refused(format!("'{}' must not be used: {problem}", arguments.artifact.display())))
        }
    }
}

/// The bytes of an artifact file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::input(format!("cannot read '{}': {error}", path.display())))
}

/// What shows that a file is what its graph asks for, where there is a graph; or why it must not be used.
type Verdict = Result<Option<&'static str>, String>;

/// What is known about a file, good or bad.
struct Report {
    path: String,
    size_bytes: usize,
    sha256: Sha256,
    graph_hash: Option<GraphHash>,
    contents: Option<Contents>,
}

enum Contents {
    Program(Decoded),
    Plan(GraphHash, Box<Plan>),
}

impl Report {
    fn new(path: &Path, bytes: &[u8], graph: Option<&Graph>) -> Self {
        let (path, sha256) = (path.display().to_string(), Sha256::of(bytes));
        let graph_hash = graph.map(Graph::content_hash);
        Self { path, size_bytes: bytes.len(), sha256, graph_hash, contents: None }
    }

    fn judge_program(&mut self, bytes: &[u8], graph: Option<&Graph>, limits: &Limits) -> Verdict {
        let verdict = match graph.zip(self.graph_hash) {
            None => decode(bytes, &Checks::default())
                .map(|decoded| (decoded, None))
                .map_err(|error| error.to_string()),
            Some((graph, hash)) => {
                let mut bar = Bar::new("verifying", Unit::Vertices);
                verify(bytes, graph, hash, &limits.elimination(), &mut bar)
                    .map(|Verified { decoded, evidence }| (decoded, Some(name(evidence))))
                    .map_err(|error| Refusal::new(error, bytes, graph))
                    .map_err(|refusal| advised(&refusal, flag_of_refusal(&refusal)))
            }
        };
        // With a graph, a file may be intact and still not its program: say what is in it all the same.
        let (contents, verdict) = match verdict {
            Ok((decoded, proof)) => (Some(decoded), Ok(proof)),
            Err(problem) => (decode(bytes, &Checks::default()).ok(), Err(problem)),
        };
        self.contents = contents.map(Contents::Program);
        verdict
    }

    /// Fails where a limit keeps the plan from being judged.
    fn judge_plan(
        &mut self,
        bytes: &[u8],
        graph: Option<&Graph>,
        limits: &Limits,
    ) -> Result<Verdict, Failure> {
        let judged = plan_file::read(bytes, limits).and_then(|(made_for, plan)| {
            self.contents = Some(Contents::Plan(made_for, Box::new(plan)));
            let Some(graph) = graph else { return Ok(None) };
            plan_file::verify(bytes, graph, limits).map(|_| Some(name(Evidence::Reproduced)))
        });
        match judged {
            Ok(proof) => Ok(Ok(proof)),
            Err(Failure::Refused(problem)) => Ok(Err(problem)),
            Err(other) => Err(other),
        }
    }

    fn print(&self, verdict: &Verdict, context: &mut Context<'_>) -> Result<(), Failure> {
        if context.output.json {
            return context.output.json(&self.json(verdict));
        }
        let mut fields = vec![("file", self.path.clone()), ("size", format!("{} bytes", self.size_bytes))];
        fields.push(("sha256", self.sha256.to_string()));
        match &self.contents {
            Some(Contents::Program(decoded)) => fields.extend(program_fields(decoded)),
            Some(Contents::Plan(made_for, plan)) => fields.extend(plan_fields(*made_for, plan)),
            None => {}
        }
        if let Some(hash) = self.graph_hash {
            fields.push(("checked for", hash.to_string()));
        }
        let judgement = match (verdict, &self.contents) {
            (Err(_), _) => "refused".to_owned(),
            (Ok(Some(proof)), _) => format!("verified ({proof})"),
            (Ok(None), Some(Contents::Plan(..))) => {
                "intact; give --graph to verify the plan itself".to_owned()
            }
            (Ok(None), _) => "intact; give --graph to verify the program itself".to_owned(),
        };
        fields.push(("verdict", judgement));
        context.output.fields(&fields)
    }

    fn json(&self, verdict: &Verdict) -> Value {
        let judgement = match verdict {
            Err(_) => "refused",
            Ok(Some(_)) => "verified",
            Ok(None) => "intact",
        };
        let mut report = json!({
            "path": self.path,
            "size_bytes": self.size_bytes,
            "sha256": self.sha256.to_string(),
            "verdict": judgement,
            "evidence": verdict.as_ref().ok().copied().flatten(),
            "problem": verdict.as_ref().err(),
            "graph_hash": self.graph_hash.map(|hash| hash.to_string()),
        });
        match &self.contents {
            Some(Contents::Program(decoded)) => {
                report["format"] = format_name(decoded.format).into();
                report["hash_prefix"] = decoded.hash_prefix.map(hexadecimal).into();
                for (_, key, count) in program_counts(decoded) {
                    report[key] = count.into();
                }
            }
            Some(Contents::Plan(made_for, plan)) => {
                report["format"] = "plan".into();
                report["made_for"] = made_for.to_string().into();
                for (key, count) in plan_file::counts(plan) {
                    report[key] = count.into();
                }
            }
            None => {}
        }
        report
    }
}

/// Counts of a program: what people read, what JSON says, and how many.
fn program_counts(decoded: &Decoded) -> [(&'static str, &'static str, usize); 5] {
    let trace = &decoded.trace;
    [
        ("commands", "commands", trace.commands().len()),
        ("rows", "rows", trace.row_count()),
        ("memory slots", "slots", trace.slots() as usize),
        ("inputs", "inputs", trace.inputs().len()),
        ("vertices", "vertices", trace.vertex_count() as usize),
    ]
}

fn program_fields(decoded: &Decoded) -> Vec<(&'static str, String)> {
    let mut fields = vec![("format", format_name(decoded.format).to_owned())];
    if let Some(prefix) = decoded.hash_prefix {
        fields.push(("graph hash", format!("{}…", hexadecimal(prefix))));
    }
    fields.extend(program_counts(decoded).map(|(shown, _, count)| (shown, count.to_string())));
    fields
}

fn plan_fields(made_for: GraphHash, plan: &Plan) -> [(&'static str, String); 9] {
    let cost = plan.cost();
    [
        ("format", "plan".to_owned()),
        ("graph hash", made_for.to_string()),
        ("vertices", format!("{} to eliminate of {}", cost.vertices, plan.vertex_count())),
        ("components", cost.components.to_string()),
        ("edges", cost.edges.to_string()),
        ("factor entries", cost.factor_entries.to_string()),
        ("multiply-adds", cost.multiply_adds.to_string()),
        ("plan", format!("{} bytes in memory", cost.plan_bytes)),
        ("workspace", format!("{} bytes for each theta", cost.workspace_bytes)),
    ]
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
