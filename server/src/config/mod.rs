//! Settings: what there is to set, its defaults, and where a value came from.
//!
//! Layers, the later winning: defaults, `hub.toml`, `PHASIC_HUB_*` variables, flags. Only this room reads the
//! environment; everybody else is handed typed values.

mod compute;
mod files;
mod http;
mod ids;
mod layers;
mod networks;
mod number;
#[cfg(test)]
mod tests;
mod upstreams;

use std::net::SocketAddr;
use std::path::PathBuf;

use phasic_engine::graph::GraphLimits;
use phasic_hub_api::jobs::Variant;
use serde::{Deserialize, Serialize};

pub use compute::Compute;
pub use files::{Storage, Uploads};
pub use http::{Access, Anonymous, Http, PublicUrl, Rate};
pub use ids::Ids;
pub use layers::{ConfigError, Flags};
pub use networks::Networks;
pub use number::{Millis, Whole};
pub(crate) use upstreams::usual_requests;
pub use upstreams::{
    COMMIT, TokenError, Trust, UpstreamName, UpstreamSettings, UpstreamToken, Upstreams, is_web,
};

/// The commented template, which is also the documentation of every option.
pub const TEMPLATE: &str = include_str!("hub.toml");

/// All settings. The fields are explained in [`TEMPLATE`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "hub.toml explains every field, and a test keeps the two equal")]
pub struct Config {
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    pub public_url: PublicUrl,
    pub offline: bool,
    pub http: Http,
    pub access: Access,
    pub rate: Rate,
    pub registry: Registry,
    pub compute: Compute,
    pub models: Models,
    pub evaluate: Evaluate,
    pub mirror: Mirror,
    pub verification: Verification,
    pub upkeep: Upkeep,
    pub storage: Storage,
    pub uploads: Uploads,
    pub log: Log,
}

/// What the registry serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "hub.toml explains every field, and a test keeps the two equal")]
pub struct Registry {
    pub variant: RegistryVariant,
    pub computed: bool,
}

/// The program that is served of a graph unless something speaks against it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistryVariant {
    /// phasic's own.
    #[default]
    Phasic,
    /// Ours, in phasic's commands.
    Fast,
}

impl RegistryVariant {
    /// The variant of that name.
    pub const fn variant(self) -> Variant {
        match self {
            Self::Phasic => Variant::Phasic,
            Self::Fast => Variant::Fast,
        }
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self { variant: RegistryVariant::Phasic, computed: true }
    }
}

/// Limits of the models that requests bring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "hub.toml explains every field, and a test keeps the two equal")]
pub struct Models {
    pub max_body_bytes: Whole<1, 1_073_741_824>,
    pub max_bodies_bytes: Whole<1, 1_099_511_627_776>,
    pub max_vertices: Whole<1, 2_147_483_646>,
    pub max_edges: Whole<1, 4_294_967_295>,
    pub max_memory_bytes: Whole<1_048_576, 1_099_511_627_776>,
    pub max_steps: Whole<1, 1_000_000_000_000_000>,
    pub max_stored_bytes: Whole<0, 1_099_511_627_776>,
}

impl Models {
    /// Limits of one graph.
    pub fn graph_limits(&self) -> GraphLimits {
        let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        GraphLimits::default()
            .with_vertices(count(self.max_vertices.get()))
            .with_edges(count(self.max_edges.get()))
            .with_memory_bytes(self.max_memory_bytes.get())
    }

    /// The same limits, with no more memory than a comparison may take.
    #[must_use]
    pub fn within(&self, settings: &Verification) -> Self {
        self.within_memory(settings.max_memory_bytes.get())
    }

    /// The same limits, with no more memory than this; with no less than a setting may say.
    #[must_use]
    pub fn within_memory(&self, bytes: u64) -> Self {
        let smaller = i64::try_from(bytes.max(1 << 20)).ok().and_then(|bytes| bytes.try_into().ok());
        let max_memory_bytes = smaller.filter(|_| bytes < self.max_memory_bytes.get());
        Self { max_memory_bytes: max_memory_bytes.unwrap_or(self.max_memory_bytes), ..self.clone() }
    }
}

/// Limits of one evaluation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "hub.toml explains every field, and a test keeps the two equal")]
pub struct Evaluate {
    pub cache_bytes: Whole<0, 1_099_511_627_776>,
    pub max_thetas: Whole<1, 1_000_000_000>,
    pub max_multiply_adds: Whole<1, 1_000_000_000_000_000>,
    pub max_answer_bytes: Whole<1, 1_073_741_824>,
    pub max_answers_bytes: Whole<1, 1_099_511_627_776>,
    pub max_workspace_bytes: Whole<1, 1_099_511_627_776>,
}

/// What is mirrored, and limits of what an upstream may do to us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "hub.toml explains every field, and a test keeps the two equal")]
pub struct Mirror {
    pub connect_timeout_ms: Millis,
    pub idle_timeout_ms: Millis,
    pub file_timeout_ms: Millis,
    pub pass_timeout_ms: Millis,
    pub min_bytes_per_second: Whole<0, 1_073_741_824>,
    pub rate_window_ms: Millis,
    pub max_registry_bytes: Whole<1, 1_073_741_824>,
    pub max_artifact_bytes: Whole<1, 1_099_511_627_776>,
    pub upstreams: Upstreams,
}

/// Limits of the comparison of files with programs made anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "hub.toml explains every field, and a test keeps the two equal")]
pub struct Verification {
    pub max_memory_bytes: Whole<1_048_576, 1_099_511_627_776>,
    pub busy_percent: Whole<1, 100>,
    pub publish_timeout_ms: Millis,
}

impl Verification {
    /// How long to rest after work, in times of the work.
    pub fn rest(&self) -> f64 {
        100.0 / self.busy_percent.get() as f64 - 1.0
    }
}

/// What may lie between storing a file and taking note of it, with room to spare: the shortest grace period of a collection
/// of garbage beside anybody who stores files.
pub const LEAST_GRACE_SECONDS: u64 = 3600;

/// How stored files are kept whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "hub.toml explains every field, and a test keeps the two equal")]
pub struct Upkeep {
    pub scrub_interval_seconds: Whole<0, 31_536_000>,
    pub scrub_bytes_per_second: Whole<1024, 1_099_511_627_776>,
    pub backup_dir: PathBuf,
    pub collect_interval_seconds: Whole<0, 31_536_000>,
    pub collect_grace_seconds: Whole<{ LEAST_GRACE_SECONDS.cast_signed() }, 31_536_000>,
    pub keep_submitted_days: Whole<0, 36_500>,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "hub.toml explains every field, and a test keeps the two equal")]
pub struct Log {
    pub filter: String,
    pub format: LogFormat,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8787)),
            data_dir: PathBuf::from("./hub-data"),
            public_url: PublicUrl::default(),
            offline: false,
            http: Http::default(),
            access: Access::default(),
            rate: Rate::default(),
            registry: Registry::default(),
            compute: Compute::default(),
            models: Models::default(),
            evaluate: Evaluate::default(),
            mirror: Mirror::default(),
            verification: Verification::default(),
            upkeep: Upkeep::default(),
            storage: Storage::default(),
            uploads: Uploads::default(),
            log: Log::default(),
        }
    }
}

impl Default for Models {
    fn default() -> Self {
        Self {
            max_body_bytes: Whole::of::<{ 16 << 20 }>(),
            max_bodies_bytes: Whole::of::<{ 256 << 20 }>(),
            max_vertices: Whole::of::<4_000_000>(),
            max_edges: Whole::of::<32_000_000>(),
            max_memory_bytes: Whole::of::<{ 1 << 30 }>(),
            max_steps: Whole::of::<1_000_000_000>(),
            max_stored_bytes: Whole::of::<{ 1 << 30 }>(),
        }
    }
}

impl Default for Evaluate {
    fn default() -> Self {
        Self {
            cache_bytes: Whole::of::<{ 256 << 20 }>(),
            max_thetas: Whole::of::<1_000_000>(),
            max_multiply_adds: Whole::of::<100_000_000_000>(),
            max_answer_bytes: Whole::of::<{ 64 << 20 }>(),
            max_answers_bytes: Whole::of::<{ 512 << 20 }>(),
            max_workspace_bytes: Whole::of::<{ 1 << 30 }>(),
        }
    }
}

impl Default for Mirror {
    fn default() -> Self {
        Self {
            connect_timeout_ms: Millis::of::<10_000>(),
            idle_timeout_ms: Millis::of::<30_000>(),
            file_timeout_ms: Millis::of::<600_000>(),
            pass_timeout_ms: Millis::of::<3_600_000>(),
            min_bytes_per_second: Whole::of::<1024>(),
            rate_window_ms: Millis::of::<20_000>(),
            max_registry_bytes: Whole::of::<{ 64 << 20 }>(),
            max_artifact_bytes: Whole::of::<{ 256 << 20 }>(),
            upstreams: Upstreams::default(),
        }
    }
}

impl Default for Verification {
    fn default() -> Self {
        Self {
            max_memory_bytes: Whole::of::<{ 1 << 30 }>(),
            busy_percent: Whole::of::<50>(),
            publish_timeout_ms: Millis::of::<10_000>(),
        }
    }
}

impl Default for Upkeep {
    fn default() -> Self {
        Self {
            scrub_interval_seconds: Whole::of::<604_800>(),
            scrub_bytes_per_second: Whole::of::<{ 20 << 20 }>(),
            backup_dir: PathBuf::new(),
            collect_interval_seconds: Whole::of::<86_400>(),
            collect_grace_seconds: Whole::of::<86_400>(),
            keep_submitted_days: Whole::of::<90>(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Pretty }
    }
}
