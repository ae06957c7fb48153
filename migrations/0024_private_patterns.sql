-- Patterns of private ids are few, ids that are private may be many: whoever asks whether an id is private looks the id up,
-- and holds it against the patterns alone.
CREATE INDEX private_patterns_of_settings ON private_ids (pattern) WHERE origin = 'setting';

CREATE VIEW private_patterns AS SELECT pattern FROM private_ids WHERE origin = 'setting';
