"""A library, a worker and its servers, as a test needs them."""

import contextlib
import json
import os

import kombu.exceptions
import psycopg2.errors
import redis.exceptions

from backend_worker.cli.embedded import embedded_worker
from backend_worker.cli.scan import start_scan
from backend_worker.cli.workers import worker_answers
from backend_worker.progress.connection import redis_client
from backend_worker.storage import scans
from backend_worker.storage.connection import transaction
from backend_worker.tasks import broker
from tests.support.waiting import WAIT_SECONDS, wait_for

_TABLES = (
    "scan, mount_point, file, artist, album, picture, remote_lookup, scan_batch, search_word,"
    " known_root"
)


def empty():
    """Remove everything from the database and from Redis.

    PostgreSQL may still end a query of a worker that was killed; they can wait for each other.
    """
    wait_for(_truncated, what="an empty database")
    redis_client().flushdb()


def _truncated():
    with contextlib.suppress(psycopg2.errors.DeadlockDetected), transaction() as cursor:
        cursor.execute(f"TRUNCATE {_TABLES} RESTART IDENTITY CASCADE")
        return True
    return False


@contextlib.contextmanager
def running_worker(servers, **settings):
    """A worker process with further settings by their variables' names."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update({name: str(value) for name, value in settings.items()})
    try:
        with embedded_worker(servers.folder) as process:
            yield process
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def worker_is_ready():
    """Say whether a worker answers."""
    try:
        return worker_answers(timeout=0.5)
    except (kombu.exceptions.OperationalError, redis.exceptions.ConnectionError):
        return False  # Redis is being restarted


def scan(path, seconds=WAIT_SECONDS):
    """Scan a folder with the running worker and return the final figures."""
    return ended(start_scan(str(path)), seconds)


def ended(scan_id, seconds=WAIT_SECONDS):
    """Wait for a scan's end and return its figures."""

    def status_when_ended():
        status = scans.get(scan_id)
        return status if not status.active else None

    return wait_for(status_when_ended, seconds, f"end of scan {scan_id}")


def settle(seconds=WAIT_SECONDS):
    """Wait until the worker has nothing left to do."""
    wait_for(broker.at_rest, seconds, "a worker at rest")


def tried_again():
    """Return how many of the tasks that workers have taken failed before and are tried again."""
    messages = [json.loads(value)[0] for value in redis_client().hvals(broker.UNACKED_KEY)]
    return sum(message["headers"]["retries"] > 0 for message in messages)


def rows(query, *parameters):
    """Return all rows of a query."""
    with transaction() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchall()


def snapshot():
    """Return what a library holds, in terms that do not depend on the order of its making."""
    return {
        "tracks": rows(
            "SELECT file.path::text, state, reason, encode(fingerprint, 'hex'), track.title,"
            " track.artist_credit, album.name_key, track_number, disc_number, track.date, genres,"
            " duration, codec, encode(picture, 'hex'), search_text"
            " FROM file LEFT JOIN track USING (id) LEFT JOIN album ON album.id = album_id"
            " ORDER BY file.path"
        ),
        "albums": rows(
            "SELECT name_key, mbid::text, title, artist_credit, date, compilation, disc_total,"
            " encode(cover, 'hex'), cover_source,"
            " (SELECT array_agg(artist.name_key ORDER BY position) FROM album_artist"
            "   JOIN artist ON artist.id = artist_id WHERE album_id = album.id),"
            " (SELECT count(*) FROM track WHERE album_id = album.id)"
            " FROM album ORDER BY name_key, mbid"
        ),
        "artists": rows(
            "SELECT name_key, mbid::text, name, sort_name FROM artist ORDER BY name_key, mbid"
        ),
        "links": rows(
            "SELECT file.path::text, role, position, artist.name_key FROM track_artist"
            " JOIN file ON file.id = track_id JOIN artist ON artist.id = artist_id"
            " ORDER BY file.path, role, position"
        ),
        "vectors": rows(
            "SELECT file.path::text, embedding::text FROM track_vector"
            " JOIN file ON file.id = track_id ORDER BY file.path"
        ),
    }
