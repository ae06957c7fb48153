//! Numbers about the running process, in the text format of Prometheus.
//!
//! The names are here, once. Who counts uses the functions below; what is counted at the moment of asking (the state
//! of the data directory) is set by `http::metrics`. Without [`start`] everything is silently dropped, as in tests.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// The recorder of this process: the facade has one for all, and so have we.
static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

const REQUESTS: &str = "phasic_hub_http_requests_total";
const SECONDS: &str = "phasic_hub_http_request_seconds";
const IN_FLIGHT: &str = "phasic_hub_http_requests_in_flight";
const SENT_BYTES: &str = "phasic_hub_http_sent_bytes_total";
const CONNECTIONS: &str = "phasic_hub_http_connections";
const BLOB_OPENINGS: &str = "phasic_hub_blob_openings_total";
const VERIFICATIONS: &str = "phasic_hub_verifications_total";
const SUBMITTED_BYTES: &str = "phasic_hub_submitted_bytes";
const PLAN_CACHE_BYTES: &str = "phasic_hub_plan_cache_bytes";
const PLANS: &str = "phasic_hub_plans_total";
const JOBS: &str = "phasic_hub_jobs";
const EXPIRED: &str = "phasic_hub_submissions_expired_total";
const SCRUBBED: &str = "phasic_hub_blobs_scrubbed_total";

/// Upper bounds of the classes of request times: from an answer out of memory to the request timeout.
const SECONDS_BOUNDS: &[f64] =
    &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// How often histograms are folded together; between, every request keeps its number.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The value of a gauge that has none now, though it may have had one: a recorder forgets none. [`render`] leaves it out.
const UNKNOWN: f64 = f64::NAN;

/// What is known at the moment of asking.
#[derive(Clone, Copy, Debug)]
pub enum Level {
    /// 1 when the hub is ready, 0 otherwise.
    Ready,
    /// Computes that are served.
    Computes,
    /// Computes that are stored and not served, because a file of theirs is missing.
    Withheld,
    /// Blobs that everybody may have.
    Blobs,
    /// Their bytes.
    BlobBytes,
    /// Files made anew and found equal to phasic's program.
    FilesReproduced,
    /// Files made anew and found equal to our own program or plan.
    FilesEquivalent,
    /// Files that are no program of their graph.
    FilesMismatched,
    /// Files that are still to be compared.
    VerificationsPending,
    /// Seconds since the blob that was not hashed for longest was hashed, or stored.
    ScrubAgeSeconds,
    /// Damaged files in quarantine.
    Quarantined,
    /// Bytes of all submitted graphs.
    SubmittedBytes,
    /// Seconds the first of the queued jobs has waited.
    QueueAgeSeconds,
    /// Bytes of the plans that are kept for the next question.
    PlanCacheBytes,
}

impl Level {
    const ALL: [(Self, &'static str, &'static str); 14] = [
        (Self::Ready, "phasic_hub_ready", "1 when the hub is ready, 0 otherwise; /readyz says why"),
        (Self::Computes, "phasic_hub_computes", "Computes that are served"),
        (Self::Withheld, "phasic_hub_computes_withheld", "Computes not served because a file is missing"),
        (Self::Blobs, "phasic_hub_blobs", "Stored files that everybody may have"),
        (Self::BlobBytes, "phasic_hub_blob_bytes", "Bytes of these blobs"),
        (
            Self::FilesReproduced,
            "phasic_hub_files_reproduced",
            "Files made anew and found equal to phasic's program of their graph",
        ),
        (
            Self::FilesEquivalent,
            "phasic_hub_files_equivalent",
            "Files made anew and found equal to our own program or plan of their graph",
        ),
        (
            Self::FilesMismatched,
            "phasic_hub_files_mismatched",
            "Files that are no program of any graph known under their hash",
        ),
        (Self::VerificationsPending, "phasic_hub_verifications_pending", "Files still to be compared"),
        (
            Self::ScrubAgeSeconds,
            "phasic_hub_scrub_age_seconds",
            "Seconds since the blob that was not hashed for longest was hashed, or stored",
        ),
        (Self::Quarantined, "phasic_hub_blobs_quarantined", "Damaged files in quarantine"),
        (
            Self::SubmittedBytes,
            SUBMITTED_BYTES,
            "Bytes of submitted graphs; models.max_stored_bytes is what they may take",
        ),
        (
            Self::QueueAgeSeconds,
            "phasic_hub_queue_age_seconds",
            "Seconds the first of the queued jobs has waited, 0 when none waits",
        ),
        (
            Self::PlanCacheBytes,
            PLAN_CACHE_BYTES,
            "Bytes of plans kept for the next question; evaluate.cache_bytes is what they may take",
        ),
    ];

    fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// Says what it is now.
    pub fn set(self, value: f64) {
        gauge!(self.name()).set(value);
    }
}

/// What is known of one upstream at the moment of asking.
#[derive(Clone, Copy, Debug, Default)]
pub struct UpstreamLevels {
    /// Seconds since its document was last compared with what is mirrored.
    pub lag_seconds: Option<f64>,
    /// Passes that have failed since.
    pub failures: i64,
    /// Alarms nobody has acknowledged.
    pub alarms: u64,
    /// Lines in quarantine nobody has decided upon.
    pub quarantined: u64,
    /// Computes that are mirrored.
    pub computes: u64,
    /// What its document names and could not be had so far.
    pub unfetched: u64,
}

impl UpstreamLevels {
    const ALL: [(&'static str, &'static str); 6] = [
        (
            "phasic_hub_mirror_lag_seconds",
            "Seconds since the document of an upstream was last compared with what is mirrored; absent before that",
        ),
        ("phasic_hub_mirror_failures", "Passes over an upstream that have failed in a row"),
        ("phasic_hub_mirror_alarms", "Alarms of an upstream that nobody has acknowledged"),
        ("phasic_hub_mirror_quarantined", "What of an upstream was refused, and nobody has decided upon"),
        ("phasic_hub_mirror_computes", "Computes that are mirrored from an upstream"),
        ("phasic_hub_mirror_unfetched", "What the document of an upstream names and could not be had so far"),
    ];

    /// Says what they are now of all upstreams there are. Names of upstreams are those the operator has given. Of one that is
    /// gone everything is 0 from then on: what was said of it last would be an alarm for ever.
    pub fn set_all(upstreams: HashMap<String, Self>) {
        static KNOWN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in known.iter().filter(|name| !upstreams.contains_key(*name)) {
            Self { lag_seconds: Some(0.0), ..Self::default() }.set(gone);
        }
        for (name, levels) in upstreams {
            levels.set(&name);
            known.insert(name);
        }
    }

    fn set(self, upstream: &str) {
        let Self { lag_seconds, failures, alarms, quarantined, computes, unfetched } = self;
        let counts = [alarms, quarantined, computes, unfetched].map(|count| Some(count as f64));
        let counts = std::iter::once(Some(failures as f64)).chain(counts);
        let values = std::iter::once(lag_seconds).chain(counts);
        for ((name, _), value) in Self::ALL.into_iter().zip(values) {
            gauge!(name, "upstream" => upstream.to_owned()).set(value.unwrap_or(UNKNOWN));
        }
    }
}

/// Starts counting for this process, and keeps the histograms small from then on. A second call does nothing.
///
/// Must be called within the asynchronous runtime.
#[expect(clippy::missing_panics_doc, reason = "the bounds are a constant")]
pub fn start() {
    if HANDLE.get().is_some() {
        return;
    }
    let builder =
        PrometheusBuilder::new().set_buckets_for_metric(Matcher::Full(SECONDS.to_owned()), SECONDS_BOUNDS);
    let recorder = builder.expect("the list of bounds is not empty").build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() || HANDLE.set(handle.clone()).is_err() {
        return;
    }
    describe();
    gauge!("phasic_hub_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP_EVERY).await;
            handle.run_upkeep();
        }
    });
}

fn describe() {
    describe_counter!(REQUESTS, "Requests by method, route and status");
    describe_histogram!(
        SECONDS,
        Unit::Seconds,
        "Time from a request head to the head of its answer, by route"
    );
    describe_gauge!(IN_FLIGHT, "Requests that are being answered");
    describe_counter!(
        SENT_BYTES,
        Unit::Bytes,
        "Bytes of answer bodies that were handed to connections, by route"
    );
    describe_gauge!(CONNECTIONS, "Open connections");
    describe_counter!(
        BLOB_OPENINGS,
        "Openings of stored files: known, because their digest was computed before and nothing has changed, or hashed"
    );
    describe_counter!(VERIFICATIONS, "Comparisons of files with programs made anew, by verdict");
    describe_counter!(PLANS, "Plans that evaluations asked for: kept from an earlier question, or made");
    describe_gauge!(JOBS, "Jobs by state; those that ended are forgotten after compute.keep_jobs_days");
    describe_counter!(SCRUBBED, "Blobs hashed again by the scrub, by what was found");
    describe_counter!(
        EXPIRED,
        "Submitted graphs and results of jobs that went because nobody used them, by kind"
    );
    describe_gauge!("phasic_hub_build_info", "1; the version is a label");
    for (_, name, help) in Level::ALL {
        describe_gauge!(name, help);
    }
    for (name, help) in UpstreamLevels::ALL {
        describe_gauge!(name, help);
    }
}

/// Everything counted so far, as Prometheus reads it. Empty when nothing is counted.
pub fn render() -> String {
    HANDLE.get().map(|handle| known(&handle.render())).unwrap_or_default()
}

/// What was rendered, without the lines of what is [`UNKNOWN`].
fn known(rendered: &str) -> String {
    let kept = rendered.lines().filter(|line| line.starts_with('#') || !line.ends_with(" NaN"));
    kept.flat_map(|line| [line, "\n"]).collect()
}

/// What counts private things with the others, so that its growth would tell of them.
const NOT_FOR_EVERYBODY: [&str; 9] = [
    SENT_BYTES,
    VERIFICATIONS,
    SCRUBBED,
    BLOB_OPENINGS,
    "phasic_hub_blobs_quarantined",
    SUBMITTED_BYTES,
    EXPIRED,
    PLANS,
    PLAN_CACHE_BYTES,
];

/// What was rendered, without the numbers that are not for everybody.
pub fn public(rendered: &str) -> String {
    let name = |line: &str| {
        let line = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE ")).unwrap_or(line);
        line.split([' ', '{']).next().unwrap_or_default().to_owned()
    };
    let kept = rendered.lines().filter(|line| !NOT_FOR_EVERYBODY.contains(&name(line).as_str()));
    kept.flat_map(|line| [line, "\n"]).collect()
}

/// One more or fewer, for as long as the value lives.
pub struct Present(Gauge);

impl Present {
    /// An open connection.
    pub fn connection() -> Self {
        Self::count(gauge!(CONNECTIONS))
    }

    fn count(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// What is counted about requests, with its counters at hand: finding one by its name takes longer than many an answer.
pub struct Requests {
    in_flight: Gauge,
    routes: RwLock<HashMap<Box<str>, Arc<Route>>>,
}

/// What is counted about the requests to one route.
struct Route {
    seconds: Histogram,
    sent_bytes: Counter,
    /// By method and status.
    answers: RwLock<HashMap<(&'static str, u16), Counter>>,
}

impl Requests {
    /// Counters of this process; after [`start`], or nothing is counted.
    #[expect(clippy::new_without_default, reason = "it is not the same at any time")]
    pub fn new() -> Self {
        Self { in_flight: gauge!(IN_FLIGHT), routes: RwLock::default() }
    }

    /// A request that is being answered, for as long as the value lives.
    pub fn begin(&self) -> Present {
        Present::count(self.in_flight.clone())
    }

    /// A request was answered. `name` is the pattern of the route, not the path, so that clients cannot make up new names. Gives the
    /// counter of the bytes the route sends.
    pub fn answered(&self, method: &'static str, name: &str, status: u16, elapsed: Duration) -> Counter {
        let route = self.route(name);
        route.seconds.record(elapsed.as_secs_f64());
        route.count(name, method, status);
        route.sent_bytes.clone()
    }

    fn route(&self, name: &str) -> Arc<Route> {
        if let Some(known) = self.routes.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Arc::clone(known);
        }
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(routes.entry(name.into()).or_insert_with(|| Arc::new(Route::new(name))))
    }
}

impl Route {
    fn new(name: &str) -> Self {
        Self {
            seconds: histogram!(SECONDS, "route" => name.to_owned()),
            sent_bytes: counter!(SENT_BYTES, "route" => name.to_owned()),
            answers: RwLock::default(),
        }
    }

    fn count(&self, name: &str, method: &'static str, status: u16) {
        if let Some(known) =
            self.answers.read().unwrap_or_else(PoisonError::into_inner).get(&(method, status))
        {
            return known.increment(1);
        }
        let (name, text) = (name.to_owned(), status.to_string());
        let counter = counter!(REQUESTS, "method" => method, "route" => name, "status" => text);
        counter.increment(1);
        self.answers.write().unwrap_or_else(PoisonError::into_inner).insert((method, status), counter);
    }
}

/// A stored file was opened.
pub fn blob_opened(was_known: bool) {
    counter!(BLOB_OPENINGS, "digest" => if was_known { "known" } else { "hashed" }).increment(1);
}

/// A file was held against a program made anew.
pub fn verified(verdict: &'static str) {
    counter!(VERIFICATIONS, "verdict" => verdict).increment(1);
}

/// A blob was hashed again by the scrub.
pub fn scrubbed(found: &'static str) {
    counter!(SCRUBBED, "found" => found).increment(1);
}

/// A plan was asked for, and was there already or was not.
pub fn plan_asked(was_kept: bool) {
    counter!(PLANS, "found" => if was_kept { "kept" } else { "made" }).increment(1);
}

/// So many jobs are in a state.
pub fn jobs(state: &'static str, number: i64) {
    gauge!(JOBS, "state" => state).set(number as f64);
}

/// So many submitted graphs, or results of jobs, went because nobody had used them for long.
pub fn expired(kind: &'static str, number: usize) {
    counter!(EXPIRED, "kind" => kind).increment(number as u64);
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::{Level, UpstreamLevels, known, public};

    #[test]
    fn the_lag_of_an_upstream_that_is_named_again_is_not_told_before_it_is_read() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let told = |upstreams: &[(&str, Option<f64>)]| {
            let levels = |&(name, lag_seconds): &(&str, Option<f64>)| {
                (name.to_owned(), UpstreamLevels { lag_seconds, ..UpstreamLevels::default() })
            };
            let all = upstreams.iter().map(levels).collect::<HashMap<_, _>>();
            metrics::with_local_recorder(&recorder, || UpstreamLevels::set_all(all));
            let text = known(&handle.render());
            assert!(text.contains("phasic_hub_mirror_failures{upstream=\"again\"} 0\n"), "{text}");
            let lag = text
                .lines()
                .find_map(|line| line.strip_prefix("phasic_hub_mirror_lag_seconds{upstream=\"again\"} "));
            lag.map(str::to_owned)
        };
        assert_eq!(told(&[("again", None)]), None);
        assert_eq!(told(&[("again", Some(5.0))]).as_deref(), Some("5"));
        assert_eq!(told(&[]).as_deref(), Some("0"), "what is gone is late for nobody");
        assert_eq!(told(&[("again", None)]), None, "it was not read yet");
        assert_eq!(told(&[("again", Some(1.0))]).as_deref(), Some("1"));
    }

    #[test]
    fn everybody_is_shown_all_lines_but_those_of_what_counts_private_things() {
        let kept =
            "# HELP phasic_hub_blobs Stored files\n# TYPE phasic_hub_blobs gauge\nphasic_hub_blobs 3\n\n";
        let hidden = "# TYPE phasic_hub_verifications_total counter\n\
                      phasic_hub_verifications_total{verdict=\"reproduced\"} 3\nphasic_hub_blobs_quarantined 1\n";
        assert_eq!(public(&format!("{kept}{hidden}")), kept);
    }

    #[test]
    fn every_level_has_its_own_name() {
        for (place, (level, name, _)) in Level::ALL.into_iter().enumerate() {
            assert_eq!((level as usize, level.name()), (place, name));
        }
    }
}
