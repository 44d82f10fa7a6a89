"""Names: what makes two spellings the same, artists within a tag.

Everything here looks at one name alone, so the result never depends on what else is in the
library.
"""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

VARIOUS_ARTISTS = "Various Artists"
# MusicBrainz' own artist for it, https://musicbrainz.org/doc/Style/Unknown_and_untitled/Special_purpose_artist
VARIOUS_ARTISTS_MBID = "89ad4ac3-39f7-470e-963a-56509c546377"

# Bytes of one part of a key; a B-tree of PostgreSQL takes entries of 2,704 bytes at most.
LONGEST_KEY_PART = 800
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# A longer text is no list of names, and splitting takes quadratic time in the worst case.
LONGEST_LIST = 1000

# Letters that Unicode does not decompose, as PostgreSQL's unaccent (the search) folds them.
_LETTERS = str.maketrans(
    {
        "æ": "ae",
        "œ": "oe",
        "ø": "o",
        "ð": "d",
        "đ": "d",
        "þ": "th",
        "ħ": "h",
        "\N{LATIN SMALL LETTER DOTLESS I}": "i",
        "ĸ": "k",
        "ł": "l",
        "ŋ": "n",
        "ŧ": "t",
    }
)
# Apostrophes, primes and the letters that stand for them, in "Don't" or Hawaiian names.
_APOSTROPHES = frozenset("'`\u00b4\u02b9\u02bb\u02bc\u02bd\u02c8\u2018\u2019\u201a\u201b\u2032")
_MINUS = "\N{MINUS SIGN}"
# "Florence + the Machine" is "Florence & the Machine"; "+44" is no "and".
_LONE_PLUS = re.compile(r"(?<=\s)\+(?=\s)")
# "R.E.M." is "REM"; "will.i.am" is "will i am".
_ABBREVIATION = re.compile(r"(?<!\w)(\w)\.(?=\w(?!\w))")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@functools.lru_cache(maxsize=8192)
def normalise(name: str) -> str:
    """Return the key under which spellings of one name are the same.

    Case, Latin and Greek accents, punctuation, spaces and width are folded, "&" is "and", a
    leading "The" or a final ", The" is ignored. Marks of other scripts stay: they make other
    letters (か and が, и and й). A name without letters and digits ("!!!") keeps its signs.
    The function is idempotent; only a blank name gives the empty string.
    """
    text = _decompose(name).replace("&", " and ")
    text = _ABBREVIATION.sub(r"\1", _LONE_PLUS.sub(" and ", text))
    head, comma, tail = text.rpartition(",")
    words = (_words(head) if comma and tail.strip() == "the" else None) or _words(text)
    while len(words) > 1 and words[0] == "the":
        del words[0]
    return unicodedata.normalize("NFC", " ".join(words)) or _signs(_decompose(name))


def _decompose(text: str) -> str:
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKD", text).casefold()
    # Twice: case folding may give composed letters again, and NFKD capitals (㎅ is KB).
    return unicodedata.normalize("NFKD", folded).casefold().translate(_LETTERS)


def _words(text: str) -> list[str]:
    if text.isascii() and text.replace(" ", "").isalnum():
        return text.split()
    kept = []
    keeps_marks = False  # whether a mark that comes now belongs to a letter it changes
    for character in text:
        if character in _APOSTROPHES:
            continue
        kind = unicodedata.category(character)
        if kind == "Cf":  # zero-width joiners, direction marks, soft hyphens
            continue
        if kind[0] == "M":
            if keeps_marks and not _is_variation_selector(character):
                kept.append(character)
        elif kind[0] in "LN" or kind == "Sc":  # "A$AP" keeps its sign
            kept.append(character)
            keeps_marks = kind[0] == "L" and not _drops_accents(character)
        else:
            kept.append(" ")
            keeps_marks = False
    return "".join(kept).split()


def _is_variation_selector(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


@functools.lru_cache(maxsize=4096)
def _drops_accents(letter: str) -> bool:
    return unicodedata.name(letter, "").startswith(("LATIN", "GREEK"))


def _signs(text: str) -> str:
    """Return the key of a name without letters and digits."""
    visible = "".join(
        character for character in text if unicodedata.category(character) != "Cf"
    ).strip()
    folded = "".join(_sign(character) for character in visible or text)
    return unicodedata.normalize("NFC", " ".join(folded.split()))


def _sign(character: str) -> str:
    if character in _APOSTROPHES:
        return "'"
    kind = unicodedata.category(character)
    if kind == "Pd" or character == _MINUS:
        return "-"
    # Control characters and lone surrogates: a database takes neither.
    return _REPLACEMENT if kind in {"Cc", "Cs"} and not character.isspace() else character


_VARIOUS = frozenset(
    normalise(name)
    for name in (
        "Various Artists",
        "Various Artist",
        "Various",
        "VA",
        "V.A.",
        "V/A",
        "Verschiedene",
        "Verschiedene Künstler",
        "Verschiedene Interpreten",
        "Diverse",
        "Diverse Künstler",
        "Diverse Interpreten",
        "Diverse artister",
        "Diverse artiesten",
        "Artistes divers",
        "Artistes variés",
        "Divers",
        "Varios",
        "Varios artistas",
        "Artistas varios",
        "Vários",
        "Vários artistas",
        "Artisti vari",
        "Vari artisti",
        "AA.VV.",
        "AAVV",
        "Blandade artister",
        "Różni wykonawcy",
        "Разные исполнители",
        "ヴァリアス・アーティスト",
        "群星",
    )
)


def are_various(values: Iterable[str]) -> bool:
    """Tell whether the names stand for several artists, in the languages that taggers use."""
    return all(normalise(name) in _VARIOUS for name in values)


# "feat." and its kin with the artist after it. "Little Feat" is a band, and what follows
# its name is "&", a comma or nothing.
_FEAT = r"(?:(?<!\blittle )feat\b\.?|\bft\b\.?|\bfeaturing\b)(?!\s*(?:[&+,;/)\]]|and\b|$))"
_FEAT_BRACKET = re.compile(rf"\s*[(\[]\s*(?:{_FEAT})\s*([^()\[\]]+)[)\]]", re.IGNORECASE)
_FEAT_BARE = re.compile(rf"\s(?:{_FEAT})\s*", re.IGNORECASE)
# Without spaces a slash belongs to the name (AC/DC), and a comma or "&" always may
# (Tyler, The Creator; Simon & Garfunkel). "&amp;" is a leftover of HTML.
_SEPARATOR = re.compile(r"\s*(?<!&amp);\s*|\s+/\s+|\s+vs\.?\s+", re.IGNORECASE)
_FINE_SEPARATOR = re.compile(
    r"\s*[,;/]\s*|\s+(?:&|\+|and|und|et|y|e|x|\N{MULTIPLICATION SIGN}|with|vs\.?)\s+", re.IGNORECASE
)
# In a title "feat" and "ft" are words too: "A Feat of Engineering", "Ten Ft. Version". A guest
# comes after the mark as a name does, and before it is a bracket or the name of a version.
_NO_GUEST = r"(?!of\b|to\b|in\b|from\b|for\b|version\b|mix\b|remix\b|edit\b|deep\b|high\b|tall\b)"
_MARK = rf"(?:feat\b\.?|ft\b\.?|featuring\b\.?)\s*{_NO_GUEST}(?=[^\s)\]\uff09])"
_MEASURE = (
    r"(?<!\d)(?<!\d )(?<!\ba )(?<!\bthe )(?<!\blittle )(?<!\bno )(?<!\bone )(?<!\btwo )"
    r"(?<!\bthree )(?<!\bfour )(?<!\bfive )(?<!\bsix )(?<!\bseven )(?<!\beight )(?<!\bnine )"
    r"(?<!\bten )(?<!\btwelve )(?<!\btwenty )(?<!\bfifty )(?<!\bhundred )(?<!\bthousand )"
)
_TITLE_BRACKET = re.compile(
    rf"[(\[\uff08](?:[^()\[\]]*\s)?{_MEASURE}{_MARK}\s*([^()\[\]\uff08\uff09]+)[)\]\uff09]",
    re.IGNORECASE,
)
# Outside of brackets only what is no word of a title: "Six Ft. Deep", "Featuring You".
_TITLE_BARE = re.compile(
    rf"{_MEASURE}(?<=\s)(?:[Ff]eat\.|ft\.)\s*{_NO_GUEST}([^()\[\]]+?)"
    r"(?=\s+-\s|\s*[(\[]|\s*$)"
)


def split_parts(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the main and the featured artists of a tag's values, duplicates kept."""
    main: list[str] = []
    featured: list[str] = []
    for value in names:
        name = " ".join(value.split())
        if len(name) > LONGEST_LIST:
            main.append(name)
            continue
        guests = _FEAT_BRACKET.findall(name)
        first, *others = _FEAT_BARE.split(_FEAT_BRACKET.sub("", name))
        guests = [part for guest in [*others, *guests] for part in _split(_SEPARATOR, guest)]
        leaders = _split(_SEPARATOR, first)
        if not leaders and not guests and name:  # signs only: somebody's name nevertheless
            leaders = [name]
        # "(feat. B)" alone: B is all there is
        main += leaders or guests
        featured += guests if leaders else []
    return main, featured


def split_artists(names: Iterable[str]) -> list[str]:
    """Return the artists that a tag names, in order, main artists first, each once.

    Args:
        names: the values of the tag; several values are several artists.

    "A feat. B", "A (ft. B)", "A; B", "A / B" and "A vs. B" are two; "AC/DC", "Simon &
    Garfunkel", "Earth, Wind & Fire" and "Tyler, The Creator" are one, since a comma or an
    "&" does not tell a list from a name.
    """
    main, featured = split_parts(names)
    once: dict[str, str] = {}
    for name in main + featured:
        once.setdefault(normalise(name), name)
    return list(once.values())


def split_as(names: Sequence[str], count: int) -> list[str] | None:
    """Split a tag's values into exactly so many names, or return None.

    With as many names as MusicBrainz ids it is known how many artists there are, which
    makes "A & B" two when it has two ids and "A / B" one when it has one.
    """
    main, featured = split_parts(names)
    if len(main) + len(featured) == count:
        return main + featured
    if len(names) == count and not featured:
        return list(names)
    fine = [part for name in main + featured for part in _split(_FINE_SEPARATOR, name)]
    return fine if len(fine) == count else None


def _split(separator: re.Pattern[str], text: str) -> list[str]:
    return [part.strip() for part in separator.split(text) if part.strip()]


def featured_in_title(title: str) -> list[str]:
    """Return the artists that a title names as guests: "Song (feat. B)" gives ["B"]."""
    title = " ".join(title.split())
    if len(title) > LONGEST_LIST:
        return []
    guests = _TITLE_BRACKET.findall(title) or _TITLE_BARE.findall(title)
    return split_artists(guests)


def credit(names: Sequence[str]) -> str:
    """Return artists as shown: one value as it was tagged, several as "A, B & C"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} & {names[-1]}"


def uuid(text: str | None) -> str | None:
    """Return a MusicBrainz id in lower case, None if it is none."""
    return text.lower() if text and _UUID.fullmatch(text.lower()) else None


def bounded(part: str) -> str:
    """Return a part of a key; of an overlong one the beginning and a digest."""
    encoded = part.encode("utf-8", "backslashreplace")
    if len(encoded) <= LONGEST_KEY_PART:
        return part
    beginning = encoded[: LONGEST_KEY_PART - 64].decode("utf-8", "ignore")
    return beginning + hashlib.sha256(encoded).hexdigest()
