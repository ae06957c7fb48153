-- All that the order of computes in the registry follows from, so that putting them in order does not read their entries, which
-- are most of the table.
CREATE INDEX computes_in_order ON computes (origin, upstream, place);
