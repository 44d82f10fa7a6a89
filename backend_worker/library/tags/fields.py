"""From slots to the clean fields of a ``TrackRecord``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from backend_worker.library.tags import clean
from backend_worker.library.tags.genres import genres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from backend_worker.library.tags.slots import Slots

KEY_LIMIT = 20
_T = TypeVar("_T")

# RFC 7845, section 5.2.1: a gain in 1/256 dB that brings the track to EBU R 128's -23 LUFS.
# ReplayGain 2.0 aims at -18 LUFS, so the same track gets 5 dB more there.
_R128_UNIT = 1 / 256
_R128_TO_REPLAYGAIN = 5.0


def fields_of(slots: Slots) -> dict[str, Any]:
    """Return the fields of a ``TrackRecord`` that tags tell; absent ones are left out."""
    fields: dict[str, Any] = {}
    for slot, field, convert in _SINGLE_VALUES:
        if slot in slots and field not in fields:
            value = _first(slots[slot], convert)
            if value is not None:
                fields[field] = value
    for field, convert_all in _LISTS:
        if field in slots:
            fields[field] = convert_all(slots[field])
    for slot, field, is_true in _FLAGS:
        if slot in slots:
            fields[field] = any(map(is_true, slots[slot]))
    if "date" not in fields:
        fields["date"] = _year_and_day(slots) or _first(slots.get("date.4", ()), clean.date)
    _add_numbers(fields, slots, "track")
    _add_numbers(fields, slots, "disc")
    _add_artists(fields, slots)
    return {name: value for name, value in fields.items() if value is not None}


def _first(values: Iterable[str], convert: Callable[[str], _T | None]) -> _T | None:
    """Return the first value that converts to something."""
    for value in values:
        if (converted := convert(value)) is not None:
            return converted
    return None


def _add_artists(fields: dict[str, Any], slots: Slots) -> None:
    """Add artists one by one where a tag lists them, else as they are credited.

    Picard writes the credit ("A feat. B") to ARTIST and each artist to ARTISTS, which pairs
    with the MusicBrainz ids; another program may have made ARTIST alone multi-valued.
    """
    credited, artists = _names(slots, "artists", len(fields.get("mb_artist_ids", ())))
    fields["artists"] = artists
    if len(credited) == 1 and credited != artists:
        fields["artist_credit"] = credited[0]
    _, fields["album_artists"] = _names(
        slots, "album_artists", len(fields.get("mb_album_artist_ids", ()))
    )


def _names(slots: Slots, field: str, id_count: int) -> tuple[list[str], list[str]]:
    """Return the artists as they are credited, and one by one if a tag lists them so."""
    credited = clean.texts(slots.get(field, ()))
    each_slot = f"{field}.each"
    if each_slot not in slots:
        return credited, credited
    each = _split_joined(clean.texts(slots[each_slot]), id_count)
    return credited, each if len(each) >= len(credited) else credited


def _split_joined(values: list[str], count: int) -> list[str]:
    """Undo Picard's joining of ARTISTS in ID3v2.3, if it gives one name for each id.

    ``AC/DC`` with one id stays whole, ``AC/DC/Queen`` with two as well: nothing tells where.
    """
    if len(values) == 1 and count > 1:
        for separator in (";", "/"):
            parts = clean.texts(values[0].split(separator))
            if len(parts) == count:
                return parts
    return values


def _add_numbers(fields: dict[str, Any], slots: Slots, field: str) -> None:
    positions = [
        clean.position(value)
        for slot in (f"{field}_number", f"{field}_number.2")
        for value in slots.get(slot, ())
    ]
    number = next((number for number, _ in positions if number is not None), None)
    # two tags may say it, one of them with the total; that of another number is none of this
    total = next((total for other, total in positions if total and other in (number, None)), None)
    fields[f"{field}_number"] = number
    fields[f"{field}_total"] = total or _first(slots.get(f"{field}_total", ()), _number)


def _number(value: str) -> int | None:
    return clean.position(value)[0]


def _year_and_day(slots: Slots) -> str | None:
    """Return the date of ID3v2.3, which keeps the year and ``DDMM`` apart."""
    year = _first(slots.get("year", ()), clean.date)
    if year is not None and len(year) == 4:
        for value in slots.get("day_and_month", ()):
            if match := re.fullmatch(r"(\d\d)(\d\d)", value.strip()):
                return clean.date(f"{year}-{match[2]}-{match[1]}")
    return year


def _bpm(value: str) -> float | None:
    return clean.decimal(value, 1, 1_000)


def _key(value: str) -> str | None:
    return clean.text(value, KEY_LIMIT)


def _uuid(value: str) -> str | None:
    found = clean.uuids((value,))
    return found[0] if found else None


def _gain(value: str) -> float | None:
    return clean.decimal(value, -100, 100)


def _peak(value: str) -> float | None:
    return clean.decimal(value, 0.000001, 1_000)


def _r128_gain(value: str) -> float | None:
    steps = clean.decimal(value, -(2**15), 2**15 - 1)
    return None if steps is None else round(steps * _R128_UNIT + _R128_TO_REPLAYGAIN, 6)


def _has_text(value: str) -> bool:
    return clean.text(value, 100) is not None


# (slot, field, conversion): the first slot of a field that has a value of use counts
_SINGLE_VALUES: tuple[tuple[str, str, Callable[[str], Any]], ...] = (
    ("title", "title", clean.text),
    ("album", "album", clean.text),
    ("date", "date", clean.date),
    ("date.2", "date", clean.date),
    ("date.3", "date", clean.date),
    ("original_date", "original_date", clean.date),
    ("original_date.2", "original_date", clean.date),
    ("bpm", "bpm", _bpm),
    ("bpm.2", "bpm", _bpm),
    ("key", "key", _key),
    ("isrc", "isrc", clean.isrc),
    ("label", "label", clean.text),
    ("label.2", "label", clean.text),
    ("label.3", "label", clean.text),
    ("catalog_number", "catalog_number", clean.text),
    ("comment", "comment", clean.lines),
    ("comment.2", "comment", clean.lines),
    ("mb_recording_id", "mb_recording_id", _uuid),
    ("mb_track_id", "mb_track_id", _uuid),
    ("mb_release_id", "mb_release_id", _uuid),
    ("mb_release_group_id", "mb_release_group_id", _uuid),
    ("title_sort", "title_sort", clean.text),
    ("album_sort", "album_sort", clean.text),
    # RFC 7845 lets an Opus file have no other gain than R128's
    ("r128_track_gain", "replaygain_track_gain", _r128_gain),
    ("replaygain_track_gain", "replaygain_track_gain", _gain),
    ("replaygain_track_gain.2", "replaygain_track_gain", _gain),
    ("replaygain_track_peak", "replaygain_track_peak", _peak),
    ("replaygain_track_peak.2", "replaygain_track_peak", _peak),
    ("r128_album_gain", "replaygain_album_gain", _r128_gain),
    ("replaygain_album_gain", "replaygain_album_gain", _gain),
    ("replaygain_album_gain.2", "replaygain_album_gain", _gain),
    ("replaygain_album_peak", "replaygain_album_peak", _peak),
    ("replaygain_album_peak.2", "replaygain_album_peak", _peak),
)
_LISTS: tuple[tuple[str, Callable[[Iterable[str]], list[str]]], ...] = (
    ("genres", genres),
    ("composers", clean.texts),
    ("mb_artist_ids", clean.uuids),
    ("mb_album_artist_ids", clean.uuids),
    ("artist_sorts", clean.texts),
    ("album_artist_sorts", clean.texts),
)
_FLAGS: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
    ("compilation", "compilation", clean.flag),
    ("lyrics", "has_lyrics", _has_text),
)
