"""Discs of an album: what an album's title or a folder's name says of the disc.

Everything here looks at one name alone, as :mod:`names` does.
"""

from __future__ import annotations

import functools
import os
import re
from typing import NamedTuple

from backend_worker.library.names import LONGEST_LIST

_UNITS = ("", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix")
_WRITTEN = (
    ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
     "twelve"),
    ("eins", "zwei", "drei", "vier", "fünf", "sechs"),
    ("un", "deux", "trois", "quatre", "cinq", "six"),
)  # fmt: skip
_NUMBERS = {word: number for words in _WRITTEN for number, word in enumerate(words, start=1)} | {
    "x" * tens + unit: tens * 10 + one for tens in (0, 1, 2) for one, unit in enumerate(_UNITS)
}
del _NUMBERS[""]

# "Disco" is a disc in Spanish and Italian and a kind of music everywhere: a disc in brackets only.
_WORD = r"(?:cd|sa[\s-]?cd|dis[ck]|disque|dvd|blu-?ray|диск|ディスク|płyta)"
_NO = r"(?:[\s._#-]*(?:no\.?|nr\.?|n[°º]|№)?[\s._#-]*)"
_NUMBER = (
    rf"(?:{_NO}(?P<digits>\d{{1,3}})(?!\d|[.,]\d)"
    rf"|[\s._-]+(?P<word>{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})(?!\w))"
)
# "1 of 2", "1/2"
_TOTAL = r"(?:\s*(?:/|\(?\s*\b(?:of|von|de|sur|di|z|из)\b)\s*\d+\s*\)?)?"
_DISC = rf"{_WORD}{_NUMBER}{_TOTAL}"
_FLAGS = re.IGNORECASE | re.DOTALL

# "Disk 2 - Live", "[Disc 3] Rare": all of the name is the disc
_WHOLE = re.compile(rf"\W*{_DISC}(?:\W(?P<name>.*))?", _FLAGS)
_BRACKET = re.compile(
    rf"\s*[(\[{{\uff08\u3010]\s*(?:{_WORD}|disco){_NUMBER}{_TOTAL}"
    r"(?:\W(?P<name>[^()\[\]\uff08\uff09\u3010\u3011]*))?[)\]}\uff09\u3011]",
    _FLAGS,
)
# At the end of a title; a name of its own comes after a colon or a dash.
_BARE = re.compile(
    rf"[\s._,:;\u2013\u2014-]+{_DISC}"
    r"(?:\s*:(?P<name>.*)|\s+[\u2013\u2014-]\s+(?P<after>.*))?\s*$",
    _FLAGS,
)
_AROUND_NAME = " \t\n:;,.\u2013\u2014-_~|"


class Disc(NamedTuple):
    """What a title or a folder says: the album without the disc, the disc's number and name."""

    album: str
    number: int | None = None
    name: str | None = None


@functools.lru_cache(maxsize=1024)
def of_title(title: str) -> Disc:
    """Take the disc off an album's title: "Anthology (Disc 2: Live)" is the second, "Live".

    Of a title that is nothing but a disc ("CD 36: Chopin") all is kept.
    """
    if len(title) > LONGEST_LIST:
        return Disc(title)
    found = _BRACKET.search(title) or _BARE.search(title)
    if found is not None:
        album = (title[: found.start()] + title[found.end() :]).strip()
        if album:
            return Disc(album, _number(found), _name(found))
    whole = _WHOLE.fullmatch(title)
    return Disc(title, _number(whole) if whole else None)


@functools.lru_cache(maxsize=1024)
def of_folder(folder: str) -> Disc:
    """Return the album's folder, and which of its discs lies in this one.

    ``Album/CD1``, ``Album/Disk 2 - Live``, ``Album CD 2`` and ``Album`` all belong to ``Album``.
    """
    above, name = os.path.split(folder)
    whole = _WHOLE.fullmatch(name)
    if whole is not None:
        return Disc(above, _number(whole), _name(whole))
    disc = of_title(name)
    return disc._replace(album=os.path.join(above, disc.album))


def _number(found: re.Match[str]) -> int | None:
    digits = found["digits"]
    return (int(digits) if digits else _NUMBERS[found["word"].lower()]) or None


def _name(found: re.Match[str]) -> str | None:
    groups = found.groupdict()
    name = (groups.get("name") or groups.get("after") or "").strip(_AROUND_NAME)
    return name.lstrip(")]} ").strip(_AROUND_NAME) or None
