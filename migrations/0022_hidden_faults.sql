-- Whether what a pass left out, or put into quarantine, is of an entry that is private upstream and was not mirrored: of what
-- is mirrored `private_ids` tells. 1 as well where that is not known.
ALTER TABLE pass_faults ADD COLUMN private INTEGER NOT NULL DEFAULT 1
    CONSTRAINT pass_faults_private_bool CHECK (private IN (0, 1));
ALTER TABLE quarantine ADD COLUMN private INTEGER NOT NULL DEFAULT 1
    CONSTRAINT quarantine_private_bool CHECK (private IN (0, 1));

UPDATE pass_faults SET private = 0 WHERE EXISTS (SELECT 1 FROM computes c JOIN passes p ON p.upstream = c.upstream
    WHERE p.number = pass_faults.pass AND c.id = pass_faults.entry);
UPDATE quarantine SET private = 0 WHERE entry = ''
    OR EXISTS (SELECT 1 FROM computes c WHERE c.upstream = quarantine.upstream AND c.id = quarantine.entry);
-- Of the others the next pass finds out.
UPDATE upstreams SET must_read = 1;
