"""Turns a planned track into a file's bytes: a template with its tags.

Tag names follow MusicBrainz Picard's table, which most taggers share:
https://picard-docs.musicbrainz.org/en/appendices/tag_mapping.html
"""

from __future__ import annotations

import base64
import functools
import io
import os
from typing import TYPE_CHECKING, cast

from mutagen import id3
from mutagen.aiff import AIFF
from mutagen.flac import FLAC, Picture
from mutagen.mp4 import MP4, AtomDataType, MP4Cover, MP4FreeForm
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

from backend_worker.library.sample.plan import FORMATS, PlannedTrack

if TYPE_CHECKING:
    from backend_worker.library.model import TrackRecord

LYRICS = "La la la, the river runs\nLa la la, the evening comes"
FRONT_COVER = 3  # the picture type, in ID3 as in FLAC

_TEMPLATES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates")

# field of TrackRecord → name of the ID3 text frame, Vorbis comment, MP4 atom
_TEXT: dict[str, tuple[str, ...]] = {
    "title": ("TIT2", "TITLE", "\xa9nam"),
    "artists": ("TPE1", "ARTIST", "\xa9ART"),
    "album_artists": ("TPE2", "ALBUMARTIST", "aART"),
    "album": ("TALB", "ALBUM", "\xa9alb"),
    "date": ("TDRC", "DATE", "\xa9day"),
    "original_date": ("TDOR", "ORIGINALDATE", "----:com.apple.iTunes:originaldate"),
    "genres": ("TCON", "GENRE", "\xa9gen"),
    "composers": ("TCOM", "COMPOSER", "\xa9wrt"),
    "key": ("TKEY", "KEY", "----:com.apple.iTunes:initialkey"),
    "isrc": ("TSRC", "ISRC", "----:com.apple.iTunes:ISRC"),
    "label": ("TPUB", "LABEL", "----:com.apple.iTunes:LABEL"),
    "title_sort": ("TSOT", "TITLESORT", "sonm"),
    "album_sort": ("TSOA", "ALBUMSORT", "soal"),
    "artist_sorts": ("TSOP", "ARTISTSORT", "soar"),
    "album_artist_sorts": ("TSO2", "ALBUMARTISTSORT", "soaa"),
}
# field → description of the ID3 TXXX frame and of the MP4 free-form atom, Vorbis comment
_FREE: dict[str, tuple[str, ...]] = {
    "catalog_number": ("CATALOGNUMBER", "CATALOGNUMBER"),
    "mb_track_id": ("MusicBrainz Release Track Id", "MUSICBRAINZ_RELEASETRACKID"),
    "mb_release_id": ("MusicBrainz Album Id", "MUSICBRAINZ_ALBUMID"),
    "mb_release_group_id": ("MusicBrainz Release Group Id", "MUSICBRAINZ_RELEASEGROUPID"),
    "mb_artist_ids": ("MusicBrainz Artist Id", "MUSICBRAINZ_ARTISTID"),
    "mb_album_artist_ids": ("MusicBrainz Album Artist Id", "MUSICBRAINZ_ALBUMARTISTID"),
}


def render(track: PlannedTrack, cover: bytes | None = None, mime_type: str = "") -> bytes:
    """Return the file's bytes.

    Args:
        track: the tags, and the format in which to write them.
        cover: an embedded front cover.
        mime_type: the cover's, "image/jpeg" or "image/png".
    """
    audio = template(track.mood, track.format)
    if track.format.startswith("mp3"):
        return _render_mp3(track, audio, cover, mime_type)
    if track.format in {"flac", "ogg", "opus"}:
        return _render_vorbis(track, audio, cover, mime_type)
    if track.format in {"aac", "alac"}:
        return _render_mp4(track.record, audio, cover, mime_type)
    return _render_chunk(track, audio, cover, mime_type)


@functools.lru_cache
def template(mood: str, track_format: str) -> bytes:
    """Return an untagged file of the format, as bytes."""
    with open(os.path.join(_TEMPLATES, mood + FORMATS[track_format][0]), "rb") as file:
        return file.read()


def _no_padding(_info: object) -> int:
    return 0


def _render_mp3(track: PlannedTrack, audio: bytes, cover: bytes | None, mime_type: str) -> bytes:
    tags = id3.ID3()
    _fill_id3(tags, track.record, cover, mime_type)
    if not tags:
        return audio
    buffer = io.BytesIO()
    if track.format == "mp3-v23":
        tags.update_to_v23()
        tags.save(buffer, v1=0, v2_version=3, v23_sep=None, padding=_no_padding)
    else:
        tags.save(buffer, v1=0, v2_version=4, padding=_no_padding)
    return buffer.getvalue() + audio


def _render_chunk(track: PlannedTrack, audio: bytes, cover: bytes | None, mime_type: str) -> bytes:
    buffer = io.BytesIO(audio)
    file = WAVE(buffer) if track.format == "wav" else AIFF(buffer)
    file.add_tags()
    # mutagen says None of it, as it was before add_tags()
    _fill_id3(cast("id3.ID3", file.tags), track.record, cover, mime_type)
    buffer.seek(0)
    file.save(buffer, v2_version=4, padding=_no_padding)
    return buffer.getvalue()


def _render_vorbis(track: PlannedTrack, audio: bytes, cover: bytes | None, mime_type: str) -> bytes:
    buffer = io.BytesIO(audio)
    kinds: dict[str, type[FLAC | OggVorbis | OggOpus]]
    kinds = {"flac": FLAC, "ogg": OggVorbis, "opus": OggOpus}
    file = kinds[track.format](buffer)
    file.update(_vorbis_comments(track.record, opus=track.format == "opus"))
    if cover:
        picture = Picture()
        picture.type, picture.mime, picture.data = FRONT_COVER, mime_type, cover
        if isinstance(file, FLAC):
            file.add_picture(picture)
        else:
            encoded = base64.b64encode(picture.write()).decode("ascii")
            file["METADATA_BLOCK_PICTURE"] = [encoded]
    buffer.seek(0)
    file.save(buffer, padding=_no_padding)
    return buffer.getvalue()


def _render_mp4(record: TrackRecord, audio: bytes, cover: bytes | None, mime_type: str) -> bytes:
    buffer = io.BytesIO(audio)
    file = MP4(buffer)
    for name, values in _texts(record, _TEXT, 2).items():
        file[name] = _free_form(values) if name.startswith("----") else values
    free = _texts(record, _FREE, 0) | _gains(record)
    if record.mb_recording_id:
        free["MusicBrainz Track Id"] = [record.mb_recording_id]
    for name, values in free.items():
        file[f"----:com.apple.iTunes:{name}"] = _free_form(values)
    if record.track_number:
        file["trkn"] = [(record.track_number, record.track_total or 0)]
    if record.disc_number:
        file["disk"] = [(record.disc_number, record.disc_total or 0)]
    if record.compilation:
        file["cpil"] = True
    if record.bpm:
        file["tmpo"] = [round(record.bpm)]
    if record.comment:
        file["\xa9cmt"] = [record.comment]
    if record.has_lyrics:
        file["\xa9lyr"] = [LYRICS]
    if cover:
        png = mime_type == "image/png"
        image_format = MP4Cover.FORMAT_PNG if png else MP4Cover.FORMAT_JPEG
        file["covr"] = [MP4Cover(cover, imageformat=image_format)]
    buffer.seek(0)
    file.save(buffer, padding=_no_padding)
    return buffer.getvalue()


def _free_form(values: list[str]) -> list[MP4FreeForm]:
    return [MP4FreeForm(value.encode("utf-8"), AtomDataType.UTF8) for value in values]


def _texts(
    record: TrackRecord, table: dict[str, tuple[str, ...]], column: int
) -> dict[str, list[str]]:
    """Return the record's text fields under a format's names, as lists of values."""
    texts = {}
    for field, row in table.items():
        value = getattr(record, field)
        if value:
            texts[row[column]] = value if isinstance(value, list) else [value]
    return texts


def _gains(record: TrackRecord) -> dict[str, list[str]]:
    """Return the ReplayGain 2.0 tags of the record."""
    gains = {}
    for scope in ("track", "album"):
        gain = getattr(record, f"replaygain_{scope}_gain")
        peak = getattr(record, f"replaygain_{scope}_peak")
        if gain is not None:
            gains[f"REPLAYGAIN_{scope.upper()}_GAIN"] = [f"{gain:.2f} dB"]
        if peak is not None:
            gains[f"REPLAYGAIN_{scope.upper()}_PEAK"] = [f"{peak:.6f}"]
    return gains


def _number(value: float) -> str:
    return f"{value:g}"


def _fill_id3(tags: id3.ID3, record: TrackRecord, cover: bytes | None, mime_type: str) -> None:
    utf8 = id3.Encoding.UTF8  # saving as v2.3, which lacks UTF-8, makes UTF-16 of it
    for name, values in _texts(record, _TEXT, 0).items():
        tags.add(getattr(id3, name)(encoding=utf8, text=values))
    for description, values in (_texts(record, _FREE, 0) | _gains(record)).items():
        tags.add(id3.TXXX(encoding=utf8, desc=description, text=values))
    if record.mb_recording_id:
        owner, data = "http://musicbrainz.org", record.mb_recording_id.encode("ascii")
        tags.add(id3.UFID(owner=owner, data=data))
    for frame, number, total in (
        (id3.TRCK, record.track_number, record.track_total),
        (id3.TPOS, record.disc_number, record.disc_total),
    ):
        if number:
            tags.add(frame(encoding=utf8, text=f"{number}/{total}" if total else str(number)))
    if record.compilation:
        tags.add(id3.TCMP(encoding=utf8, text="1"))
    if record.bpm:
        tags.add(id3.TBPM(encoding=utf8, text=_number(record.bpm)))
    if record.comment:
        tags.add(id3.COMM(encoding=utf8, lang="eng", desc="", text=record.comment))
    if record.has_lyrics:
        tags.add(id3.USLT(encoding=utf8, lang="eng", desc="", text=LYRICS))
    if cover:
        tags.add(id3.APIC(encoding=0, mime=mime_type, type=FRONT_COVER, desc="", data=cover))


def _vorbis_comments(record: TrackRecord, *, opus: bool) -> dict[str, list[str]]:
    comments = _texts(record, _TEXT, 1) | _texts(record, _FREE, 1)
    comments |= _r128_gains(record) if opus else _gains(record)
    for name, value in (
        ("MUSICBRAINZ_TRACKID", record.mb_recording_id),
        ("TRACKNUMBER", record.track_number),
        ("TRACKTOTAL", record.track_total),
        ("DISCNUMBER", record.disc_number),
        ("DISCTOTAL", record.disc_total),
        ("COMPILATION", 1 if record.compilation else None),
        ("BPM", _number(record.bpm) if record.bpm else None),
        ("COMMENT", record.comment),
        ("LYRICS", LYRICS if record.has_lyrics else None),
    ):
        if value:
            comments[name] = [str(value)]
    return comments


def _r128_gains(record: TrackRecord) -> dict[str, list[str]]:
    """Return the gains as Opus has them: 1/256 dB, relative to -23 LUFS (RFC 7845, 5.2.1).

    ReplayGain 2.0 is relative to -18 LUFS, hence the 5 dB. Opus has no peaks.
    """
    gains = {}
    for scope in ("track", "album"):
        gain = getattr(record, f"replaygain_{scope}_gain")
        if gain is not None:
            gains[f"R128_{scope.upper()}_GAIN"] = [str(round((gain - 5) * 256))]
    return gains
