"""Cleaning of what tags hold: text, numbers, dates and identifiers, fit for PostgreSQL.

Every function takes what a tag may hold and returns a clean value or None; none raises.
"""

from __future__ import annotations

import functools
import html
import re
import unicodedata
from html.entities import html5
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

NAME_LIMIT = 1_000  # characters of a title or a name
COMMENT_LIMIT = 4_000
_SHORT = 20  # characters: numbers that tracks have in common are worked out once
VALUES_LIMIT = 100  # values of one field
INT4_MAX = 2**31 - 1

# What Latin-1 calls controls are letters and signs of Windows-1252, which is what was meant.
# https://html.spec.whatwg.org/multipage/parsing.html#numeric-character-reference-end-state
_WINDOWS = {
    code: letter
    for code in range(0x80, 0xA0)
    if (letter := bytes([code]).decode("cp1252", "ignore"))
}
# Text from a web page: "Don&#8217;t", "Simon &amp; Garfunkel"; without ";" it may be a name.
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
# Line and paragraph breaks and tabs separate words; the other control characters do not.
_BREAKS = re.compile("[\t\n\x0b\x0c\r\x1c-\x1f\x85\u2028\u2029]+")
_LINE_BREAKS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
# Control characters, lone surrogates, byte order marks and noncharacters.
_REMOVED = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
_REMOVED_FROM_LINES = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")

_POSITION = re.compile(r"\s*(\d{1,10})(?:\.0+)?(?![\w.,-])(?:\s*(?:/|\bof\b)\s*(\d{1,10})(?!\w))?")
_DECIMAL = re.compile(r"\s*([+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?)")
_COMPACT_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)(?!\d)")
_YEAR_FIRST = re.compile(r"(\d{4})(?!\d)(?:[-/.](\d{1,2})(?!\d)(?:[-/.](\d{1,2})(?!\d))?)?")
# of which two is the month is known where the other cannot be one, or both are the same
_YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})(?!\d)")
# without separators the year may come last; six digits may be a year and a month
_COMPACT_YEAR_LAST = re.compile(r"\d{4}((?:19|20)\d\d)(?!\d)")
_COMPACT_MONTH = re.compile(r"((?:19|20)\d\d)\d\d(?!\d)")
_ANY_YEAR = re.compile(r"(?<!\d)(\d{4})(?!\d)")
_FIRST_YEAR, _LAST_YEAR = 1000, 2100
_MONTHS = 12

_UUID = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f])")
_NIL_UUID = "00000000-0000-0000-0000-000000000000"
_ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}\d{7}")


def text(value: str, limit: int = NAME_LIMIT) -> str | None:
    """Return one line of text: NFC, stripped, without control characters, at most ``limit``."""
    # Normalising is quadratic in a run of combining marks: cut before it as well.
    if not value.isprintable():
        value = value.translate(_WINDOWS)
    value = value.strip()[: 4 * limit]
    if "&" in value:
        value = _without_entities(value)
    if not value.isprintable():  # what is printable has no control characters and breaks
        value = _REMOVED.sub("", _BREAKS.sub(" ", value))
    if value.isascii():
        return value.strip()[:limit].rstrip() or None
    return unicodedata.normalize("NFC", value).strip()[:limit].rstrip() or None


def lines(value: str, limit: int = COMMENT_LIMIT) -> str | None:
    r"""Return text that may have several lines, separated by ``\n``."""
    value = _without_entities(value.translate(_WINDOWS).strip()[: 4 * limit])
    value = _LINE_BREAKS.sub("\n", value)
    value = _REMOVED_FROM_LINES.sub("", value.replace("\t", " "))
    return unicodedata.normalize("NFC", value).strip()[:limit].rstrip() or None


def _character(entity: re.Match[str]) -> str:
    if entity[0].startswith("&#"):
        return html.unescape(entity[0])
    return html5.get(entity[0][1:], entity[0])


def _without_entities(value: str) -> str:
    while True:  # some went through two pages; each turn makes it shorter
        found = _ENTITY.sub(_character, value)
        if found == value:
            return value
        value = found


def texts(values: Iterable[str], limit: int = NAME_LIMIT) -> list[str]:
    """Return the values cleaned, without empty and repeated ones, at most ``VALUES_LIMIT``."""
    cleaned = dict.fromkeys(found for raw in values if (found := text(raw, limit)) is not None)
    return list(cleaned)[:VALUES_LIMIT]


def position(value: str) -> tuple[int | None, int | None]:
    """Return number and total of ``3``, ``03/12`` or ``3 of 12``.

    A side of a record (``A1``) and a disc with a track (``1-03``) give none; zero counts as
    absent.
    """
    return _short_position(value) if len(value) <= _SHORT else _position(value)


def _position(value: str) -> tuple[int | None, int | None]:
    match = _POSITION.match(value)
    if match is None:
        return None, None
    number, total = (int(group) if group else 0 for group in match.groups())
    return int4(number), int4(total)


_short_position = functools.lru_cache(maxsize=256)(_position)


def int4(value: float | None) -> int | None:
    """Return a positive whole number that fits PostgreSQL's integer, else None."""
    if value is None or not 0 < value <= INT4_MAX:
        return None
    return round(value) or None


def decimal(value: str, low: float, high: float) -> float | None:
    """Return the number that the text begins with (``-7.25 dB``), if it lies in the range.

    Six decimals are kept: PostgreSQL's real refuses numbers too small for it.
    """
    match = _DECIMAL.match(value[:400])  # the longest float is shorter
    if match is None:
        return None
    number = round(float(match[1].replace(",", ".")), 6)
    return number if low <= number <= high else None


def date(value: str) -> str | None:
    """Return ``YYYY``, ``YYYY-MM`` or ``YYYY-MM-DD``: as much as is certain and possible.

    ``2004-00-00`` is 2004, ``2004-02-30`` is 2004-02, ``05/06/2004`` and ``05.06.2004`` (which is
    the month?) are 2004, ``31/05/2004`` and ``05/31/2004`` are 2004-05-31. Of several years the
    first counts. Years outside of 1000 to 2100 are no dates.
    """
    return _date(value[:100].strip())


@functools.lru_cache(maxsize=256)
def _date(value: str) -> str | None:
    if match := _COMPACT_DATE.match(value):
        return _compact_date(value, *match.groups())
    if match := _YEAR_FIRST.match(value):
        year, month, day = match.groups()
        return _partial_date(int(year), int(month or 0), int(day or 0))
    if match := _YEAR_LAST.match(value):
        return _year_last(int(match[4]), int(match[1]), int(match[3]))
    match = _COMPACT_MONTH.match(value) or _ANY_YEAR.search(value)
    return _partial_date(int(match[1]), 0, 0) if match else None


def _compact_date(value: str, year: str, month: str, day: str) -> str | None:
    found = _partial_date(int(year), int(month), int(day))
    if found is None or int(month) > _MONTHS:  # 31122004
        match = _COMPACT_YEAR_LAST.match(value)
        return _partial_date(int(match[1]), 0, 0) if match else found
    return found


def _year_last(year: int, one: int, other: int) -> str | None:
    if one == other or one > _MONTHS >= other:
        return _partial_date(year, other, one)
    return _partial_date(year, one, other) if other > _MONTHS else _partial_date(year, 0, 0)


def _partial_date(year: int, month: int, day: int) -> str | None:
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        return None
    if not 1 <= month <= _MONTHS:
        return f"{year:04d}"
    if not 1 <= day <= _days_of(year, month):
        return f"{year:04d}-{month:02d}"
    return f"{year:04d}-{month:02d}-{day:02d}"


def _days_of(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def uuids(values: Iterable[str]) -> list[str]:
    """Return the UUIDs in the values, in lower case.

    They need no separator that is agreed upon: Picard joins several with ``/`` or ``; `` in
    ID3v2.3. The nil UUID counts as absent.
    """
    found = dict.fromkeys(
        [uuid for value in values for uuid in _UUID.findall(value[:10_000].lower())]
    )
    found.pop(_NIL_UUID, None)
    return list(found)[:VALUES_LIMIT]


def isrc(value: str) -> str | None:
    """Return an ISRC of twelve characters without hyphens (``GBAYE0000351``), else None."""
    match = _ISRC.fullmatch(re.sub(r"[\s-]", "", value[:100]).upper())
    return match[0] if match else None


def flag(value: str) -> bool:
    """Return whether the text says yes."""
    return value.strip().lower() in {"1", "true", "yes"}
