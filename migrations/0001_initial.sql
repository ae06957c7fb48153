-- Bytes the hub keeps. The bytes themselves are files named by their SHA-256.
CREATE TABLE blobs (
    sha256     BLOB    NOT NULL,
    size_bytes INTEGER NOT NULL,
    stored_at  TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CONSTRAINT blobs_key PRIMARY KEY (sha256),
    CONSTRAINT blobs_sha256_length CHECK (length(sha256) = 32),
    CONSTRAINT blobs_size_range CHECK (size_bytes >= 0)
) STRICT, WITHOUT ROWID;

-- What each id stands for now. `place` orders a registry document: local computes first, each origin by place.
CREATE TABLE computes (
    id           TEXT    NOT NULL,
    origin       TEXT    NOT NULL,
    place        INTEGER NOT NULL,
    -- The registry entry as its publisher wrote it: paths relative, digests those of the original files.
    entry        TEXT    NOT NULL,
    published_at TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CONSTRAINT computes_key PRIMARY KEY (id),
    CONSTRAINT computes_origin_known CHECK (origin IN ('local', 'mirror')),
    CONSTRAINT computes_id_length CHECK (length(id) BETWEEN 1 AND 128),
    CONSTRAINT computes_entry_json CHECK (json_valid(entry))
) STRICT, WITHOUT ROWID;

-- The files of a compute: as they were published, and as they are served (parents always as PTDPRMC3).
CREATE TABLE compute_artifacts (
    compute_id      TEXT NOT NULL,
    role            TEXT NOT NULL,
    graph_hash      BLOB NOT NULL,
    original_sha256 BLOB NOT NULL,
    served_sha256   BLOB NOT NULL,
    CONSTRAINT compute_artifacts_key PRIMARY KEY (compute_id, role, graph_hash),
    CONSTRAINT compute_artifacts_compute FOREIGN KEY (compute_id) REFERENCES computes (id) ON DELETE CASCADE,
    CONSTRAINT compute_artifacts_original FOREIGN KEY (original_sha256) REFERENCES blobs (sha256),
    CONSTRAINT compute_artifacts_served FOREIGN KEY (served_sha256) REFERENCES blobs (sha256),
    CONSTRAINT compute_artifacts_role_known CHECK (role IN ('parent', 'scc')),
    CONSTRAINT compute_artifacts_hash_length CHECK (length(graph_hash) = 32)
) STRICT, WITHOUT ROWID;

-- Every content an artifact name has ever stood for: the addresses that carry a digest stay good.
CREATE TABLE artifact_versions (
    role            TEXT NOT NULL,
    graph_hash      BLOB NOT NULL,
    sha256          BLOB NOT NULL,
    first_served_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CONSTRAINT artifact_versions_key PRIMARY KEY (role, graph_hash, sha256),
    CONSTRAINT artifact_versions_blob FOREIGN KEY (sha256) REFERENCES blobs (sha256),
    CONSTRAINT artifact_versions_role_known CHECK (role IN ('parent', 'scc')),
    CONSTRAINT artifact_versions_hash_length CHECK (length(graph_hash) = 32)
) STRICT, WITHOUT ROWID;

-- The dated history of what each id stood for. Only ever appended to. A NULL entry says: gone from then on.
CREATE TABLE revisions (
    number      INTEGER NOT NULL,
    compute_id  TEXT    NOT NULL,
    origin      TEXT    NOT NULL,
    entry       TEXT,
    recorded_at TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CONSTRAINT revisions_key PRIMARY KEY (number),
    CONSTRAINT revisions_origin_known CHECK (origin IN ('local', 'mirror'))
) STRICT;
CREATE INDEX revisions_by_compute ON revisions (compute_id, number);

-- Which built-in definition a reference compute was made from, so that a warm start need not eliminate.
CREATE TABLE reference_computes (
    id                TEXT NOT NULL,
    definition_sha256 BLOB NOT NULL,
    CONSTRAINT reference_computes_key PRIMARY KEY (id),
    CONSTRAINT reference_computes_compute FOREIGN KEY (id) REFERENCES computes (id) ON DELETE CASCADE,
    CONSTRAINT reference_computes_digest_length CHECK (length(definition_sha256) = 32)
) STRICT, WITHOUT ROWID;

-- Finished passes over an upstream. The document is kept as it was received.
CREATE TABLE mirror_passes (
    number          INTEGER NOT NULL,
    upstream        TEXT    NOT NULL,
    document_sha256 BLOB    NOT NULL,
    entries         INTEGER NOT NULL,
    mirrored        INTEGER NOT NULL,
    finished_at     TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CONSTRAINT mirror_passes_key PRIMARY KEY (number),
    CONSTRAINT mirror_passes_document FOREIGN KEY (document_sha256) REFERENCES blobs (sha256)
) STRICT;

-- What a pass did not take over, and why.
CREATE TABLE mirror_faults (
    pass     INTEGER NOT NULL,
    place    INTEGER NOT NULL,
    -- The key as upstream wrote it; not necessarily a valid id.
    entry    TEXT    NOT NULL,
    artifact TEXT,
    code     TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    CONSTRAINT mirror_faults_key PRIMARY KEY (pass, place),
    CONSTRAINT mirror_faults_pass FOREIGN KEY (pass) REFERENCES mirror_passes (number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Tokens. The secret itself is shown once and never stored.
CREATE TABLE tokens (
    id            TEXT NOT NULL,
    name          TEXT NOT NULL,
    scopes        TEXT NOT NULL,
    secret_sha256 BLOB NOT NULL,
    created_at    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    expires_at    TEXT,
    revoked_at    TEXT,
    CONSTRAINT tokens_key PRIMARY KEY (id),
    CONSTRAINT tokens_secret_distinct UNIQUE (secret_sha256),
    CONSTRAINT tokens_secret_length CHECK (length(secret_sha256) = 32)
) STRICT;
