//! A blob store on a disk that fails: for tests of those who use one.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use phasic_hub_api::Sha256;

use super::{BlobError, BlobStore, ByteStream, LocalBlobs, OpenBlob, Quarantined, StoredBlob, Terms};

/// `EIO`.
const INPUT_OUTPUT_ERROR: i32 = 5;

/// Blobs in a directory whose disk fails for as long as somebody says so.
pub(crate) struct Faulty {
    inner: LocalBlobs,
    listing: AtomicBool,
    reading: AtomicBool,
    writing: AtomicBool,
}

impl Faulty {
    /// A disk that works so far.
    pub(crate) fn new(inner: LocalBlobs) -> Arc<Self> {
        let [listing, reading, writing] = [(); 3].map(|()| AtomicBool::new(false));
        Arc::new(Self { inner, listing, reading, writing })
    }

    /// Says whether listing directories fails from now on.
    pub(crate) fn fail_listing(&self, fails: bool) {
        self.listing.store(fails, Ordering::Relaxed);
    }

    /// Says whether reading fails from now on.
    pub(crate) fn fail_reading(&self, fails: bool) {
        self.reading.store(fails, Ordering::Relaxed);
    }

    /// Says whether writing fails from now on.
    pub(crate) fn fail_writing(&self, fails: bool) {
        self.writing.store(fails, Ordering::Relaxed);
    }

    fn unless<'a, T: Send + 'a>(
        fails: &AtomicBool,
        action: &'static str,
        work: BoxFuture<'a, Result<T, BlobError>>,
    ) -> BoxFuture<'a, Result<T, BlobError>> {
        if !fails.load(Ordering::Relaxed) {
            return work;
        }
        let source = std::io::Error::from_raw_os_error(INPUT_OUTPUT_ERROR);
        Box::pin(std::future::ready(Err(BlobError::file(action, "/srv/hub/blobs")(source))))
    }

    fn list<'a, T: Send + 'a>(
        &self,
        work: BoxFuture<'a, Result<T, BlobError>>,
    ) -> BoxFuture<'a, Result<T, BlobError>> {
        Self::unless(&self.listing, "list", work)
    }

    fn read<'a, T: Send + 'a>(
        &self,
        work: BoxFuture<'a, Result<T, BlobError>>,
    ) -> BoxFuture<'a, Result<T, BlobError>> {
        Self::unless(&self.reading, "read", work)
    }

    fn write<'a, T: Send + 'a>(
        &self,
        work: BoxFuture<'a, Result<T, BlobError>>,
    ) -> BoxFuture<'a, Result<T, BlobError>> {
        Self::unless(&self.writing, "write", work)
    }
}

impl BlobStore for Faulty {
    fn put(&self, body: ByteStream, terms: Terms) -> BoxFuture<'_, Result<StoredBlob, BlobError>> {
        self.write(self.inner.put(body, terms))
    }

    fn open(&self, name: Sha256, range: Option<Range<u64>>) -> BoxFuture<'_, Result<OpenBlob, BlobError>> {
        self.read(self.inner.open(name, range))
    }

    fn size_bytes(&self, name: Sha256) -> BoxFuture<'_, Result<Option<u64>, BlobError>> {
        self.read(self.inner.size_bytes(name))
    }

    fn sizes_bytes(&self) -> BoxFuture<'_, Result<HashMap<Sha256, u64>, BlobError>> {
        self.list(self.inner.sizes_bytes())
    }

    fn names(&self) -> BoxFuture<'_, Result<Vec<Sha256>, BlobError>> {
        self.list(self.inner.names())
    }

    fn check(&self, name: Sha256) -> BoxFuture<'_, Result<u64, BlobError>> {
        self.read(self.inner.check(name))
    }

    fn renew(&self, name: Sha256) -> BoxFuture<'_, Result<u64, BlobError>> {
        self.write(self.inner.renew(name))
    }

    fn expire(
        &self,
        name: Sha256,
        age: Duration,
        remove: bool,
    ) -> BoxFuture<'_, Result<Option<u64>, BlobError>> {
        self.write(self.inner.expire(name, age, remove))
    }

    fn quarantined(&self) -> BoxFuture<'_, Result<Vec<Quarantined>, BlobError>> {
        self.list(self.inner.quarantined())
    }

    fn discard(&self, name: Sha256) -> BoxFuture<'_, Result<bool, BlobError>> {
        self.write(self.inner.discard(name))
    }
}

mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use phasic_engine::reference::computes;
    use phasic_hub_api::health::FindingCode;
    use phasic_hub_api::jobs::{JobState, Variant};
    use phasic_hub_api::verification::Verdict;

    use super::Faulty;
    use crate::admission::Admission;
    use crate::blobs::LocalBlobs;
    use crate::config::Config;
    use crate::hub::{DataDirectory, Hub};
    use crate::jobs::{Ask, Jobs, Outcome};
    use crate::models::Recipe;
    use crate::preparing::Preparing;
    use crate::reference;
    use crate::registry::Former;
    use crate::store::{Actor, JobRow, Store};
    use crate::upkeep;
    use crate::verification::Verifier;
    use crate::visibility::{Audience, Viewer};
    use crate::workers::Workers;

    struct Place {
        _directory: tempfile::TempDir,
        disk: Arc<Faulty>,
        data: DataDirectory,
        admission: Admission,
        config: Arc<Config>,
    }

    impl Place {
        async fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let disk = Faulty::new(LocalBlobs::open(directory.path()).unwrap());
            let data =
                DataDirectory::of(Store::open(directory.path()).await.unwrap(), Arc::clone(&disk) as _);
            let config = Arc::new(Config { offline: true, ..Config::default() });
            let admission = Admission::new(Workers::new("test", 1).unwrap(), 1 << 30);
            Self { _directory: directory, disk, data, admission, config }
        }

        async fn hub(&self) -> Arc<Hub> {
            let base = "http://hub.example".to_owned();
            Arc::new(Hub::new(self.data.clone(), base, Former::default()).await.unwrap())
        }
    }

    async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let looking = async {
            loop {
                if let Some(found) = look().await {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), looking).await.expect(what)
    }

    #[tokio::test]
    async fn a_result_that_cannot_be_written_fails_its_job_and_is_made_once_it_can() {
        let place = Place::new().await;
        let Config { compute, models, .. } = Config::default();
        let preparing = Preparing::new(Workers::new("test", 1).unwrap());
        let jobs = Jobs::new(place.data.clone(), place.admission.clone(), preparing, compute, models);
        let jobs = Arc::new(jobs.unwrap());
        tokio::spawn(Arc::clone(&jobs).run());
        let everybody = Audience::Everybody;
        let recipe = Recipe::of_reference(&computes()[0]);
        let graph = jobs.submit_graph(recipe, &everybody, "hub", &Actor::Hub).await.unwrap();
        let ask = || jobs.submit(&graph, Variant::Plan, &everybody, Ask::of_the_hub(), &Actor::Hub);
        place.disk.fail_writing(true);
        let Outcome::Job(job, true) = ask().await.unwrap() else { panic!("nothing was made yet") };
        let ended: JobRow = until("the job has ended", async || {
            place.data.store.job(&job.id, &Viewer::All).await.unwrap().filter(|job| job.state.is_final())
        })
        .await;
        let error = ended.error.unwrap();
        assert_eq!((ended.state, ended.attempts), (JobState::Failed, 1), "{error}");
        assert!(error.contains("inside the hub") && !error.contains("/srv"), "{error}");
        place.disk.fail_writing(false);
        until("it is made", async || matches!(ask().await.unwrap(), Outcome::Made(_)).then_some(())).await;
    }

    #[tokio::test]
    async fn files_nobody_can_look_at_keep_what_was_served_until_they_can_be() {
        let place = Place::new().await;
        let hub = place.hub().await;
        reference::publish(Arc::clone(&hub), place.admission.clone()).await;
        let served = hub.catalogue().computes().len();
        assert!(served > 0);
        place.disk.fail_listing(true);
        assert!(hub.refresh().await.is_err());
        assert_eq!(hub.catalogue().computes().len(), served, "what was served before is served");
        let reasons = || hub.readiness.reasons().into_iter().map(|reason| reason.code).collect::<Vec<_>>();
        assert!(reasons().contains(&FindingCode::Rendering), "{:?}", reasons());
        place.disk.fail_listing(false);
        hub.refresh().await.unwrap();
        assert!(!reasons().contains(&FindingCode::Rendering), "{:?}", reasons());
    }

    #[tokio::test]
    async fn files_that_cannot_be_read_are_neither_said_to_be_lost_nor_judged() {
        let place = Place::new().await;
        let hub = place.hub().await;
        reference::publish(Arc::clone(&hub), place.admission.clone()).await;
        let row = place.data.store.computes().await.unwrap().remove(0);
        let (hash, blob) = (row.artifacts[0].graph_hash, row.artifacts[0].served);
        let verifier = Verifier::new(place.data.clone(), &place.config).unwrap();
        place.disk.fail_reading(true);
        assert!(verifier.verify_now(hash, blob, &Viewer::Public).await.is_err());
        // They can be written, and that is no proof that they can be read.
        let report = upkeep::scrub(&place.data, &place.config, &place.admission, &Actor::Hub).await.unwrap();
        assert!(
            report.rotten.is_empty() && report.lost.is_empty() && report.restored.is_empty(),
            "{report:?}"
        );
        assert!(report.unreadable.contains(&blob.sha256), "{report:?}");
        place.disk.fail_reading(false);
        assert_eq!(place.data.blobs.quarantined().await.unwrap(), []);
        let found = verifier.verify_now(hash, blob, &Viewer::Public).await.unwrap().unwrap();
        assert_eq!(found.verdict, Verdict::Reproduced);
        let report = upkeep::scrub(&place.data, &place.config, &place.admission, &Actor::Hub).await.unwrap();
        assert_eq!((report.unreadable.len(), report.missing().len()), (0, 0), "{report:?}");
    }
}
