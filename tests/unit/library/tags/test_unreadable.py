"""What cannot be read says why, in a sentence, and never raises anything else."""

import base64
import gzip
import io
import os
import random
import signal
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend_worker.library.tags import UnreadableFile
from tests.unit.library.tags.files import TEMPLATES, assert_clean_or_unreadable, copy_of, read


def reason_for(path):
    with pytest.raises(UnreadableFile) as caught:
        read(str(path))
    return str(caught.value)


def write(folder, name, data):
    path = folder / name
    path.write_bytes(data)
    return path


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x", "x" * 100)
    return buffer.getvalue()


PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"\xff\xd8\xff\xe0" + bytes(500), "not an audio file: it begins with a JPEG picture"),
        (PNG, "not an audio file: it begins with a PNG picture"),
        (b"\r\n<!DOCTYPE HTML><p>404", "not an audio file: it begins with an HTML page"),
        (zipped(), "not an audio file: it begins with a zip archive"),
        (gzip.compress(b"x", mtime=0), "not an audio file: it begins with gzip-compressed data"),
        (b"RIFF\0\0\0\0AVI LIST", "not an audio file: it begins with an AVI video"),
        (
            b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X",
            "not an audio file: it begins with the resource fork that macOS keeps beside a file",
        ),
        (b"MThd\0\0\0\6", "no reader for this format: MIDI"),
        (b"RF64\xff\xff\xff\xffWAVE", "damaged: the RF64 file has no format or no data"),
    ],
)
@pytest.mark.parametrize("name", ["x.mp3", "x.flac"])
def test_the_reason_says_what_the_file_is(tmp_path, name, data, reason):
    assert reason_for(write(tmp_path, name, data)) == reason


@pytest.mark.parametrize("name", ["x.mp3", "x.flac"])
def test_a_file_of_zeros_as_a_power_cut_leaves_it(tmp_path, name):
    path = write(tmp_path, name, bytes(100_000))
    assert reason_for(path) == "damaged: it begins with nothing but zero bytes"


def test_text_is_no_audio(tmp_path):
    path = write(tmp_path, "x.ogg", b"Dear diary, ...")
    assert reason_for(path) == "not an audio file: its content is of no known kind"


def test_an_mp3_without_a_frame(tmp_path):
    noise = random.Random(7).randbytes(50_000).replace(b"\xff", b"\0")
    assert "can't sync to MPEG frame" in reason_for(write(tmp_path, "x.mp3", noise))


def test_an_mp3_that_ends_within_its_tag(tmp_path):
    path = write(tmp_path, "x.mp3", b"ID3\x04\0\0\0\0\x7f\x7f" + bytes(500))
    assert reason_for(path) == "truncated: it ends within its ID3 tag"


@pytest.mark.parametrize(
    ("template", "size"),
    [("tone.ogg", 60), ("tone.flac", 30), ("tone-aac.m4a", 100), ("tone.wma", 100)],
)
def test_a_file_cut_within_its_header(tmp_path, template, size):
    path = copy_of(tmp_path, template)
    os.truncate(path, size)
    reason = reason_for(path)
    assert reason.startswith(("truncated: ", "damaged: "))
    assert str(tmp_path) not in reason


class TestSystem:
    def test_a_vanished_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            read_absent(tmp_path / "gone.mp3")

    def test_a_folder_that_became_a_file(self, tmp_path):
        write(tmp_path, "folder", b"x")
        with pytest.raises(FileNotFoundError):
            read_absent(tmp_path / "folder" / "x.mp3")

    def test_a_folder(self, tmp_path):
        with pytest.raises(UnreadableFile, match=r"^cannot be read: Is a directory$"):
            read_absent(tmp_path)

    def test_a_disk_error(self):
        # reading page 0 of a process' memory gives EIO, as a failing disk does
        with pytest.raises(UnreadableFile, match=r"^cannot be read: Input/output error$"):
            read_absent("/proc/self/mem")

    def test_a_time_limit_passes_through(self, tmp_path):
        """An exception from a signal handler is not taken for the file's fault."""

        class TooLongError(Exception):
            pass

        def on_alarm(_signal, _frame):
            raise TooLongError

        # ID3v2.2 of empty frames: mutagen copies what is left of the tag for each of them.
        size, audio = 6 * 300_000, TEMPLATES["tone.mp3"].read_bytes()
        header = b"ID3\2\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
        path = write(tmp_path, "x.mp3", header + b"TT2\0\0\0" * 300_000 + audio)
        previous = signal.signal(signal.SIGALRM, on_alarm)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            with pytest.raises(TooLongError):
                read(str(path))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)


def read_absent(path):
    from backend_worker.library.tags import read_track

    return read_track(str(path), 1000, 0, store_picture=lambda _data: "")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged")


@pytest.mark.parametrize("template", sorted(TEMPLATES))
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_file_gives_a_clean_record_or_a_reason(scratch, template, data):
    content = bytearray(TEMPLATES[template].read_bytes())
    places = st.one_of(st.integers(0, 200), st.integers(0, len(content) - 1))
    for place, byte in data.draw(
        st.dictionaries(places, st.sampled_from([0, 1, 127, 128, 254, 255]), max_size=8)
    ).items():
        content[place] = byte
    del content[data.draw(st.one_of(st.just(len(content)), places)) :]
    path = write(scratch, template, bytes(content))
    assert_clean_or_unreadable(str(path))
