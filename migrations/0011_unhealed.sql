-- Blobs that were found damaged or lost and are not whole again, so that healing goes on with them after a restart. Rows
-- refer to blobs without a foreign key, because being bad is no reason to keep one.
CREATE TABLE unhealed (
    sha256   BLOB    NOT NULL,
    found_at TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    -- 1 once it was said that it cannot be made again, so that it is not said each time it is tried.
    is_told  INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT unhealed_key PRIMARY KEY (sha256),
    CONSTRAINT unhealed_sha256_length CHECK (length(sha256) = 32),
    CONSTRAINT unhealed_is_told_bool CHECK (is_told IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE TRIGGER blobs_forgotten_unhealed AFTER DELETE ON blobs
BEGIN DELETE FROM unhealed WHERE sha256 = old.sha256; END;
