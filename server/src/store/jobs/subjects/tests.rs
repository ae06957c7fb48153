use phasic_hub_api::jobs::{JobState, Priority, Variant};
use phasic_hub_api::{EdgeOrderDigest, GraphHash, GraphIdentity, Sha256};

use super::{subject, subject_for};
use crate::blobs::StoredBlob;
use crate::store::tests::identity;
use crate::store::{Actor, FreeMemory, GraphRow, JobResult, JobRow, NewJob, QueueLimits, Queued, Store};
use crate::visibility::{Audience, Viewer};

fn blob(seed: &str) -> StoredBlob {
    StoredBlob { sha256: Sha256::of(seed.as_bytes()), size_bytes: seed.len() as u64 }
}

/// Graphs of one content hash, by the names of their definitions; with the same order of edges where their names begin alike.
fn graph(name: &str) -> GraphIdentity {
    let edge_order_digest = EdgeOrderDigest::from_bytes([name.as_bytes()[0]; 32]);
    GraphIdentity { edge_order_digest, ..identity(GraphHash::from_bytes([1; 32]), name) }
}

struct Place {
    directory: tempfile::TempDir,
    store: Store,
}

impl Place {
    async fn with(names: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).await.unwrap();
        for name in names {
            let row = GraphRow { identity: graph(name), recipe: blob("recipe") };
            store.put_graph(&row, &Audience::Everybody, &Actor::Hub).await.unwrap();
        }
        Self { directory, store }
    }

    /// A job as earlier versions wrote it.
    fn former(name: &str, variant: Variant, audience: &Audience) -> NewJob {
        let decides = match variant {
            Variant::Phasic => subject(&graph(name), variant),
            Variant::Fast | Variant::Plan => graph(name).definition,
        };
        NewJob { subject: subject_for(decides, audience), ..Self::job(name, variant, audience) }
    }

    /// A job as this version writes it.
    fn job(name: &str, variant: Variant, audience: &Audience) -> NewJob {
        NewJob {
            id: format!("{name}, {}, {}", variant.as_str(), audience.text()),
            subject: subject_for(subject(&graph(name), variant), audience),
            variant,
            definition: graph(name).definition,
            forecast: "{}".to_owned(),
            memory_bytes: 1,
            audience: audience.clone(),
            asker: format!("who has sent {name}"),
            priority: Priority::Normal,
            timeout_ms: None,
            lost: None,
        }
    }

    async fn queue(&self, job: &NewJob) -> Queued {
        self.store.queue(job, QueueLimits { total: 99, of_one: 99 }, &Actor::Hub).await.unwrap()
    }

    async fn begin(&self) -> JobRow {
        let free = FreeMemory { bytes: 1, is_all: true };
        self.store.begin_job("me", free).await.unwrap().unwrap()
    }

    async fn make(&self, job: &NewJob, content: &str) {
        self.queue(job).await;
        let (row, blob) = (self.begin().await, blob(content));
        let result = JobResult { blob, commands: 1, peak_memory_bytes: None };
        assert!(self.store.finish_job(&row, "me", result, "engine").await.unwrap());
        // So that one is later than another.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }

    /// The same database, as if it had just come to this version.
    async fn upgraded(self) -> Self {
        sqlx::query("INSERT INTO unfinished_upgrades (name) VALUES ('program_subjects')")
            .execute(&self.store.writer)
            .await
            .unwrap();
        self.store.close().await;
        let store = Store::open(self.directory.path()).await.unwrap();
        assert!(store.verify_audit(None).await.unwrap().is_ok());
        Self { store, ..self }
    }
}

#[tokio::test]
async fn results_of_earlier_versions_are_found_by_what_decides_them_today() {
    let place = Place::with(&["a 1", "a 2", "b"]).await;
    let (everybody, lab) = (Audience::Everybody, Audience::Ids("lab-*".parse().unwrap()));
    for (name, variant, audience, content) in [
        ("a 1", Variant::Fast, &everybody, "first"),
        ("a 2", Variant::Fast, &everybody, "second"),
        ("a 1", Variant::Fast, &lab, "private"),
        ("b", Variant::Fast, &everybody, "of another order"),
        ("a 1", Variant::Phasic, &everybody, "phasic's"),
        ("a 2", Variant::Plan, &everybody, "plan"),
    ] {
        place.make(&Place::former(name, variant, audience), content).await;
    }
    let place = place.upgraded().await.upgraded().await;
    for (name, variant, audience, content) in [
        ("a 1", Variant::Fast, &everybody, "second"),
        ("a 2", Variant::Fast, &everybody, "second"),
        ("a 2", Variant::Fast, &lab, "private"),
        ("b", Variant::Fast, &everybody, "of another order"),
        ("a 2", Variant::Phasic, &everybody, "phasic's"),
        ("a 2", Variant::Plan, &everybody, "plan"),
    ] {
        let job = Place::job(name, variant, audience);
        let found = place.store.elimination(job.subject, variant).await.unwrap();
        assert_eq!(found.map(|row| row.blob), Some(blob(content)), "{name} {variant:?}");
        assert!(matches!(place.queue(&job).await, Queued::Made), "{name} {variant:?}");
    }
    let all = place.store.eliminations(graph("a").graph_hash, &Viewer::All).await.unwrap();
    assert_eq!(all.len(), 5, "one is listed once");
}

#[tokio::test]
async fn jobs_of_earlier_versions_for_one_program_become_one_and_those_in_quarantine_keep_out_others() {
    let place = Place::with(&["a 1", "a 2", "a 3"]).await;
    let (everybody, lab) = (Audience::Everybody, Audience::Ids("lab-*".parse().unwrap()));
    let waits = NewJob { timeout_ms: Some(5), ..Place::former("a 1", Variant::Fast, &everybody) };
    let runs = NewJob { priority: Priority::High, ..Place::former("a 2", Variant::Fast, &everybody) };
    let today = NewJob { timeout_ms: Some(5), ..Place::job("a 3", Variant::Fast, &everybody) };
    let (broke, plan) =
        (Place::former("a 1", Variant::Fast, &lab), Place::former("a 1", Variant::Plan, &everybody));
    for job in [&waits, &runs, &today, &broke, &plan] {
        assert!(matches!(place.queue(job).await, Queued::New(_)));
    }
    assert_eq!(place.begin().await.id, runs.id);
    sqlx::query("UPDATE jobs SET state = 'quarantined' WHERE id = ?")
        .bind(&broke.id)
        .execute(&place.store.writer)
        .await
        .unwrap();

    let place = place.upgraded().await;
    let states = async |id: &str| place.store.job(id, &Viewer::All).await.unwrap().unwrap().state;
    for (job, state) in [
        (&runs, JobState::Running),
        (&waits, JobState::Cancelled),
        (&today, JobState::Cancelled),
        (&broke, JobState::Quarantined),
        (&plan, JobState::Queued),
    ] {
        assert_eq!(states(&job.id).await, state, "{}", job.id);
    }
    let askers: Vec<String> = sqlx::query_scalar(
        "SELECT asker FROM job_askers a JOIN jobs j ON j.number = a.job WHERE j.id = ? ORDER BY asker",
    )
    .bind(&runs.id)
    .fetch_all(&place.store.readers)
    .await
    .unwrap();
    assert_eq!(askers, [waits.asker, runs.asker.clone(), today.asker]);
    let joined = async |job: &NewJob| match place.queue(job).await {
        Queued::Joined(row) => row,
        other => panic!("{other:?}"),
    };
    let row = joined(&Place::job("a 1", Variant::Fast, &everybody)).await;
    assert_eq!((row.id, row.priority, row.timeout_ms), (runs.id, Priority::High, None));
    let row = joined(&Place::job("a 2", Variant::Fast, &lab)).await;
    assert_eq!((row.id, row.state), (broke.id, JobState::Quarantined));
    let told = place.store.audit(0, 99).await.unwrap();
    assert_eq!(told.iter().filter(|line| line.action == "job.cancel").count(), 2);
}
