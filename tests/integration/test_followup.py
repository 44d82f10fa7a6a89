"""What follows a scan: covers, images and ids are asked for, artists get their vectors."""

import numpy as np
import pytest

from backend_worker.library.features import MODEL_VERSION
from backend_worker.progress.connection import redis_client
from backend_worker.storage import vectors
from backend_worker.tasks.deferred import MOST_LOOKS, artists
from backend_worker.tasks.followup import follow_up
from backend_worker.tasks.maintenance import fill_gaps
from backend_worker.tasks.vector import calculate, pending
from tests.support.collection import artist_id, collection
from tests.support.messages import waiting

RELEASE = "11111111-0000-4000-8000-000000000001"


@pytest.fixture
def shelf(library, tmp_path):
    with collection(tmp_path) as made:
        yield made


def two_unlike_albums(shelf):
    """Add an artist whose tracks differ: the mean of some is not the mean of all."""
    shelf.add("A", "One", date="1960")
    shelf.add("A", "Two", date="2000")


def tracks_of(library, name):
    found = library.rows(
        "SELECT track_id FROM track_artist WHERE artist_id = %s ORDER BY 1", artist_id(name)
    )
    return [row[0] for row in found]


def has_the_mean(library, name):
    """Say whether the artist's vector is the mean of those of all stored tracks."""
    embeddings = library.rows(
        "SELECT embedding::real[] FROM track_vector JOIN file ON file.id = track_id"
        " WHERE track_id = ANY(%s) AND state = 'stored'",
        tracks_of(library, name),
    )
    found = library.rows(
        "SELECT embedding::real[] FROM artist_vector WHERE artist_id = %s", artist_id(name)
    )
    mean = np.mean([row[0] for row in embeddings], axis=0)
    expected = mean / np.linalg.norm(mean)
    return bool(found) and found[0][0] == pytest.approx(expected, abs=1e-5)


def test_albums_and_artists_of_the_scan_are_asked_for(shelf, library):
    old = shelf.add("Old", "Zero")
    albums = [shelf.add("A", "One"), shelf.add("B", "Two", mbid=RELEASE)]
    [(scan,)] = library.rows("INSERT INTO scan (root, task_id) VALUES ('/', 'x') RETURNING id")
    library.rows(
        "UPDATE file SET scan_id = %s FROM track WHERE track.id = file.id AND album_id <> %s"
        " RETURNING file.id",
        scan,
        old,
    )
    follow_up(scan)
    people = [artist_id("A"), artist_id("B")]
    assert [(message.task, message.args) for message in waiting("covers")] == [
        ("covers.process_album_covers", [albums]),
        ("covers.process_artist_images", [people]),
    ]
    assert [(message.task, message.args) for message in waiting("deferred")] == [
        ("metadata.enrich_batch", [[albums[0]]]),
    ]
    assert library.rows("SELECT followed_up FROM scan") == [(True,)]


def test_artist_gets_the_mean_of_all_tracks(shelf, library):
    shelf.add("A", "One", pictures=(None,) * 3)
    calculate(tracks_of(library, "A"))
    artists([str(artist_id("A")), 999])
    assert has_the_mean(library, "A")
    assert waiting("deferred") == []


def test_artist_of_a_track_without_vector_is_looked_at_again(shelf, library):
    two_unlike_albums(shelf)
    shelf.add("B", "Three")
    first, *rest = tracks_of(library, "A")
    calculate([first, *tracks_of(library, "B")])
    artists([artist_id("A"), artist_id("B")])
    [again] = waiting("deferred")
    assert again.args == [[artist_id("A")], 2]
    assert again.eta is not None
    redis_client().delete("deferred")

    calculate(rest)
    assert not has_the_mean(library, "A")
    artists(*again.args)
    assert has_the_mean(library, "A")
    assert waiting("deferred") == []


def test_looking_again_ends_with_what_there_is(shelf, library, caplog):
    shelf.add("A", "One", pictures=(None,) * 2)
    calculate(tracks_of(library, "A")[:1])
    artists([artist_id("A")], MOST_LOOKS)
    assert waiting("deferred") == []
    assert has_the_mean(library, "A")
    assert "1 artists have tracks without a vector" in caplog.text


def test_vectors_of_another_model_are_not_mixed_in(shelf, library):
    shelf.add("A", "One", pictures=(None,) * 2)
    calculate(tracks_of(library, "A"))
    library.rows("UPDATE track_vector SET model_version = 0 RETURNING track_id")
    artists([artist_id("A")])
    assert library.rows("SELECT FROM artist_vector") == []
    [again] = waiting("deferred")
    assert again.args == [[artist_id("A")], 2]


GAPS = {
    "own vector is missing": "DELETE FROM artist_vector RETURNING artist_id",
    "own vector is of another model": "UPDATE artist_vector SET model_version = 0 RETURNING 1",
    "a track's vector is missing": "DELETE FROM track_vector WHERE track_id = 1 RETURNING track_id",
    "a track's vector has changed": (
        "UPDATE track_vector SET embedding = array_fill(1, ARRAY[64])::vector"
        " WHERE track_id = 1 RETURNING track_id"
    ),
    "a track is gone": "UPDATE file SET state = 'gone' WHERE id = 1 RETURNING id",
}


@pytest.mark.parametrize("damage", GAPS.values(), ids=GAPS.keys())
def test_filling_gaps_repairs_an_artist(shelf, library, damage):
    two_unlike_albums(shelf)
    shelf.add("B", "Three")
    calculate([1, 2, 3])
    artists([artist_id("A"), artist_id("B")])
    assert vectors.artists_to_make(MODEL_VERSION, 10) == []
    library.rows(damage)
    result = fill_gaps()
    assert result["artists"] >= 1
    [message] = waiting("vector")
    assert message.task == "vectorization.pending"
    pending()
    assert vectors.artists_to_make(MODEL_VERSION, 10) == []
    assert has_the_mean(library, "A")
