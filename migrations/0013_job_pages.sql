-- Pages of jobs go by when they were submitted, and then by id: values that a cursor can carry when the job is gone.
CREATE INDEX jobs_by_submission ON jobs (submitted_at, id);
