-- When somebody last asked for a graph that was submitted, or for the result of a job: to the day, so that reading writes
-- no more than once a day. NULL: not since it came, or since before this was noted.
ALTER TABLE graphs ADD COLUMN used_at TEXT;
ALTER TABLE eliminations ADD COLUMN used_at TEXT;
-- What is there is as good as used at the moment of the upgrade: nobody has known that it would be counted.
UPDATE graphs SET used_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now');
UPDATE eliminations SET used_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now');
