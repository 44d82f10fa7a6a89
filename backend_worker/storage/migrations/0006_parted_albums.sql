-- Albums of one title and artist that years and folders tell apart: the earliest keeps the key,
-- the others have it here and their first year in their own.
ALTER TABLE album ADD COLUMN base_key text;
CREATE INDEX album_base_key ON album (base_key) WHERE base_key IS NOT NULL;
