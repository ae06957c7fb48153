//! `MODEL` on the command line: from a file, standard input, the built-in library or a reference compute to a graph.
//!
//! Finding and building only; what is done with the graph is the commands' business.

use std::io::Read as _;
use std::path::Path;

use phasic_engine::document::{self, Document};
use phasic_engine::graph::{Graph, GraphHash, GraphLimits};
use phasic_engine::model::{self, ModelDocument, Number};
use phasic_engine::reference;
use phasic_hub_api::ComputeId;
use phasic_hub_client::hub::RetryPolicy;

use crate::Context;
use crate::arguments::{Assignment, ModelArguments};
use crate::failure::Failure;
use crate::output::printable;
use crate::progress::Bar;

impl Context<'_> {
    /// The graph of the model a command was given.
    pub(crate) fn graph(&self, arguments: &ModelArguments) -> Result<Graph, Failure> {
        self.graph_of(&arguments.model, &arguments.set)
    }

    /// The graph of `model` with these constants.
    pub(crate) fn graph_of(&self, model: &str, constants: &[Assignment]) -> Result<Graph, Failure> {
        let document = match self.document(model)? {
            Document::Model(document) => Document::Model(set(document, constants, model)?),
            other if constants.is_empty() => other,
            _ => {
                return Err(Failure::input(format!(
                    "'{}' is a graph and has no constants to --set; a model document has",
                    printable(model)
                )));
            }
        };
        let limits = self.limits.graph();
        let _building = Bar::spinning("building the graph");
        match document {
            Document::Model(document) => document.build_within(&limits, self.limits.steps()),
            other => other.into_graph(&limits),
        }
        .map_err(Failure::unusable(model))
    }

    fn document(&self, model: &str) -> Result<Document, Failure> {
        let (limits, unusable) = (self.limits.graph(), Failure::unusable(model));
        if model == "-" {
            let mut text = String::new();
            std::io::stdin().lock().read_to_string(&mut text).map_err(|error| {
                Failure::input(format!("cannot read the model from standard input: {error}"))
            })?;
            return document::read_within(&text, &limits).map_err(unusable);
        }
        if let Some(name) = model.strip_prefix("builtin:") {
            let found = model::find(name).ok_or_else(|| no_such_model(name))?;
            return found.read().map(Document::Model).map_err(unusable);
        }
        if Path::new(model).exists() || looks_like_a_path(model) {
            let text = std::fs::read_to_string(model)
                .map_err(|error| Failure::input(format!("cannot read '{}': {error}", printable(model))))?;
            return document::read_within(&text, &limits).map_err(unusable);
        }
        if let Some(compute) = reference::find(model).or_else(|| reference_by_hash(model)) {
            return compute.document().map(Document::Model).map_err(unusable);
        }
        Err(self.without_document(model))
    }

    /// Why there is no document for something that is neither a file nor built in: asks the hub what it knows.
    fn without_document(&self, model: &str) -> Failure {
        let shown = printable(model);
        let nowhere = format!("'{shown}' is neither a file nor a reference compute");
        if model.parse::<ComputeId>().is_err() {
            return Failure::input(format!("{nowhere}, and cannot be the name of a compute"));
        }
        let url = &self.settings.hub_url;
        // The name is more likely mistyped than the hub briefly away: no waiting here.
        match self.hub_trying(RetryPolicy::never()).and_then(|hub| Ok(hub.show(model)?)) {
            Ok(Some(compute)) => Failure::input(format!(
                "the hub at {url} has the compute '{}', but no document of its graph, which this command needs; give \
                 the model as a file (its content hash is {})",
                compute.id, compute.entry.graph_hash
            )),
            Ok(None) => Failure::input(format!(
                "{nowhere}, and the hub at {url} has no such compute; 'phasic models' and 'phasic list' show what there is"
            )),
            Err(Failure::Hub(message)) => Failure::Hub(format!(
                "{nowhere}, and whether the hub knows it cannot be found out: {message}"
            )),
            Err(other) => other,
        }
    }
}

/// For a name that is no built-in model.
pub(crate) fn no_such_model(name: &str) -> Failure {
    Failure::input(format!("there is no built-in model '{}'; 'phasic models' lists them", printable(name)))
}

fn set(document: ModelDocument, constants: &[Assignment], model: &str) -> Result<ModelDocument, Failure> {
    constants.iter().try_fold(document, |document, Assignment { name, value }| {
        let number: Number = value.parse().map_err(|error| {
            Failure::input(format!("--set {}={}: {error}", printable(name), printable(value)))
        })?;
        document.with_constant(name, number).map_err(|error| {
            Failure::input(format!(
                "--set {} for '{}': {}",
                printable(name),
                printable(model),
                error.problem()
            ))
        })
    })
}

fn looks_like_a_path(model: &str) -> bool {
    let is_document = Path::new(model).extension().is_some_and(|kind| kind.eq_ignore_ascii_case("json"));
    is_document || model.contains(['/', '\\'])
}

fn reference_by_hash(text: &str) -> Option<&'static reference::ReferenceCompute> {
    let wanted: GraphHash = text.parse().ok()?;
    reference::computes().iter().find(|compute| {
        compute.build(&GraphLimits::default()).is_ok_and(|graph| graph.content_hash() == wanted)
    })
}
