-- Of thousands of files with the same content, those that another scan read: candidates for
-- having moved. Without the scan each batch would go through all of them.
CREATE INDEX file_content ON file (fingerprint, scan_id);
DROP INDEX file_fingerprint;
