-- What SQL cannot do to the rows of earlier versions, by name: the hub does it when it opens the database, and takes the line
-- away in the same transaction.
CREATE TABLE unfinished_upgrades (
    name TEXT NOT NULL,
    CONSTRAINT unfinished_upgrades_key PRIMARY KEY (name)
) STRICT, WITHOUT ROWID;
-- Jobs and results of our programs were found by their definition, and are found by content hash and order of edges.
INSERT INTO unfinished_upgrades (name) VALUES ('program_subjects');
