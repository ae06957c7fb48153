-- What was found when the program of a graph was made anew and held against a file. Rows refer to blobs without a foreign
-- key, because having been looked at is no reason to keep one.
CREATE TABLE verifications (
    graph_hash        BLOB    NOT NULL,
    sha256            BLOB    NOT NULL,
    verdict           TEXT    NOT NULL,
    -- The order of edges and the definition the file is right for.
    edge_order_digest BLOB,
    definition        BLOB,
    -- Why it is none of the graph's, or could not be compared.
    difference        TEXT,
    engine            TEXT    NOT NULL,
    -- How many definitions of the hash were known then: with another one, a file that fitted none may fit.
    definitions       INTEGER NOT NULL,
    duration_ms       INTEGER NOT NULL,
    checked_at        TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    -- Since when somebody wants it done again.
    asked_at          TEXT,
    CONSTRAINT verifications_key PRIMARY KEY (graph_hash, sha256),
    CONSTRAINT verifications_verdict_known CHECK (verdict IN ('reproduced', 'equivalent', 'mismatch', 'too_large')),
    CONSTRAINT verifications_hash_length CHECK (length(graph_hash) = 32),
    CONSTRAINT verifications_sha256_length CHECK (length(sha256) = 32),
    CONSTRAINT verifications_digest_length CHECK (length(edge_order_digest) = 32),
    CONSTRAINT verifications_definition_length CHECK (length(definition) = 32)
) STRICT, WITHOUT ROWID;
CREATE INDEX verifications_by_blob ON verifications (sha256);

-- When each blob was last hashed by the scrub of the service. No foreign key, for the same reason.
CREATE TABLE blob_checks (
    sha256     BLOB NOT NULL,
    checked_at TEXT NOT NULL,
    CONSTRAINT blob_checks_key PRIMARY KEY (sha256),
    CONSTRAINT blob_checks_sha256_length CHECK (length(sha256) = 32)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER blobs_forgotten AFTER DELETE ON blobs BEGIN
    DELETE FROM verifications WHERE sha256 = old.sha256;
    DELETE FROM blob_checks WHERE sha256 = old.sha256;
END;

-- Blobs somebody wants to keep, whoever else refers to them. The foreign key is what keeps them.
CREATE TABLE pins (
    sha256    BLOB NOT NULL,
    note      TEXT NOT NULL,
    pinned_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CONSTRAINT pins_key PRIMARY KEY (sha256),
    CONSTRAINT pins_blob FOREIGN KEY (sha256) REFERENCES blobs (sha256)
) STRICT, WITHOUT ROWID;

-- Long actions administrators have asked for. What still runs when a hub starts was broken off.
CREATE TABLE tasks (
    number      INTEGER NOT NULL,
    id          TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    state       TEXT    NOT NULL DEFAULT 'running',
    asked       TEXT    NOT NULL,
    report      TEXT,
    error       TEXT,
    started_at  TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    finished_at TEXT,
    CONSTRAINT tasks_key PRIMARY KEY (number),
    CONSTRAINT tasks_id_distinct UNIQUE (id),
    CONSTRAINT tasks_kind_known CHECK (kind IN ('scrub', 'gc', 'backup')),
    CONSTRAINT tasks_state_known CHECK (state IN ('running', 'done', 'failed', 'broken_off')),
    CONSTRAINT tasks_asked_json CHECK (json_valid(asked)),
    CONSTRAINT tasks_report_json CHECK (report IS NULL OR json_valid(report))
) STRICT;
-- However many ask, one of a kind runs.
CREATE UNIQUE INDEX tasks_single_flight ON tasks (kind) WHERE state = 'running';

-- The variant an administrator wants served of a compute. By id, so that it outlives the entry.
CREATE TABLE wanted_variants (
    compute_id TEXT NOT NULL,
    variant    TEXT NOT NULL,
    CONSTRAINT wanted_variants_key PRIMARY KEY (compute_id),
    CONSTRAINT wanted_variants_known CHECK (variant IN ('phasic', 'fast'))
) STRICT, WITHOUT ROWID;

-- The file that is served of a compute in place of the published one, and why.
CREATE TABLE served_variants (
    compute_id        TEXT NOT NULL,
    graph_hash        BLOB NOT NULL,
    edge_order_digest BLOB NOT NULL,
    variant           TEXT NOT NULL,
    sha256            BLOB NOT NULL,
    reason            TEXT NOT NULL,
    CONSTRAINT served_variants_key PRIMARY KEY (compute_id),
    CONSTRAINT served_variants_compute FOREIGN KEY (compute_id) REFERENCES computes (id) ON DELETE CASCADE,
    CONSTRAINT served_variants_blob FOREIGN KEY (sha256) REFERENCES blobs (sha256),
    CONSTRAINT served_variants_known CHECK (variant IN ('phasic', 'fast')),
    CONSTRAINT served_variants_reason_known CHECK (reason IN ('requested', 'parallel_edges', 'too_large')),
    CONSTRAINT served_variants_hash_length CHECK (length(graph_hash) = 32),
    CONSTRAINT served_variants_digest_length CHECK (length(edge_order_digest) = 32)
) STRICT, WITHOUT ROWID;

-- Whatever changes the registry makes every hub on this database render it anew.
CREATE TRIGGER verifications_inserted AFTER INSERT ON verifications
BEGIN UPDATE catalogue_changes SET number = number + 1; END;
CREATE TRIGGER verifications_updated AFTER UPDATE OF verdict, edge_order_digest ON verifications
WHEN old.verdict <> new.verdict OR old.edge_order_digest IS NOT new.edge_order_digest
BEGIN UPDATE catalogue_changes SET number = number + 1; END;
CREATE TRIGGER wanted_variants_inserted AFTER INSERT ON wanted_variants
BEGIN UPDATE catalogue_changes SET number = number + 1; END;
CREATE TRIGGER wanted_variants_updated AFTER UPDATE ON wanted_variants
BEGIN UPDATE catalogue_changes SET number = number + 1; END;
CREATE TRIGGER wanted_variants_deleted AFTER DELETE ON wanted_variants
BEGIN UPDATE catalogue_changes SET number = number + 1; END;
CREATE TRIGGER served_variants_inserted AFTER INSERT ON served_variants
BEGIN UPDATE catalogue_changes SET number = number + 1; END;
CREATE TRIGGER served_variants_updated AFTER UPDATE ON served_variants
BEGIN UPDATE catalogue_changes SET number = number + 1; END;
CREATE TRIGGER served_variants_deleted AFTER DELETE ON served_variants
BEGIN UPDATE catalogue_changes SET number = number + 1; END;
