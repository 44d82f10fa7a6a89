"""What is one album and what is two, row by row of the table in ``docs/library.md``."""

import itertools
import random
from pathlib import Path

import pytest

from backend_worker.library.albums import RULES
from backend_worker.library.grouping import group
from backend_worker.library.model import TrackRecord
from backend_worker.library.names import VARIOUS_ARTISTS_MBID
from backend_worker.storage.insert import insert_batch

MBID = "{:08x}-0000-4000-8000-00007caee26b".format
batch_ids = (f"rules-{number}" for number in itertools.count())


def track(path, album="X", artist="A", **tags):
    tags = {"title": path, "artists": [artist], "album": album} | tags
    return TrackRecord(path=path, size=1, mtime_ns=1, fingerprint=path.encode().hex(), **tags)


def by(artist, path, album="X", **tags):
    """A track whose album artist is tagged."""
    return track(path, album, artist, album_artists=[artist], **tags)


def various(path, album="X", **tags):
    return track(path, album, path, album_artists=["Various Artists"], **tags)


# For each rule: tracks, and the albums that they are, as numbers of tracks with the credit.
CASES = [
    ("release", [by("A", "/a/1", mb_release_id=MBID(1), date="1994"),
                 by("A", "/b/2", "Y", mb_release_id=MBID(1), date="2016")], "2 A"),
    ("other release", [by("A", "/a/1", mb_release_id=MBID(1)),
                       by("A", "/a/2", mb_release_id=MBID(2))], "1 A, 1 A"),
    ("release group", [by("A", "/a/1", mb_release_group_id=MBID(1)),
                       by("A", "/a/2", mb_release_group_id=MBID(2))], "1 A, 1 A"),
    ("release group", [various("/a/1", mb_release_group_id=MBID(1)),
                       various("/a/2", mb_release_group_id=MBID(2)),
                       various("/a/3", mb_release_group_id=MBID(2))],
     "1 Various Artists, 2 Various Artists"),
    ("title", [by("A", "/a/1", "Öl!"), by("A", "/a/2", "OL"), by("A", "/a/3", "Oil")],
     "1 A, 2 A"),
    ("album artist", [by("Queen", "/a/1"), by("ABBA", "/a/2"),
                      track("/a/3", album_artists=["Queen feat. B"])], "1 ABBA, 2 Queen"),
    ("various", [various("/a/1", "Now 5"), various("/b/1", "Now 5"),
                 track("/c/1", "Now 5", album_artists=["?"],
                       mb_album_artist_ids=[VARIOUS_ARTISTS_MBID])], "3 Various Artists"),
    ("common various", [various("/a/1", "Greatest Hits"), various("/a/2", "Greatest Hits"),
                        various("/b/1", "Greatest Hits")],
     "1 Various Artists, 2 Various Artists"),
    ("common various", [various("/a/1", "Love Songs, Vol. 2"),
                        various("/b/1", "Love Songs, Vol. 2")],
     "1 Various Artists, 1 Various Artists"),
    ("years", [by("Weezer", "/Weezer (Blue)/1", "Weezer", date="1994"),
               by("Weezer", "/Weezer (White)/1", "Weezer", date="2016-04-01"),
               by("Weezer", "/Weezer (White)/2", "Weezer", date="2016"),
               by("Weezer", "/Weezer (Green)/2", "Weezer", date="2001"),
               by("Weezer", "/Weezer (White)/3", "Weezer")], "1 Weezer, 1 Weezer, 3 Weezer"),
    ("years", [various("/a/1", "Now", date="1999"), various("/b/1", "Now", date="2005")],
     "1 Various Artists, 1 Various Artists"),
    ("years in a folder", [by("A", "/a/1", date="1969"), by("A", "/a/2", date="1971"),
                           by("A", "/a/CD2/1", date="1972"), by("A", "/b/1", date="1971")],
     "4 A"),
    ("folders", [by("A", "/a/1", date="1999"), by("A", "/b/1", date="1999-05"),
                 by("A", "/c/1")], "3 A"),
    ("no album artist", [track("/a/1"), track("/a/2", artist="A feat. B")], "2 A"),
    ("no album artist", [track("/a/1"), track("/a/2", artist="B")], "2 Various Artists"),
    ("no album artist, folders", [track("/a/1"), track("/b/1")], "1 A, 1 A"),
    ("common title", [track("/a/1", "Greatest Hits", "Queen"),
                      track("/a/2", "Greatest Hits", "ABBA"),
                      track("/a/3", "Greatest Hits", "ABBA")], "1 Queen, 2 ABBA"),
    ("common title", [track("/a/1", "Best Of", "Queen", compilation=True),
                      track("/a/2", "Best Of", "ABBA", compilation=True)],
     "2 Various Artists"),
    ("compilation of one", [track("/1/1", "Greatest Hits", "X", compilation=True),
                            track("/1/2", "Greatest Hits", "X", compilation=True),
                            track("/2/1", "Greatest Hits", "Y", compilation=True)],
     "1 Y, 2 X"),
    ("discs", [by("A", "/a/CD1/1", "X (Disc 1)"), by("A", "/a/CD2/1", "X (Disc 2)")], "2 A"),
    ("discs", [track("/a/X - Disc I/1", "X"), track("/a/X - Disc II/1", "X")], "2 A"),
    ("no title", [by("A", "/a/1", None), by("A", "/a/2", " ")], ""),
]  # fmt: skip


def store(records):
    insert_batch(next(batch_ids), group(records), still_exists=lambda _: True)


def albums(library):
    rows = library.rows(
        "SELECT count(*), album.artist_credit FROM track JOIN album ON album.id = album_id"
        " GROUP BY album.id"
    )
    return ", ".join(sorted(f"{tracks} {credit}" for tracks, credit in rows))


@pytest.mark.parametrize(("rule", "tracks", "expected"), CASES, ids=[case[0] for case in CASES])
def test_rule(library, rule, tracks, expected):
    store(tracks)
    assert albums(library) == expected


def test_each_rule_has_its_case():
    assert {case[0] for case in CASES} == {rule.name for rule in RULES}


def test_the_table_for_owners_is_that_of_the_code():
    text = Path("docs/library.md").read_text(encoding="utf-8")
    rows = [f"| {number} | {rule.when} | {rule.then} |" for number, rule in enumerate(RULES, 1)]
    assert "\n".join(rows) in text


@pytest.mark.parametrize("seed", range(3))
def test_albums_are_parted_alike_in_any_order(library, seed):
    """Also where the track that joins two folders comes last, or first."""
    chance = random.Random(seed)
    tracks = [
        by("A", f"/{folder}/{number}", date=date)
        for number, (folder, date) in enumerate(
            [("a", "1994"), ("b", "2016"), ("b", None), ("c", "2001"), ("c", "2016"),
             ("d", None), ("e", "1980")]
        )
    ]  # fmt: skip
    seen = []
    for _ in range(3):
        library.empty()
        for record in chance.sample(tracks, len(tracks)):
            store([record])
        seen.append(sorted(
            library.rows(
                "SELECT name_key, date, (SELECT array_agg(encode(path, 'escape') ORDER BY path)"
                " FROM track JOIN file USING (id) WHERE album_id = album.id) FROM album"
            )
        ))  # fmt: skip
    assert seen[0] == [
        ("x|a", "1980", ["/d/5", "/e/6"]),
        ("x|a|year:1994", "1994", ["/a/0"]),
        ("x|a|year:2001", "2001", ["/b/1", "/b/2", "/c/3", "/c/4"]),
    ]
    assert seen[1:] == seen[:1] * 2


def test_an_album_that_is_tagged_anew_is_one_again(library):
    blue = by("Weezer", "/blue/1", "Weezer", date="1994")
    white = by("Weezer", "/white/1", "Weezer", date="2016")
    store([blue, white])
    assert albums(library) == "1 Weezer, 1 Weezer"
    store([by("Weezer", "/white/1", "Weezer", date="1994")])
    assert albums(library) == "2 Weezer"
    assert library.rows("SELECT name_key, date FROM album") == [("weezer|weezer", "1994")]
