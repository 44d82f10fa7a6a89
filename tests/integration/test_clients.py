"""Clients of the earlier system: a Celery app of their own, names, queues, plain arguments."""

import os
import shutil

import celery
import mutagen
import pytest

from backend_worker.config import get_config
from backend_worker.library.grouping import group
from backend_worker.library.model import TrackRecord
from backend_worker.library.sample import make_library
from backend_worker.progress import events
from backend_worker.queues import TASK_QUEUE
from tests.support import lab
from tests.support.cover_archive import cover_archive
from tests.support.pictures import picture

RELEASE = "11111111-0000-4000-8000-000000000001"
ARTIST = "33333333-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def archive():
    with cover_archive() as running:
        yield running


@pytest.fixture(scope="module")
def worker(servers, archive):
    settings = {
        "SETTLE_SECONDS": 0,
        "COVER_ART_ARCHIVE": "yes",
        "COVER_ART_ARCHIVE_URL": archive.url,
        "MUSICBRAINZ_SEARCH": "yes",
        "MUSICBRAINZ_URL": f"{archive.url}/ws/2",
        "REMOTE_INTERVAL_SECONDS": 0.02,
    }
    variables = {f"BACKEND_WORKER_{name}": value for name, value in settings.items()}
    with lab.running_worker(servers, NO_PROXY="127.0.0.1", **variables) as process:
        lab.wait_for(lab.worker_is_ready, what="a ready worker")
        yield process


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    root = tmp_path_factory.mktemp("clients") / "music"
    make_library(str(root), tracks=12, broken=False)
    return root


@pytest.fixture
def music(sample, tmp_path):
    root = tmp_path / "music"
    shutil.copytree(sample, root)
    return root


@pytest.fixture(scope="module")
def client(servers):
    """A Celery app that knows nothing but the broker's address."""
    app = celery.Celery("client", broker=get_config().redis_url, set_as_current=False)
    yield app
    app.close()


@pytest.fixture
def send(client, library, worker):
    """Send a task as the earlier system does, and wait until all that follows is done."""

    def send_and_wait(name, *args, **options):
        client.send_task(name, args=args, queue=TASK_QUEUE[name], **options)
        lab.settle()

    return send_and_wait


def audio_files(root):
    return sorted(
        os.path.join(folder, name)
        for folder, _, names in os.walk(root)
        for name in names
        if not name.endswith((".jpg", ".png", ".json"))
    )


def titles():
    rows = lab.rows("SELECT path, title FROM file JOIN track USING (id)")
    return {os.fsdecode(bytes(path)): title for path, title in rows}


@pytest.mark.parametrize(
    "options",
    [{}, {"priority": 5}, {"kwargs": {"progress_callback": None}}],
    ids=["plain", "with a priority", "with the earlier system's callback"],
)
def test_scan_discovery(library, send, music, options):
    send("scan.discovery", str(music), **options)
    assert library.rows("SELECT status, stored FROM scan") == [("completed", 12)]
    assert library.rows("SELECT count(*) FROM track_vector") == [(12,)]


@pytest.mark.parametrize("batch_id", [(), ("batch_1_1",)])
def test_metadata_extract_batch(library, send, music, batch_id):
    paths = audio_files(music)
    send("metadata.extract_batch", paths, *batch_id)
    assert sorted(titles()) == paths
    assert library.rows("SELECT count(*) FROM track_vector") == [(12,)]
    # the same number again, as in the client's next run
    file = mutagen.File(paths[0], easy=True)
    file["title"] = "A new title"
    file.save()
    send("metadata.extract_batch", paths, *batch_id)
    assert titles()[paths[0]] == "A new title"


@pytest.mark.parametrize("batch_id", [(), ("batch_1_1",), (7,)])
def test_batch_process_entities(library, send, batch_id):
    track = {
        "path": "/m/1.mp3",
        "title": "Jóga\0 \ud800",
        "artist": "Björk",
        "album": "Homogenic",
        "genre": "Electronic",
        "year": "1997-09-22",
        "track_number": "2/10",
        "disc_number": 1,
        "duration": 305,
        "bitrate": 320,
        "musicbrainz_artistid": ARTIST,
        "musicbrainz_albumid": RELEASE,
        "file_type": "audio/mpeg",
        "something": {"else": None},
    }
    other = {"path": "/m/caf\udce9.mp3", "artists": ["A", "B"], "genres": None, "year": 2001}
    send("batch.process_entities", [track, other], *batch_id)
    rows = library.rows(
        "SELECT track.title, track.artist_credit, album.title, album.mbid::text, genres,"
        " track.date, track_number, disc_number, duration, bitrate"
        " FROM file JOIN track USING (id) LEFT JOIN album ON album.id = album_id ORDER BY path"
    )
    assert rows == [
        ("Jóga", "Björk", "Homogenic", RELEASE, ["Electronic"], "1997-09-22", 2, 1, 305, 320_000),
        ("caf\ufffd", "A & B", None, None, [], "2001", None, None, None, None),
    ]
    assert library.rows("SELECT mbid::text FROM artist WHERE name = 'Björk'") == [(ARTIST,)]
    assert library.rows("SELECT count(*) FROM track_vector") == [(2,)]
    send("batch.process_entities", [track | {"title": "Bachelorette"}], *batch_id)
    assert titles()["/m/1.mp3"] == "Bachelorette"


def test_insert_direct_batch(library, send):
    record = TrackRecord("/m/1.mp3", 1, 1, "00", title="Jóga", artists=["Björk"], album="Homogenic")
    send("insert.direct_batch", group([record]).to_message())
    assert titles() == {"/m/1.mp3": "Jóga"}
    assert library.rows("SELECT count(*) FROM track_vector") == [(1,)]


def test_insert_direct_batch_in_the_earlier_flat_shape(library, send):
    send("insert.direct_batch", {"batch_id": 7, "tracks": [{"path": "/m/1.mp3", "title": "Jóga"}]})
    assert titles() == {"/m/1.mp3": "Jóga"}


@pytest.mark.parametrize("arguments", [([1, 2],), (["1", "2"],), ([1, 2], {"title": "x"})])
def test_vectorization_calculate(library, send, arguments):
    send("batch.process_entities", [{"path": f"/m/{number}"} for number in (1, 2, 3)])
    library.rows("DELETE FROM track_vector RETURNING track_id")
    send("vectorization.calculate", *arguments)
    assert library.rows("SELECT track_id FROM track_vector ORDER BY 1") == [(1,), (2,)]
    send("vectorization.calculate", 3, {})
    assert library.rows("SELECT count(*) FROM track_vector") == [(3,)]


def test_covers_process_album_covers_and_artist_images(library, send, music, archive):
    folder = music / "A" / "X"
    folder.mkdir(parents=True)
    track = {"path": str(folder / "1.mp3"), "artist": "A", "album": "X", "album_artist": "A"}
    found = {"path": "/m/2.mp3", "artist": "B", "album": "Y", "musicbrainz_albumid": RELEASE}
    send("batch.process_entities", [track, found])
    (folder / "cover.jpg").write_bytes(picture())
    archive.pictures[f"release/{RELEASE}"] = picture(colour=(0, 0, 9))
    send("covers.process_album_covers", [1, 2], "high")
    sources = library.rows("SELECT title, cover_source FROM album ORDER BY title")
    assert sources == [("X", "folder"), ("Y", "cover-art-archive")]
    (music / "A" / "artist.jpg").write_bytes(picture(colour=(9, 0, 0)))
    send("covers.process_artist_images", [1, 2], "normal")
    assert library.rows("SELECT image_source FROM artist WHERE name = 'A'") == [("folder",)]


@pytest.mark.parametrize("as_list", [True, False])
def test_covers_extract_embedded(library, send, music, as_list):
    [(path, _), *_] = [
        (path, file) for path in audio_files(music) if (file := mutagen.File(path)) and file.tags
        and path.endswith(".flac")
    ]  # fmt: skip
    send("metadata.extract_batch", [path])
    library.rows("UPDATE album SET cover = NULL, cover_source = NULL RETURNING id")
    file = mutagen.File(path)
    image = mutagen.flac.Picture()
    image.type, image.mime, image.data = 3, "image/jpeg", picture(colour=(0, 9, 0))
    file.clear_pictures()
    file.add_picture(image)
    file.save()
    send("covers.extract_embedded", [path] if as_list else path)
    assert library.rows("SELECT cover_source FROM album") == [("embedded",)]


def test_metadata_enrich_batch(library, send, archive):
    archive.releases = [
        {
            "id": RELEASE,
            "score": 100,
            "title": "Homogenic",
            "artist-credit": [{"name": "Björk"}],
            "release-group": {"id": ARTIST},
        }
    ]
    archive.pictures[f"release/{RELEASE}"] = picture()
    track = {"path": "/m/1", "artist": "Björk", "album": "Homogenic", "albumartist": "Björk"}
    send("batch.process_entities", [track])
    send("metadata.enrich_batch", [1])
    assert library.rows("SELECT mbid::text, cover_source FROM album") == [
        (RELEASE, "cover-art-archive")
    ]


def test_vectorization_artists_sent_too_early_is_made_good(library, send, client):
    send("batch.process_entities", [{"path": "/m/1", "artist": "A"}])
    library.rows("DELETE FROM track_vector RETURNING track_id")
    library.rows("DELETE FROM artist_vector RETURNING artist_id")
    client.send_task("vectorization.artists", args=[[1]], queue="deferred")
    lab.wait_for(lambda: not lab.redis_client().llen("deferred"), 10, "a first look")
    assert library.rows("SELECT FROM artist_vector") == []
    send("vectorization.calculate", [1])
    assert library.rows("SELECT artist_id FROM artist_vector") == [(1,)]


def test_maintenance(library, send):
    library.rows(
        "INSERT INTO file (path, size, mtime_ns, state, gone_at) SELECT convert_to(days::text,"
        " 'UTF8'), 1, 1, 'gone', now() - make_interval(days => days)"
        " FROM unnest(ARRAY[5, 15, 45]) AS days RETURNING id"
    )
    send("maintenance.purge_gone")
    assert library.rows("SELECT count(*) FROM file") == [(2,)]
    send("maintenance.purge_gone", 10)
    assert library.rows("SELECT count(*) FROM file") == [(1,)]
    library.rows("INSERT INTO artist (name_key, name) VALUES ('e', 'E') RETURNING id")
    send("maintenance.purge_orphans")
    assert library.rows("SELECT FROM artist") == []
    for number in range(5):
        events.publish("test", number=number)
    send("maintenance.trim_progress", 2)
    left = [event["number"] for event in events.read() if event["kind"] == "test"]
    assert set(left) <= {3, 4}  # the worker may tell of itself meanwhile


BAD = {
    "scan.discovery": [
        (),
        (None,),
        (42,),
        (["/m"],),
        ("/nonexistent",),
        ("/etc/passwd",),
        ("/m\0x",),
        ("/m", "unknown", "arguments"),
    ],
    "metadata.extract_batch": [
        (),
        (None,),
        ([None],),
        ([1, 2],),
        ([],),
        (["/nonexistent.mp3"],),
        (["/"],),
        (["/dev/zero"],),
        (["/m\0x"],),
        (["/nonexistent.mp3"], {"no": "id"}),
        ({"path": "/m"}, "x"),
    ],
    "batch.process_entities": [
        (None,),
        (5,),
        ("text",),
        ([],),
        ([{}],),
        (["text"],),
        ([None],),
        ([{"path": 5}],),
        ([{"path": "/m/1", "duration": "long", "track_number": [], "artists": {"a": 1}}],),
        ({"tracks": 5},),
        ({"tracks": [{"no": "path"}]}, "x"),
    ],
    "insert.direct_batch": [
        (None,),
        ([],),
        ("text",),
        ({},),
        ({"tracks": [{"record": {}}]},),
        ({"tracks": [{"record": {"path": "/m/1", "title": "a\0b"}}]},),
        ({"tracks": [{"record": {"path": "/m/1", "duration": "long"}}]},),
        ({"artists": [{"name": "x"}]},),
        ({"batch_id": 5, "failures": [{}]},),
    ],
    "vectorization.calculate": [(None,), ("x",), ([2**70, -1, 0],), ([None],), ({"id": 1},)],
    "vectorization.artists": [(None,), ("x",), ([2**70, 999],)],
    "covers.process_album_covers": [(None,), ("x",), ([2**70, 999],), ([[1]],)],
    "covers.process_artist_images": [(None,), ("x",), ([2**70, 999],)],
    "covers.extract_embedded": [(None,), (5,), ([None],), (["/nonexistent"],), (["/dev/zero"],)],
    "metadata.enrich_batch": [(None,), ("x",), ([2**70, 999],)],
    "maintenance.purge_gone": [("x",), (-1,), (2**70,), ([],)],
    "maintenance.trim_progress": [("x",), (-1,), (2**70,)],
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_do_no_harm(library, client, worker, name):
    for arguments in BAD[name]:
        client.send_task(name, args=arguments, queue=TASK_QUEUE[name])
    lab.settle()
    assert worker.poll() is None
    assert library.rows("SELECT FROM scan WHERE status IN ('running', 'cancelling')") == []


def test_unknown_names_and_bad_arguments_at_once_do_not_stop_the_worker(
    library, client, send, worker, music
):
    for name, each in BAD.items():
        client.send_task(f"{name}_of_another_version", args=[1], queue=TASK_QUEUE[name])
        for arguments in each:
            client.send_task(name, args=arguments, queue=TASK_QUEUE[name])
    send("scan.discovery", str(music))
    assert worker.poll() is None
    assert library.rows("SELECT stored FROM scan WHERE status = 'completed'") == [(12,)]
