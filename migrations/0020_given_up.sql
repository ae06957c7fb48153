-- Files whose comparison was given up, because it has ended each process that did it: another definition of the graph alone
-- does not have it begun again. The former version said so in words only.
ALTER TABLE verifications ADD COLUMN is_given_up INTEGER NOT NULL DEFAULT 0
    CONSTRAINT verifications_given_up CHECK (is_given_up IN (0, 1));
UPDATE verifications SET is_given_up = 1 WHERE difference LIKE 'comparing it has ended the process that did %';
