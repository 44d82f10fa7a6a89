"""The short ways through ordinary files give what mutagen's readers give, file by file."""

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend_worker.library.sample import make_library
from tests.unit.library.tags.files import TEMPLATES, assert_same_both_ways

SHORT = {"mp3", "flac", "m4a", "ogg", "opus", "aiff", "wav"}  # formats that have a short way


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch")


def test_the_sample_library_and_its_broken_files(tmp_path):
    make_library(str(tmp_path), tracks=400)
    files, short = Counter(), Counter()
    for folder, _, names in os.walk(tmp_path):
        for path in (os.path.join(folder, name) for name in names):
            if os.path.isfile(path):
                extension = path.rpartition(".")[2].lower()
                files[extension] += 1
                short[extension] += assert_same_both_ways(path)
    for extension in SHORT:
        assert short[extension] > 0.8 * files[extension] > 0, extension


@pytest.mark.parametrize("template", sorted(TEMPLATES))
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_files(scratch, template, data):
    content = bytearray(TEMPLATES[template].read_bytes())
    places = st.one_of(st.integers(0, 200), st.integers(0, len(content) - 1))
    for place, byte in data.draw(
        st.dictionaries(places, st.sampled_from([0, 1, 127, 128, 254, 255]), max_size=4)
    ).items():
        content[place] = byte
    del content[data.draw(st.one_of(st.just(len(content)), places)) :]
    path = scratch / template
    path.write_bytes(content)
    assert_same_both_ways(str(path))
