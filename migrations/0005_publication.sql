-- The patterns of ids a token is for, separated by single spaces; none is all.
ALTER TABLE tokens ADD COLUMN ids TEXT NOT NULL DEFAULT '';

-- The ids that are not for everybody: single ones, and patterns out of the settings. They outlive the computes of
-- these ids, so that the history of an id is kept from the same people.
CREATE TABLE private_ids (
    -- Letters, digits, '.', '_', '-' and '*', so that GLOB reads it as we do.
    pattern TEXT NOT NULL,
    origin  TEXT NOT NULL,
    since   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CONSTRAINT private_ids_key PRIMARY KEY (pattern, origin),
    CONSTRAINT private_ids_origin_known CHECK (origin IN ('id', 'setting')),
    CONSTRAINT private_ids_pattern_plain CHECK (pattern NOT GLOB '*[^A-Za-z0-9._*-]*' AND length(pattern) > 0)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER private_ids_inserted AFTER INSERT ON private_ids
BEGIN UPDATE catalogue_changes SET number = number + 1; END;
CREATE TRIGGER private_ids_deleted AFTER DELETE ON private_ids
BEGIN UPDATE catalogue_changes SET number = number + 1; END;

-- Which computes an artifact version was served for, now or earlier: who sees none of them does not see the file.
-- Versions without a row are from before there was privacy, and are for everybody.
CREATE TABLE version_computes (
    role       TEXT NOT NULL,
    graph_hash BLOB NOT NULL,
    sha256     BLOB NOT NULL,
    compute_id TEXT NOT NULL,
    CONSTRAINT version_computes_key PRIMARY KEY (role, graph_hash, sha256, compute_id),
    CONSTRAINT version_computes_version FOREIGN KEY (role, graph_hash, sha256)
        REFERENCES artifact_versions (role, graph_hash, sha256) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX version_computes_by_blob ON version_computes (sha256);
INSERT INTO version_computes (role, graph_hash, sha256, compute_id)
    SELECT DISTINCT a.role, a.graph_hash, a.served_sha256, a.compute_id FROM compute_artifacts a
    JOIN artifact_versions v ON v.role = a.role AND v.graph_hash = a.graph_hash AND v.sha256 = a.served_sha256;

-- For whom a submitted graph is kept: '' is everybody, other texts are as server/src/visibility.rs writes them.
CREATE TABLE graph_audiences (
    definition   BLOB NOT NULL,
    audience     TEXT NOT NULL,
    submitted_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CONSTRAINT graph_audiences_key PRIMARY KEY (definition, audience),
    CONSTRAINT graph_audiences_graph FOREIGN KEY (definition) REFERENCES graphs (definition) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
INSERT INTO graph_audiences (definition, audience, submitted_at) SELECT definition, '', submitted_at FROM graphs;

-- For whom a job, and its result, is. The subject of a private one names its audience, too, so that nobody learns from
-- a quick answer that somebody else has asked.
ALTER TABLE jobs ADD COLUMN audience TEXT NOT NULL DEFAULT '';
ALTER TABLE eliminations ADD COLUMN audience TEXT NOT NULL DEFAULT '';

-- Who uploaded which blob. No foreign key to blobs: an upload that nothing refers to goes after the grace period.
CREATE TABLE uploads (
    audience    TEXT NOT NULL,
    token       TEXT NOT NULL,
    sha256      BLOB NOT NULL,
    uploaded_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CONSTRAINT uploads_key PRIMARY KEY (sha256, token),
    CONSTRAINT uploads_sha256_length CHECK (length(sha256) = 32)
) STRICT, WITHOUT ROWID;
CREATE INDEX uploads_by_token ON uploads (token);

-- Who changed what an id stands for, and why, where it was said.
ALTER TABLE revisions ADD COLUMN actor TEXT;
ALTER TABLE revisions ADD COLUMN reason TEXT;
