//! From what was found of a file, definition by definition, to what is said of it. Pure.

use std::ops::ControlFlow;

use phasic_hub_api::Sha256;
use phasic_hub_api::verification::Verdict;

use super::MOST_DEFINITIONS;
use super::judge::Judgement;
use crate::metrics;

/// Who says what the graph of a hash is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The hub, which has it by itself.
    BuiltIn,
    /// Somebody has submitted this definition.
    Submitted(Sha256),
}

/// What was found of a file so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// The definition it fits.
    fit: Option<(Source, Judgement)>,
    /// It is no program of the graph the hub has by itself. Others may have submitted what it fits; that there is more they
    /// have submitted, or that it cannot be compared, makes this no less certain.
    proven: Option<Judgement>,
    /// What weighs most of all else.
    other: Option<Judgement>,
}

impl Findings {
    /// Takes note of what one definition says. Breaks off when the file fits: no other need be asked.
    pub(super) fn add(&mut self, source: Source, judgement: Judgement) -> ControlFlow<()> {
        match judgement.verdict {
            Verdict::Reproduced | Verdict::Equivalent => {
                self.fit = Some((source, judgement));
                return ControlFlow::Break(());
            }
            Verdict::Mismatch if source == Source::BuiltIn => self.proven = Some(judgement),
            // What could not be compared may fit after all, so it weighs more than what does not.
            Verdict::TooLarge => self.other = Some(judgement),
            _ => drop(self.other.get_or_insert(judgement)),
        }
        ControlFlow::Continue(())
    }

    /// What is said of the file, with the submitted definition it fits; `untried` definitions more were not asked. Counted
    /// here, and nowhere else: every comparison ends with this, whoever wanted it.
    pub(super) fn end(self, untried: usize) -> (Option<Sha256>, Judgement) {
        let Self { fit, proven, other } = self;
        let unread = || too_large("no definition of the graph can be read any more".to_owned());
        let (definition, judgement) = match fit {
            Some((Source::Submitted(definition), judgement)) => (Some(definition), judgement),
            Some((Source::BuiltIn, judgement)) => (None, judgement),
            None => {
                (None, proven.or_else(|| other.map(|found| among(found, untried))).unwrap_or_else(unread))
            }
        };
        metrics::verified(judgement.verdict.as_str());
        (definition, judgement)
    }
}

/// What those definitions say that were tried, of which `untried` more were not.
fn among(found: Judgement, untried: usize) -> Judgement {
    if untried == 0 || found.verdict != Verdict::Mismatch {
        return found;
    }
    too_large(format!(
        "it fits none of {MOST_DEFINITIONS} definitions of the graph, and {untried} more were not tried"
    ))
}

/// What is said of a file that could not be compared.
pub(super) fn too_large(difference: String) -> Judgement {
    Judgement { verdict: Verdict::TooLarge, edge_order_digest: None, difference: Some(difference) }
}

#[cfg(test)]
mod tests {
    use phasic_hub_api::Sha256;
    use phasic_hub_api::verification::Verdict;

    use super::{Findings, Judgement, Source, too_large};

    fn found(verdict: Verdict) -> Judgement {
        Judgement { verdict, edge_order_digest: None, difference: None }
    }

    /// What is said of a file for which the definitions have these verdicts, the hub's own first if there is one.
    fn said(own: Option<Verdict>, submitted: &[Verdict], untried: usize) -> (Option<Sha256>, Verdict) {
        let mut findings = Findings::default();
        let own = own.map(|verdict| (Source::BuiltIn, verdict));
        let submitted =
            (0..).zip(submitted).map(|(n, &verdict)| (Source::Submitted([n; 32].into()), verdict));
        for (source, verdict) in own.into_iter().chain(submitted) {
            if findings.add(source, found(verdict)).is_break() {
                break;
            }
        }
        let (definition, judgement) = findings.end(untried);
        (definition, judgement.verdict)
    }

    #[test]
    fn what_does_not_fit_is_no_mismatch_while_other_definitions_may_fit() {
        use Verdict::{Equivalent, Mismatch, Reproduced, TooLarge};
        assert_eq!(said(None, &[Mismatch, Mismatch], 0), (None, Mismatch));
        assert_eq!(said(None, &[Mismatch, Mismatch], 1), (None, TooLarge));
        for submitted in [[Mismatch, TooLarge], [TooLarge, Mismatch]] {
            assert_eq!(said(None, &submitted, 0), (None, TooLarge));
        }
        assert_eq!(said(None, &[TooLarge, Equivalent, Mismatch], 9), (Some([1; 32].into()), Equivalent));
        assert_eq!(said(Some(Reproduced), &[Mismatch], 9), (None, Reproduced));
        assert_eq!(said(None, &[], 0), (None, TooLarge));
        assert_eq!(too_large("why".to_owned()).difference.as_deref(), Some("why"));
    }

    #[test]
    fn what_is_no_program_of_a_graph_the_hub_has_is_a_mismatch_whatever_else_was_submitted() {
        use Verdict::{Mismatch, Reproduced, TooLarge};
        assert_eq!(said(Some(Mismatch), &[Mismatch], 1), (None, Mismatch));
        assert_eq!(said(Some(Mismatch), &[TooLarge], 0), (None, Mismatch));
        assert_eq!(said(Some(Mismatch), &[Reproduced], 1), (Some([0; 32].into()), Reproduced));
        assert_eq!(said(Some(TooLarge), &[Mismatch], 0), (None, TooLarge));
    }
}
