-- How long a job may run, where its submitter said so; otherwise compute.job_timeout_ms.
ALTER TABLE jobs ADD COLUMN timeout_ms INTEGER;
-- How often a later job was begun because this one found too little memory free.
ALTER TABLE jobs ADD COLUMN overtaken INTEGER NOT NULL DEFAULT 0;

-- Who asked for a job: whoever asks for the same joins, and the job has a place in the turns of each of them.
-- 'token:<id>' or 'address:<client>'.
CREATE TABLE job_askers (
    job      INTEGER NOT NULL,
    asker    TEXT    NOT NULL,
    asked_at TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CONSTRAINT job_askers_key PRIMARY KEY (job, asker),
    CONSTRAINT job_askers_job FOREIGN KEY (job) REFERENCES jobs (number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
INSERT INTO job_askers (job, asker) SELECT number, 'hub' FROM jobs WHERE state IN ('queued', 'running');

-- When each asker had a job begun last, as a number that only grows: the one with the smallest is next.
CREATE TABLE job_turns (
    asker TEXT    NOT NULL,
    turn  INTEGER NOT NULL,
    CONSTRAINT job_turns_key PRIMARY KEY (asker)
) STRICT, WITHOUT ROWID;

CREATE INDEX jobs_by_end ON jobs (finished_at) WHERE finished_at IS NOT NULL;

-- Which contents of a name are those of a compute now.
CREATE INDEX compute_artifacts_by_hash ON compute_artifacts (graph_hash, role, served_sha256);
