//! What the hub has before a pass: computes, files that have passed their checks, and decisions.

use std::collections::{HashMap, HashSet};

use phasic_hub_api::mirror::QuarantineDecision;
use phasic_hub_api::{ArtifactName, ComputeId, GraphHash, Sha256};

use super::MirrorError;
use super::artifact::{Announced, FileKey};
use crate::config::Trust;
use crate::hub::DataDirectory;
use crate::store::{ArtifactRow, Origin, Publication, UpstreamRow};

/// What the hub has.
pub(super) struct Known {
    pub(super) local: HashMap<ComputeId, GraphHash>,
    /// What upstreams offer that go first: by id the upstream and the graph.
    pub(super) before_us: HashMap<ComputeId, (String, GraphHash)>,
    /// What is mirrored from this upstream.
    pub(super) mirrored: HashMap<ComputeId, Publication>,
    /// The contents each of its names has now, or had last.
    pub(super) names: HashMap<ArtifactName, HashSet<Sha256>>,
    /// Every file that has passed its checks, those of this pass included: entries share components.
    pub(super) files: HashMap<FileKey, ArtifactRow>,
    /// What was decided: by entry, artifact and digest.
    decisions: HashMap<(String, String, Sha256), Decisions>,
    /// The lines they stand in, as they were read.
    pub(super) decided: Vec<(i64, QuarantineDecision)>,
    /// The last revision there was before all of this was read.
    pub(super) last_revision: i64,
}

/// What was decided about one thing; several lines may speak of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Decisions {
    pub(super) is_rejected: bool,
    /// What was accepted, by the code of the line.
    accepted: Vec<String>,
}

impl Decisions {
    /// Whether somebody has accepted what a code speaks of, and nobody has rejected it.
    pub(super) fn accepts(&self, code: &str) -> bool {
        !self.is_rejected && self.accepted.iter().any(|accepted| accepted == code)
    }
}

impl Known {
    pub(super) async fn load(
        data: &DataDirectory,
        upstream: &UpstreamRow,
        trust: Trust,
    ) -> Result<Self, MirrorError> {
        let mut known = Self {
            local: HashMap::new(),
            before_us: HashMap::new(),
            mirrored: HashMap::new(),
            names: HashMap::new(),
            files: HashMap::new(),
            decisions: HashMap::new(),
            decided: Vec::new(),
            last_revision: data.store.last_revision().await?,
        };
        for line in data.store.decisions(&upstream.name).await? {
            let Some(decision) = line.decision else { continue };
            known.decided.push((line.number, decision));
            let key = (line.entry.unwrap_or_default(), line.artifact.unwrap_or_default(), line.sha256);
            let decisions = known.decisions.entry(key).or_default();
            match decision {
                QuarantineDecision::Reject => decisions.is_rejected = true,
                _ => decisions.accepted.push(line.code),
            }
        }
        let places: HashMap<_, _> =
            data.store.upstreams().await?.into_iter().map(|row| (row.name, row.place)).collect();
        let private_ids = data.store.private_ids().await?;
        for row in data.store.computes().await? {
            let publication = row.publication()?;
            let source = row.upstream.unwrap_or_default();
            let is_ours = row.origin == Origin::Mirror && source == upstream.name;
            // What others were trusted with proves nothing here; and upstream, which may know no more than a digest, must
            // neither learn by not being asked that a private file is here, nor have it published under its name.
            let is_everybodys = !private_ids.contains(&publication.id);
            if trust == Trust::Checked && is_everybodys || is_ours {
                known.learn(&publication);
            }
            let graph_hash = publication.entry.graph_hash;
            if row.origin != Origin::Mirror {
                known.local.insert(publication.id, graph_hash);
            } else if is_ours {
                for file in &publication.artifacts {
                    let name = file.role.name(file.graph_hash);
                    known.names.entry(name).or_default().insert(file.original.sha256);
                }
                known.mirrored.insert(publication.id.clone(), publication);
            } else if places.get(&source).is_some_and(|&place| place <= upstream.place) {
                known.before_us.insert(publication.id, (source, graph_hash));
            }
        }
        known.remember(data, &upstream.name).await?;
        Ok(known)
    }

    /// What names stood for that stand for nothing today: upstream had retracted or removed their entries.
    async fn remember(&mut self, data: &DataDirectory, upstream: &str) -> Result<(), MirrorError> {
        let mut former: HashMap<ArtifactName, HashSet<Sha256>> = HashMap::new();
        for row in data.store.former_entries(upstream).await? {
            for file in Announced::all(&row.publication()?.entry) {
                former.entry(file.name()).or_default().insert(file.sha256);
            }
        }
        for (name, contents) in former {
            self.names.entry(name).or_insert(contents);
        }
        Ok(())
    }

    fn learn(&mut self, publication: &Publication) {
        for announced in Announced::all(&publication.entry) {
            let is_it = |row: &&ArtifactRow| {
                row.role.name(row.graph_hash) == announced.name() && row.original.sha256 == announced.sha256
            };
            if let Some(&row) = publication.artifacts.iter().find(is_it) {
                self.files.insert(announced.key(), row);
            }
        }
    }

    /// What was decided about something.
    pub(super) fn decisions(&self, entry: &str, artifact: &str, sha256: Sha256) -> Decisions {
        self.decisions.get(&(entry.to_owned(), artifact.to_owned(), sha256)).cloned().unwrap_or_default()
    }
}
