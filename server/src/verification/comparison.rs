//! One file against the definitions of its hash: read, built and compared one after the other.
//!
//! Two take turns: the background, and whoever waits. What becomes of a verdict is not known here.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use phasic_engine::trace::Progress;
use phasic_hub_api::verification::Verdict;
use phasic_hub_api::{GraphHash, Sha256};

use super::judge::{Judgement, judge};
use super::{ENGINE, MOST_DEFINITIONS, Verifier, VerifyError};
use crate::blobs::{BlobError, StoredBlob, read_whole};
use crate::models::{ModelError, Recipe, reference_recipe};
use crate::store::{GraphRow, StoreError, VerificationRow};
use crate::visibility::Viewer;
use crate::workers::{BrokeOff, Wanted};

/// How often the background looks whether somebody still waits.
const GIVE_WAY: Duration = Duration::from_millis(10);

impl Verifier {
    /// As the background does, for somebody who waits: on a thread of its own, while the background rests, and for no
    /// longer than anybody waits, nor than the settings let him. `None` when that was not enough, or the hub is stopping:
    /// then it is the background's.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub async fn verify_now(
        &self,
        graph_hash: GraphHash,
        blob: StoredBlob,
        viewer: &Viewer,
    ) -> Result<Option<VerificationRow>, VerifyError> {
        let _waiting = Waiting::count(&self.waiting);
        let compared = self.verify(graph_hash, blob, viewer, Turn::Now);
        // Dropped in the middle of a comparison, it stops that one.
        tokio::time::timeout(self.settings.publish_timeout_ms.duration(), compared).await.unwrap_or(Ok(None))
    }

    /// Holds one file against the definitions of its hash that a viewer sees, one at a time, until one fits: the verdict
    /// tells him nothing of the others. `None` when the hub is stopping.
    pub(super) async fn verify(
        &self,
        graph_hash: GraphHash,
        blob: StoredBlob,
        viewer: &Viewer,
        turn: Turn,
    ) -> Result<Option<VerificationRow>, VerifyError> {
        let begun = Instant::now();
        let definitions = self.definitions(graph_hash, blob, viewer).await?;
        let known = definitions.len() as u64;
        let untried = definitions.len().saturating_sub(MOST_DEFINITIONS);
        let bytes = Arc::new(read_whole(&*self.data.blobs, blob).await?);
        let submitted = definitions.into_iter().take(MOST_DEFINITIONS).map(Candidate::Submitted);
        let candidates = reference_recipe(graph_hash).map(Candidate::BuiltIn).into_iter().chain(submitted);
        let mut best = None;
        for candidate in candidates {
            let definition = candidate.definition();
            let Some(recipe) = self.recipe(candidate).await? else { continue };
            let judgement = match self.judge(recipe, Arc::clone(&bytes), graph_hash, turn).await? {
                Judged::Stopped => return Ok(None),
                Judged::OfAnotherGraph => continue,
                Judged::Found(judgement) => judgement,
            };
            if matches!(judgement.verdict, Verdict::Reproduced | Verdict::Equivalent) {
                best = Some((definition, judgement));
                break;
            }
            // What could not be compared may fit after all, so it weighs more than what does not.
            if best.is_none() || judgement.verdict == Verdict::TooLarge {
                best = Some((None, judgement));
            }
        }
        let nothing = || {
            let difference = Some("no definition of the graph can be read any more".to_owned());
            (None, Judgement { verdict: Verdict::TooLarge, edge_order_digest: None, difference })
        };
        let (definition, mut judgement) = best.unwrap_or_else(nothing);
        if untried > 0 && judgement.verdict == Verdict::Mismatch {
            judgement.verdict = Verdict::TooLarge;
            judgement.difference = Some(format!(
                "it fits none of {MOST_DEFINITIONS} definitions of the graph, and {untried} more were not tried"
            ));
        }
        Ok(Some(VerificationRow {
            graph_hash,
            sha256: blob.sha256,
            verdict: judgement.verdict,
            edge_order_digest: judgement.edge_order_digest,
            definition,
            difference: judgement.difference,
            engine: ENGINE.to_owned(),
            definitions: known,
            duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            checked_at: String::new(),
            is_asked: false,
        }))
    }

    /// The definitions of a hash that a viewer sees. What a file was made from comes first, however many others there are.
    async fn definitions(
        &self,
        graph_hash: GraphHash,
        blob: StoredBlob,
        viewer: &Viewer,
    ) -> Result<Vec<GraphRow>, StoreError> {
        let mut definitions = self.data.store.graphs(graph_hash, viewer).await?;
        let made = self.data.store.eliminations(graph_hash, viewer).await?;
        let made_from = |definition| {
            made.iter().any(|one| one.definition == definition && one.blob.sha256 == blob.sha256)
        };
        definitions.sort_by_key(|row| !made_from(row.identity.definition));
        Ok(definitions)
    }

    /// Reads a definition; `None` when it is lost: the others still tell.
    async fn recipe(&self, candidate: Candidate) -> Result<Option<Recipe>, VerifyError> {
        let row = match candidate {
            Candidate::BuiltIn(recipe) => return Ok(Some(recipe)),
            Candidate::Submitted(row) => row,
        };
        match read_whole(&*self.data.blobs, row.recipe).await {
            Ok(text) => Ok(Some(Recipe::from_json(&String::from_utf8_lossy(&text))?)),
            Err(BlobError::NotFound(_) | BlobError::Damaged(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Builds a graph, within the memory of a comparison, and holds a file against it.
    async fn judge(
        &self,
        recipe: Recipe,
        bytes: Arc<Vec<u8>>,
        graph_hash: GraphHash,
        turn: Turn,
    ) -> Result<Judged, BrokeOff> {
        let models = self.models.within(&self.settings);
        let memory_bytes = self.settings.max_memory_bytes.get();
        let (stopping, waiting) = (Arc::clone(&self.stopping), Arc::clone(&self.waiting));
        let go_on = move |wanted: &Wanted| {
            while turn == Turn::Background
                && waiting.load(Ordering::Relaxed) > 0
                && !stopping.load(Ordering::Relaxed)
            {
                std::thread::sleep(GIVE_WAY);
            }
            if stopping.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { wanted.go_on() }
        };
        let work = move |wanted: &Wanted| {
            let graph = match recipe.build_watched(&models, &mut || go_on(wanted)) {
                Err(_) if go_on(wanted).is_break() => return Judged::Stopped,
                Err(error) => return Judged::Found(unbuilt(&error)),
                Ok(graph) if graph.content_hash() != graph_hash => return Judged::OfAnotherGraph,
                Ok(graph) => graph,
            };
            let judged = judge(&bytes, &graph, graph_hash, memory_bytes, &mut |_: Progress| go_on(wanted));
            judged.map_or(Judged::Stopped, Judged::Found)
        };
        let workers = if turn == Turn::Now { &self.at_once } else { &self.workers };
        workers.run_while_wanted(work).await
    }
}

/// Who a comparison is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nobody in particular.
    Background,
    /// Somebody who waits.
    Now,
}

/// One of those who wait, for as long as the value lives.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn count(waiting: &Arc<AtomicUsize>) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(waiting))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A definition that is to be read and built when its turn has come: there may be many, and they may be large.
enum Candidate {
    /// The hub has it by itself.
    BuiltIn(Recipe),
    /// It was submitted.
    Submitted(GraphRow),
}

impl Candidate {
    fn definition(&self) -> Option<Sha256> {
        match self {
            Self::BuiltIn(_) => None,
            Self::Submitted(row) => Some(row.identity.definition),
        }
    }
}

/// What came of one definition.
enum Judged {
    /// The hub is stopping.
    Stopped,
    /// It builds another graph than it was submitted as.
    OfAnotherGraph,
    /// A judgement.
    Found(Judgement),
}

/// A definition that builds no graph within today's limits.
fn unbuilt(error: &ModelError) -> Judgement {
    let difference = Some(format!("the graph cannot be built here: {error}"));
    Judgement { verdict: Verdict::TooLarge, edge_order_digest: None, difference }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    use phasic_hub_api::verification::Verdict;
    use phasic_hub_api::{GraphHash, ModelSource};

    use super::{Turn, Verifier, Waiting};
    use crate::admission::Admission;
    use crate::blobs::{StoredBlob, Terms, in_memory};
    use crate::config;
    use crate::hub::{DataDirectory, Hub};
    use crate::models::{Named, identify, named};
    use crate::reference;
    use crate::registry::Former;
    use crate::store::{Actor, GraphRow};
    use crate::visibility::{Audience, Viewer};
    use crate::workers::Workers;

    /// A hub with the reference computes, and the file of one.
    async fn published(directory: &tempfile::TempDir) -> (DataDirectory, GraphHash, StoredBlob) {
        let data = DataDirectory::open(directory.path()).await.unwrap();
        let hub = Hub::new(data.clone(), "http://hub.example".to_owned(), Former::default()).await.unwrap();
        let admission = Admission::new(Workers::new("test", 1).unwrap(), 1 << 30);
        reference::publish(Arc::new(hub), admission).await;
        let row = data.store.computes().await.unwrap().remove(0);
        (data, row.artifacts[0].graph_hash, row.artifacts[0].served)
    }

    fn verifier(data: &DataDirectory, settings: config::Verification) -> Verifier {
        Verifier::new(data.clone(), config::Models::default(), settings).unwrap()
    }

    #[tokio::test]
    async fn whoever_waits_does_not_wait_for_the_background() {
        let directory = tempfile::tempdir().unwrap();
        let (data, hash, blob) = published(&directory).await;
        let verifier = Arc::new(verifier(&data, config::Verification::default()));
        let (go, gate) = mpsc::channel::<()>();
        let background = tokio::spawn({
            let workers = verifier.workers.clone();
            async move { workers.run(move || gate.recv().is_ok()).await }
        });
        let found = verifier.verify_now(hash, blob, &Viewer::Public).await.unwrap().unwrap();
        assert_eq!(found.verdict, Verdict::Reproduced);
        assert!(!background.is_finished());
        go.send(()).unwrap();
        assert_eq!(background.await.unwrap(), Ok(true));
    }

    #[tokio::test]
    async fn the_background_gives_way_to_whoever_waits() {
        let directory = tempfile::tempdir().unwrap();
        let (data, hash, blob) = published(&directory).await;
        let verifier = verifier(&data, config::Verification::default());
        let somebody = Waiting::count(&verifier.waiting);
        let mut comparing = Box::pin(verifier.verify(hash, blob, &Viewer::Public, Turn::Background));
        assert!(tokio::time::timeout(Duration::from_millis(300), &mut comparing).await.is_err());
        drop(somebody);
        assert_eq!(comparing.await.unwrap().unwrap().verdict, Verdict::Reproduced);
    }

    /// A data directory where rabbits were submitted, and a file that is said to be theirs.
    async fn submitted(directory: &tempfile::TempDir) -> (DataDirectory, GraphHash, StoredBlob) {
        let data = DataDirectory::open(directory.path()).await.unwrap();
        let source: ModelSource =
            serde_json::from_str(r#"{"builtin": "rabbits", "constants": {"n": 200}}"#).unwrap();
        let Named::Here(recipe) = named(&source).unwrap() else { panic!("it is in the request") };
        let identity = identify(&recipe.build(&config::Models::default()).unwrap());
        let put = async |bytes: Vec<u8>| {
            data.blobs.put(in_memory(bytes), Terms { max_bytes: 1 << 20, sha256: None }).await.unwrap()
        };
        let row = GraphRow { identity, recipe: put(recipe.to_json().unwrap().into_bytes()).await };
        data.store.put_graph(&row, &Audience::Everybody, &Actor::Hub).await.unwrap();
        let file = put(b"PTDPRMC3 and nothing else".to_vec()).await;
        (data, row.identity.graph_hash, file)
    }

    #[tokio::test]
    async fn who_publishes_waits_no_longer_than_he_may_and_leaves_no_work_behind() {
        let directory = tempfile::tempdir().unwrap();
        let (data, hash, file) = submitted(&directory).await;
        let verifier = verifier(&data, toml::from_str("publish_timeout_ms = 1").unwrap());
        assert_eq!(verifier.verify_now(hash, file, &Viewer::Public).await.unwrap(), None);
        assert_eq!(verifier.at_once.run(|| 3).await, Ok(3), "the one thread there is is free");
    }

    #[tokio::test]
    async fn a_definition_that_takes_more_memory_than_a_comparison_may_is_not_built() {
        let directory = tempfile::tempdir().unwrap();
        let (data, hash, file) = submitted(&directory).await;
        for (bytes, is_said) in [(1 << 20, true), (1 << 30, false)] {
            let settings = toml::from_str(&format!("max_memory_bytes = {bytes}")).unwrap();
            let verifier = verifier(&data, settings);
            let found = verifier.verify_now(hash, file, &Viewer::Public).await;
            let found = found.unwrap().unwrap();
            let verdict = if is_said { Verdict::TooLarge } else { Verdict::Mismatch };
            assert_eq!(found.verdict, verdict, "{found:?}");
            let difference = found.difference.unwrap();
            assert_eq!(difference.contains("cannot be built here"), is_said, "{difference}");
        }
    }
}
