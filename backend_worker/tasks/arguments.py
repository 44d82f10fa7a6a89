"""Arguments as clients send them: ids, paths, and tracks whose tags they have read themselves."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from backend_worker.library.model import TrackRecord
from backend_worker.library.tags import clean
from backend_worker.library.tags.genres import genres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

# The names that clients of the earlier system use, and ours.
_OTHER_NAMES = {
    "artist": "artists",
    "album_artist": "album_artists",
    "albumartist": "album_artists",
    "genre": "genres",
    "composer": "composers",
    "year": "date",
    "musicbrainz_id": "mb_recording_id",
    "musicbrainz_albumid": "mb_release_id",
    "musicbrainz_artistid": "mb_artist_ids",
    "musicbrainz_albumartistid": "mb_album_artist_ids",
}
_HEX = re.compile(r"(?:[0-9a-f]{2})*")
_DIGEST = re.compile(r"[0-9a-f]{64}")
# A bit rate below this is in kbit/s, as the earlier system counts it.
_LEAST_BITS_PER_SECOND = 5000
_LARGEST_REAL = 3e38


class ArgumentError(ValueError):
    """What a client sent along with a task is not usable; the message says why."""


def as_ids(values: Iterable[int | str] | int | str) -> list[int]:
    """Return ids as numbers, each once, in order; a single one may stand without a list.

    Raises:
        ArgumentError: a value is no whole number.
    """
    if isinstance(values, int | str):
        values = [values]
    try:
        return list(dict.fromkeys(int(value) for value in values))
    except (ValueError, TypeError) as error:
        raise ArgumentError(f"ids are whole numbers: {error}") from error


def as_paths(values: Iterable[str] | str) -> list[str]:
    """Return paths as a list; a single one may stand without it.

    Raises:
        ArgumentError: a value is no text.
    """
    paths = [values] if isinstance(values, str) else values
    if not isinstance(paths, list | tuple) or not all(isinstance(path, str) for path in paths):
        raise ArgumentError("file paths are a list of texts")
    return list(paths)


def as_record(message: Mapping[str, Any]) -> TrackRecord:
    """Return a client's track, cleaned as if its values came from a file's tags.

    Only ``path`` is needed. A client need not know size and fingerprint: the next scan sees a
    file whose size differs and reads it again. Fields that are not known are dropped.

    Raises:
        ArgumentError: the track lacks its path.
    """
    path = message.get("path") if hasattr(message, "get") else None
    if not isinstance(path, str) or not path:
        raise ArgumentError("a track of this batch has no path: each needs at least `path`")
    record = TrackRecord(path=path, size=0, mtime_ns=0, fingerprint="")
    for name, value in message.items():
        field = _OTHER_NAMES.get(name, name)
        rule = _RULES.get(field)
        if rule is not None and value is not None:
            setattr(record, field, rule(value))
    return record


def _words(value: Any) -> list[str]:
    values = value if isinstance(value, list | tuple) else [value]
    return [str(item) for item in values if item is not None]


def _first(value: Any) -> str:
    return next(iter(_words(value)), "")


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    # six decimals: PostgreSQL's real refuses numbers too small for it
    return round(number, 6) if math.isfinite(number) and abs(number) < _LARGEST_REAL else None


def _count(value: Any) -> int | None:
    return clean.int4(_number(value))


def _size(value: Any) -> int:
    number = _number(value)
    return int(value) if number is not None and 0 <= number < 2**63 else 0


def _bits_per_second(value: Any) -> int | None:
    number = _count(value)
    return number * 1000 if number is not None and number < _LEAST_BITS_PER_SECOND else number


def _matching(pattern: re.Pattern[str], value: Any) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None


def _rules(names: str, rule: Callable[[Any], Any]) -> dict[str, Callable[[Any], Any]]:
    return dict.fromkeys(names.split(), rule)


_RULES: dict[str, Callable[[Any], Any]] = {
    **_rules("size mtime_ns", _size),
    "fingerprint": lambda value: _matching(_HEX, value) or "",
    "picture": lambda value: _matching(_DIGEST, value),
    **_rules(
        "title album key label catalog_number title_sort album_sort",
        lambda value: clean.text(_first(value)),
    ),
    "comment": lambda value: clean.lines(_first(value)),
    **_rules(
        "artists album_artists composers artist_sorts album_artist_sorts",
        lambda value: clean.texts(_words(value)),
    ),
    "genres": lambda value: genres(_words(value)),
    **_rules("date original_date", lambda value: clean.date(_first(value))),
    **_rules(
        "track_number track_total disc_number disc_total",
        lambda value: clean.position(_first(value))[0],
    ),
    "isrc": lambda value: clean.isrc(_first(value)),
    **_rules("compilation has_lyrics", lambda value: clean.flag(_first(value))),
    **_rules("mb_artist_ids mb_album_artist_ids", lambda value: clean.uuids(_words(value))),
    **_rules(
        "mb_recording_id mb_track_id mb_release_id mb_release_group_id",
        lambda value: next(iter(clean.uuids(_words(value))), None),
    ),
    **_rules(
        "bpm duration replaygain_track_gain replaygain_track_peak replaygain_album_gain"
        " replaygain_album_peak",
        _number,
    ),
    **_rules("sample_rate channels bit_depth", _count),
    "bitrate": _bits_per_second,
    "codec": lambda value: clean.text(_first(value)),
}
