//! Settings of stored files: how many bytes there may be, and how they may come from clients.

use serde::{Deserialize, Serialize};

use super::{Millis, Whole};

/// Limits of what is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "hub.toml explains every field, and a test keeps the two equal")]
pub struct Storage {
    pub max_bytes: Whole<0, 1_125_899_906_842_624>,
}

/// Limits of what clients upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "hub.toml explains every field, and a test keeps the two equal")]
pub struct Uploads {
    pub max_blob_bytes: Whole<1, 1_099_511_627_776>,
    pub max_token_bytes: Whole<1, 1_125_899_906_842_624>,
    pub max_partial: Whole<0, 10_000>,
    pub partial_age_ms: Millis,
    pub idle_timeout_ms: Millis,
    pub timeout_ms: Millis,
}

impl Default for Storage {
    fn default() -> Self {
        Self { max_bytes: Whole::of::<0>() }
    }
}

impl Default for Uploads {
    fn default() -> Self {
        Self {
            max_blob_bytes: Whole::of::<{ 256 << 20 }>(),
            max_token_bytes: Whole::of::<{ 10 << 30 }>(),
            max_partial: Whole::of::<64>(),
            partial_age_ms: Millis::of::<86_400_000>(),
            idle_timeout_ms: Millis::of::<30_000>(),
            timeout_ms: Millis::of::<3_600_000>(),
        }
    }
}
