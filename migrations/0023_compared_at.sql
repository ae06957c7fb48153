-- When the document of an upstream was last compared with what is mirrored. Passes that could not have all files did not count.
UPDATE upstreams SET checked_at = coalesce((SELECT max(finished_at) FROM passes
    WHERE upstream = upstreams.name AND outcome IN ('done', 'unmodified')), checked_at);
