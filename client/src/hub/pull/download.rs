//! Fetching the files of one compute, each of which is verified before it is handed on.

use std::collections::HashMap;
use std::sync::Arc;

use phasic_engine::trace::component_graphs;
use phasic_hub_api::{ArtifactName, GraphHash, RegistryEntry, Sha256};

use super::subject::{Fetched, Subject, compute};
use super::{PullError, PullEvent};
use crate::hub::{HubClient, HubError, connect};

impl HubClient {
    /// Fetches and verifies the components of this graph that the entry lists; all of them or none.
    pub(super) async fn fetch_components(
        &self,
        subject: &Subject,
        entry: &RegistryEntry,
    ) -> Result<Vec<(GraphHash, Vec<u8>)>, PullError> {
        if entry.artifacts.scc.is_empty() {
            return Ok(Vec::new());
        }
        let graph = Arc::clone(&subject.graph);
        let own = compute(move |_| {
            let components = component_graphs(&graph, &graph.unit_weights()).unwrap_or_default();
            let named =
                components.into_iter().map(|component| (component.graph.content_hash(), component.graph));
            named.collect::<HashMap<_, _>>()
        })
        .await;
        let (mut fetched, mut names) = (Vec::new(), Vec::new());
        for scc in &entry.artifacts.scc {
            let name = ArtifactName::Scc(scc.scc_hash);
            let Some(graph) = own.get(&scc.scc_hash) else {
                names.push(name);
                continue;
            };
            let component = Subject { graph: Arc::new(graph.clone()), hash: scc.scc_hash, ..subject.clone() };
            let file =
                self.fetch_artifact(&component, name, &scc.cid_or_path, scc.sha256, scc.size_bytes).await?;
            fetched.push((scc.scc_hash, file.ptdprmc3));
        }
        if !names.is_empty() {
            subject.tell(PullEvent::LeftOut { names });
        }
        Ok(fetched)
    }

    pub(super) async fn fetch_artifact(
        &self,
        subject: &Subject,
        name: ArtifactName,
        location: &str,
        expected: Sha256,
        size_bytes: u64,
    ) -> Result<Fetched, PullError> {
        let limit_bytes = self.inner.artifact_limit_bytes;
        if size_bytes > limit_bytes {
            return Err(PullError::TooLarge { name, size_bytes, limit_bytes });
        }
        let url = connect::locate(&self.inner.index, location).map_err(|reason| PullError::Location {
            name,
            location: location.to_owned(),
            reason: reason.to_owned(),
        })?;
        let size_error =
            |found_bytes| PullError::Size { url: url.to_string(), expected_bytes: size_bytes, found_bytes };
        let report =
            |received_bytes| subject.tell(PullEvent::Downloading { name, received_bytes, size_bytes });
        let bytes = match self.fetch(&url, size_bytes, report).await {
            Ok(bytes) if bytes.len() as u64 == size_bytes => bytes,
            Ok(bytes) => return Err(size_error(Some(bytes.len() as u64))),
            Err(HubError::TooLarge { .. }) => return Err(size_error(None)),
            Err(error) => return Err(error.into()),
        };
        let subject = subject.clone();
        let checked = compute(move |stop| {
            let found = Sha256::of(&bytes);
            if found == expected { Ok(subject.judge(&bytes, name, stop)) } else { Err(found) }
        });
        match checked.await {
            Err(found) => Err(PullError::Checksum { url: url.to_string(), expected, found }),
            Ok(verdict) => verdict.map_err(|source| PullError::Refused {
                name,
                url: url.to_string(),
                source: Box::new(source),
            }),
        }
    }
}
