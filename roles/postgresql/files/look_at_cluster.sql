-- What another program has of this cluster: one finding a line, each the end of a sentence
-- ("it has …"); no line says that nothing of anybody else's is there. It changes nothing.
-- psql variables: ours, the library's database; owner, its role.
SELECT 'databases (' || string_agg(datname || ' of ' || pg_get_userbyid(datdba), ', ' ORDER BY datname) || ')'
  FROM pg_database
  WHERE datname NOT IN ('postgres', 'template0', 'template1')
    -- left by an installation of ours whose settings are gone, as after pg_upgradecluster
    AND NOT (datname IN (:'ours', :'ours' || '_before_restore', :'ours' || '_new')
             AND pg_get_userbyid(datdba) = :'owner')
  HAVING count(*) > 0;

SELECT 'the role ' || rolname || ', which owns no library'
  FROM pg_roles
  WHERE rolname = :'owner'
    AND NOT EXISTS (SELECT FROM pg_database WHERE datname = :'ours' AND datdba = pg_roles.oid);

SELECT 'tables in the database postgres (' || string_agg(nspname || '.' || relname, ', ') || ')'
  FROM (SELECT nspname, relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE relkind IN ('r', 'p', 'm') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
        ORDER BY 1, 2 LIMIT 3) AS shown
  HAVING count(*) > 0;

-- Debian and initdb write the names that are left out; all others somebody else has set.
SELECT 'settings (' || string_agg(name || ' in ' || coalesce(sourcefile, source), ', ' ORDER BY name) || ')'
  FROM pg_settings
  WHERE source NOT IN ('default', 'override', 'client', 'environment variable', 'session', 'interactive')
    AND name NOT IN ('DateStyle', 'TimeZone', 'log_timezone', 'log_line_prefix', 'cluster_name',
      'default_text_search_config', 'dynamic_shared_memory_type', 'lc_messages', 'lc_monetary',
      'lc_numeric', 'lc_time', 'port', 'ssl', 'ssl_cert_file', 'ssl_key_file',
      'unix_socket_directories', 'data_directory', 'hba_file', 'ident_file', 'external_pid_file',
      'config_file', 'stats_temp_directory')
    AND (name, setting) NOT IN (('listen_addresses', 'localhost'), ('max_connections', '100'),
      ('shared_buffers', '16384'), ('max_wal_size', '1024'), ('min_wal_size', '80'))
  HAVING count(*) > 0;

SELECT 'logins (' || string_agg('pg_hba.conf, line ' || line_number, ', ' ORDER BY line_number) || ')'
  FROM pg_hba_file_rules
  WHERE error IS NULL
    AND NOT (database = '{all}' AND user_name IN ('{all}', '{postgres}') AND type = 'local')
    AND NOT (database = '{all}' AND user_name = '{all}' AND address IN ('127.0.0.1', '::1'))
    AND NOT database = '{replication}'
  HAVING count(*) > 0;

SELECT count(*) || ' clients (' || string_agg(DISTINCT usename || ' in ' || datname, ', ') || ')'
  FROM pg_stat_activity
  WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
  HAVING count(*) > 0;
