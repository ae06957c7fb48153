-- Files that arrived for a pass over an upstream that has not ended yet: no compute refers to them before its one
-- transaction, and the foreign key keeps them until then, however long it takes.
CREATE TABLE held_files (
    upstream TEXT NOT NULL,
    sha256   BLOB NOT NULL,
    CONSTRAINT held_files_key PRIMARY KEY (upstream, sha256),
    CONSTRAINT held_files_upstream FOREIGN KEY (upstream) REFERENCES upstreams (name) ON DELETE CASCADE,
    CONSTRAINT held_files_blob FOREIGN KEY (sha256) REFERENCES blobs (sha256)
) STRICT, WITHOUT ROWID;

-- A number of the quarantine is never given twice: who decides by number decides about what he has seen.
CREATE TABLE quarantine_new (
    number     INTEGER NOT NULL CONSTRAINT quarantine_key PRIMARY KEY AUTOINCREMENT,
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
    CONSTRAINT quarantine_subject_distinct UNIQUE (upstream, entry, artifact, sha256, code),
    CONSTRAINT quarantine_upstream FOREIGN KEY (upstream) REFERENCES upstreams (name) ON DELETE CASCADE,
    CONSTRAINT quarantine_sha256_length CHECK (length(sha256) = 32),
    CONSTRAINT quarantine_decision_known CHECK (decision IN ('accept', 'reject')),
    CONSTRAINT quarantine_decision_dated CHECK ((decision IS NULL) = (decided_at IS NULL)),
    CONSTRAINT quarantine_decision_signed CHECK ((decision IS NULL) = (decided_by IS NULL))
) STRICT;
INSERT INTO quarantine_new (number, upstream, entry, artifact, sha256, code, reason, found_at, decision, decided_at, decided_by)
SELECT number, upstream, entry, artifact, sha256, code, reason, found_at, decision, decided_at, decided_by FROM quarantine;
DROP TABLE quarantine;
ALTER TABLE quarantine_new RENAME TO quarantine;

-- Which commit of an upstream has changed what an id stands for. Passes say so, too, but old ones are forgotten.
ALTER TABLE revisions ADD COLUMN commit_id TEXT;

-- Who has uploaded bytes that are gone has no right to them when somebody else brings them again.
DROP TRIGGER blobs_forgotten;
CREATE TRIGGER blobs_forgotten AFTER DELETE ON blobs BEGIN
    DELETE FROM verifications WHERE sha256 = old.sha256;
    DELETE FROM blob_checks WHERE sha256 = old.sha256;
    DELETE FROM uploads WHERE sha256 = old.sha256;
END;
DELETE FROM uploads WHERE sha256 NOT IN (SELECT sha256 FROM blobs);
