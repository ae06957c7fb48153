//! The built-in model documents, embedded in the program: worked examples, and the sources of the reference computes.
//!
//! The documents themselves are files under `engine/models`; this list only names them.

/// A built-in model document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LibraryModel {
    /// Its name, that of its file as well.
    pub name: &'static str,
    /// The whole document.
    pub text: &'static str,
}

macro_rules! embedded {
    ($name:literal) => {
        LibraryModel { name: $name, text: include_str!(concat!("../../models/", $name, ".json")) }
    };
}

static LIBRARY: [LibraryModel; 29] = [
    embedded!("arg2"),
    embedded!("arg2_merged"),
    embedded!("birth_death"),
    embedded!("codon"),
    embedded!("constant_chain"),
    embedded!("constant_chain_ticks"),
    embedded!("coxian"),
    embedded!("coxian_long"),
    embedded!("erlang"),
    embedded!("hyperexponential"),
    embedded!("hypoexponential"),
    embedded!("kingman"),
    embedded!("kingman_defective_start"),
    embedded!("kingman_mixed_start"),
    embedded!("kingman_mutations"),
    embedded!("mm1k"),
    embedded!("mm1k_inspections"),
    embedded!("mmck"),
    embedded!("moran"),
    embedded!("rabbits"),
    embedded!("repair"),
    embedded!("ring"),
    embedded!("sfs"),
    embedded!("sir"),
    embedded!("stepping_stone"),
    embedded!("three_island"),
    embedded!("two_island"),
    embedded!("two_island_asymmetric"),
    embedded!("two_locus_arg"),
];

/// All built-in documents, by name.
pub fn library() -> &'static [LibraryModel] {
    &LIBRARY
}

/// The built-in document of this name.
pub fn find(name: &str) -> Option<&'static LibraryModel> {
    LIBRARY.binary_search_by(|model| model.name.cmp(name)).ok().map(|position| &LIBRARY[position])
}

impl LibraryModel {
    /// What the document says the model is. Reads the document.
    pub fn description(&self) -> String {
        let document = self.read().ok();
        document.as_ref().and_then(super::ModelDocument::description).unwrap_or_default().to_owned()
    }

    /// The document, read.
    ///
    /// # Errors
    /// None for the documents of this library; the type is that of [`read`](super::read).
    pub fn read(&self) -> Result<super::ModelDocument, crate::document::DocumentError> {
        super::read(self.text)
    }
}
