"""Arguments as clients send them become what the tasks work with, or a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend_worker.library.model import TrackRecord
from backend_worker.tasks.arguments import as_ids, as_paths, as_record

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=4,
)
FIELDS = [*TrackRecord.__dataclass_fields__, "artist", "genre", "year", "musicbrainz_artistid"]


@pytest.mark.parametrize(
    ("values", "ids"),
    [([1, 2], [1, 2]), (["2", 1, "2"], [2, 1]), (5, [5]), ("7", [7]), ([], []), ((3,), [3])],
)
def test_ids(values, ids):
    assert as_ids(values) == ids


@pytest.mark.parametrize("values", ["x", None, [None], ["1", "x"], [[1]], 1.5])
def test_what_is_no_id(values):
    with pytest.raises(ValueError, match="ids are whole numbers"):
        as_ids(values)


def test_paths():
    assert as_paths(["/a", "/b"]) == ["/a", "/b"]
    assert as_paths("/music/a.mp3") == ["/music/a.mp3"]
    assert as_paths([]) == []


@pytest.mark.parametrize("values", [None, 5, [None], ["/a", 5], {"path": "/a"}])
def test_what_is_no_path(values):
    with pytest.raises(ValueError, match="list of texts"):
        as_paths(values)


def test_record_by_the_names_of_the_earlier_system():
    record = as_record(
        {
            "path": "/m/1.mp3",
            "artist": "A",
            "album_artist": ["B"],
            "genre": "(17)",
            "year": 1999,
            "track_number": "03/12",
            "bitrate": 320,
            "duration": "12.5",
            "compilation": True,
            "musicbrainz_id": "AAAAAAAA-0000-4000-8000-000000000000",
        }
    )
    assert (record.artists, record.album_artists, record.genres) == (["A"], ["B"], ["Rock"])
    assert (record.date, record.track_number, record.bitrate) == ("1999", 3, 320_000)
    assert (record.duration, record.compilation) == (12.5, True)
    assert record.mb_recording_id == "aaaaaaaa-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    "message", [{}, {"path": ""}, {"path": 5}, {"path": None}, "text", None, 5]
)
def test_track_without_path(message):
    with pytest.raises(ValueError, match="has no path"):
        as_record(message)


@given(st.dictionaries(st.sampled_from(FIELDS), json_values))
def test_any_values_become_a_record_that_postgresql_takes(values):
    record = as_record(values | {"path": "/m/1"})
    for name in TrackRecord.__dataclass_fields__:
        value = getattr(record, name)
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str):
                assert "\0" not in item
                item.encode()
            elif isinstance(item, int):
                assert -(2**63) <= item < 2**63
    for name in ("track_number", "disc_total", "bitrate", "sample_rate", "channels", "bit_depth"):
        assert getattr(record, name) is None or 0 < getattr(record, name) < 2**31
