-- The published files that a served content of a compute was converted from, where it is another file than they are: what is
-- rejected is withdrawn in every form, also when upstream has other bytes by then.
CREATE TABLE version_originals (
    role            TEXT NOT NULL,
    graph_hash      BLOB NOT NULL,
    sha256          BLOB NOT NULL,
    compute_id      TEXT NOT NULL,
    original_sha256 BLOB NOT NULL,
    CONSTRAINT version_originals_key PRIMARY KEY (role, graph_hash, sha256, compute_id, original_sha256),
    CONSTRAINT version_originals_version FOREIGN KEY (role, graph_hash, sha256, compute_id)
        REFERENCES version_computes (role, graph_hash, sha256, compute_id) ON DELETE CASCADE,
    CONSTRAINT version_originals_length CHECK (length(original_sha256) = 32)
) STRICT, WITHOUT ROWID;
INSERT INTO version_originals (role, graph_hash, sha256, compute_id, original_sha256)
    SELECT a.role, a.graph_hash, a.served_sha256, a.compute_id, a.original_sha256 FROM compute_artifacts a
    JOIN version_computes v ON v.role = a.role AND v.graph_hash = a.graph_hash AND v.sha256 = a.served_sha256
        AND v.compute_id = a.compute_id
    WHERE a.original_sha256 <> a.served_sha256;
