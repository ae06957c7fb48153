//! Settings of eliminations.

use serde::{Deserialize, Serialize};

use super::{Millis, Whole};

/// Limits of eliminations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "hub.toml explains every field, and a test keeps the two equal")]
pub struct Compute {
    pub threads: Whole<0, 1024>,
    pub max_memory_bytes: Whole<1_048_576, 1_099_511_627_776>,
    pub job_timeout_ms: Millis,
    pub max_queued: Whole<1, 1_000_000>,
    pub max_queued_per_client: Whole<1, 1_000_000>,
    pub keep_jobs_days: Whole<1, 36_500>,
    pub isolated: bool,
    pub isolated_memory_bytes: Whole<0, 1_099_511_627_776>,
}

impl Default for Compute {
    fn default() -> Self {
        Self {
            threads: Whole::of::<0>(),
            max_memory_bytes: Whole::of::<{ 2 << 30 }>(),
            job_timeout_ms: Millis::of::<3_600_000>(),
            max_queued: Whole::of::<10_000>(),
            max_queued_per_client: Whole::of::<1000>(),
            keep_jobs_days: Whole::of::<30>(),
            isolated: false,
            isolated_memory_bytes: Whole::of::<0>(),
        }
    }
}
