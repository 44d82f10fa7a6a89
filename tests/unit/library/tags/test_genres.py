"""Genres as programs write them; the sources stand in the table of ``genres.py``."""

import pytest
from mutagen.flac import FLAC
from mutagen.mp4 import MP4

from backend_worker.library.tags.genres import genres
from tests.unit.library.tags.files import TEMPLATES, copy_of, id3_frame, id3_tag, read


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (["Pop; Rock"], ["Pop", "Rock"]),
        (["Pop;Rock;"], ["Pop", "Rock"]),
        (["Rock\\\\Pop"], ["Rock", "Pop"]),
        (["Pop / Rock"], ["Pop", "Rock"]),
        (["Jazz/R&B"], ["Jazz", "R&B"]),
        (["R&B/Soul"], ["R&B", "Soul"]),
        (["Hip-Hop/Rap"], ["Hip-Hop", "Rap"]),
        (["Jazz/R&amp;B"], ["Jazz", "R&B"]),
        (["Rock/Pop/Rock"], ["Rock", "Pop"]),
        (["ロック/ポップ"], ["ロック", "ポップ"]),
        (["Rock", "AC/DC-like"], ["Rock", "AC/DC-like"]),
        (["Rock", "Pop; Disco"], ["Rock", "Pop", "Disco"]),
        (["Singer/Songwriter"], ["Singer/Songwriter"]),
        (["N/A"], ["N/A"]),
        (["Folk, World, & Country"], ["Folk, World, & Country"]),
        (["Drum & Bass", "Drum & Bass"], ["Drum & Bass"]),
        (["(17)"], ["Rock"]),
        (["17"], ["Rock"]),
        (["(17)Rock"], ["Rock"]),
        (["17;18"], ["Rock", "Techno"]),
        (["17/18"], ["Rock", "Techno"]),
        (["17", "Pop", "(4)"], ["Rock", "Pop", "Disco"]),
        (["(4)Eurodisco"], ["Disco", "Eurodisco"]),
        (["(51)(39)"], ["Techno-Industrial", "Noise"]),
        (["RX"], ["Remix"]),
        (["((Fake"], ["(Fake"]),
        (["(Alternative) Rock"], ["(Alternative) Rock"]),
        (["(255)"], []),
        ([";"], []),
        ([], []),
    ],
)
def test_one_or_several_in_one_text(raw, expected):
    assert genres(raw) == expected


@pytest.mark.parametrize("text", ["Jazz/R&B", "Jazz; R&B", "(8)R&B"])
def test_in_each_format(tmp_path, text):
    audio = TEMPLATES["tone.mp3"].read_bytes()
    for version in (3, 4):
        path = tmp_path / f"{version}.mp3"
        frame = id3_frame(version, b"TCON", b"\0" + text.encode())
        path.write_bytes(id3_tag(version, [frame]) + audio)
        assert read(str(path)).genres == ["Jazz", "R&B"]
    flac = FLAC(copy_of(tmp_path, "tone.flac"))
    flac["GENRE"] = text
    mp4 = MP4(copy_of(tmp_path, "tone-aac.m4a"))
    mp4["\xa9gen"] = text
    for file in (flac, mp4):
        file.save()
        assert read(file.filename).genres == ["Jazz", "R&B"]
