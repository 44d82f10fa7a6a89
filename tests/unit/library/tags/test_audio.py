"""Duration, bit rate, sample rate, channels, bit depth and codec of real recordings."""

import struct
import wave

import pytest
from mutagen.flac import FLAC

from backend_worker.library.tags import UnreadableFile
from tests.unit.library.tags.files import copy_of, read


@pytest.mark.parametrize(
    ("template", "codec", "duration", "sample_rate", "channels", "bit_depth"),
    [
        ("tone.mp3", "mp3", 1.25, 22050, 1, None),
        ("tone.flac", "flac", 1.2, 8000, 1, 16),
        ("tone.ogg", "vorbis", 1.2, 16000, 1, None),
        ("tone.opus", "opus", 1.2, 48000, 1, None),
        ("tone-aac.m4a", "aac", 1.26, 16000, 2, None),
        ("tone-alac.m4a", "alac", 0.8, 8000, 1, 16),
        ("tone.wav", "pcm", 0.6, 8000, 1, 16),
        ("tone.aiff", "pcm", 0.6, 8000, 1, 16),
        ("tone.wma", "wma", 0.512, 8000, 1, None),
        ("tone.wv", "wavpack", 0.5, 8000, 1, 16),
        ("tone.tta", "tta", 0.5, 8000, 1, 16),
        ("tone.spx", "speex", 0.5, 8000, 1, None),
        ("tone.aac", "aac", 0.64, 8000, 1, None),
        ("tone.oga", "flac", 0.5, 8000, 1, 16),
    ],
)
def test_properties(tmp_path, template, codec, duration, sample_rate, channels, bit_depth):
    track = read(copy_of(tmp_path, template))
    assert track.codec == codec
    assert track.duration == pytest.approx(duration, abs=0.01)
    assert (track.sample_rate, track.channels) == (sample_rate, channels)
    assert track.bit_depth == bit_depth
    assert type(track.channels) is int  # mutagen says True for WavPack's one
    # headers weigh in so small a file, and some say the nominal rate
    whole = track.size * 8 / track.duration
    assert whole / 3 < track.bitrate < whole * 1.6


@pytest.mark.parametrize(
    ("template", "name", "codec"),
    [
        ("tone.mp3", "mislabelled.flac", "mp3"),
        ("tone.flac", "mislabelled.mp3", "flac"),
        ("tone.opus", "mislabelled.ogg", "opus"),
        ("tone-aac.m4a", "mislabelled.mp3", "aac"),
        ("tone.wav", "without extension", "pcm"),
        ("tone.wma", "UPPER.MP3", "wma"),
    ],
)
def test_the_content_decides_not_the_name(tmp_path, template, name, codec):
    assert read(copy_of(tmp_path, template, name)).codec == codec


def test_a_name_that_is_not_utf8(tmp_path):
    track = read(copy_of(tmp_path, "tone.mp3", "caf\udce9.mp3"))
    assert track.path.endswith("caf\udce9.mp3")
    assert track.codec == "mp3"


def test_junk_before_the_first_mp3_frame(tmp_path):
    path = tmp_path / "junk.mp3"
    with open(copy_of(tmp_path, "tone.mp3"), "rb") as file:
        path.write_bytes(b"\0" * 3000 + file.read())
    assert read(str(path)).duration == pytest.approx(1.25, abs=0.01)


def test_a_wav_that_was_cut_off_lasts_as_long_as_its_data(tmp_path):
    path = str(tmp_path / "cut.wav")
    with wave.open(path, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16_000))
    with open(path, "r+b") as file:
        file.seek(40)
        file.write(struct.pack("<I", 2**31))  # as from a program that writes to a pipe
    assert read(path).duration == pytest.approx(1, abs=0.01)


def test_a_flac_stream_of_unknown_length_has_no_duration(tmp_path):
    path = copy_of(tmp_path, "tone.flac")
    file = FLAC(path)
    file.info.total_samples = 0
    file.save()
    track = read(path)
    assert (track.codec, track.duration) == ("flac", None)


class TestWithoutAudio:
    def test_a_flac_file_of_nothing_but_its_header(self, tmp_path):
        path = copy_of(tmp_path, "tone.flac")
        audio_size = _flac_audio_size(path)
        _cut(path, -audio_size)
        with pytest.raises(UnreadableFile, match="truncated: its header promises 1 s"):
            read(path)

    def test_an_mp3_whose_header_promises_more(self, tmp_path):
        path = copy_of(tmp_path, "tone.mp3")
        with open(path, "r+b") as file:
            data = bytearray(file.read())
            tag = data.index(b"Xing") if b"Xing" in data else data.index(b"Info")
            data[tag + 8 : tag + 12] = struct.pack(">I", 20_000)  # frames
            file.seek(0)
            file.write(data)
        with pytest.raises(UnreadableFile, match="truncated: its header promises"):
            read(path)

    def test_a_wav_file_without_samples(self, tmp_path):
        path = str(tmp_path / "empty.wav")
        with wave.open(path, "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
        with pytest.raises(UnreadableFile, match="holds no audio"):
            read(path)


def _flac_audio_size(path):
    file = FLAC(path)
    return round(file.info.bitrate * file.info.length / 8)


def _cut(path, size):
    with open(path, "r+b") as file:
        file.seek(0, 2)
        file.truncate(file.tell() + size)
