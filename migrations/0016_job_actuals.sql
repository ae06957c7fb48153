-- What a job that has a result took, to be held against its forecast: commands of its program (multiply-adds of a plan), and
-- the most memory its process had at a time, where it had one of its own.
ALTER TABLE jobs ADD COLUMN commands INTEGER;
ALTER TABLE jobs ADD COLUMN peak_memory_bytes INTEGER;
