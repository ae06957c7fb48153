//! The decision itself: which program is served, from what is known. Pure.

use phasic_hub_api::jobs::Variant;

use crate::store::VariantReason;

/// What the decision depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// What an administrator wants of this compute.
    pub(super) explicit: Option<Variant>,
    /// What the settings want of all.
    pub(super) usual: Variant,
    /// Whether phasic computes wrong numbers with its own program of this graph.
    pub(super) parallel_edges: bool,
    /// What was published: phasic's program or ours.
    pub(super) published: Variant,
}

/// What is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// What was published.
    Published,
    /// Another program, and why.
    Other(Variant, VariantReason),
}

/// An administrator's word about a compute counts most; then numbers must be right; then the settings. A program of ours
/// that was published in place of phasic's stays, whatever the settings say: its publisher had a reason.
pub(super) fn choose(facts: Facts) -> Choice {
    let Facts { explicit, usual, parallel_edges, published } = facts;
    let (wanted, reason) = match explicit {
        Some(variant) => (variant, VariantReason::Requested),
        None if parallel_edges => (Variant::Fast, VariantReason::ParallelEdges),
        None if usual == Variant::Fast => (Variant::Fast, VariantReason::Requested),
        None => return Choice::Published,
    };
    if wanted == published { Choice::Published } else { Choice::Other(wanted, reason) }
}

#[cfg(test)]
mod tests {
    use phasic_hub_api::jobs::Variant::{Fast, Phasic};

    use super::{Choice, Facts, choose};
    use crate::store::VariantReason::{ParallelEdges, Requested};

    #[test]
    fn right_numbers_come_before_settings_and_an_administrator_before_both() {
        let table = [
            (None, Phasic, false, Phasic, Choice::Published),
            (None, Phasic, true, Phasic, Choice::Other(Fast, ParallelEdges)),
            (None, Phasic, false, Fast, Choice::Published),
            (None, Phasic, true, Fast, Choice::Published),
            (None, Fast, false, Phasic, Choice::Other(Fast, Requested)),
            (None, Fast, true, Phasic, Choice::Other(Fast, ParallelEdges)),
            (None, Fast, false, Fast, Choice::Published),
            (Some(Phasic), Fast, false, Phasic, Choice::Published),
            (Some(Phasic), Phasic, true, Phasic, Choice::Published),
            (Some(Phasic), Phasic, false, Fast, Choice::Other(Phasic, Requested)),
            (Some(Fast), Phasic, false, Phasic, Choice::Other(Fast, Requested)),
            (Some(Fast), Phasic, true, Fast, Choice::Published),
        ];
        for (explicit, usual, parallel_edges, published, expected) in table {
            let facts = Facts { explicit, usual, parallel_edges, published };
            assert_eq!(choose(facts), expected, "{facts:?}");
        }
    }
}
