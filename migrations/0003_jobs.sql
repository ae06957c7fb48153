-- Graphs that were submitted, and how each is built. The content hash alone does not say what a graph is.
CREATE TABLE graphs (
    definition        BLOB    NOT NULL,
    graph_hash        BLOB    NOT NULL,
    edge_order_digest BLOB    NOT NULL,
    vertices          INTEGER NOT NULL,
    edges             INTEGER NOT NULL,
    state_length      INTEGER NOT NULL,
    param_length      INTEGER NOT NULL,
    discrete          INTEGER NOT NULL,
    parallel_edges    INTEGER NOT NULL,
    -- The document and its constants, as a blob.
    recipe_sha256     BLOB    NOT NULL,
    submitted_at      TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CONSTRAINT graphs_key PRIMARY KEY (definition),
    CONSTRAINT graphs_recipe FOREIGN KEY (recipe_sha256) REFERENCES blobs (sha256),
    CONSTRAINT graphs_definition_length CHECK (length(definition) = 32),
    CONSTRAINT graphs_hash_length CHECK (length(graph_hash) = 32),
    CONSTRAINT graphs_digest_length CHECK (length(edge_order_digest) = 32),
    CONSTRAINT graphs_discrete_bool CHECK (discrete IN (0, 1)),
    CONSTRAINT graphs_parallel_bool CHECK (parallel_edges IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE INDEX graphs_by_hash ON graphs (graph_hash);

-- Requests for eliminations. `subject` is what decides the result: for phasic's own program content hash and edge
-- order, for the others the definition.
CREATE TABLE jobs (
    number                  INTEGER NOT NULL,
    id                      TEXT    NOT NULL,
    subject                 BLOB    NOT NULL,
    variant                 TEXT    NOT NULL,
    definition              BLOB    NOT NULL,
    state                   TEXT    NOT NULL DEFAULT 'queued',
    priority                INTEGER NOT NULL DEFAULT 0,
    attempts                INTEGER NOT NULL DEFAULT 0,
    forecast                TEXT    NOT NULL,
    forecast_memory_bytes   INTEGER NOT NULL,
    -- Who runs it, and until when it is believed to be alive.
    lease_owner             TEXT,
    lease_until             TEXT,
    submitted_at            TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    started_at              TEXT,
    finished_at             TEXT,
    error                   TEXT,
    CONSTRAINT jobs_key PRIMARY KEY (number),
    CONSTRAINT jobs_id_distinct UNIQUE (id),
    CONSTRAINT jobs_graph FOREIGN KEY (definition) REFERENCES graphs (definition),
    CONSTRAINT jobs_variant_known CHECK (variant IN ('phasic', 'fast', 'plan')),
    CONSTRAINT jobs_state_known
        CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'quarantined')),
    CONSTRAINT jobs_forecast_json CHECK (json_valid(forecast)),
    CONSTRAINT jobs_lease_while_running CHECK ((state = 'running') = (lease_owner IS NOT NULL))
) STRICT;
-- However many ask, one elimination waits or runs.
CREATE UNIQUE INDEX jobs_single_flight ON jobs (subject, variant) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_by_state ON jobs (state, priority DESC, number);
CREATE INDEX jobs_by_definition ON jobs (definition);

-- What happened to a job, line by line.
CREATE TABLE job_log (
    job  INTEGER NOT NULL,
    line INTEGER NOT NULL,
    at   TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    text TEXT    NOT NULL,
    CONSTRAINT job_log_key PRIMARY KEY (job, line),
    CONSTRAINT job_log_job FOREIGN KEY (job) REFERENCES jobs (number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Results: verified files, made by this hub.
CREATE TABLE eliminations (
    subject    BLOB NOT NULL,
    variant    TEXT NOT NULL,
    definition BLOB NOT NULL,
    sha256     BLOB NOT NULL,
    engine     TEXT NOT NULL,
    made_at    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CONSTRAINT eliminations_key PRIMARY KEY (subject, variant),
    CONSTRAINT eliminations_graph FOREIGN KEY (definition) REFERENCES graphs (definition),
    CONSTRAINT eliminations_blob FOREIGN KEY (sha256) REFERENCES blobs (sha256),
    CONSTRAINT eliminations_variant_known CHECK (variant IN ('phasic', 'fast', 'plan'))
) STRICT, WITHOUT ROWID;
CREATE INDEX eliminations_by_definition ON eliminations (definition);
CREATE INDEX eliminations_by_blob ON eliminations (sha256);
