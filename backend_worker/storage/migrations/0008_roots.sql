-- Folders that were scanned: files of one that is known by another name are not read again.
CREATE TABLE known_root (
    path bytea PRIMARY KEY,
    added_at timestamptz NOT NULL DEFAULT now()
);

-- Two slashes at the beginning were another folder until now: its files are in the library twice.
DELETE FROM file WHERE substring(path FROM 1 FOR 2) = '\x2f2f' AND EXISTS (
    SELECT FROM file AS other WHERE other.path = substring(file.path FROM 2));
UPDATE file SET path = substring(path FROM 2) WHERE substring(path FROM 1 FOR 2) = '\x2f2f';
UPDATE scan SET root = substring(root FROM 2) WHERE substring(root FROM 1 FOR 2) = '\x2f2f';
DELETE FROM mount_point WHERE substring(root FROM 1 FOR 2) = '\x2f2f';
INSERT INTO known_root (path) SELECT DISTINCT root FROM scan;
