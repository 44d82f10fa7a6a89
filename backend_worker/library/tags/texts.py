"""Text of which the file does not say for sure what encoding it is in.

ID3 calls Latin-1 what is often something else: programs write bytes in the encoding of their
system (https://id3.org/id3v2.4.0-structure, section 4, allows no other of eight bits). One tag is
written by one program, so its texts are judged together, and only what is sure is changed:

- UTF-8: by chance hardly any other text is valid as that
- Shift-JIS, where two kana or more come out and nothing but Japanese
- GBK, where nothing but pairs of frequent characters come out
- Windows-1251, where whole words of nothing but Cyrillic letters come out

The rest is Windows-1252, which has letters where Latin-1 has controls; see ``.clean``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
_NOT_JAPANESE = re.compile("[^\0-\x7f\u3000-\u30ff\u4e00-\u9fff\uff01-\uff5e\u2010-\u2026]")
# GB 2312: signs in rows 1 to 3, characters by frequency in 16 to 55, others in 56 to 87
_PAIRS = re.compile(rb"(?:[\0-\x7f]|[\xa1-\xa3\xb0-\xf7][\xa1-\xfe])+")
_PAIR = re.compile(rb"[\xa1-\xf7][\xa1-\xfe]")
_FREQUENT_ROWS = range(0xB0, 0xD8)
_RARE_ROWS = range(0xD8, 0xF8)
_MOST_RARE = 0.2  # of all
# Korean (EUC-KR) has its letters in these rows alone, Cyrillic has its letters in these bytes
_KOREAN_ROWS = range(0xB0, 0xC9)
_CYRILLIC_BYTES = range(0xC0, 0x100)
_WORD = re.compile(r"[^\W\d_]+")
_CYRILLIC_WORD = re.compile("[\u0410-\u044f\u0401\u0451]+")
_CYRILLIC_VOWEL = re.compile("[аеёиоуыэюяАЕЁИОУЫЭЮЯ]")
_CYRILLIC_SIGNS = frozenset("«»“”„\u2018\u2019\u2013\u2014…№\N{NO-BREAK SPACE}")
_FEWEST_LETTERS = 4


class Latin1(str):
    """Text that a tag calls Latin-1, decoded as that: one character for each byte."""

    __slots__ = ()


def decoded(slots: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the texts of one tag with what is called Latin-1 decoded as what it surely is."""
    unsure = [value for values in slots.values() for value in values if type(value) is Latin1]
    if not unsure:
        return slots
    known = {value: text for value in unsure if (text := _as(value, "utf-8")) is not None}
    data = b"\n".join(value.encode("latin-1") for value in unsure if value not in known)
    encoding = next((name for name, is_it in _ENCODINGS if data and is_it(data)), None)
    if encoding is not None:
        known |= {value: _as(value, encoding) or value for value in unsure if value not in known}
    return {
        slot: [known.get(value, value) if type(value) is Latin1 else value for value in values]
        for slot, values in slots.items()
    }


def _as(value: str, encoding: str) -> str | None:
    try:
        return value.encode("latin-1").decode(encoding)
    except UnicodeDecodeError:
        return None


def _is_shift_jis(data: bytes) -> bool:
    try:
        text = data.decode("cp932")
    except UnicodeDecodeError:
        return False
    return len(_KANA.findall(text)) >= 2 and not _NOT_JAPANESE.search(text)


def _is_gbk(data: bytes) -> bool:
    if not _PAIRS.fullmatch(data):
        return False
    pairs = _PAIR.findall(data)
    frequent = [pair for pair in pairs if pair[0] in _FREQUENT_ROWS]
    rare = sum(pair[0] in _RARE_ROWS for pair in pairs)
    return (
        len(frequent) >= 2
        and rare <= _MOST_RARE * (len(frequent) + rare)
        and any(pair[0] not in _KOREAN_ROWS for pair in frequent)
        and any(byte not in _CYRILLIC_BYTES for pair in frequent for byte in pair)
    )


def _is_cyrillic(data: bytes) -> bool:
    try:
        text = data.decode("cp1251")
    except UnicodeDecodeError:
        return False
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    others = {sign for sign in text if not sign.isascii() and not sign.isalpha()}
    return (
        max(map(len, words), default=0) >= _FEWEST_LETTERS
        and others <= _CYRILLIC_SIGNS
        and all(_is_cyrillic_word(word) for word in words)
    )


def _is_cyrillic_word(word: str) -> bool:
    is_cased = word.islower() or word.isupper() or word == word.capitalize()
    has_vowel = len(word) < _FEWEST_LETTERS or _CYRILLIC_VOWEL.search(word) is not None
    return is_cased and has_vowel and _CYRILLIC_WORD.fullmatch(word) is not None


_ENCODINGS: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("cp932", _is_shift_jis),
    ("gbk", _is_gbk),
    ("cp1251", _is_cyrillic),
)
