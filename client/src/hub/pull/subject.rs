//! The graph a pull is for: judging files against it, on threads where computing hurts nobody.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use phasic_engine::artifact::{Format, encode_ptdprmc3};
use phasic_engine::graph::{Graph, GraphHash};
use phasic_engine::trace::Limits;
use phasic_hub_api::{ArtifactName, Sha256};

use super::{PullError, PullEvent, PullOptions};
use crate::cache::{ArtifactCache, NewEntry};
use crate::refusal::Refusal;
use crate::verification::{Evidence, verify};

/// A graph on its way through a pull, shared with the threads that compute.
#[derive(Clone)]
pub(super) struct Subject {
    pub(super) graph: Arc<Graph>,
    pub(super) hash: GraphHash,
    pub(super) limits: Limits,
    pub(super) options: PullOptions,
}

/// The file in the cache before a pull.
enum Cached {
    Absent,
    /// Damaged, and these are its bytes.
    Damaged(Sha256),
    Usable(PathBuf),
    /// The right program in the format phasic's computation does not read, converted.
    Converted(Vec<u8>),
}

/// What a look into the cache comes to.
pub(super) enum Settled {
    /// A usable file lies here now.
    Present(PathBuf),
    /// One has to be fetched. A damaged one that was found is remembered by its bytes.
    Wanting { damaged: Option<Sha256> },
}

/// A fetched and verified file.
pub(super) struct Fetched {
    pub(super) ptdprmc3: Vec<u8>,
    pub(super) evidence: Evidence,
    pub(super) format: Format,
}

impl Subject {
    pub(super) fn tell(&self, event: PullEvent) {
        if let Some(observer) = &self.options.observer {
            observer(event);
        }
    }

    /// Verifies a file and turns it into the form phasic reads: our own bytes of the program, never the foreign ones.
    pub(super) fn judge(
        &self,
        bytes: &[u8],
        name: ArtifactName,
        stop: &AtomicBool,
    ) -> Result<Fetched, Refusal> {
        let mut observer = |progress| {
            self.tell(PullEvent::Verifying { name, progress });
            if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let verified = verify(bytes, &self.graph, self.hash, &self.limits, &mut observer)
            .map_err(|error| Refusal::new(error, bytes, &self.graph))?;
        let mut ptdprmc3 = Vec::new();
        encode_ptdprmc3(&verified.decoded.trace, &mut ptdprmc3).expect("writing to memory cannot fail");
        Ok(Fetched { ptdprmc3, evidence: verified.evidence, format: verified.decoded.format })
    }

    /// What the cache has for this graph. Bytes known to be damaged are not judged again.
    fn cached(
        &self,
        cache: &ArtifactCache,
        damaged: Option<Sha256>,
        stop: &AtomicBool,
    ) -> Result<Cached, PullError> {
        let path = cache.program_path(&self.hash);
        let Some(bytes) = cache.read_program(&self.hash)? else { return Ok(Cached::Absent) };
        if let Some(damaged) = damaged.filter(|damaged| Sha256::of(&bytes) == *damaged) {
            return Ok(Cached::Damaged(damaged));
        }
        match self.judge(&bytes, ArtifactName::Parent(self.hash), stop) {
            Ok(fetched) if fetched.format == Format::Ptdprmc3 => Ok(Cached::Usable(path)),
            Ok(fetched) => Ok(Cached::Converted(fetched.ptdprmc3)),
            Err(Refusal::Damaged(damage)) => {
                self.tell(PullEvent::Replacing { path, reason: damage.to_string() });
                Ok(Cached::Damaged(Sha256::of(&bytes)))
            }
            Err(source) => Err(PullError::Conflict { path, source: Box::new(source) }),
        }
    }
}

/// Looks for a usable file in the cache and converts it if need be; `damaged` is what an earlier look has found.
pub(super) async fn settle(
    subject: &Subject,
    cache: &ArtifactCache,
    damaged: Option<Sha256>,
) -> Result<Settled, PullError> {
    if subject.options.force {
        return Ok(Settled::Wanting { damaged: None });
    }
    let (subject, cache) = (subject.clone(), cache.clone());
    compute(move |stop| match subject.cached(&cache, damaged, stop)? {
        Cached::Absent => Ok(Settled::Wanting { damaged: None }),
        Cached::Damaged(bytes) => Ok(Settled::Wanting { damaged: Some(bytes) }),
        Cached::Usable(path) => Ok(Settled::Present(path)),
        Cached::Converted(program) => {
            let path = cache.install(&NewEntry { hash: subject.hash, program: &program, components: &[] })?;
            Ok(Settled::Present(path))
        }
    })
    .await
}

/// Runs `work` on a thread for blocking work; the flag it is given is set when nobody waits for it any more.
pub(super) async fn compute<T: Send + 'static>(work: impl FnOnce(&AtomicBool) -> T + Send + 'static) -> T {
    struct StopWhenDropped(Arc<AtomicBool>);
    impl Drop for StopWhenDropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = StopWhenDropped(Arc::default());
    let seen = Arc::clone(&stop.0);
    match tokio::task::spawn_blocking(move || work(&seen)).await {
        Ok(value) => value,
        // Nothing cancels a blocking task that has begun, so this is a panic in `work`; it goes on where it belongs.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
