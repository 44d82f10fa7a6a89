"""Words by which a name is found beside those that stand in it.

"acdc" finds AC/DC and "kesha" Ke$ha, "!!!" the band of that name, and a piece from the middle of a
Chinese, Japanese or Korean text, which has no spaces, is found by its pairs of characters.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LONGEST = 500  # characters of a text that are looked at
# Signs that stand for a letter within a word.
_LETTERS = str.maketrans({"$": "s", "!": "i", "@": "a", "\N{EURO SIGN}": "e", "\N{CENT SIGN}": "c"})
_SIGN_WITHIN = re.compile(r"(?<=\w)[^\w\s]+(?=\w)|[$@]\w")
# Han, kana, Hangul: scripts that are searched by pieces.
_PIECE_WISE = (
    "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f\u3005"
)
_RUN = re.compile(f"[{_PIECE_WISE}]+")
_SPECIAL = re.compile(rf"[^\w\s]|[{_PIECE_WISE}]")


def extra_words(texts: Iterable[str | None]) -> list[str]:
    """Return the further words of some names, each once, in order."""
    known = list(dict.fromkeys(filter(None, texts)))
    if not _SPECIAL.search("\n".join(known)):  # as most names are
        return []
    return sorted({word for text in known for word in _words(text)})


@functools.lru_cache(maxsize=2048)
def _words(text: str) -> tuple[str, ...]:
    folded = unicodedata.normalize("NFKC", text[:LONGEST]).lower()
    if signs := signs_of(folded):
        return (signs,)
    words = [word for run in _RUN.findall(folded) for word in _pieces(run)]
    for part in folded.split():
        if _SIGN_WITHIN.search(part):
            words += _joined(part)
    return tuple(words)


def signs_of(text: str) -> str:
    """Return a text without letters and digits as one word; nothing of any other text."""
    signs = "".join(unicodedata.normalize("NFKC", text[:LONGEST]).lower().split())
    plain = not any(unicodedata.category(char)[0] in "LMNC" for char in signs)
    return signs if plain else ""


def pieces_of(word: str) -> Sequence[str]:
    """Return the pieces that a text must have to hold this one; none of other scripts."""
    return _pairs(word) if _RUN.fullmatch(word) else ()


def _pieces(run: str) -> list[str]:
    return [*run, *_pairs(run)] if len(run) > 1 else [run]


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run) - 1)] or [run]


def _joined(part: str) -> list[str]:
    """Return a word with its signs left out, and with those that stand for letters read so."""
    spelled = _plain(part.strip("!?.,;:()[]'\"").translate(_LETTERS))
    return [word for word in dict.fromkeys((_plain(part), spelled)) if len(word) > 1]


def _plain(text: str) -> str:
    letters = unicodedata.normalize("NFD", text)
    return "".join(char for char in letters if unicodedata.category(char)[0] in "LN")
