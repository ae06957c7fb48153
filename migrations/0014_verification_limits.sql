-- Under which limits a file was compared, in a text that is equal where they are: one that was too large for other limits is
-- compared again. NULL for rows of versions that did not note it.
ALTER TABLE verifications ADD COLUMN limits TEXT;
