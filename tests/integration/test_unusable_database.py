"""A database that answers and refuses whatever is stored: scans stop and say why."""

import contextlib
import os
import subprocess
import sys

import pytest
from celery import Celery

from backend_worker.cli.scan import start_scan
from backend_worker.config import get_config
from backend_worker.storage import scans
from backend_worker.storage.connection import connect
from tests.support import disturbance
from tests.support.disturbance import adds_up, wait_for_stored

pytestmark = pytest.mark.slow

ROLE = "limited"


@pytest.fixture
def admin(servers):
    """Run a statement as the owner of the tables, at once."""
    connection = connect()
    connection.autocommit = True
    yield connection.cursor().execute
    connection.close()


@pytest.fixture
def limited(library, servers, admin):
    """The variable with which a worker uses a role that has all rights, and owns nothing."""
    admin(
        f"CREATE ROLE {ROLE} LOGIN;"
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {ROLE}"
    )
    yield {
        "BACKEND_WORKER_DATABASE_URL": servers.postgres.url.replace("user=library", f"user={ROLE}")
    }
    admin(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE usename = '{ROLE}' AND pid <> pg_backend_pid()"
    )
    admin(f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}")


def command(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "backend_worker", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def log(servers):
    """What the workers write while the test runs."""
    file = servers.folder / "worker.log"
    before = file.stat().st_size if file.exists() else 0
    return lambda: file.read_bytes()[before:].decode(errors="replace")


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        (f"REVOKE INSERT ON track FROM {ROLE}", "may not write to its database"),
        (f"REVOKE UPDATE ON scan FROM {ROLE}", "on table scan"),
        (f"ALTER ROLE {ROLE} SET default_transaction_read_only = on", "can only be read"),
        (f"ALTER ROLE {ROLE} SET search_path = nowhere", "run `backend-worker migrate`"),
        ("REVOKE TEMPORARY ON DATABASE library FROM PUBLIC", "temporary tables"),
    ],
)
def test_scan_is_refused_before_it_begins(limited, admin, sample, statement, sentence):
    admin(statement)
    try:
        refused = command("scan", sample, **limited)
    finally:
        admin("GRANT TEMPORARY ON DATABASE library TO PUBLIC")
    assert refused.returncode == 3, refused.stderr
    assert refused.stderr.count("\n") == 1
    assert sentence in refused.stderr
    assert scans.recent() == []


def test_rights_that_are_taken_away_in_mid_scan(limited, admin, library, servers, sample, log):
    with disturbance.started(servers, **limited):
        scan_id = start_scan(sample)
        wait_for_stored(scan_id, 0.1)
        admin(f"REVOKE INSERT ON track FROM {ROLE}")
        status = library.ended(scan_id)
        assert status.status == "failed"
        assert "may not write to its database (permission denied for table track)" in status.message
        assert adds_up(status)
        blamed = library.rows("SELECT count(*) FROM file WHERE reason LIKE '%%internal error%%'")
        assert blamed == [(0,)]
        # a client's tags are in no scan: they wait
        client = Celery(broker=get_config().redis_url, set_as_current=False)
        tags = {"path": "/elsewhere/1.mp3", "title": "Waits"}
        client.send_task("batch.process_entities", [[tags]], queue="batch", ignore_result=True)
        library.wait_for(lambda: "insert.direct_batch waits" in log(), what="a task that waits")
        admin(f"GRANT INSERT ON track TO {ROLE}")
        library.wait_for(
            lambda: library.rows("SELECT FROM track WHERE title = 'Waits'"),
            what="the client's tags",
        )
        assert library.scan(sample).status == "completed"
        library.settle()
        assert library.rows("SELECT count(*) FROM file WHERE state = 'stored'") == [
            (disturbance.TRACKS + 1,)
        ]
    assert "Traceback" not in log()


def test_worker_whose_database_can_only_be_read_goes_on_when_it_can_be_written(
    limited, admin, library, servers, sample, undisturbed, log
):
    """Not even that the scan stops can be stored."""
    admin(f"ALTER ROLE {ROLE} SET default_transaction_read_only = on")
    scan_id = start_scan(sample)  # by somebody who may
    with disturbance.started(servers, **limited):
        library.wait_for(lambda: "stops, which cannot be stored" in log(), what="a word of it")
        assert "the database can only be read" in log()
        admin(f"ALTER ROLE {ROLE} RESET default_transaction_read_only")
        admin(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'")
        assert disturbance.figures(library.ended(scan_id)) == undisturbed[0]
        library.settle()
    assert "Traceback" not in log()


def test_database_that_lost_its_tables(library, servers, sample, admin, log):
    with disturbance.started(servers):
        library.wait_for(library.worker_is_ready, what="a ready worker")
        admin("ALTER TABLE track RENAME TO elsewhere")
        try:
            with contextlib.closing(Celery(broker=get_config().redis_url)) as client:
                client.send_task("scan.discovery", [sample], queue="scan", ignore_result=True)
            library.wait_for(lambda: "scan.discovery is given up" in log(), what="a word of it")
        finally:
            admin("ALTER TABLE elsewhere RENAME TO track")
        library.settle()
    assert "run `backend-worker migrate`" in log()
    assert "Traceback" not in log()
    assert scans.recent() == []
