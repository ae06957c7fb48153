-- The registries this hub mirrors, or has mirrored, and what it knows of each.
CREATE TABLE upstreams (
    name               TEXT    NOT NULL,
    -- Where it was read last. Tokens are never part of it.
    address            TEXT    NOT NULL,
    trust              TEXT    NOT NULL,
    -- Who wins an id that several offer: the lowest.
    place              INTEGER NOT NULL,
    -- The state that is mirrored, and what to send to learn whether it has changed.
    commit_id          TEXT,
    document_sha256    BLOB,
    etag               TEXT,
    last_modified      TEXT,
    -- 1 when the document is to be read again, although it may not have changed.
    must_read          INTEGER NOT NULL DEFAULT 1,
    -- 1 when files that are here are to be judged anew: the trust was lowered.
    must_verify        INTEGER NOT NULL DEFAULT 0,
    -- When it was last seen that what is mirrored is what upstream has.
    checked_at         TEXT,
    failures_in_a_row  INTEGER NOT NULL DEFAULT 0,
    -- When the next pass is due; NULL is at once.
    next_run_at        TEXT,
    -- Requests that may still be sent, and when that was so. NULL is all that an hour allows.
    budget_left        REAL,
    budget_at          TEXT,
    CONSTRAINT upstreams_key PRIMARY KEY (name),
    CONSTRAINT upstreams_document FOREIGN KEY (document_sha256) REFERENCES blobs (sha256),
    CONSTRAINT upstreams_trust_known CHECK (trust IN ('checked', 'verified-only')),
    CONSTRAINT upstreams_must_read_bool CHECK (must_read IN (0, 1)),
    CONSTRAINT upstreams_must_verify_bool CHECK (must_verify IN (0, 1)),
    CONSTRAINT upstreams_failures_range CHECK (failures_in_a_row >= 0)
) STRICT, WITHOUT ROWID;

-- There was one upstream so far, at whatever address the last pass had.
INSERT INTO upstreams (name, address, trust, place, document_sha256, checked_at)
SELECT 'manual', upstream, 'checked', 1000000, document_sha256, finished_at
FROM mirror_passes ORDER BY number DESC LIMIT 1;

-- Which upstream a mirrored compute is from; NULL for local ones.
ALTER TABLE computes ADD COLUMN upstream TEXT CONSTRAINT computes_upstream REFERENCES upstreams (name);
UPDATE computes SET upstream = 'manual' WHERE origin = 'mirror';
CREATE INDEX computes_by_upstream ON computes (upstream);
ALTER TABLE revisions ADD COLUMN upstream TEXT;
UPDATE revisions SET upstream = 'manual' WHERE origin = 'mirror';

-- Passes over upstreams: what became of each. The document is kept as it was received.
CREATE TABLE passes (
    number          INTEGER NOT NULL,
    upstream        TEXT    NOT NULL,
    address         TEXT    NOT NULL,
    outcome         TEXT    NOT NULL,
    -- As in the audit log: 'hub', 'operator' or 'token:<id>'.
    actor           TEXT    NOT NULL,
    started_at      TEXT    NOT NULL,
    finished_at     TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    requests        INTEGER NOT NULL DEFAULT 0,
    commit_id       TEXT,
    document_sha256 BLOB,
    entries         INTEGER,
    mirrored        INTEGER,
    error_code      TEXT,
    error           TEXT,
    CONSTRAINT passes_key PRIMARY KEY (number),
    CONSTRAINT passes_upstream FOREIGN KEY (upstream) REFERENCES upstreams (name) ON DELETE CASCADE,
    CONSTRAINT passes_document FOREIGN KEY (document_sha256) REFERENCES blobs (sha256),
    CONSTRAINT passes_outcome_known CHECK (outcome IN ('done', 'unmodified', 'held', 'failed')),
    CONSTRAINT passes_error_when_failed CHECK ((outcome IN ('held', 'failed')) = (error IS NOT NULL))
) STRICT;
CREATE INDEX passes_by_upstream ON passes (upstream, number);

INSERT INTO passes (number, upstream, address, outcome, actor, started_at, finished_at, document_sha256, entries, mirrored)
SELECT number, 'manual', upstream, 'done', 'operator', finished_at, finished_at, document_sha256, entries, mirrored
FROM mirror_passes;

-- What a pass did not take over, and why.
CREATE TABLE pass_faults (
    pass     INTEGER NOT NULL,
    place    INTEGER NOT NULL,
    -- The key as upstream wrote it; not necessarily a valid id.
    entry    TEXT    NOT NULL,
    artifact TEXT,
    code     TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    CONSTRAINT pass_faults_key PRIMARY KEY (pass, place),
    CONSTRAINT pass_faults_pass FOREIGN KEY (pass) REFERENCES passes (number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
INSERT INTO pass_faults SELECT pass, place, entry, artifact, code, reason FROM mirror_faults;
DROP TABLE mirror_faults;
DROP TABLE mirror_passes;

-- What a pass changed.
CREATE TABLE pass_changes (
    pass        INTEGER NOT NULL,
    place       INTEGER NOT NULL,
    kind        TEXT    NOT NULL,
    compute_id  TEXT    NOT NULL,
    -- The id it had before, when it was renamed.
    previous_id TEXT,
    CONSTRAINT pass_changes_key PRIMARY KEY (pass, place),
    CONSTRAINT pass_changes_pass FOREIGN KEY (pass) REFERENCES passes (number) ON DELETE CASCADE,
    CONSTRAINT pass_changes_kind_known
        CHECK (kind IN ('new', 'changed', 'renamed', 'retracted', 'restored', 'vanished'))
) STRICT, WITHOUT ROWID;

-- What was refused or is suspicious, until somebody decides or the bytes change. `sha256` is what the decision is
-- about: the digest a file was announced with, that of an entry's text, or that of the whole document.
CREATE TABLE quarantine (
    number     INTEGER NOT NULL,
    upstream   TEXT    NOT NULL,
    -- Empty: the document as a whole.
    entry      TEXT    NOT NULL,
    -- Empty: the entry as a whole.
    artifact   TEXT    NOT NULL,
    sha256     BLOB    NOT NULL,
    code       TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    found_at   TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    decision   TEXT,
    decided_at TEXT,
    decided_by TEXT,
    CONSTRAINT quarantine_key PRIMARY KEY (number),
    CONSTRAINT quarantine_subject_distinct UNIQUE (upstream, entry, artifact, sha256, code),
    CONSTRAINT quarantine_upstream FOREIGN KEY (upstream) REFERENCES upstreams (name) ON DELETE CASCADE,
    CONSTRAINT quarantine_sha256_length CHECK (length(sha256) = 32),
    CONSTRAINT quarantine_decision_known CHECK (decision IN ('accept', 'reject')),
    CONSTRAINT quarantine_decision_dated CHECK ((decision IS NULL) = (decided_at IS NULL)),
    CONSTRAINT quarantine_decision_signed CHECK ((decision IS NULL) = (decided_by IS NULL))
) STRICT;
