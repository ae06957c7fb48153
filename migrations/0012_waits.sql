-- Until when an upstream has asked to be left alone; for healing, too, which has no schedule of its own.
ALTER TABLE upstreams ADD COLUMN wait_until TEXT;
