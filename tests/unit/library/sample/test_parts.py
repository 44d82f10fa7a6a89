"""The parts of the sample library: names, pictures, templates."""

import io
import os
import random
import unicodedata

import mutagen
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from backend_worker.library.sample import names, writer
from backend_worker.library.sample.catalogue import album_sizes, generated_album
from backend_worker.library.sample.pictures import picture
from backend_worker.library.sample.plan import FORMATS, file_name
from backend_worker.library.sample.specials import special_albums

MOODS = sorted({genre.mood for genre in names.GENRES})
SECONDS = {"tone": 1.2, "calm": 1.6, "drive": 1.0, "dark": 1.4}
SHORTENED = {"wav": 0.6, "aiff": 0.6, "alac": 0.8}


def folded(name):
    text = unicodedata.normalize("NFKD", name).casefold()
    return "".join(character for character in text if character.isalnum())


@given(seed=st.integers(0, 10_000))
def test_no_two_artists_of_a_seed_share_a_name(seed):
    people = [names.artist(seed, number).name for number in range(2000)]
    rng = random.Random(seed)
    people += {names.composer(rng) for _ in range(500)}
    assert len(set(map(folded, people))) == len(people)


def test_no_generated_artist_shares_a_name_with_a_special_one():
    generated = {folded(names.artist(1, number).name) for number in range(5000)}
    albums = special_albums(1, mislabelled=True, not_utf8=True)
    special = {folded(name) for album in albums for track in album.tracks for name in track.people}
    assert special
    assert generated.isdisjoint(special)


def test_every_genre_has_artists_of_every_script():
    seen = {(a.genre.name, a.script) for a in (names.artist(1, n) for n in range(1000))}
    assert len({genre for genre, _script in seen}) == len(names.GENRES) == 12
    assert {script for _genre, script in seen} == {"Latin", *names.SCRIPTS}


@given(seed=st.integers(0, 1000), tracks=st.integers(1, 3000))
def test_generated_albums_have_together_what_was_asked_for(seed, tracks):
    sizes = list(album_sizes(seed, tracks))
    assert sum(size for _number, size in sizes) == tracks
    assert all(8 <= size <= 12 for _number, size in sizes[:-1])
    assert [number for number, _size in sizes] == list(range(len(sizes)))


def test_no_two_generated_albums_share_artist_and_title():
    albums = [generated_album(3, number, 1) for number in range(3000)]
    assert len({folded(album.folder.rpartition(" (")[0]) for album in albums}) == 3000


@given(
    stem=st.text(st.characters(exclude_categories=["Cs"])), extension=st.sampled_from(["", ".mp3"])
)
def test_file_names_are_ones_that_linux_takes(stem, extension):
    name = file_name(stem, extension)
    assert 0 < len(name.encode()) <= 255
    assert not name.startswith(".")
    assert not {"/", "\0"} & set(name)


def test_a_long_title_is_cut_between_characters():
    assert file_name("海" * 100, ".ogg") == "海" * 66 + ".ogg"


@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp"])
def test_covers_are_small_pictures_that_differ(extension):
    covers = [picture(str(seed), extension) for seed in range(30)]
    assert len(set(covers)) == 30
    assert max(map(len, covers)) <= 10_000
    for cover in covers[:3]:
        with Image.open(io.BytesIO(cover)) as image:
            image.load()
            assert image.size == (300, 300)


def test_a_cover_is_the_same_when_made_again():
    first = picture("x", ".jpg")
    picture.cache_clear()
    assert picture("x", ".jpg") == first


@pytest.mark.parametrize("track_format", sorted(FORMATS))
@pytest.mark.parametrize("mood", MOODS)
def test_a_template_is_short_untagged_music(mood, track_format):
    content = writer.template(mood, track_format)
    audio = mutagen.File(io.BytesIO(content))
    assert not audio.tags
    assert not getattr(audio, "pictures", None)
    # encoders of MP3 and AAC add up to two frames of silence
    assert audio.info.length == pytest.approx(SHORTENED.get(track_format, SECONDS[mood]), abs=0.08)
    assert len(content) < 15_000


def test_nothing_lies_between_the_templates():
    expected = {mood + suffix for mood in SECONDS for suffix, _extension in FORMATS.values()}
    folder = os.path.join(os.path.dirname(writer.__file__), "templates")
    assert set(os.listdir(folder)) == expected
