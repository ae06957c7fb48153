//! The reference computes: well-known models that every hub eliminates and publishes by itself.
//!
//! They are model documents of the library with settled constants, and what a registry says about them. Identifiers
//! and descriptions of the Kingman coalescent are those of the public registry.

use crate::document::DocumentError;
use crate::graph::{Graph, GraphLimits};
use crate::model::{self, LibraryModel, ModelDocument};

/// A model of the library with settled constants, and its description in a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReferenceCompute {
    /// Compute identifier.
    pub id: &'static str,
    /// Name of the model document in the library.
    pub model: &'static str,
    /// Values of the document's constants; those not listed keep the document's.
    pub constants: &'static [(&'static str, i64)],
    /// One sentence for people.
    pub description: &'static str,
    /// Author of the model, as a registry lists it; none for models of the textbooks.
    pub author: Option<&'static str>,
    /// SPDX identifier of the licence of the entry and its artifact.
    pub license: &'static str,
    /// Field of application.
    pub domain: &'static str,
    /// Kind of model.
    pub model_type: &'static str,
    /// Search words, in registry order.
    pub tags: &'static [&'static str],
}

const COALESCENT_TAGS: &[&str] = &["coalescent", "kingman", "population-genetics"];
const KINGMAN_AUTHOR: Option<&str> = Some("Kasper Munch <kaspermunch@birc.au.dk>");

const fn kingman(
    id: &'static str,
    constants: &'static [(&'static str, i64)],
    description: &'static str,
) -> ReferenceCompute {
    ReferenceCompute {
        id,
        model: "kingman",
        constants,
        description,
        author: KINGMAN_AUTHOR,
        license: "MIT",
        domain: "population-genetics",
        model_type: "coalescent",
        tags: COALESCENT_TAGS,
    }
}

static COMPUTES: [ReferenceCompute; 7] = [
    kingman("coal_n5_theta1", &[("n", 5)], "Kingman coalescent for n=5 haploid samples (1 parameter)"),
    kingman("coal_n10_theta1", &[("n", 10)], "Kingman coalescent for n=10 haploid samples (1 parameter)"),
    kingman("coal_n20_theta1", &[("n", 20)], "Kingman coalescent for n=20 haploid samples (1 parameter)"),
    ReferenceCompute {
        id: "two_island_a4_b4",
        model: "two_island",
        constants: &[("start_a", 4), ("start_b", 4)],
        description: "Structured coalescent for 4+4 haploid samples on two islands with symmetric migration \
                      (2 parameters)",
        author: None,
        license: "MIT",
        domain: "population-genetics",
        model_type: "structured-coalescent",
        tags: &["coalescent", "structured-coalescent", "migration", "population-genetics"],
    },
    ReferenceCompute {
        id: "mm1k_k10_start1",
        model: "mm1k",
        constants: &[("capacity", 10), ("start", 1)],
        description: "M/M/1/K queue with K=10: busy period begun by one customer (2 parameters)",
        author: None,
        license: "MIT",
        domain: "queueing-theory",
        model_type: "queue",
        tags: &["queue", "mm1k", "busy-period", "queueing-theory"],
    },
    ReferenceCompute {
        id: "erlang_k4",
        model: "erlang",
        constants: &[("stages", 4)],
        description: "Erlang distribution with 4 stages (1 parameter)",
        author: None,
        license: "MIT",
        domain: "probability",
        model_type: "erlang",
        tags: &["erlang", "chain", "probability"],
    },
    ReferenceCompute {
        id: "rabbits_n7",
        model: "rabbits",
        constants: &[("n", 7)],
        description: "Rabbits jumping between two flooding islands, n=7, until all have drowned (3 parameters)",
        author: None,
        license: "MIT",
        domain: "ecology",
        model_type: "jump-process",
        tags: &["rabbits", "flooding", "tutorial", "ecology"],
    },
];

/// All reference computes, in the order in which a registry lists them.
///
/// ```
/// use phasic_engine::graph::GraphLimits;
///
/// let kingman = &phasic_engine::reference::computes()[0];
/// assert_eq!(kingman.id, "coal_n5_theta1");
/// assert_eq!(
///     kingman.build(&GraphLimits::default())?.content_hash().to_string(),
///     "4d652ed73c66ed4ada3dd13e0dde2051c151aa24be097bcd96c5bc04713be0f6"
/// );
/// # Ok::<(), phasic_engine::document::DocumentError>(())
/// ```
pub fn computes() -> &'static [ReferenceCompute] {
    &COMPUTES
}

/// The reference compute with this identifier.
pub fn find(id: &str) -> Option<&'static ReferenceCompute> {
    COMPUTES.iter().find(|compute| compute.id == id)
}

impl ReferenceCompute {
    /// The built-in document this compute is made from.
    ///
    /// # Panics
    /// Never for the computes of this module: each names a document of the library.
    pub fn library_model(&self) -> &'static LibraryModel {
        model::find(self.model).expect("reference computes name documents of the library")
    }

    /// The model document with this compute's constants.
    ///
    /// # Errors
    /// None for the computes of this module; the type is that of [`model::read`].
    pub fn document(&self) -> Result<ModelDocument, DocumentError> {
        let document = self.library_model().read()?;
        self.constants
            .iter()
            .try_fold(document, |document, &(name, value)| document.with_constant(name, value))
    }

    /// The graph.
    ///
    /// # Errors
    /// [`DocumentError`] when the limits are too small for it.
    pub fn build(&self, limits: &GraphLimits) -> Result<Graph, DocumentError> {
        self.document()?.build(limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Identifier, content hash, vertices and parameters of each compute.
    const EXPECTED: [(&str, &str, u32, usize); 7] = [
        ("coal_n5_theta1", "4d652ed73c66ed4ada3dd13e0dde2051c151aa24be097bcd96c5bc04713be0f6", 6, 1),
        ("coal_n10_theta1", "2c6488c6486ae2d2285f08c0c224dbb72e70c044127fa18acb0c39ea5dd8efd3", 11, 1),
        ("coal_n20_theta1", "6f7690305bd5c9ecc4fb86d1b714d49d488a78adf2afd92d8eec6ad088ffcc1d", 21, 1),
        ("two_island_a4_b4", "c71846b101a8756cfe5e185aadd8f3a58c53f7e5949d3d763fec283a2c57e7bf", 45, 2),
        ("mm1k_k10_start1", "cc9cef55f0c052216819db04f63cf47b5f0d85433b8352a3acb8ea2999ed1978", 12, 2),
        ("erlang_k4", "4fb8a0c972dce0d34bb49e52e85db2ce0d05c237272f07c8db55e02825e61259", 6, 1),
        ("rabbits_n7", "c073d894a651b7354189b29cb190738217ed5c85ae33f451355c86817e8471b2", 37, 3),
    ];

    #[test]
    fn each_compute_builds_the_graph_it_names() {
        assert_eq!(computes().len(), EXPECTED.len());
        for (compute, (id, hash, vertices, parameters)) in computes().iter().zip(EXPECTED) {
            let graph = compute.build(&GraphLimits::default()).expect(id);
            assert_eq!(compute.id, id);
            assert_eq!(graph.content_hash().to_string(), hash, "{id}");
            assert_eq!((graph.vertex_count(), graph.param_length()), (vertices, parameters), "{id}");
            assert_eq!(find(id), Some(compute));
        }
    }

    #[test]
    fn descriptions_tell_the_true_number_of_parameters() {
        for compute in computes() {
            let count = compute.document().expect(compute.id).parameter_names().expect(compute.id).len();
            let plural = if count == 1 { "" } else { "s" };
            assert!(compute.description.ends_with(&format!("({count} parameter{plural})")), "{}", compute.id);
        }
    }

    #[test]
    fn coalescent_entries_are_those_of_the_public_registry() {
        let registry: serde_json::Value =
            serde_json::from_str(include_str!("../tests/data/upstream-v2.json")).expect("JSON");
        let entries = registry["computes"].as_object().expect("computes");
        assert_eq!(entries.len(), 3);
        for (id, entry) in entries {
            let compute = find(id).expect(id);
            let graph = compute.build(&GraphLimits::default()).expect(id);
            assert_eq!(entry["graph_hash"], graph.content_hash().to_string());
            let metadata = &entry["metadata"];
            assert_eq!(metadata["description"], compute.description);
            assert_eq!(metadata["author"].as_str(), compute.author);
            assert_eq!(metadata["license"], compute.license);
            assert_eq!(metadata["vertices"], graph.vertex_count());
            assert_eq!(metadata["param_length"], graph.param_length());
            assert_eq!(metadata["domain"], compute.domain);
            assert_eq!(metadata["model_type"], compute.model_type);
            assert_eq!(metadata["tags"], serde_json::json!(compute.tags));
        }
    }
}
