-- Comparisons of files that have begun and not ended: a file whose comparison ends the process that does it is not tried for
-- ever. No foreign key, because being tried is no reason to keep a file.
CREATE TABLE verification_attempts (
    graph_hash BLOB    NOT NULL,
    sha256     BLOB    NOT NULL,
    -- How many in a row.
    attempts   INTEGER NOT NULL,
    CONSTRAINT verification_attempts_key PRIMARY KEY (graph_hash, sha256),
    CONSTRAINT verification_attempts_range CHECK (attempts > 0),
    CONSTRAINT verification_attempts_hash_length CHECK (length(graph_hash) = 32),
    CONSTRAINT verification_attempts_sha256_length CHECK (length(sha256) = 32)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER blobs_forgotten_attempts AFTER DELETE ON blobs
BEGIN DELETE FROM verification_attempts WHERE sha256 = old.sha256; END;
