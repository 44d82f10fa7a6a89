import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend_worker.library import names
from backend_worker.library.names import (
    credit,
    featured_in_title,
    normalise,
    split_artists,
    split_as,
)

SAME = [
    ("The Beatles", "Beatles, The", "THE  BEATLES", "beatles"),
    ("Björk", "BJÖRK", "Bjork", "Bjo\u0308rk"),
    ("Røyksopp", "Royksopp"),
    ("Σίσυφος", "ΣΙΣΥΦΟΣ"),
    ("Straße", "STRASSE"),
    ("İstanbul", "istanbul"),
    ("AC/DC", "AC-DC", "AC DC"),
    ("R.E.M.", "REM", "R.E.M"),
    ("Dr. Dre", "Dr.Dre"),
    ("Guns N' Roses", "Guns N\u2019 Roses"),
    ("Simon & Garfunkel", "Simon and Garfunkel", "Simon&Garfunkel"),
    ("Florence + the Machine", "Florence and The Machine"),
    ("Panic! at the Disco", "Panic at the Disco"),
    ("Sunn O)))", "Sunn O"),
    ("\uff21\uff22\uff22\uff21", "ABBA"),
    ("ｶﾞ", "ガ"),
    ("One\u00a0Word", "One Word", "One\u200b Word"),
    ("Soft\u00adHyphen", "SoftHyphen"),
    ("-", "\N{MINUS SIGN}", "\N{EN DASH}"),
]
DIFFERENT = [
    ("か", "が"),
    ("ハ", "パ"),
    ("и", "й"),
    ("\u0435", "\u0451"),
    ("क", "कि", "की"),
    ("กา", "ก่า"),
    ("كتب", "كَتَبَ"),
    ("שלום", "שָׁלוֹם"),
    ("!!!", "!", "?", "★"),
    ("+", "\N{MULTIPLICATION SIGN}", "÷", "="),
    ("The", "The Band"),
    ("Tyler, The Creator", "Tyler"),
    ("A$AP", "AAP"),
    ("Blackbird", "Black Bird"),
]


@pytest.mark.parametrize("spellings", SAME)
def test_spellings_of_one_name_have_one_key(spellings):
    assert len({normalise(name) for name in spellings}) == 1


@pytest.mark.parametrize("different", DIFFERENT)
def test_different_names_have_different_keys(different):
    assert len({normalise(name) for name in different}) == len(different)


def test_keys_are_readable():
    assert normalise("The Rolling Stones") == "rolling stones"
    assert normalise("The The") == "the"
    assert normalise("!!!") == "!!!"
    assert normalise("  ") == ""


any_text = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.sampled_from("aAéñ\u0308\u3099\u05b0'\u2019&+.,() /かβйก\ufe0f\u200dŉ¨ßİ"),
    max_size=20,
)


@given(any_text)
def test_normalising_twice_changes_nothing(name):
    assert normalise(normalise(name)) == normalise(name)


@given(any_text)
def test_only_a_blank_name_has_no_key(name):
    assert (normalise(name) == "") == (name.strip() == "")


@given(any_text)
def test_case_and_unicode_form_do_not_matter(name):
    import unicodedata

    decomposed = unicodedata.normalize("NFD", name)
    assert normalise(decomposed) == normalise(unicodedata.normalize("NFC", name))


@given(st.text(st.sampled_from(string.printable), max_size=20))
def test_ascii_case_does_not_matter(name):
    assert normalise(name.upper()) == normalise(name.lower())


@given(st.text(max_size=20))
def test_a_key_can_be_stored(name):
    key = normalise(name)
    assert "\0" not in key
    key.encode("utf-8")


@pytest.mark.parametrize(
    "name", ["AC/DC", "Simon & Garfunkel", "Earth, Wind & Fire", "Tyler, The Creator",
             "Crosby, Stills, Nash & Young", "Little Feat", "Little Feat & Friends", "!!!",
             "Defeat the Low", "Simon &amp; Garfunkel", "Daft Punk", "Featuring", "VS", ";"],
)  # fmt: skip
def test_one_artist_stays_one(name):
    assert split_artists([name]) == [name]


@pytest.mark.parametrize(
    ("values", "artists"),
    [
        (["A", "B"], ["A", "B"]),
        (["A feat. B"], ["A", "B"]),
        (["A Feat B"], ["A", "B"]),
        (["A ft. B"], ["A", "B"]),
        (["A featuring B"], ["A", "B"]),
        (["A (feat. B)"], ["A", "B"]),
        (["A [Ft. B]"], ["A", "B"]),
        (["A (feat. B) & C"], ["A & C", "B"]),
        (["A; B;C"], ["A", "B", "C"]),
        (["A / B"], ["A", "B"]),
        (["A vs. B"], ["A", "B"]),
        (["A vs B"], ["A", "B"]),
        (["A feat. B; C"], ["A", "B", "C"]),
        (["A feat. B", "C"], ["A", "C", "B"]),
        (["Little Feat feat. Bonnie Raitt"], ["Little Feat", "Bonnie Raitt"]),
        (["A feat. Tyler, The Creator"], ["A", "Tyler, The Creator"]),
        (["(feat. B)"], ["B"]),
        (["The A", "B", "a"], ["The A", "B"]),
        (["A;", ""], ["A"]),
        ([], []),
    ],
)
def test_artists_of_a_tag(values, artists):
    assert split_artists(values) == artists


@given(st.lists(st.text(st.sampled_from("aAbB ;/&,.feat()[]"), max_size=15), max_size=5))
def test_split_artists_are_each_once_and_stay_split(values):
    artists = split_artists(values)
    keys = [normalise(artist) for artist in artists]
    assert len(set(keys)) == len(keys)
    assert all(artist.strip() for artist in artists)
    assert bool(artists) == any(value.strip() for value in values)


def test_a_tag_of_absurd_length_is_not_taken_apart():
    text = "; ".join(["A"] * 100_000) + " " * 100_000 + "x"
    assert len(split_artists([text])) == 1
    assert featured_in_title(text) == []


@pytest.mark.parametrize(
    ("values", "count", "artists"),
    [
        (["A & B"], 2, ["A", "B"]),
        (["Earth, Wind & Fire"], 1, ["Earth, Wind & Fire"]),
        (["A, B & C"], 3, ["A", "B", "C"]),
        (["A feat. B"], 2, ["A", "B"]),
        (["A feat. B & C"], 3, ["A", "B", "C"]),
        (["A / B"], 1, ["A / B"]),
        (["A / B", "C"], 2, ["A / B", "C"]),
        (["A feat. B"], 1, None),
        (["A"], 2, None),
        ([], 1, None),
    ],
)
def test_the_number_of_ids_tells_the_number_of_artists(values, count, artists):
    assert split_as(values, count) == artists


@pytest.mark.parametrize(
    ("title", "artists"),
    [
        ("Song (feat. B)", ["B"]),
        ("Song [Ft. B] (Remix)", ["B"]),
        ("Song (Remix featuring B)", ["B"]),
        ("Song (feat. B; C)", ["B", "C"]),
        ("Song feat. B (Live)", ["B"]),
        ("Song feat. B - Live", ["B"]),
        ("Song ft. B", ["B"]),
        ("Song (feat. B) [Live]", ["B"]),
        ("Song (prod. C) (feat. B)", ["B"]),
        ("Song (featuring. B)", ["B"]),
        ("Song - feat. B", ["B"]),
        ("Song(feat.B)", ["B"]),
        ("Song \uff08feat. B\uff09", ["B"]),
        ("Song (feat. The Ten)", ["The Ten"]),
        ("Song (Live ft. B)", ["B"]),
        ("Impossible (A Feat of Engineering)", []),
        ("Tall (Ten Ft. Version)", []),
        ("Song (Six Ft. Deep Mix)", []),
        ("Song (20 ft. Wall Mix)", []),
        ("Song (The Feat to Come)", []),
        ("Song (No Small Feat)", []),
        ("No Small Feat", []),
        ("Feat of Strength", []),
        ("20 Ft. High", []),
        ("Song 20 ft. High", []),
        ("Six Ft. Deep", []),
        ("100 ft. Tall", []),
        ("Little Feat Blues", []),
        ("Defeat", []),
        ("Song", []),
        ("", []),
    ],
)
def test_guests_of_a_title(title, artists):
    assert featured_in_title(title) == artists


def test_credit():
    assert credit(["A feat. B"]) == "A feat. B"
    assert credit(["A", "B"]) == "A & B"
    assert credit(["A", "B", "C"]) == "A, B & C"
    assert credit([]) == ""


def test_several_artists_in_many_languages():
    for name in ("Various Artists", "VA", "V.A.", "various", "Verschiedene Interpreten", "群星"):
        assert names.are_various([name]), name
    assert not names.are_various(["Various", "Queen"])
    assert not names.are_various(["Varius Manx"])
