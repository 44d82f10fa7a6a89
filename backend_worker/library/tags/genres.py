r"""Genres: one or several in one text, as names or as ID3's numbers.

====================== ===================== ===================================================
written                read                  source
====================== ===================== ===================================================
Pop; Rock              Pop, Rock             Picard, Mp3tag and Navidrome join with ";"
Rock\\Pop                Rock, Pop             what Mp3tag shows several values with
Pop / Rock             Pop, Rock             Kodi's separator
R&B/Soul               R&B, Soul             Picard joins ID3v2.3's with "/", Navidrome splits it
Rock, AC/DC-like       as they are           two values: the format can tell them apart itself
Singer/Songwriter      as it is              one genre of Apple's, see _ONE
N/A                    as it is              a part of one letter is none
Folk, World, & Country as it is              one genre of Discogs: commas belong to names
(17), 17, (17)Rock     Rock                  ID3v2.3 4.2.1 (TCON), ID3v2.4 4.2.3
(51)(39)               Techno-Industrial,    the same
                       Noise
RX, CR                 Remix, Cover          the same
((Fake                 (Fake                 the same: two brackets stand for one
====================== ===================== ===================================================
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mutagen.id3 import TCON

from backend_worker.library.tags import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

_BETWEEN = re.compile(r"\s*;\s*|\s*\\\\\s*|\s+/\s+")
_SLASH = re.compile(r"\s*/\s*")
_FEWEST_LETTERS = 2
# Without case, as one value: genres with a slash in their name.
_ONE = frozenset({"singer/songwriter", "cut-up/dj"})


def genres(values: Iterable[str]) -> list[str]:
    """Return the genres that the values of a tag name, each once."""
    cleaned = clean.texts(values)
    parts = [part for value in cleaned for part in _BETWEEN.split(value) if part]
    if len(parts) == 1:
        parts = _split_at_slash(parts[0])
    resolved = [name for part in parts for name in _names(part)]
    return cleaned if resolved == cleaned else clean.texts(resolved)


def _split_at_slash(value: str) -> list[str]:
    parts = _SLASH.split(value)
    if value.lower() in _ONE or any(len(part) < _FEWEST_LETTERS for part in parts):
        return [value]
    return parts


def _names(value: str) -> list[str]:
    """Return the names of ID3's numbers, else the value."""
    if value.isdecimal() or value in ("CR", "RX") or value.startswith("("):
        # "Unknown" is mutagen's word for a number without a name
        return [name for name in TCON(text=[value]).genres if name != "Unknown"]
    return [value]
