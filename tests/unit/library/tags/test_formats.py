"""Vorbis comments, MP4, ASF, APEv2 and RIFF INFO: the same facts in each tag format."""

import struct

import pytest
from mutagen.asf import ASF
from mutagen.dsf import DSF
from mutagen.flac import FLAC
from mutagen.id3 import TIT2
from mutagen.monkeysaudio import MonkeysAudio
from mutagen.mp4 import MP4
from mutagen.oggflac import OggFLAC
from mutagen.oggopus import OggOpus
from mutagen.oggspeex import OggSpeex
from mutagen.oggvorbis import OggVorbis
from mutagen.trueaudio import TrueAudio
from mutagen.wavpack import WavPack

from tests.unit.library.tags.files import UUID, UUID2, copy_of, read

ITUNES = "----:com.apple.iTunes:"


def assert_all_facts(track):
    assert track.title == "Señorita"
    assert track.artists == ["A", "B"]
    assert track.album_artists == ["A"]
    assert track.album == "An Album"
    assert (track.track_number, track.track_total) == (3, 12)
    assert (track.disc_number, track.disc_total) == (1, 2)
    assert (track.date, track.original_date) == ("2004-05-06", "1999-01")
    assert track.genres == ["Rock", "AC/DC-like"]
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


VORBIS = {
    "TITLE": "Señorita",
    "ARTIST": "A feat. B",
    "ARTISTS": ["A", "B"],
    "ALBUMARTIST": "A",
    "ALBUM": "An Album",
    "TRACKNUMBER": "3",
    "TRACKTOTAL": "12",
    "DISCNUMBER": "1",
    "TOTALDISCS": "2",
    "DATE": "2004-05-06",
    "ORIGINALDATE": "1999-01",
    "GENRE": ["Rock", "AC/DC-like"],
    "COMPILATION": "1",
    "COMPOSER": "C",
    "BPM": "128",
    "KEY": "Am",
    "ISRC": "GB-AYE-00-00351",
    "LABEL": "Label",
    "CATALOGNUMBER": "CAT 1",
    "LYRICS": "La la la",
    "COMMENT": "Nice",
    "REPLAYGAIN_TRACK_GAIN": "-7.10 dB",
    "REPLAYGAIN_TRACK_PEAK": "0.988",
    "REPLAYGAIN_ALBUM_GAIN": "0.00 dB",
    "REPLAYGAIN_ALBUM_PEAK": "1.000",
    "MUSICBRAINZ_TRACKID": UUID,
    "MUSICBRAINZ_RELEASETRACKID": UUID2,
    "MUSICBRAINZ_ALBUMID": UUID.upper(),
    "MUSICBRAINZ_RELEASEGROUPID": UUID2,
    "MUSICBRAINZ_ARTISTID": [UUID, UUID2],
    "MUSICBRAINZ_ALBUMARTISTID": UUID,
    "TITLESORT": "Senorita",
    "ALBUMSORT": "Album, An",
    "ARTISTSORT": "A, feat. B",
    "ALBUMARTISTSORT": "A",
}


class TestVorbisComments:
    @pytest.mark.parametrize(
        ("template", "kind", "codec"),
        [
            ("tone.flac", FLAC, "flac"),
            ("tone.ogg", OggVorbis, "vorbis"),
            ("tone.opus", OggOpus, "opus"),
            ("tone.spx", OggSpeex, "speex"),
            ("tone.oga", OggFLAC, "flac"),
        ],
    )
    def test_what_picard_writes_is_read(self, tmp_path, template, kind, codec):
        path = copy_of(tmp_path, template)
        file = kind(path)
        file.update(VORBIS)
        file.save()
        track = read(path)
        assert_all_facts(track)
        assert track.codec == codec

    def tagged(self, folder, **comments):
        path = copy_of(folder, "tone.opus")
        file = OggOpus(path)
        file.update(comments)
        file.save()
        return read(path)

    def test_names_are_spelled_in_many_ways(self, tmp_path):
        track = self.tagged(
            tmp_path,
            **{"album artist": "A", "Year": "1999", "tracknumber": "3/12", "PUBLISHER": "Label"},
        )
        assert track.album_artists == ["A"]
        assert (track.date, track.label) == ("1999", "Label")
        assert (track.track_number, track.track_total) == (3, 12)

    def test_opus_gain_becomes_replaygain(self, tmp_path):
        # Q7.8 dB to -23 LUFS (RFC 7845); ReplayGain's -18 LUFS are 5 dB more
        track = self.tagged(tmp_path, R128_TRACK_GAIN="-573", R128_ALBUM_GAIN="256")
        assert track.replaygain_track_gain == pytest.approx(-573 / 256 + 5, abs=1e-6)
        assert track.replaygain_album_gain == 6

    def test_what_makes_no_sense_is_absent(self, tmp_path):
        track = self.tagged(
            tmp_path,
            DATE="0000",
            TRACKNUMBER="A1",
            BPM="0",
            REPLAYGAIN_TRACK_GAIN="nan dB",
            MUSICBRAINZ_TRACKID="none",
            TITLE=" \t ",
            COMPILATION="0",
        )
        assert track.title is None
        assert track.date is None
        assert track.track_number is None
        assert track.bpm is None
        assert track.replaygain_track_gain is None
        assert track.mb_recording_id is None
        assert not track.compilation


MP4_TAGS = {
    "\xa9nam": "Señorita",
    "\xa9ART": "A feat. B",
    "aART": "A",
    "\xa9alb": "An Album",
    "trkn": [(3, 12)],
    "disk": [(1, 2)],
    "\xa9day": "2004-05-06",
    "\xa9gen": ["Rock", "AC/DC-like"],
    "cpil": True,
    "\xa9wrt": "C",
    "tmpo": [128],
    "\xa9lyr": "La la la",
    "\xa9cmt": "Nice",
    "sonm": "Senorita",
    "soal": "Album, An",
    "soar": "A, feat. B",
    "soaa": "A",
}
MP4_FREE = {
    "ARTISTS": ["A", "B"],
    "originaldate": ["1999-01"],
    "initialkey": ["Am"],
    "ISRC": ["GBAYE0000351"],
    "LABEL": ["Label"],
    "CATALOGNUMBER": ["CAT 1"],
    "replaygain_track_gain": ["-7.10 dB"],
    "replaygain_track_peak": ["0.988"],
    "replaygain_album_gain": ["0.00 dB"],
    "replaygain_album_peak": ["1.0"],
    "MusicBrainz Track Id": [UUID],
    "MusicBrainz Release Track Id": [UUID2],
    "MusicBrainz Album Id": [UUID],
    "MusicBrainz Release Group Id": [UUID2],
    "MusicBrainz Artist Id": [UUID, UUID2],
    "MusicBrainz Album Artist Id": [UUID],
}


@pytest.mark.parametrize(
    ("template", "codec"), [("tone-aac.m4a", "aac"), ("tone-alac.m4a", "alac")]
)
def test_mp4(tmp_path, template, codec):
    path = copy_of(tmp_path, template)
    file = MP4(path)
    file.update(MP4_TAGS)
    for name, values in MP4_FREE.items():
        file[ITUNES + name] = [value.encode() for value in values]
    file.save()
    track = read(path)
    assert_all_facts(track)
    assert track.codec == codec


def test_mp4_with_a_chapter_whose_title_is_damaged(tmp_path):
    path = copy_of(tmp_path, "tone-aac.m4a")
    title = b"\xff\xfe"
    data = bytes(8) + b"\1" + bytes(8) + bytes([len(title)]) + title
    udta = atom(b"udta", atom(b"chpl", data))
    with open(path, "r+b") as file:
        content = file.read().replace(b"udta", b"free")
        start = content.index(b"moov") - 4
        end = start + int.from_bytes(content[start : start + 4], "big")
        file.seek(0)
        file.write(content[:start] + atom(b"moov", content[start + 8 : end] + udta))
        file.write(content[end:])
    assert read(path).codec == "aac"


def atom(name, content):
    return struct.pack(">I4s", 8 + len(content), name) + content


def test_mp4_without_numbers(tmp_path):
    path = copy_of(tmp_path, "tone-aac.m4a")
    file = MP4(path)
    file.update({"trkn": [(0, 0)], "cpil": False, "tmpo": [0]})
    file.save()
    track = read(path)
    assert (track.track_number, track.track_total) == (None, None)
    assert not track.compilation
    assert track.bpm is None


def test_asf(tmp_path):
    path = copy_of(tmp_path, "tone.wma")
    file = ASF(path)
    file.update(
        {
            "Title": "Señorita",
            "Author": "A feat. B",
            "WM/ARTISTS": ["A", "B"],
            "WM/AlbumArtist": "A",
            "WM/AlbumTitle": "An Album",
            "WM/TrackNumber": "3/12",
            "WM/PartOfSet": "1/2",
            "WM/Year": "2004-05-06",
            "WM/OriginalReleaseTime": "1999-01",
            "WM/OriginalReleaseYear": "1999",
            "WM/Genre": ["Rock", "AC/DC-like"],
            "WM/IsCompilation": True,
            "WM/Composer": "C",
            "WM/BeatsPerMinute": "128",
            "WM/InitialKey": "Am",
            "WM/ISRC": "GBAYE0000351",
            "WM/Publisher": "Label",
            "WM/CatalogNo": "CAT 1",
            "WM/Lyrics": "La la la",
            "Description": "Nice",
            "REPLAYGAIN_TRACK_GAIN": "-7.10 dB",
            "REPLAYGAIN_TRACK_PEAK": "0.988",
            "replaygain_album_gain": "0.00 dB",
            "replaygain_album_peak": "1.0",
            "MusicBrainz/Track Id": UUID,
            "MusicBrainz/Release Track Id": UUID2,
            "MusicBrainz/Album Id": UUID,
            "MusicBrainz/Release Group Id": UUID2,
            "MusicBrainz/Artist Id": [UUID, UUID2],
            "MusicBrainz/Album Artist Id": UUID,
            "WM/TitleSortOrder": "Senorita",
            "WM/AlbumSortOrder": "Album, An",
            "WM/ArtistSortOrder": "A, feat. B",
            "WM/AlbumArtistSortOrder": "A",
        }
    )
    file.save()
    track = read(path)
    assert_all_facts(track)
    assert track.codec == "wma"


@pytest.mark.parametrize("name", ["Year", "RELEASE DATE", "ReleaseTime", "record_date"])
def test_the_date_under_the_names_that_programs_write(tmp_path, name):
    flac = FLAC(copy_of(tmp_path, "tone.flac"))
    mp4 = MP4(copy_of(tmp_path, "tone-aac.m4a"))
    asf = ASF(copy_of(tmp_path, "tone.wma"))
    for file, prefix, best in ((flac, "", "DATE"), (mp4, ITUNES, "\xa9day"), (asf, "", "WM/Year")):
        file[prefix + name] = [b"31.05.2004"] if file is mp4 else "31.05.2004"
        file.save()
        assert read(file.filename).date == "2004-05-31"
        file[best] = "1999"
        file.save()
        assert read(file.filename).date == "1999"


@pytest.mark.parametrize(
    ("values", "position"),
    [
        ({"TRACK": "3", "TRACKNUMBER": "3/12"}, (3, 12)),
        ({"TRACKNUMBER": "3", "TRACK": "03/12"}, (3, 12)),
        ({"TRACK": "3/12", "TRACKNUMBER": "3"}, (3, 12)),
        ({"TRACKNUMBER": ["3", "3/12"]}, (3, 12)),
        ({"TRACK": "3", "TRACKNUMBER": "4/12"}, (3, None)),
        ({"TRACK": "0/12", "TRACKNUMBER": "3"}, (3, 12)),
        ({"TRACK": "A", "TRACKNUMBER": "3/12"}, (3, 12)),
        ({"TRACK": "3/10", "TRACKTOTAL": "12"}, (3, 10)),
        ({"TRACK": "3", "TRACKNUMBER": "3", "TOTALTRACKS": "12"}, (3, 12)),
    ],
)
def test_the_number_under_two_names(tmp_path, values, position):
    flac = FLAC(copy_of(tmp_path, "tone.flac"))
    flac.update(values)
    flac.update({name.replace("TRACK", "DISC"): value for name, value in values.items()})
    mp4 = MP4(copy_of(tmp_path, "tone-aac.m4a"))
    for name, value in values.items():
        texts = value if isinstance(value, list) else [value]
        mp4[ITUNES + name] = [text.encode() for text in texts]
    for file in (flac, mp4):
        file.save()
        track = read(file.filename)
        assert (track.track_number, track.track_total) == position
    track = read(flac.filename)
    if "TOTALTRACKS" not in values:  # of discs it is TOTALDISCS
        assert (track.disc_number, track.disc_total) == position


def test_asf_old_track_number_counts_from_zero(tmp_path):
    path = copy_of(tmp_path, "tone.wma")
    file = ASF(path)
    file["WM/Track"] = 2
    file.save()
    assert read(path).track_number == 3


APE = VORBIS | {"TRACKNUMBER": [], "TRACKTOTAL": [], "DISCNUMBER": [], "TOTALDISCS": [], "DATE": []}
APE = {name.title(): value for name, value in APE.items() if value} | {
    "Album Artist": "A",
    "Track": "3/12",
    "Disc": "1/2",
    "Year": "2004-05-06",
}
del APE["Albumartist"]


def monkeys_audio_header():
    """A Monkey's Audio header of version 3.99 for half a second of CD sound, without audio."""
    frames, samples_per_frame, last_frame = 1, 73728, 22050
    fields = struct.pack("<IIIHHI", samples_per_frame, last_frame, frames, 16, 2, 44100)
    return (b"MAC " + struct.pack("<H", 3990)).ljust(56, b"\0") + fields.ljust(200, b"\0")


class TestApe:
    @pytest.mark.parametrize(("name", "kind"), [("tone.wv", WavPack), ("x.ape", MonkeysAudio)])
    def test_what_picard_writes_is_read(self, tmp_path, name, kind):
        path = str(tmp_path / name)
        if name == "tone.wv":
            copy_of(tmp_path, name)
        else:
            (tmp_path / name).write_bytes(monkeys_audio_header())
        file = kind(path)
        file.add_tags()
        file.tags.update(APE)
        file.save()
        assert_all_facts(read(path))


def test_true_audio_with_id3(tmp_path):
    path = copy_of(tmp_path, "tone.tta")
    file = TrueAudio(path)
    file.add_tags()
    file.tags.add(TIT2(encoding=3, text="Title"))
    file.save()
    track = read(path)
    assert (track.title, track.codec, track.bit_depth, track.channels) == ("Title", "tta", 16, 1)


def test_dsd_stream_file_with_id3(tmp_path):
    path = tmp_path / "x.dsf"
    audio = bytes(2 * 4096)
    chunks = struct.pack("<4sQIIIIIIQII", b"fmt ", 52, 1, 0, 2, 2, 2822400, 1, 4096 * 8, 4096, 0)
    chunks += struct.pack("<4sQ", b"data", 12 + len(audio)) + audio
    path.write_bytes(struct.pack("<4sQQQ", b"DSD ", 28, 28 + len(chunks), 0) + chunks)
    file = DSF(path)
    file.add_tags()
    file.tags.add(TIT2(encoding=3, text="Title"))
    file.save()
    track = read(str(path))
    assert (track.title, track.codec, track.bit_depth) == ("Title", "dsd", 1)
    assert (track.sample_rate, track.channels, track.duration) == (2822400, 2, 0.012)


class TestRiffInfo:
    def with_info(self, folder, texts):
        path = copy_of(folder, "tone.wav")
        parts = b"".join(
            name + struct.pack("<I", len(text)) + text + b"\0" * (len(text) % 2)
            for name, text in texts.items()
        )
        chunk = b"LIST" + struct.pack("<I", 4 + len(parts)) + b"INFO" + parts
        with open(path, "r+b") as file:
            data = file.read() + chunk
            file.seek(0)
            file.write(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
        return read(path)

    def test_it_is_read_where_there_is_no_id3(self, tmp_path):
        track = self.with_info(
            tmp_path,
            {
                b"INAM": "Señorita\0".encode(),
                b"IART": "Björk".encode("cp1252"),
                b"IPRD": b"An Album",
                b"ICRD": b"1999-05",
                b"IPRT": b"3/12",
                b"IGNR": b"Rock",
            },
        )
        assert (track.title, track.artists, track.album) == ("Señorita", ["Björk"], "An Album")
        assert (track.date, track.genres) == ("1999-05", ["Rock"])
        assert (track.track_number, track.track_total) == (3, 12)

    def test_a_list_that_promises_too_much_is_read_as_far_as_it_goes(self, tmp_path):
        path = copy_of(tmp_path, "tone.wav")
        with open(path, "ab") as file:
            file.write(b"LIST" + struct.pack("<I", 2**32 - 1) + b"INFO")
            file.write(b"INAM" + struct.pack("<I", 2**32 - 1) + b"Title")
        assert read(path).codec == "pcm"
