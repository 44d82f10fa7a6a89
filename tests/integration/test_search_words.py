"""Search finds names as people type them: without signs, by signs alone, by a piece."""

import pytest

from backend_worker.library.grouping import group
from backend_worker.library.model import TrackRecord
from backend_worker.storage import search
from backend_worker.storage.insert import insert_batch

TRACKS = [
    ("!!!", "Heello", "Louden"),
    ("Ed", "Shape", "÷"),
    ("曲婉婷", "我的歌声里", "Everything"),
    ("ザ・ビートルズ", "Yesterday", "Help"),
    ("AC/DC", "Thunder", "Razors"),
    ("R.E.M.", "Losing", "Out of Time"),
    ("Ke$ha", "Tik", "Animal"),
    ("P!nk", "So What", "Funhouse"),
    ("A$AP Rocky", "Long", "Live"),
    ("東京事変", "群青日和", "教育"),
    ("ABBA", "Gimme! Gimme!", "Voulez-Vous"),
    ("t.A.T.u.", "Тату", "Ёлка"),
    ("김현식", "내사랑 내곁에", "추억"),
    ("Fleetwood", "Don\u2019t Stop", "Rumours"),
    ("Motörhead/Girlschool", "Please", "Bomb"),
    ("Somebody", "???", "(  )"),
]
ASKED = [
    ("!!!", {0}), ("÷", {1}), ("歌声", {2}), ("声里", {2}), ("我的歌声里", {2}), ("婉婷", {2}),
    ("ビートルズ", {3}), ("トルズ", {3}), ("acdc", {4}), ("ac dc", {4}), ("ac/dc", {4}),
    ("AC-DC", {4}), ("rem", {5}), ("r.e.m.", {5}), ("kesha", {6}), ("ke$ha", {6}), ("pink", {7}),
    ("p!nk", {7}), ("asap rocky", {8}), ("東京", {9}), ("事変", {9}), ("京事", {9}),
    ("voulezvous", {10}), ("voulez vous", {10}), ("tatu", {11}), ("t.a.t.u", {11}),
    ("елка", {11}), ("현식", {12}), ("사랑", {12}), ("dont stop", {13}), ("don't stop", {13}),
    ("motorheadgirlschool", {14}), ("???", {15}), ("()", {15}),
]  # fmt: skip


@pytest.fixture(scope="module")
def numbers(servers):
    from tests.support import lab

    lab.empty()
    records = [
        TrackRecord(path=f"/m/{n:02}", size=1, mtime_ns=1, fingerprint=f"{n:016x}",
                    title=title, artists=[artist], album=album, album_artists=[artist])
        for n, (artist, title, album) in enumerate(TRACKS)
    ]  # fmt: skip
    ids = insert_batch("search", group(records), still_exists=lambda _: True).track_ids
    yield {track_id: number for number, track_id in enumerate(sorted(ids))}
    lab.empty()


@pytest.mark.parametrize(("text", "expected"), ASKED, ids=[repr(text) for text, _ in ASKED])
def test_a_name_is_found_as_people_type_it(numbers, text, expected):
    found = [row for row in search.search(text) if row["score"] == 1.0]
    assert {numbers[row["id"]] for row in found} == expected


@pytest.mark.parametrize("text", ["", " ", "\0", "\ud800", "!", "\u200b", "&", "'", "\\", "a'b\\c"])
def test_nothing_is_found_by_nothing(numbers, text):
    assert [row for row in search.search(text) if row["score"] == 1.0] == []
