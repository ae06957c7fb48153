//! What a run is asked to do: which upstream, how far it is trusted, and what the operator has allowed.

use super::MirrorError;
use super::schedule::Timing;
use crate::config::{self, Trust, UpstreamSettings};
use crate::store::{Actor, UpstreamIdentity};

/// The place of upstreams that are named at the command line: behind those of the settings.
pub const AD_HOC_PLACE: i64 = 1_000_000;

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Errand {
    /// The upstream.
    pub upstream: UpstreamIdentity,
    /// Where to ask for the commit; empty: nowhere.
    pub commit_url: String,
    /// The settings that name its token, if they do.
    pub settings: Option<UpstreamSettings>,
    /// How far it is trusted.
    pub trust: Trust,
    /// Requests of an hour; `None` is all that are needed.
    pub max_requests_per_hour: Option<u64>,
    /// When the next run is due; `None`: it is not run by itself.
    pub timing: Option<Timing>,
    /// What may be done.
    pub permissions: Permissions,
    /// Who asks.
    pub actor: Actor,
}

/// What the operator has allowed a pass to do.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of its own at the command line")]
pub struct Permissions {
    /// Take another address under the name of this upstream, whatever that removes.
    pub replace: bool,
    /// Remove however many computes upstream has no more.
    pub remove_many: bool,
    /// Read everything again, even if nothing has changed.
    pub read_again: bool,
    /// Leave computes alone that are not in the document.
    pub keep_others: bool,
}

impl Errand {
    /// Whether what this run leaves out is asked for by another one that nobody need ask for.
    pub(super) fn comes_again(&self) -> bool {
        self.timing.is_some() && self.settings.as_ref().is_some_and(|settings| settings.enabled)
    }

    /// The errand of an upstream of the settings.
    ///
    /// # Errors
    /// When the settings name none of this name.
    pub fn configured(
        config: &config::Mirror,
        name: &str,
        permissions: Permissions,
        actor: Actor,
    ) -> Result<Self, MirrorError> {
        let unknown = || MirrorError::Unknown { name: name.to_owned() };
        let (place, settings) = config.upstreams.find(name).ok_or_else(unknown)?;
        Ok(Self {
            upstream: identity(place, settings),
            commit_url: settings.commit_url.clone(),
            settings: Some(settings.clone()),
            trust: settings.trust,
            max_requests_per_hour: Some(settings.max_requests_per_hour.get()),
            timing: Some(Timing::of(settings.interval_ms.duration())),
            permissions,
            actor,
        })
    }
}

/// What the settings call an upstream.
pub fn identity(place: usize, settings: &config::UpstreamSettings) -> UpstreamIdentity {
    UpstreamIdentity {
        name: settings.name.to_string(),
        address: settings.url.clone(),
        trust: settings.trust.as_str(),
        place: i64::try_from(place).unwrap_or(i64::MAX),
    }
}
