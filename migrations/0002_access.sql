-- When a token was last used, to the minute: a request writes it only if it is older than that.
ALTER TABLE tokens ADD COLUMN last_used_at TEXT;

-- Who changed what, one line a change, each with the digest of the one before it. See server/src/store/audit.rs.
CREATE TABLE audit (
    number          INTEGER NOT NULL,
    recorded_at     TEXT    NOT NULL,
    -- 'hub', 'operator' (the command line) or 'token:<id>'.
    actor           TEXT    NOT NULL,
    action          TEXT    NOT NULL,
    subject         TEXT    NOT NULL,
    detail          TEXT    NOT NULL,
    previous_sha256 BLOB    NOT NULL,
    sha256          BLOB    NOT NULL,
    CONSTRAINT audit_key PRIMARY KEY (number),
    CONSTRAINT audit_sha256_distinct UNIQUE (sha256),
    CONSTRAINT audit_number_range CHECK (number >= 1),
    CONSTRAINT audit_detail_json CHECK (json_valid(detail)),
    CONSTRAINT audit_previous_length CHECK (length(previous_sha256) = 32),
    CONSTRAINT audit_sha256_length CHECK (length(sha256) = 32)
) STRICT;
-- Mistakes are kept out by these; malice is found by the digests.
CREATE TRIGGER audit_never_changes BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'the audit log is only ever appended to'); END;
CREATE TRIGGER audit_never_shrinks BEFORE DELETE ON audit
BEGIN SELECT raise(ABORT, 'the audit log is only ever appended to'); END;

-- Counts the changes of what the registry shows, so that other writes need not make a hub render it anew.
CREATE TABLE catalogue_changes (
    only   INTEGER NOT NULL,
    number INTEGER NOT NULL,
    CONSTRAINT catalogue_changes_key PRIMARY KEY (only),
    CONSTRAINT catalogue_changes_only CHECK (only = 1)
) STRICT;
INSERT INTO catalogue_changes (only, number) VALUES (1, 0);
CREATE TRIGGER computes_inserted AFTER INSERT ON computes
BEGIN UPDATE catalogue_changes SET number = number + 1; END;
CREATE TRIGGER computes_updated AFTER UPDATE ON computes
BEGIN UPDATE catalogue_changes SET number = number + 1; END;
CREATE TRIGGER computes_deleted AFTER DELETE ON computes
BEGIN UPDATE catalogue_changes SET number = number + 1; END;
CREATE TRIGGER compute_artifacts_inserted AFTER INSERT ON compute_artifacts
BEGIN UPDATE catalogue_changes SET number = number + 1; END;
CREATE TRIGGER compute_artifacts_updated AFTER UPDATE ON compute_artifacts
BEGIN UPDATE catalogue_changes SET number = number + 1; END;
CREATE TRIGGER compute_artifacts_deleted AFTER DELETE ON compute_artifacts
BEGIN UPDATE catalogue_changes SET number = number + 1; END;
CREATE TRIGGER artifact_versions_inserted AFTER INSERT ON artifact_versions
BEGIN UPDATE catalogue_changes SET number = number + 1; END;
CREATE TRIGGER artifact_versions_updated AFTER UPDATE ON artifact_versions
BEGIN UPDATE catalogue_changes SET number = number + 1; END;
CREATE TRIGGER artifact_versions_deleted AFTER DELETE ON artifact_versions
BEGIN UPDATE catalogue_changes SET number = number + 1; END;
