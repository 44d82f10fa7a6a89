#!/bin/sh
# restore-database.sh DUMP DATABASE OWNER
# Restores into a new database beside the present one; then both change their names, and the
# present one stays as DATABASE_before_restore. A restore that fails changes nothing.
set -eu
dump=$1 database=$2 owner=$3
new=${database}_new
before=${database}_before_restore
cd /
sql() { runuser -u postgres -- psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 "$@"; }

sql --command="DROP DATABASE IF EXISTS \"$new\" WITH (FORCE)"
sql --command="CREATE DATABASE \"$new\" OWNER \"$owner\" TEMPLATE template0 ENCODING UTF8 LOCALE 'C.UTF-8'"
# What an owner without superuser rights cannot add; the dump's own lines for it are left out.
for extension in $(pg_restore --list "$dump" | sed -n 's/^[0-9]*;.* EXTENSION - \([a-z_0-9]*\) *$/\1/p' | sort -u); do
  sql --dbname="$new" --command="CREATE EXTENSION IF NOT EXISTS \"$extension\""
done
list=$(mktemp)
trap 'rm -f "$list"' EXIT
pg_restore --list "$dump" | grep -v ' EXTENSION ' > "$list"
chmod 0644 "$list"
runuser -u postgres -- pg_restore --dbname="$new" --role="$owner" --no-owner --no-privileges \
  --single-transaction --exit-on-error --use-list="$list" < "$dump"
sql --dbname="$new" --command="ANALYZE"

# Nobody may be connected while they change names.
sql --command="SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '$database'" > /dev/null
sql --command="DROP DATABASE IF EXISTS \"$before\" WITH (FORCE)"
sql --single-transaction \
  --command="ALTER DATABASE \"$database\" RENAME TO \"$before\"" \
  --command="ALTER DATABASE \"$new\" RENAME TO \"$database\""
