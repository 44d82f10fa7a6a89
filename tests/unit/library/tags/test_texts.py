"""Texts in another encoding than their tag says."""

import pytest

from tests.unit.library.tags.files import (
    TEMPLATES,
    assert_same_both_ways,
    id3_frame,
    id3_tag,
    read,
)

AUDIO = TEMPLATES["tone.mp3"].read_bytes()


def titled(folder, encoding, title, artist="", *, version=3):
    """Read a file whose texts are in this encoding, where their frames say Latin-1."""
    frames = [
        id3_frame(version, b"TIT2", b"\0" + title.encode(encoding)),
        id3_frame(version, b"TPE1", b"\0" + artist.encode(encoding) + b"\0"),
    ]
    path = folder / "x.mp3"
    path.write_bytes(id3_tag(version, frames) + AUDIO)
    assert_same_both_ways(str(path))
    in_id3v2 = read(str(path))
    end = title.encode(encoding)[:30].ljust(30, b"\0") + artist.encode(encoding)[:30].ljust(
        30, b"\0"
    )
    path.write_bytes(AUDIO + b"TAG" + end + bytes(64) + b"\xff")
    in_id3v1 = read(str(path))
    assert (in_id3v1.title, in_id3v1.artists) == (in_id3v2.title, in_id3v2.artists)
    return in_id3v2.title, "".join(in_id3v2.artists)


# The encodings' tables are Python's, those of the Unicode consortium.
@pytest.mark.parametrize(
    ("encoding", "title", "artist"),
    [
        ("cp1252", "Don\u2019t \u201cGo\u201d \u2013 €", "Guns N\u2019 Roses"),
        ("cp1252", "Œuvre Žižek…", "Sigur Rós"),
        ("latin-1", "Señorita", "Mötley Crüe"),
        ("latin-1", "Ænima", "Ágætis byrjun"),
        ("latin-1", "¿Qué?", "Ñ"),
        ("latin-1", "Ö", "Þú ert jörðin"),
        ("latin-1", "ÄÖÜ", "Für Elise"),
        ("latin-1", "«À»", "Été"),
        ("utf-8", "Björk", "Sigur Rós"),
        ("utf-8", "爱你一万年", "刘德华"),
        ("utf-8", "Группа крови", "Кино"),
        ("gbk", "爱你一万年", "刘德华"),
        ("gbk", "我的歌声里", "曲婉婷"),
        ("gbk", "月亮代表我的心 (Live)", "邓丽君"),
        ("cp932", "さくら", "コブクロ"),
        ("cp932", "夜に駆ける", "YOASOBI"),
        ("cp932", "恋のマイアヒ", "東京事変"),
        ("cp1251", "Группа крови", "Кино"),
        ("cp1251", "ВЕЛИКАЯ ПЕСНЯ", "СПЛИН"),
        ("cp1251", "Орбит без цены (Live)", "Сплин"),
    ],
)
@pytest.mark.parametrize("version", [3, 4])
def test_what_is_sure_is_read_as_what_it_is(tmp_path, encoding, title, artist, version):
    assert titled(tmp_path, encoding, title, artist, version=version) == (title, artist)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("euc-kr", "사랑해"),  # as well Chinese
        ("cp1250", "Příliš žluťoučký"),
        ("cp1253", "Ελλάδα"),
        ("cp1251", "Я и ты"),
        ("gbk", "刘"),
    ],
)
def test_what_is_not_sure_is_left_as_the_frame_says(tmp_path, encoding, text):
    expected = text.encode(encoding).decode("cp1252", "ignore")
    assert titled(tmp_path, encoding, text)[0] == expected


def test_texts_that_say_what_they_are_stay(tmp_path):
    """A frame in UTF-8 is not judged: what it shows is what somebody wrote."""
    path = tmp_path / "x.mp3"
    path.write_bytes(id3_tag(4, [id3_frame(4, b"TIT2", "\3BjÃ¶rk".encode())]) + AUDIO)
    assert read(str(path)).title == "BjÃ¶rk"


def test_one_tag_has_one_encoding(tmp_path):
    """Of the artist alone it would not be sure."""
    path = tmp_path / "x.mp3"
    frames = [
        id3_frame(3, b"TIT2", b"\0" + "爱你一万年".encode("gbk")),
        id3_frame(3, b"TPE1", b"\0" + "刘".encode("gbk")),
        id3_frame(3, b"TALB", b"\1" + "Señorita".encode("utf-16")),
        id3_frame(3, b"COMM", b"\0eng\0" + "很好".encode("gbk")),
        id3_frame(3, b"TXXX", b"\0ARTISTS\0" + "刘".encode("gbk")),
    ]
    path.write_bytes(id3_tag(3, frames) + AUDIO)
    assert assert_same_both_ways(str(path))
    track = read(str(path))
    assert (track.title, track.artists, track.comment) == ("爱你一万年", ["刘"], "很好")
    assert track.album == "Señorita"
