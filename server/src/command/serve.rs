//! `phasic-hub serve`.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use phasic_hub_api::IdPatterns;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{CommandError, Outcome, ServeArgs, print};
use crate::admission::Admission;
use crate::auth::{Scope, TokenSecret};
use crate::config::Config;
use crate::evaluate::Evaluator;
use crate::hub::{DataDirectory, DataError, Hub, ServeLock};
use crate::jobs::Jobs;
use crate::mirror::Mirror;
use crate::preparing::Preparing;
use crate::registry::{CatalogueError, RenderingsFile};
use crate::store::{ChangeWatch, Store, StoreError};
use crate::tasks::Tasks;
use crate::uploads::Uploads;
use crate::variants::Variants;
use crate::verification::Verifier;
use crate::workers::Workers;
use crate::{http, listen, metrics, readiness, reference, upkeep};

pub(super) async fn serve(args: ServeArgs) -> Outcome {
    let config = Arc::new(args.load()?);
    let _lock = ServeLock::take(&config.data_dir)?;
    let cannot_listen = |source| CommandError::Listen { address: config.listen, source };
    let listener = TcpListener::bind(config.listen).await.map_err(cannot_listen)?;
    let address = listener.local_addr().map_err(cannot_listen)?;
    metrics::start();
    let threads = config.compute.threads.count();
    let eliminations = Workers::giving_way("eliminate", threads)?;
    let eliminations = Admission::new(eliminations, config.compute.max_memory_bytes.get());
    let evaluations = Workers::new("evaluate", threads)?;
    // One more, which a large model may keep.
    let preparing = Preparing::new(Workers::giving_way("prepare", evaluations.count() + 1)?);
    let (hub, rendered, changes) = open(&config, address).await?;
    let store = hub.data.store.clone();
    let (stop, hurry) = stop_requests()?;
    let (look, damaged) = look_for_damage(Arc::clone(&hub));
    reference::announce(&hub);

    print(&format!("Phasic Hub is listening on http://{address}\n"))?;
    if config.offline {
        tracing::info!("offline: no connection to anybody will be opened");
    }
    admin_token(&store).await?;
    tracing::info!(data = %config.data_dir.display(), public = hub.public_base(), "serving");

    let jobs = Jobs::new(
        hub.data.clone(),
        eliminations.clone(),
        preparing.clone(),
        config.compute.clone(),
        config.models.clone(),
    )?;
    let jobs = Arc::new(jobs);
    let verifier = Arc::new(Verifier::new(hub.data.clone(), &config)?);
    store.break_off_tasks().await?;
    let tasks = Arc::new(Tasks::new(hub.data.clone(), Arc::clone(&config), eliminations.clone()));
    let variants = Arc::new(Variants::new(hub.data.clone(), Arc::clone(&jobs), config.registry.clone()));
    let mirror = Arc::new(Mirror::new(Arc::clone(&hub), Arc::clone(&config)));
    let uploads = Uploads::open(hub.data.clone(), &config.data_dir, config.uploads.clone())?;
    let uploads = Arc::new(uploads);
    let (begin, begun) = watch::channel(false);
    let background = [
        keep(&hub, "reference computes", reference::maintain(Arc::clone(&hub), eliminations.clone(), begin)),
        keep(&hub, "jobs", Arc::clone(&jobs).run()),
        keep(&hub, "files", Arc::clone(&hub).look_for_files()),
        keep(&hub, "changes", follow(Arc::clone(&hub), changes)),
        keep(&hub, "renderings", Arc::clone(&hub).keep_renderings(Arc::clone(&rendered))),
        keep(&hub, "readiness", readiness::watch(Arc::clone(&hub), config.data_dir.clone())),
        keep(&hub, "uploads", Arc::clone(&uploads).keep_swept()),
        keep(&hub, "mirror", after(begun.clone(), Arc::clone(&mirror).run())),
        keep(&hub, "variants", after(begun.clone(), variants.run(Arc::clone(&hub)))),
        keep(
            &hub,
            "upkeep",
            after(begun.clone(), upkeep::keep_whole(Arc::clone(&hub), Arc::clone(&config), eliminations)),
        ),
        keep(&hub, "garbage", after(begun.clone(), Arc::clone(&tasks).collect_when_due())),
        keep(&hub, "verification", after(begun, Arc::clone(&verifier).run(Arc::clone(&hub)))),
    ];
    let evaluator =
        Arc::new(Evaluator::new(preparing, evaluations, config.models.clone(), config.evaluate.clone()));
    // A little less than the answer itself may take.
    let patience = config.http.request_timeout_ms.duration().mul_f64(0.9);
    let services = http::Services {
        hub: Arc::clone(&hub),
        evaluator,
        jobs: Arc::clone(&jobs),
        verifier: Arc::clone(&verifier),
        mirror,
        tasks,
        config: Arc::clone(&config),
        patience,
        uploads,
        publishing: Arc::default(),
    };
    let front = http::front(services, &config);
    let stop = {
        let (jobs, stop) = (Arc::clone(&jobs), either(stop, found(damaged.clone())));
        async move {
            stop.await;
            jobs.stop_waiting();
        }
    };
    let hurry = either(hurry, found(damaged));
    listen::serve(listener, front, &config.http, stop, hurry).await;
    verifier.stop();
    // What is broken off now was no attempt that has ended the process.
    if tokio::time::timeout(LAST_WORDS, verifier.settled()).await.is_err() {
        tracing::warn!("a comparison does not end; it counts as one that has ended the process");
    }
    for task in background {
        task.abort();
    }
    look.await.map_err(std::io::Error::other)??;
    jobs.put_back().await?;
    store.close().await;
    if let Err(error) = rendered.write(&hub.catalogue().renderings()) {
        tracing::warn!(%error, "cannot leave what was rendered for the next start");
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a background service, and says so should it break down; one may end by itself if it has nothing to do.
fn keep(
    hub: &Arc<Hub>,
    name: &'static str,
    work: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
    let hub = Arc::clone(hub);
    tokio::spawn(async move {
        if AssertUnwindSafe(work).catch_unwind().await.is_err() {
            tracing::error!(
                service = name,
                "a background service has panicked; its message is on standard error"
            );
            hub.readiness.has_broken_down(name);
        }
    })
}

/// Opens the data directory, and reads all there is to serve. Where that fails, damage of the database says more than what
/// has come of it.
async fn open(
    config: &Config,
    address: SocketAddr,
) -> Result<(Arc<Hub>, Arc<RenderingsFile>, ChangeWatch), CommandError> {
    let data_dir = config.data_dir.clone();
    let rendered = tokio::task::spawn_blocking(move || RenderingsFile::open(&data_dir));
    let data = DataDirectory::open_unchecked(&config.data_dir).await?;
    let data = data.within(config.storage.max_bytes.get());
    let store = data.store.clone();
    let read = async {
        store.set_private_patterns(config.access.private_ids.patterns()).await?;
        let changes = store.watch().await?;
        let (rendered, former) = rendered.await.map_err(CatalogueError::from)?;
        let hub = Hub::unseen(data, config.public_url.base(address), former).await?;
        Ok::<_, DataError>((Arc::new(hub), Arc::new(rendered), changes))
    };
    let read = read.await;
    if read.is_err() {
        store.check().await?;
    }
    Ok(read?)
}

/// Looks at all of the database for damage while the hub answers already, and is not ready; nothing is written before that
/// is over. What was found is what the task gives; that there was something is told at once.
fn look_for_damage(hub: Arc<Hub>) -> (JoinHandle<Result<(), StoreError>>, watch::Receiver<bool>) {
    let (tell, told) = watch::channel(false);
    hub.readiness.looks_for_damage(false);
    let look = tokio::spawn(async move {
        let looked = hub.data.store.check().await;
        hub.readiness.looks_for_damage(looked.is_ok());
        tell.send_replace(looked.is_err());
        looked
    });
    (look, told)
}

/// Complete once damage was found.
async fn found(mut damaged: watch::Receiver<bool>) {
    if damaged.wait_for(|&is_so| is_so).await.is_err() {
        // It is over, and there is none.
        std::future::pending::<()>().await;
    }
}

/// Complete with the first of the two.
async fn either(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    tokio::select! {
        () = one => {}
        () = other => {}
    }
}

/// Runs what a hub can be ready without, once the reference computes have been seen to: it looks at everything there is, and
/// a start need not wait for that.
async fn after(mut begun: watch::Receiver<bool>, work: impl Future<Output = ()>) {
    // An error would say that nobody sees to them any more, and then there is nothing to wait for.
    let _ = begun.wait_for(|&is_so| is_so).await;
    work.await;
}

async fn follow(hub: Arc<Hub>, watch: ChangeWatch) {
    hub.follow_changes(watch).await;
}

/// Where nobody has a valid admin token, as at the very first start, one is made and shown this once. Should it be lost
/// on its way to a person, `token create` makes another: whoever can write to the data directory is its administrator.
async fn admin_token(store: &Store) -> Result<(), CommandError> {
    let secret = TokenSecret::generate()?;
    if store.add_admin_token(&secret.row("first admin", &[Scope::Admin], IdPatterns::default(), None)).await?
    {
        print(&format!("Admin token, shown only now: {secret}\n{ABOUT_THE_TOKEN}"))?;
    }
    Ok(())
}

/// How long a comparison that was stopped may take to end.
const LAST_WORDS: Duration = Duration::from_secs(5);

const ABOUT_THE_TOKEN: &str = "\
    Reading asks for no token unless access.anonymous says so; /v1/tokens and /v1/audit ask for this one.\n\
    If it is lost: phasic-hub token create --name admin --scope admin\n";

/// Complete at the first request to stop, and at the second.
fn stop_requests() -> std::io::Result<(impl Future<Output = ()>, impl Future<Output = ()>)> {
    let mut signals = StopSignals::new()?;
    let (count, mut first) = tokio::sync::watch::channel(0_u32);
    let mut second = first.clone();
    tokio::spawn(async move {
        loop {
            signals.next().await;
            count.send_modify(|count| *count += 1);
        }
    });
    // An error says that the counting task is gone, and then it is time to stop as well.
    let first = async move { first.wait_for(|&count| count >= 1).await.map_or((), drop) };
    let second = async move { second.wait_for(|&count| count >= 2).await.map_or((), drop) };
    Ok((first, second))
}

/// SIGINT and SIGTERM.
#[cfg(unix)]
struct StopSignals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl StopSignals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Control-C.
#[cfg(not(unix))]
struct StopSignals;

#[cfg(not(unix))]
impl StopSignals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        // Without a way to be told to stop, the process is ended from outside.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
