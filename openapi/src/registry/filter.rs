//! Which computes a listing shows.

use super::RegistryEntry;

/// What `list_computes` of phasic and `phasic list` select by. Nothing given selects every entry that is not
/// retracted.
///
/// ```
/// use phasic_hub_api::ComputeFilter;
/// let coalescents = ComputeFilter { model_type: Some("coalescent".to_owned()), ..ComputeFilter::default() };
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComputeFilter {
    /// Only this domain, compared as it stands.
    pub domain: Option<String>,
    /// Only this model type, compared as it stands.
    pub model_type: Option<String>,
    /// Only entries that have all of these tags.
    pub tags: Vec<String>,
}

impl ComputeFilter {
    /// Whether a listing shows this entry. Retracted entries are never shown.
    pub fn selects(&self, entry: &RegistryEntry) -> bool {
        let metadata = &entry.metadata;
        let equal = |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        !entry.retracted
            && equal(&self.domain, &metadata.domain)
            && equal(&self.model_type, &metadata.model_type)
            && self.tags.iter().all(|tag| metadata.tags.contains(tag))
    }
}
