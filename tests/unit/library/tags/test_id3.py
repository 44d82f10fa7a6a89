"""ID3 in all its versions, and the APEv2 tags that may stand beside it."""

import pytest
from mutagen import id3
from mutagen.aiff import AIFF
from mutagen.apev2 import APEv2
from mutagen.id3 import ID3
from mutagen.wave import WAVE

from tests.unit.library.tags.files import (
    TEMPLATES,
    UUID,
    UUID2,
    assert_same_both_ways,
    copy_of,
    id3_frame,
    id3_tag,
    read,
)


def tagged(folder, *frames, version=4, separator="/"):
    path = copy_of(folder, "tone.mp3")
    tags = ID3()
    for frame in frames:
        tags.add(frame)
    if version == 3:
        tags.update_to_v23()
    tags.save(path, v2_version=version, v23_sep=separator)
    return path


def free(description, *values):
    return id3.TXXX(encoding=3, desc=description, text=list(values))


PICARD = (
    id3.TIT2(encoding=3, text="Señorita"),
    id3.TPE1(encoding=3, text="A feat. B"),
    id3.TPE2(encoding=3, text="A"),
    id3.TALB(encoding=3, text="An Album"),
    id3.TRCK(encoding=3, text="3/12"),
    id3.TPOS(encoding=3, text="1/2"),
    id3.TDRC(encoding=3, text="2004-05-06"),
    id3.TDOR(encoding=3, text="1999"),
    id3.TCON(encoding=3, text="Rock"),
    id3.TCMP(encoding=3, text="1"),
    id3.TCOM(encoding=3, text="C"),
    id3.TBPM(encoding=3, text="128"),
    id3.TKEY(encoding=3, text="Am"),
    id3.TSRC(encoding=3, text="GBAYE0000351"),
    id3.TPUB(encoding=3, text="Label"),
    id3.TSOT(encoding=3, text="Senorita"),
    id3.TSOA(encoding=3, text="Album, An"),
    id3.TSOP(encoding=3, text="A, feat. B"),
    id3.TSO2(encoding=3, text="A"),
    id3.USLT(encoding=3, lang="eng", desc="", text="La la la"),
    id3.COMM(encoding=3, lang="eng", desc="", text="Nice"),
    id3.COMM(encoding=3, lang="eng", desc="iTunNORM", text="0000"),
    id3.UFID(owner="http://musicbrainz.org", data=UUID.encode()),
    free("ARTISTS", "A", "B"),
    free("CATALOGNUMBER", "CAT 1"),
    free("MusicBrainz Release Track Id", UUID2),
    free("MusicBrainz Album Id", UUID),
    free("MusicBrainz Release Group Id", UUID2),
    free("MusicBrainz Artist Id", UUID, UUID2),
    free("MusicBrainz Album Artist Id", UUID),
    free("REPLAYGAIN_TRACK_GAIN", "-7.10 dB"),
    free("replaygain_track_peak", "0.988"),
    free("REPLAYGAIN_ALBUM_GAIN", "0.00 dB"),
    free("REPLAYGAIN_ALBUM_PEAK", "1.000"),
)


@pytest.mark.parametrize(("version", "separator"), [(4, "/"), (3, "/"), (3, "; ")])
def test_what_picard_writes_is_read(tmp_path, version, separator):
    path = tagged(tmp_path, *PICARD, version=version, separator=separator)
    if version == 3:  # mutagen leaves out what 2.3 does not know; Picard writes it
        tags = ID3(path, translate=False)
        for frame in PICARD:
            if frame.FrameID in ("TSOT", "TSOA", "TSOP"):
                tags.add(frame)
        tags.save(path, v2_version=3, v23_sep=separator)
    track = read(path)
    assert track.title == "Señorita"
    assert track.artists == ["A", "B"]
    assert track.album_artists == ["A"]
    assert track.album == "An Album"
    assert (track.track_number, track.track_total) == (3, 12)
    assert (track.disc_number, track.disc_total) == (1, 2)
    assert (track.date, track.original_date) == ("2004-05-06", "1999")
    assert track.genres == ["Rock"]
    assert track.compilation
    assert track.composers == ["C"]
    assert (track.bpm, track.key) == (128, "Am")
    assert (track.isrc, track.label, track.catalog_number) == ("GBAYE0000351", "Label", "CAT 1")
    assert track.has_lyrics
    assert track.comment == "Nice"
    assert (track.replaygain_track_gain, track.replaygain_track_peak) == (-7.1, 0.988)
    assert (track.replaygain_album_gain, track.replaygain_album_peak) == (0, 1)
    assert (track.mb_recording_id, track.mb_track_id) == (UUID, UUID2)
    assert (track.mb_release_id, track.mb_release_group_id) == (UUID, UUID2)
    assert track.mb_artist_ids == [UUID, UUID2]
    assert track.mb_album_artist_ids == [UUID]
    assert (track.title_sort, track.album_sort) == ("Senorita", "Album, An")
    assert (track.artist_sorts, track.album_artist_sorts) == (["A, feat. B"], ["A"])
    assert track.codec == "mp3"


class TestArtists:
    def test_a_slash_in_a_name_splits_nothing(self, tmp_path):
        frames = id3.TPE1(encoding=3, text="AC/DC"), free("ARTISTS", "AC/DC")
        ids = free("MusicBrainz Artist Id", UUID)
        assert read(tagged(tmp_path, *frames, ids, version=3)).artists == ["AC/DC"]

    def test_joined_artists_stay_whole_where_the_ids_do_not_tell(self, tmp_path):
        frames = free("ARTISTS", "AC/DC", "Queen"), free("MusicBrainz Artist Id", UUID, UUID2)
        assert read(tagged(tmp_path, *frames, version=3)).artists == ["AC/DC/Queen"]

    def test_values_separated_by_zero_are_several(self, tmp_path):
        path = tagged(tmp_path, id3.TPE1(encoding=3, text=["A", "AC/DC", "A"]))
        assert read(path).artists == ["A", "AC/DC"]

    def test_credit_is_kept_where_the_artists_are_listed_beside_it(self, tmp_path):
        frames = id3.TPE1(encoding=3, text="A feat. B"), free("ARTISTS", "A", "B")
        track = read(tagged(tmp_path, *frames))
        assert (track.artists, track.artist_credit) == (["A", "B"], "A feat. B")

    def test_one_artist_needs_no_credit(self, tmp_path):
        frames = id3.TPE1(encoding=3, text="A"), free("ARTISTS", "A")
        assert read(tagged(tmp_path, *frames)).artist_credit is None

    def test_artists_without_the_list_are_as_credited(self, tmp_path):
        path = tagged(tmp_path, id3.TPE1(encoding=3, text="A feat. B"))
        assert read(path).artists == ["A feat. B"]


class TestDates:
    def test_year_and_day_of_version_3(self, tmp_path):
        frames = id3.TYER(encoding=0, text="2004"), id3.TDAT(encoding=0, text="0605")
        path = copy_of(tmp_path, "tone.mp3")
        tags = ID3()
        for frame in (*frames, id3.TORY(encoding=0, text="1999")):
            tags.add(frame)
        tags.save(path, v2_version=3)
        track = read(path)
        assert (track.date, track.original_date) == ("2004-05-06", "1999")

    def test_a_year_that_is_not_just_four_digits(self, tmp_path):
        path = copy_of(tmp_path, "tone.mp3")
        tags = ID3()
        tags.add(id3.TYER(encoding=0, text="(c) 2004"))
        tags.save(path, v2_version=3)
        assert read(path).date == "2004"

    @pytest.mark.parametrize(
        "text", ["05/06/2004", "06.05.2004", "May 2004", " 2004", "(2004)", "2004;2010", "c. 2004"]
    )
    @pytest.mark.parametrize("version", [3, 4])
    @pytest.mark.parametrize("name", [b"TDRC", b"TDRL", b"TYER", b"TRDA", b"TXXX"])
    def test_what_is_not_written_as_the_standard_has_it(self, tmp_path, name, version, text):
        """ID3v2.4.0-structure, section 4, wants ISO 8601; mutagen reads nothing else."""
        for encoding in (0, 3):
            description = b"RELEASEDATE\0" if name == b"TXXX" else b""
            frame = id3_frame(version, name, bytes([encoding]) + description + text.encode())
            path = tmp_path / "x.mp3"
            path.write_bytes(id3_tag(version, [frame]) + TEMPLATES["tone.mp3"].read_bytes())
            assert assert_same_both_ways(str(path))
            assert read(str(path)).date == "2004"

    def test_two_times_in_one_frame(self, tmp_path):
        path = copy_of(tmp_path, "tone.mp3")
        with open(path, "rb") as file:
            audio = file.read()
        with open(path, "wb") as file:
            file.write(id3_tag(4, [id3_frame(4, b"TDRC", b"\0\0002004-05\0002010")]) + audio)
        assert read(path).date == "2004-05"


def test_genre_numbers_are_resolved(tmp_path):
    assert read(tagged(tmp_path, id3.TCON(encoding=0, text="(17)"))).genres == ["Rock"]


def test_volume_adjustment_is_replaygain_where_no_other_is(tmp_path):
    track_volume = id3.RVA2(desc="track", channel=1, gain=-6.5, peak=0.75)
    album_volume = id3.RVA2(desc="Album", channel=1, gain=-5, peak=0.5)
    own = free("REPLAYGAIN_ALBUM_GAIN", "-3 dB")
    track = read(tagged(tmp_path, track_volume, album_volume, own))
    assert track.replaygain_track_gain == pytest.approx(-6.5, abs=0.01)
    assert track.replaygain_track_peak == pytest.approx(0.75, abs=0.001)
    assert track.replaygain_album_gain == -3


def test_a_described_comment_counts_where_no_plain_one_is(tmp_path):
    frame = id3.COMM(encoding=3, lang="eng", desc="ID3v1 Comment", text="first\nsecond")
    assert read(tagged(tmp_path, frame)).comment == "first\nsecond"


def test_empty_lyrics_are_no_lyrics(tmp_path):
    assert not read(tagged(tmp_path, id3.USLT(encoding=3, lang="eng", text=" \n"))).has_lyrics


def test_version_1_alone(tmp_path):
    path = copy_of(tmp_path, "tone.mp3")
    with open(path, "ab") as file:
        file.write(
            b"TAG" + b"A Title".ljust(30, b"\0") + b"An Artist".ljust(30) + b"An Album".ljust(30)
            + b"1999" + b"A comment".ljust(28, b"\0") + b"\0\x07" + bytes([17])
        )  # fmt: skip
    track = read(path)
    assert (track.title, track.artists, track.album) == ("A Title", ["An Artist"], "An Album")
    assert (track.date, track.track_number, track.genres) == ("1999", 7, ["Rock"])
    assert track.comment == "A comment"


class TestApeBesideId3:
    def test_it_fills_what_id3_does_not_say(self, tmp_path):
        path = tagged(tmp_path, id3.TIT2(encoding=3, text="From ID3"))
        tags = APEv2()
        tags["Title"] = "From APE"
        tags["REPLAYGAIN_TRACK_GAIN"] = "-4.2 dB"
        tags["Track"] = "4/9"
        tags.save(path)
        track = read(path)
        assert track.title == "From ID3"
        assert track.replaygain_track_gain == -4.2
        assert (track.track_number, track.track_total) == (4, 9)

    def test_it_comes_before_id3v1_which_cuts_its_texts(self, tmp_path):
        path = copy_of(tmp_path, "tone.mp3")
        tags = APEv2()
        tags["Title"] = "A title that is longer than thirty characters"
        tags.save(path)
        with open(path, "ab") as file:
            file.write(b"TAG" + b"A title that is longer than th" + b"\0" * 94 + b"\xff")
        assert read(path).title == "A title that is longer than thirty characters"


@pytest.mark.parametrize(
    ("template", "kind"), [("tone.wav", WAVE), ("tone.aiff", AIFF)], ids=["wav", "aiff"]
)
def test_wav_and_aiff_hold_id3_as_well(tmp_path, template, kind):
    path = copy_of(tmp_path, template)
    file = kind(path)
    file.add_tags()
    file.tags.add(id3.TIT2(encoding=3, text="Title"))
    file.save()
    assert read(path).title == "Title"


def test_an_aac_stream_may_begin_with_id3(tmp_path):
    path = copy_of(tmp_path, "tone.aac")
    tags = ID3()
    tags.add(id3.TIT2(encoding=3, text="Title"))
    tags.save(path)
    track = read(path)
    assert (track.title, track.codec) == ("Title", "aac")
