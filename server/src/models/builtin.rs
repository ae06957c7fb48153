//! Recipes of built-in models as requests name them, written again where the text of one is lost.
//!
//! A recipe is found by the digest of its text alone, so what is written is what was stored or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use phasic_engine::model::{LibraryModel, Number, library};
use phasic_engine::reference::computes;
use phasic_hub_api::Sha256;

use super::Recipe;

/// The largest whole number that is tried as a constant.
const MOST: i64 = 1000;

/// The texts of those of these recipes that are of a built-in model: of a reference compute, or of a model of the library as
/// it is or with one of its constants set to a whole number from 0 to 1000. Takes some tenths of a second for those it does
/// not find.
pub fn recipes_of_builtin(wanted: &BTreeSet<Sha256>) -> Vec<String> {
    let mut found = Found { wanted: wanted.clone(), texts: Vec::new() };
    for compute in computes() {
        found.offer(Recipe::of_reference(compute).to_json().ok());
    }
    for model in library() {
        found.offer(with(model, None));
    }
    for model in library() {
        let Ok(document) = model.read() else { continue };
        let names: Vec<_> = document.constants().map(|(name, _)| name.to_owned()).collect();
        for name in names {
            found.with_constant(model, &name);
        }
    }
    found.texts
}

struct Found {
    wanted: BTreeSet<Sha256>,
    texts: Vec<String>,
}

impl Found {
    fn offer(&mut self, text: Option<String>) {
        self.texts.extend(text.filter(|text| self.wanted.remove(&Sha256::of(text.as_bytes()))));
    }

    /// Tries all values of a constant. Only the first text is written with care; the others differ in its number.
    fn with_constant(&mut self, model: &LibraryModel, name: &str) {
        let Some(zero) = with(model, Some((name, 0))) else { return };
        let Some((head, tail)) = zero.split_once(":0}") else { return };
        for value in 0..=MOST {
            if self.wanted.is_empty() {
                return;
            }
            self.offer(Some(format!("{head}:{value}}}{tail}")));
        }
    }
}

fn with(model: &LibraryModel, constant: Option<(&str, i64)>) -> Option<String> {
    let constants = constant.map(|(name, value)| (name.to_owned(), Number::Integer(value)));
    let constants = constants.into_iter().collect::<BTreeMap<_, _>>();
    Recipe { document: model.text.trim().to_owned(), constants, key: OnceLock::new() }.to_json().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use phasic_engine::reference::computes;
    use phasic_hub_api::{ModelSource, Sha256};

    use super::recipes_of_builtin;
    use crate::models::{Named, Recipe, named};

    fn recipe(source: &str) -> String {
        let source: ModelSource = serde_json::from_str(source).unwrap();
        let Named::Here(recipe) = named(&source).unwrap() else { panic!("it is in the request") };
        recipe.to_json().unwrap()
    }

    #[test]
    fn recipes_of_built_in_models_are_written_again_to_the_last_byte() {
        let texts = [
            Recipe::of_reference(&computes()[1]).to_json().unwrap(),
            recipe(r#"{"builtin": "kingman"}"#),
            recipe(r#"{"builtin": "rabbits", "constants": {"n": 0}}"#),
            recipe(r#"{"builtin": "rabbits", "constants": {"n": 1000}}"#),
        ];
        let digest = |text: &String| Sha256::of(text.as_bytes());
        let unknown = recipe(r#"{"builtin": "rabbits", "constants": {"n": 1001}}"#);
        let wanted: BTreeSet<_> = texts.iter().chain([&unknown]).map(digest).collect();
        let found: BTreeSet<_> = recipes_of_builtin(&wanted).into_iter().collect();
        assert_eq!(found, texts.into_iter().collect());
        assert!(recipes_of_builtin(&BTreeSet::new()).is_empty());
    }
}
