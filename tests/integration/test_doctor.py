"""``doctor`` on real servers and disks that are not as they should be: it says so, and ends."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import psycopg2
import pytest

from backend_worker import embedded
from backend_worker.cli.doctor import postgres, redis
from backend_worker.cli.doctor.finding import Check, Finding
from backend_worker.cli.doctor.limited import run_all
from backend_worker.config import get_config
from backend_worker.progress.connection import redis_client
from tests.support import fuse

ENDS_WITHIN_SECONDS = 60  # on a loaded machine; 30 on a Pi


def doctor(**environment):
    """Run the command as its user does; return its exit code and what it found, by subject."""
    result = subprocess.run(
        [sys.executable, "-m", "backend_worker", "doctor", "--json"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_SECONDS,
        check=False,
    )
    assert result.stderr == ""
    return result.returncode, by_subject(json.loads(result.stdout))


def by_subject(findings):
    found = {}
    for finding in findings:
        found.setdefault(finding["subject"], finding)
    return found


@pytest.fixture
def look(monkeypatch):
    """A function that runs the checks of one module with other settings."""

    def look(module, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        get_config.cache_clear()
        return by_subject(asdict(finding) for finding in run_all([module.check(get_config())]))

    yield look
    monkeypatch.undo()
    get_config.cache_clear()


def problem(found, subject):
    finding = found[subject]
    assert finding["state"] == "problem"
    assert finding["advice"]
    return finding["detail"]


def test_all_is_well(library, worker, tmp_path):
    (tmp_path / "song.mp3").touch()
    code, found = doctor(BACKEND_WORKER_MUSIC_DIR=str(tmp_path))
    subjects = ("packages", "settings", "Redis", "PostgreSQL", "tables", "worker", "music folder")
    assert {subject: found[subject]["state"] for subject in subjects} == dict.fromkeys(
        subjects, "ok"
    )
    assert code == 0


def test_servers_that_are_away(tmp_path):
    code, found = doctor(
        BACKEND_WORKER_REDIS_URL=f"redis+socket://{tmp_path}/none.sock",
        BACKEND_WORKER_DATABASE_URL=f"host={tmp_path} dbname=library",
        BACKEND_WORKER_MUSIC_DIR=str(tmp_path / "nowhere"),
    )
    assert code == 1
    assert "redis-server" in found["Redis"]["advice"]
    assert "postgresql" in found["PostgreSQL"]["advice"]
    assert found["music folder"]["advice"] == "mount the disk"


def test_check_that_no_signal_ends_is_left_behind(tmp_path):
    """The child is not waited for, and holds nothing open by which others would wait."""
    (tmp_path / "real").mkdir()
    with fuse.mounted(tmp_path / "real", tmp_path / "share") as mount:
        mount.hang()
        checks = [
            Check("hung", lambda: os.listdir(mount.folder), ("it hangs", "reboot"), seconds=1),
            Check("other", lambda: [Finding("ok", "other", "fine")]),
            Check("broken", lambda: [Finding()]),
        ]
        began = time.monotonic()
        hung, other, broken = run_all(checks)
        assert time.monotonic() - began < 15
        mount.resume()
    assert (hung.state, hung.advice) == ("problem", "reboot")
    assert hung.detail == "no answer within 1 s: it hangs"
    assert other.state == "ok"
    assert broken.detail.startswith("TypeError: ")


@pytest.mark.slow
def test_hung_share_below_the_music_and_who_waits_for_it(servers, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "music" / "song").mkdir(parents=True)
    with fuse.mounted(tmp_path / "real", tmp_path / "music" / "a share") as mount:
        mount.hang()
        waiting = subprocess.Popen(["ls", mount.folder], stdout=subprocess.DEVNULL)
        time.sleep(0.5)
        waiting.kill()  # from now on its state is D
        _, found = doctor(BACKEND_WORKER_MUSIC_DIR=str(tmp_path / "music"))
        mount.resume()
    waiting.wait()
    assert found["music folder"]["state"] == "ok"
    assert f"{mount.folder} hangs" in problem(found, "music disk")
    assert "umount" in found["music disk"]["advice"]
    assert found["stuck processes"]["state"] == "warning"
    assert f"ls ({waiting.pid})" in found["stuck processes"]["detail"]
    assert found["Redis"]["state"] == found["PostgreSQL"]["state"] == "ok"


def test_servers_that_are_silent(servers):
    servers.redis.process.send_signal(signal.SIGSTOP)
    postmaster = postmaster_of(servers)
    os.kill(postmaster, signal.SIGSTOP)
    try:
        code, found = doctor()
    finally:
        os.kill(postmaster, signal.SIGCONT)
        servers.redis.process.send_signal(signal.SIGCONT)
    assert code == 1
    assert "silent" in problem(found, "Redis")
    assert "timeout expired" in problem(found, "PostgreSQL")


def postmaster_of(servers):
    """The server's own process; the one that was started may only have made a namespace for it."""
    return int((servers.postgres.data / "postmaster.pid").read_text().split()[0])


def test_redis_key_of_another_type(library, look):
    redis_client().set("extract", "of another program")
    redis_client().set("backend_worker:progress", "too")
    found = look(redis)
    assert problem(found, "Redis key").startswith("extract is a string, not a list")
    assert "DEL 'extract'" in found["Redis key"]["advice"]


@pytest.mark.parametrize(
    ("setting", "value", "back", "advice"),
    [("maxmemory", "1", "0", "memory is full"), ("min-replicas-to-write", "1", "0", "")],
)
def test_redis_that_takes_nothing(library, look, setting, value, back, advice):
    redis_client().config_set(setting, value)
    try:
        found = look(redis)
    finally:
        redis_client().config_set(setting, back)
    assert problem(found, "Redis takes nothing")
    assert advice in found["Redis takes nothing"]["advice"]


def test_redis_files_that_were_put_aside(servers, look, tmp_path):
    name = servers.redis.socket.parent.name
    aside = tmp_path / "var" / "lib" / name / "damaged" / "0001-2026-11-28T20-08-57Z"
    aside.mkdir(parents=True)
    (aside / "README").write_text("Redis refused these files: bad format.\nIt starts empty.\n")
    found = look(redis, BACKEND_WORKER_SYSTEM_ROOT=str(tmp_path))
    assert found["Redis' files"]["state"] == "warning"
    assert "bad format. It starts empty." in found["Redis' files"]["detail"]
    assert f"rm -r {aside}" in found["Redis' files"]["advice"]


@pytest.fixture
def other_role(library):
    """The address of the library for a role that owns nothing, and a function to run statements."""

    def run(*statements):
        with library.transaction() as cursor:
            for statement in statements:
                cursor.execute(statement)

    run(
        "CREATE ROLE limited LOGIN",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO limited",
    )
    address = os.environ["BACKEND_WORKER_DATABASE_URL"].replace("user=library", "user=limited")
    yield address, run
    run("DROP OWNED BY limited", "DROP ROLE limited")


def test_role_that_owns_nothing_is_warned(other_role, look):
    address, _ = other_role
    found = look(postgres, BACKEND_WORKER_DATABASE_URL=address)
    assert "belong to library, not to limited" in found["table owner"]["detail"]
    assert found["table owner"]["state"] == "warning"
    assert found["tables"]["state"] == "ok"


@pytest.mark.parametrize("revoked", ["INSERT on file", "SELECT on schema_migration"])
def test_missing_right(other_role, look, revoked):
    address, run = other_role
    run(f"REVOKE {revoked} FROM limited")
    found = look(postgres, BACKEND_WORKER_DATABASE_URL=address)
    assert problem(found, "database rights") == f"limited has no {revoked}"
    assert "GRANT ALL" in found["database rights"]["advice"]


def test_index_that_is_not_valid(library, look):
    mark = "UPDATE pg_index SET indisvalid = %s WHERE indexrelid = 'artist_pkey'::regclass"
    with library.transaction() as cursor:
        cursor.execute(mark, (False,))
    try:
        found = look(postgres)
    finally:
        with library.transaction() as cursor:
            cursor.execute(mark, (True,))
    assert "artist_pkey" in found["database index"]["detail"]
    assert "REINDEX" in found["database index"]["advice"]


@pytest.mark.parametrize(
    ("how", "subject", "words"),
    [
        ("ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'", "database encoding", "SQL_ASCII"),
        ("ENCODING 'UTF8'", "tables", "migrations are missing"),
    ],
)
def test_database_that_is_not_ours(servers, look, how, subject, words):
    url = os.environ["BACKEND_WORKER_DATABASE_URL"]
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE other TEMPLATE template0 {how}")
        try:
            found = look(
                postgres, BACKEND_WORKER_DATABASE_URL=url.replace("dbname=library", "dbname=other")
            )
        finally:
            cursor.execute("DROP DATABASE other")
    connection.close()
    assert words in problem(found, subject)


def test_postgresql_that_is_too_old(look, tmp_path, monkeypatch):
    old = sorted(Path("/usr/lib/postgresql").glob("1[0-6]/bin"))
    if not old:
        pytest.skip("no PostgreSQL below 17 is installed here (Debian 12: postgresql-15)")
    monkeypatch.setattr(embedded, "_postgres_bin", lambda name: old[-1] / name)
    tmp_path.chmod(0o755)
    server = embedded.EmbeddedPostgres(tmp_path / "old", tmp_path)
    try:
        server.start()
        found = look(postgres, BACKEND_WORKER_DATABASE_URL=server.url)
    finally:
        server.stop()
    assert problem(found, "PostgreSQL version").endswith("17 or newer is needed")
    assert "pg_upgradecluster" in found["PostgreSQL version"]["advice"]
