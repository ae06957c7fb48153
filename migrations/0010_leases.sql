-- A lease ends with its owner: there is one process at a time that works on jobs, so nobody has to wait for a time to pass.

ALTER TABLE jobs DROP COLUMN lease_until;
