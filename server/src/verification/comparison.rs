//! One file against the definitions of its hash: read, built and compared one after the other.
//!
//! Two take turns: the background, and whoever waits. What becomes of a verdict is not known here.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use phasic_engine::trace::Progress;
use phasic_hub_api::GraphHash;
use phasic_hub_api::verification::Verdict;

use super::findings::{Findings, Source};
use super::judge::{Comparison, Judged};
use super::limits::Limits;
use super::{ENGINE, MOST_ATTEMPTS, MOST_DEFINITIONS, Verifier, VerifyError};
use crate::blobs::{BlobError, StoredBlob, read_whole};
use crate::config;
use crate::isolated::{self, Assignment, ChildError, Work};
use crate::models::{Recipe, reference_recipe};
use crate::store::{GraphRow, StoreError, VerificationRow, VerificationWork};
use crate::visibility::Viewer;
use crate::workers::Wanted;

/// How often the background looks whether somebody still waits.
const GIVE_WAY: Duration = Duration::from_millis(10);

/// How often it is looked whether the hub is stopping while another process compares.
const LOOK_WHETHER_STOPPING: Duration = Duration::from_millis(100);

impl Verifier {
    /// What the comparisons of this hub are made under.
    pub(crate) fn limits(&self) -> Limits<'_> {
        Limits { models: &self.models, verification: &self.settings, compute: &self.compute }
    }

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
        let mut findings = Findings::default();
        for candidate in candidates {
            let source = candidate.source();
            let Some(recipe) = self.recipe(candidate).await? else { continue };
            let comparison = self.limits().comparison(recipe, graph_hash);
            let judgement = match self.judge(comparison, Arc::clone(&bytes), turn).await? {
                Judged::Stopped => return Ok(None),
                Judged::OfAnotherGraph => continue,
                Judged::Found(judgement) => judgement,
            };
            if findings.add(source, judgement).is_break() {
                break;
            }
        }
        let (definition, judgement) = findings.end(untried);
        Ok(Some(VerificationRow {
            graph_hash,
            sha256: blob.sha256,
            verdict: judgement.verdict,
            edge_order_digest: judgement.edge_order_digest,
            definition,
            difference: judgement.difference,
            engine: ENGINE.to_owned(),
            limits: self.limits().to_string(),
            definitions: known,
            duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            checked_at: String::new(),
            is_asked: false,
            is_given_up: false,
        }))
    }

    /// What is said of a file whose comparison ends whatever process does it, until somebody asks for it again, or engine or
    /// limits are others: what was found before, if it ever was compared. Another definition is no reason to begin again:
    /// whoever may submit one could end the process as often as he likes.
    pub(super) async fn given_up(
        &self,
        one: VerificationWork,
        viewer: &Viewer,
    ) -> Result<VerificationRow, StoreError> {
        let definitions = self.data.store.graphs(one.graph_hash, viewer).await?.len() as u64;
        let difference = format!(
            "comparing it has ended the process that did {MOST_ATTEMPTS} times in a row; it is done again when somebody asks"
        );
        let former = self.data.store.verification(one.graph_hash, one.blob.sha256).await?;
        let (verdict, edge_order_digest, definition) = former
            .map_or((Verdict::TooLarge, None, None), |row| {
                (row.verdict, row.edge_order_digest, row.definition)
            });
        Ok(VerificationRow {
            graph_hash: one.graph_hash,
            sha256: one.blob.sha256,
            verdict,
            edge_order_digest,
            definition,
            difference: Some(difference),
            engine: ENGINE.to_owned(),
            limits: self.limits().to_string(),
            definitions,
            duration_ms: 0,
            checked_at: String::new(),
            is_asked: false,
            is_given_up: true,
        })
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
    async fn recipe(&self, candidate: Candidate) -> Result<Option<String>, VerifyError> {
        let row = match candidate {
            Candidate::BuiltIn(recipe) => return Ok(Some(recipe.to_json()?)),
            Candidate::Submitted(row) => row,
        };
        match read_whole(&*self.data.blobs, row.recipe).await {
            Ok(text) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
            Err(BlobError::NotFound(_) | BlobError::Damaged(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Builds a graph, within the memory of a comparison, and holds a file against it.
    async fn judge(
        &self,
        comparison: Comparison,
        bytes: Arc<Vec<u8>>,
        turn: Turn,
    ) -> Result<Judged, VerifyError> {
        if self.compute.isolated {
            self.elsewhere(comparison, &bytes).await
        } else {
            self.here(comparison, bytes, turn).await
        }
    }

    /// On a thread of this process.
    async fn here(
        &self,
        comparison: Comparison,
        bytes: Arc<Vec<u8>>,
        turn: Turn,
    ) -> Result<Judged, VerifyError> {
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
        let work = move |wanted: &Wanted| comparison.perform(&bytes, |_: Option<Progress>| go_on(wanted));
        let workers = if turn == Turn::Now { &self.at_once } else { &self.workers };
        Ok(workers.run_while_wanted(work).await??)
    }

    /// By a process of its own, which gives way to everybody.
    async fn elsewhere(&self, comparison: Comparison, bytes: &[u8]) -> Result<Judged, VerifyError> {
        let stop = async {
            while !self.stopping.load(Ordering::Relaxed) {
                tokio::time::sleep(LOOK_WHETHER_STOPPING).await;
            }
        };
        elsewhere(comparison, bytes, &self.compute, stop).await
    }
}

/// Holds a file against a graph in a process of its own, until `stop` is complete. What it says is a few words, and they are
/// read with care; that they are true is taken from it, as it is from a thread.
pub(super) async fn elsewhere(
    comparison: Comparison,
    bytes: &[u8],
    compute: &config::Compute,
    stop: impl Future<Output = ()>,
) -> Result<Judged, VerifyError> {
    let stop = async {
        stop.await;
        ChildError::Cancelled
    };
    let memory_bytes = comparison.memory_bytes.saturating_add(bytes.len() as u64);
    let assignment = Assignment { work: Work::Compare(comparison), input: bytes, memory_bytes };
    match isolated::perform(assignment, compute, |_| (), stop).await {
        Ok(said) => Ok(serde_json::from_slice(&said.bytes)?),
        Err(ChildError::Cancelled) => Ok(Judged::Stopped),
        Err(error) => Err(error.into()),
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
    fn source(&self) -> Source {
        match self {
            Self::BuiltIn(_) => Source::BuiltIn,
            Self::Submitted(row) => Source::Submitted(row.identity.definition),
        }
    }
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
    use crate::config::{self, Config};
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
        Verifier::new(data.clone(), &Config { verification: settings, ..Config::default() }).unwrap()
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
