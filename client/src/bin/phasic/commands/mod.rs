//! The commands, one file each: what `phasic NAME` does.
//!
//! Each reads its arguments, asks the engine or the hub, and prints. No mathematics and no protocol here.

pub(crate) mod eliminate;
pub(crate) mod eval;
pub(crate) mod forecast;
pub(crate) mod graph;
pub(crate) mod hash;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod models;
pub(crate) mod pull;
pub(crate) mod show;
pub(crate) mod transform;

use phasic_hub_client::blocking::HubClient;
use phasic_hub_client::hub::{self, RetryPolicy};

use crate::Context;
use crate::failure::Failure;

/// How a command that could do its work ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Done: 0.
    Done,
    /// A plain no, such as "not registered": 1.
    No,
}

impl Answer {
    pub(crate) fn exit_status(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 1,
        }
    }
}

impl Context<'_> {
    /// A connection to the hub of the settings.
    pub(crate) fn hub(&self) -> Result<HubClient, Failure> {
        self.hub_trying(RetryPolicy::default())
    }

    /// A connection to the hub of the settings, with this patience.
    pub(crate) fn hub_trying(&self, retry: RetryPolicy) -> Result<HubClient, Failure> {
        let mut builder =
            hub::HubClient::builder(&self.settings.hub_url).cache(self.settings.cache()?).retry(retry);
        builder = builder.verification_limits(self.limits.elimination());
        if let Some(token) = &self.settings.hub_token {
            builder = builder.token(token);
        }
        Ok(HubClient::from_client(builder.build()?)?)
    }
}
