//! `phasic models`: the built-in model documents.

use phasic_engine::model::{LibraryModel, ModelDocument, Number, find, library};
use serde_json::{Map, Value, json};

use super::Answer;
use crate::Context;
use crate::arguments::ModelsArguments;
use crate::failure::Failure;
use crate::output::number;
use crate::source::no_such_model;

pub(crate) fn run(arguments: &ModelsArguments, context: &mut Context<'_>) -> Result<Answer, Failure> {
    if let Some(name) = &arguments.name {
        let model = find(name.strip_prefix("builtin:").unwrap_or(name)).ok_or_else(|| no_such_model(name))?;
        context.output.line(model.text.trim_end())?;
    } else if context.output.json {
        let models = library()
            .iter()
            .map(|model| Ok(summary(model, &read(model)?)))
            .collect::<Result<_, Failure>>()?;
        context.output.json(&Value::Array(models))?;
    } else {
        let rows = library()
            .iter()
            .map(|model| Ok(row(model, &read(model)?)))
            .collect::<Result<Vec<_>, Failure>>()?;
        context.output.table(&["NAME", "CONSTANTS", "DESCRIPTION"], &rows)?;
    }
    Ok(Answer::Done)
}

fn read(model: &LibraryModel) -> Result<ModelDocument, Failure> {
    model
        .read()
        .map_err(|error| Failure::input(format!("the built-in model '{}' is broken: {error}", model.name)))
}

fn summary(model: &LibraryModel, document: &ModelDocument) -> Value {
    let value = |value: Number| match value {
        Number::Integer(integer) => Value::from(integer),
        Number::Float(float) => number(float),
    };
    let constants: Map<_, _> =
        document.constants().map(|(name, constant)| (name.to_owned(), value(constant))).collect();
    json!({"name": model.name, "description": document.description(), "constants": constants,
        "parameters": document.parameter_names().unwrap_or_default()})
}

fn row(model: &LibraryModel, document: &ModelDocument) -> [String; 3] {
    let constants: Vec<_> = document.constants().map(|(name, value)| format!("{name}={value}")).collect();
    let constants = if constants.is_empty() { "-".to_owned() } else { constants.join(" ") };
    [model.name.to_owned(), constants, document.description().unwrap_or_default().to_owned()]
}
