//! The states of a job as server-sent events.
//!
//! However many watch, the database is asked only when something in it has changed: the queue says so of its jobs, and the
//! hub, which looks for changes by anybody, of everything else. Progress is in memory.

use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::Response;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use phasic_hub_api::jobs::{Job, JobEvent, JobState};
use tokio::sync::watch;

use super::Services;
use super::error::ApiError;
use super::jobs::{describe, unknown};
use crate::auth::Caller;
use crate::store::JobRow;
use crate::visibility::Viewer;

/// The shortest time between two events of one stream.
const EVENT_EVERY: Duration = Duration::from_millis(250);

/// The states of a job, as server-sent events: one `job` event at once, then one after each change and, while it runs,
/// up to four a second with its progress. The stream ends when the job has ended, and when the token it was asked for with
/// is revoked or has expired.
///
/// ```text
/// curl -sN http://127.0.0.1:8787/v1/jobs/job_0123456789abcdef/events
/// ```
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/events",
    tag = "compute",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "Events, each as in this schema", content_type = "text/event-stream",
         body = JobEvent),
        (status = 404, description = "`job_not_found`"),
    )
)]
pub(super) async fn events(
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response<Body>, ApiError> {
    // Before the job is read, so that no change falls between the two.
    let watching = Watching {
        jobs: services.jobs.changes(),
        database: services.hub.database_changes(),
        stopping: services.jobs.stopping(),
    };
    let viewer = caller.viewer();
    let row = services.hub.data.store.job(&id, &viewer).await?.ok_or_else(|| unknown(&id))?;
    let told = Told { services, viewer, row, job: None, watching };
    Ok(Sse::new(stream(told)).keep_alive(KeepAlive::default()).into_response())
}

fn stream(told: Told) -> impl Stream<Item = Result<Event, Infallible>> {
    futures_util::stream::unfold(told, async |mut told| {
        let event = told.next().await?;
        Some((Ok(event), told))
    })
}

/// A job, and what was told of it last.
struct Told {
    services: Services,
    viewer: Viewer,
    row: JobRow,
    job: Option<Job>,
    watching: Watching,
}

impl Told {
    /// The next event. `None` ends the stream: the job has ended, or the hub is stopping or cannot read its database.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let job = match &self.job {
                None => describe(&self.services, &self.row, &self.viewer).await.ok()?,
                Some(told) if told.state.is_final() => return None,
                Some(told) => match self.watching.news(self.row.state == JobState::Running).await {
                    News::End => return None,
                    News::Progress => {
                        let progress = self.services.jobs.progress(self.row.number);
                        // Without any it has just ended, and there will be news of its row.
                        let progress = progress.or(told.progress);
                        Job { progress, ..told.clone() }
                    }
                    News::Row => self.read_again().await?,
                },
            };
            if self.job.as_ref() != Some(&job) {
                let event = Event::default().event("job").json_data(&job).ok()?;
                self.job = Some(job);
                return Some(event);
            }
        }
    }

    async fn read_again(&mut self) -> Option<Job> {
        let store = &self.services.hub.data.store;
        self.row = store.job(&self.row.id, &self.viewer).await.ok()??;
        describe(&self.services, &self.row, &self.viewer).await.ok()
    }
}

/// What wakes somebody who watches a job.
struct Watching {
    /// Changes of any job's state.
    jobs: watch::Receiver<u64>,
    /// Changes of anything, by anybody.
    database: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
}

/// What may be new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    /// The job's row.
    Row,
    /// Its progress at most.
    Progress,
    /// Nothing ever again.
    End,
}

impl Watching {
    /// Waits until there may be news of a job.
    async fn news(&mut self, is_running: bool) -> News {
        // Between two looks at least this long, however often something changes.
        tokio::time::sleep(EVENT_EVERY).await;
        let Self { jobs, database, stopping } = self;
        let is_stopping = async { drop(stopping.wait_for(|&is_so| is_so).await) };
        let of = |changed: Result<(), watch::error::RecvError>| changed.map_or(News::End, |()| News::Row);
        let news = tokio::select! {
            biased;
            () = is_stopping => News::End,
            changed = jobs.changed() => of(changed),
            changed = database.changed() => of(changed),
            () = std::future::ready(()), if is_running => News::Progress,
        };
        if news == News::Row {
            jobs.mark_unchanged();
            database.mark_unchanged();
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::{News, Watching};

    /// What changes, and somebody who watches it.
    struct Place {
        jobs: watch::Sender<u64>,
        database: watch::Sender<u64>,
        stopping: watch::Sender<bool>,
        watching: Watching,
    }

    fn place() -> Place {
        let (jobs, database, stopping) =
            (watch::Sender::new(0), watch::Sender::new(0), watch::Sender::new(false));
        let watching = Watching {
            jobs: jobs.subscribe(),
            database: database.subscribe(),
            stopping: stopping.subscribe(),
        };
        Place { jobs, database, stopping, watching }
    }

    #[tokio::test(start_paused = true)]
    async fn who_watches_a_running_job_asks_the_database_for_nothing_unless_something_has_changed() {
        let Place { jobs, database, stopping, mut watching } = place();
        let mut looks = Vec::new();
        for _ in 0..16 {
            looks.push(watching.news(true).await);
        }
        assert_eq!(looks, [News::Progress; 16]);
        for change in [&jobs, &database] {
            change.send_modify(|count| *count += 1);
            assert_eq!(watching.news(true).await, News::Row);
            assert_eq!(watching.news(true).await, News::Progress, "once");
        }
        stopping.send_replace(true);
        assert_eq!(watching.news(true).await, News::End);
    }

    #[tokio::test(start_paused = true)]
    async fn who_watches_when_the_hub_is_stopping_already_is_let_go() {
        let Place { stopping, watching, jobs: _jobs, database: _database } = place();
        stopping.send_replace(true);
        let mut late = Watching { stopping: stopping.subscribe(), ..watching };
        assert_eq!(late.news(false).await, News::End);
    }
}
