-- Names the state of the tables that a registry is read from in bulk: a hub that finds the name under which it has rendered
-- the registry before need not read them. Random, so that no two states have the same name, in no copy of this database.
CREATE TABLE registry_state (
    only  INTEGER NOT NULL,
    state BLOB    NOT NULL,
    CONSTRAINT registry_state_key PRIMARY KEY (only),
    CONSTRAINT registry_state_only CHECK (only = 1),
    CONSTRAINT registry_state_length CHECK (length(state) = 16)
) STRICT;
INSERT INTO registry_state (only, state) VALUES (1, randomblob(16));
CREATE TRIGGER computes_inserted_state AFTER INSERT ON computes
BEGIN UPDATE registry_state SET state = randomblob(16); END;
CREATE TRIGGER computes_updated_state AFTER UPDATE ON computes
BEGIN UPDATE registry_state SET state = randomblob(16); END;
CREATE TRIGGER computes_deleted_state AFTER DELETE ON computes
BEGIN UPDATE registry_state SET state = randomblob(16); END;
CREATE TRIGGER compute_artifacts_inserted_state AFTER INSERT ON compute_artifacts
BEGIN UPDATE registry_state SET state = randomblob(16); END;
CREATE TRIGGER compute_artifacts_updated_state AFTER UPDATE ON compute_artifacts
BEGIN UPDATE registry_state SET state = randomblob(16); END;
CREATE TRIGGER compute_artifacts_deleted_state AFTER DELETE ON compute_artifacts
BEGIN UPDATE registry_state SET state = randomblob(16); END;
CREATE TRIGGER artifact_versions_inserted_state AFTER INSERT ON artifact_versions
BEGIN UPDATE registry_state SET state = randomblob(16); END;
CREATE TRIGGER artifact_versions_updated_state AFTER UPDATE ON artifact_versions
BEGIN UPDATE registry_state SET state = randomblob(16); END;
CREATE TRIGGER artifact_versions_deleted_state AFTER DELETE ON artifact_versions
BEGIN UPDATE registry_state SET state = randomblob(16); END;
