"""From slots to the clean fields of a ``TrackRecord``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from backend_worker.library.tags import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend_worker.library.tags.slots import Slots

KEY_LIMIT = 20
_T = TypeVar("_T")

# RFC 7845, section 5.2.1: a gain in 1/256 dB that brings the track to EBU R 128's -23 LUFS.
# ReplayGain 2.0 aims at -18 LUFS, so the same track gets 5 dB more there.
_R128_UNIT = 1 / 256
_R128_TO_REPLAYGAIN = 5.0


def fields_of(slots: Slots) -> dict[str, Any]:
    """Return the fields of a ``TrackRecord`` that tags tell; absent ones are left out."""
    track_number, track_total = _numbers(slots, "track")
    disc_number, disc_total = _numbers(slots, "disc")
    artist_ids = clean.uuids(slots.get("mb_artist_ids", ()))
    album_artist_ids = clean.uuids(slots.get("mb_album_artist_ids", ()))
    fields = {
        "title": _first(slots, clean.text, "title"),
        "artists": _names(slots, "artists", len(artist_ids)),
        "artist_credit": _credit(slots, len(artist_ids)),
        "album_artists": _names(slots, "album_artists", len(album_artist_ids)),
        "album": _first(slots, clean.text, "album"),
        "track_number": track_number,
        "track_total": track_total,
        "disc_number": disc_number,
        "disc_total": disc_total,
        "date": _first(slots, clean.date, "date", "date.2") or _year_and_day(slots),
        "original_date": _first(slots, clean.date, "original_date", "original_date.2"),
        "genres": clean.genres(slots.get("genres", ())),
        "compilation": any(clean.flag(value) for value in slots.get("compilation", ())),
        "composers": clean.texts(slots.get("composers", ())),
        "bpm": _first(slots, _bpm, "bpm", "bpm.2"),
        "key": _first(slots, _key, "key"),
        "isrc": _first(slots, clean.isrc, "isrc"),
        "label": _first(slots, clean.text, "label", "label.2", "label.3"),
        "catalog_number": _first(slots, clean.text, "catalog_number"),
        "has_lyrics": any(clean.text(value, 100) for value in slots.get("lyrics", ())),
        "comment": _first(slots, clean.lines, "comment", "comment.2"),
        "mb_recording_id": _first(slots, _uuid, "mb_recording_id"),
        "mb_track_id": _first(slots, _uuid, "mb_track_id"),
        "mb_release_id": _first(slots, _uuid, "mb_release_id"),
        "mb_release_group_id": _first(slots, _uuid, "mb_release_group_id"),
        "mb_artist_ids": artist_ids,
        "mb_album_artist_ids": album_artist_ids,
        "title_sort": _first(slots, clean.text, "title_sort"),
        "album_sort": _first(slots, clean.text, "album_sort"),
        "artist_sorts": clean.texts(slots.get("artist_sorts", ())),
        "album_artist_sorts": clean.texts(slots.get("album_artist_sorts", ())),
    }
    fields |= _replaygain(slots)
    return {name: value for name, value in fields.items() if value is not None}


def _first(slots: Slots, convert: Callable[[str], _T | None], *names: str) -> _T | None:
    """Return the first value of the first slot that converts to something."""
    for name in names:
        for value in slots.get(name, ()):
            if (converted := convert(value)) is not None:
                return converted
    return None


def _names(slots: Slots, field: str, id_count: int) -> list[str]:
    """Return the artists one by one where a tag lists them, else as they are credited.

    Picard writes the credit ("A feat. B") to ARTIST and each artist to ARTISTS, which pairs
    with the MusicBrainz ids; another program may have made ARTIST alone multi-valued.
    """
    credited = clean.texts(slots.get(field, ()))
    each = _split_joined(clean.texts(slots.get(f"{field}.each", ())), id_count)
    return each if len(each) >= len(credited) else credited


def _credit(slots: Slots, id_count: int) -> str | None:
    """Return ARTIST ("A feat. B") where ARTISTS lists the artists one by one beside it."""
    credited = clean.texts(slots.get("artists", ()))
    if len(credited) == 1 and credited != _names(slots, "artists", id_count):
        return credited[0]
    return None


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


def _numbers(slots: Slots, field: str) -> tuple[int | None, int | None]:
    for name in (f"{field}_number", f"{field}_number.2"):
        for value in slots.get(name, ()):
            number, total = clean.position(value)
            if number is not None or total is not None:
                return number, total or _total(slots, field)
    return None, _total(slots, field)


def _total(slots: Slots, field: str) -> int | None:
    return _first(slots, lambda value: clean.position(value)[0], f"{field}_total")


def _year_and_day(slots: Slots) -> str | None:
    """Return the date of ID3v2.3, which keeps the year and ``DDMM`` apart."""
    year = _first(slots, clean.date, "year")
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
    return next(iter(clean.uuids((value,))), None)


def _gain(value: str) -> float | None:
    return clean.decimal(value, -100, 100)


def _peak(value: str) -> float | None:
    return clean.decimal(value, 0.000001, 1_000)


def _r128_gain(value: str) -> float | None:
    steps = clean.decimal(value, -(2**15), 2**15 - 1)
    return None if steps is None else round(steps * _R128_UNIT + _R128_TO_REPLAYGAIN, 6)


def _replaygain(slots: Slots) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for which in ("track", "album"):
        gain, peak = f"replaygain_{which}_gain", f"replaygain_{which}_peak"
        # RFC 7845 lets an Opus file have no other gain than R128's
        value = _first(slots, _r128_gain, f"r128_{which}_gain")
        found[gain] = _first(slots, _gain, gain, f"{gain}.2") if value is None else value
        found[peak] = _first(slots, _peak, peak, f"{peak}.2")
    return found
