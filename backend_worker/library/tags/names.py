"""The names under which the tag formats keep what we read.

The source is MusicBrainz Picard's published table of tag mappings, with the spellings of
other programs beside it. A name maps to a *slot*: a field of ``TrackRecord``, or a
``field.2`` that is used when the first is empty; :mod:`.fields` makes the record of them.
"""

from __future__ import annotations

import functools
from types import MappingProxyType

# Names given by people and programs (Vorbis comments, APEv2, ASF, ID3's TXXX, MP4's "----"),
# in upper case and without what separates words, which programs spell each in its own way:
# MUSICBRAINZ_ALBUMID, "MusicBrainz Album Id" and MusicBrainz/Album Id are one name.
_FREE_NAMES = MappingProxyType(
    {
        "TITLE": "title",
        "ARTIST": "artists",
        "ARTISTS": "artists.each",
        "ALBUM": "album",
        "ALBUMARTIST": "album_artists",
        "ALBUMARTISTS": "album_artists.each",
        "TRACKNUMBER": "track_number",
        "TRACK": "track_number",
        "TRACKTOTAL": "track_total",
        "TOTALTRACKS": "track_total",
        "TRACKC": "track_total",
        "DISCNUMBER": "disc_number",
        "DISC": "disc_number",
        "DISCTOTAL": "disc_total",
        "TOTALDISCS": "disc_total",
        "DISCC": "disc_total",
        "DATE": "date",
        "YEAR": "date.2",
        # of other programs: Mp3tag, MediaMonkey, foobar2000, JRiver, dBpoweramp
        "RELEASEDATE": "date.3",
        "RELEASETIME": "date.3",
        "RELEASEYEAR": "date.3",
        "RECORDINGDATE": "date.4",
        "RECORDDATE": "date.4",
        "WMRELEASETIME": "date.3",
        "WMRECORDINGTIME": "date.4",
        "ORIGINALDATE": "original_date",
        "ORIGINALRELEASEDATE": "original_date",
        "ORIGINALYEAR": "original_date.2",
        "ORIGYEAR": "original_date.2",
        "ORIGINALRELEASEYEAR": "original_date.2",
        "GENRE": "genres",
        "COMPILATION": "compilation",
        "ITUNESCOMPILATION": "compilation",
        "COMPOSER": "composers",
        "BPM": "bpm",
        "TEMPO": "bpm.2",
        "KEY": "key",
        "INITIALKEY": "key",
        "ISRC": "isrc",
        "LABEL": "label",
        "PUBLISHER": "label.2",
        "ORGANIZATION": "label.3",
        "CATALOGNUMBER": "catalog_number",
        "CATALOGNO": "catalog_number",
        "CATALOGID": "catalog_number",
        "LABELNO": "catalog_number",
        "LYRICS": "lyrics",
        "UNSYNCEDLYRICS": "lyrics",
        "SYNCEDLYRICS": "lyrics",
        "COMMENT": "comment",
        "DESCRIPTION": "comment.2",
        "REPLAYGAINTRACKGAIN": "replaygain_track_gain",
        "REPLAYGAINTRACKPEAK": "replaygain_track_peak",
        "REPLAYGAINALBUMGAIN": "replaygain_album_gain",
        "REPLAYGAINALBUMPEAK": "replaygain_album_peak",
        "R128TRACKGAIN": "r128_track_gain",
        "R128ALBUMGAIN": "r128_album_gain",
        # Picard's "Track Id" is the recording's, "Release Track Id" the track's.
        "MUSICBRAINZTRACKID": "mb_recording_id",
        "MUSICBRAINZRECORDINGID": "mb_recording_id",
        "MUSICBRAINZRELEASETRACKID": "mb_track_id",
        "MUSICBRAINZALBUMID": "mb_release_id",
        "MUSICBRAINZRELEASEID": "mb_release_id",
        "MUSICBRAINZRELEASEGROUPID": "mb_release_group_id",
        "MUSICBRAINZARTISTID": "mb_artist_ids",
        "MUSICBRAINZALBUMARTISTID": "mb_album_artist_ids",
        "TITLESORT": "title_sort",
        "ALBUMSORT": "album_sort",
        "ARTISTSORT": "artist_sorts",
        "ALBUMARTISTSORT": "album_artist_sorts",
        # ASF
        "AUTHOR": "artists",
        "WMARTISTS": "artists.each",
        "WMALBUMTITLE": "album",
        "WMALBUMARTIST": "album_artists",
        "WMTRACKNUMBER": "track_number",
        "WMPARTOFSET": "disc_number",
        "WMYEAR": "date",
        "WMORIGINALRELEASETIME": "original_date",
        "WMORIGINALRELEASEYEAR": "original_date.2",
        "WMGENRE": "genres",
        "WMISCOMPILATION": "compilation",
        "WMCOMPOSER": "composers",
        "WMBEATSPERMINUTE": "bpm",
        "WMINITIALKEY": "key",
        "WMISRC": "isrc",
        "WMPUBLISHER": "label",
        "WMCATALOGNO": "catalog_number",
        "WMLYRICS": "lyrics",
        "WMLYRICSSYNCHRONISED": "lyrics",
        "WMCOMMENTS": "comment",
        "WMTITLESORTORDER": "title_sort",
        "WMALBUMSORTORDER": "album_sort",
        "WMARTISTSORTORDER": "artist_sorts",
        "WMALBUMARTISTSORTORDER": "album_artist_sorts",
    }
)

ID3_FRAMES = MappingProxyType(
    {
        "TIT2": "title",
        "TPE1": "artists",
        "TPE2": "album_artists",
        "TALB": "album",
        "TRCK": "track_number",
        "TPOS": "disc_number",
        "TDRC": "date",
        "TDRL": "date.2",
        "TYER": "year",
        "TDAT": "day_and_month",
        "TRDA": "date.4",
        "TDOR": "original_date",
        "TORY": "original_date.2",
        "TCON": "genres",
        "TCMP": "compilation",
        "TCOM": "composers",
        "TBPM": "bpm",
        "TKEY": "key",
        "TSRC": "isrc",
        "TPUB": "label",
        "TSOT": "title_sort",
        "TSOA": "album_sort",
        "TSOP": "artist_sorts",
        "TSO2": "album_artist_sorts",
    }
)

MP4_ATOMS = MappingProxyType(
    {
        "\xa9nam": "title",
        "\xa9ART": "artists",
        "aART": "album_artists",
        "\xa9alb": "album",
        "\xa9day": "date",
        "\xa9gen": "genres",
        "\xa9wrt": "composers",
        "\xa9lyr": "lyrics",
        "\xa9cmt": "comment",
        "cpil": "compilation",
        "tmpo": "bpm",
        "sonm": "title_sort",
        "soal": "album_sort",
        "soar": "artist_sorts",
        "soaa": "album_artist_sorts",
    }
)

# Microsoft's RIFF registration for the first eight; ITRK and IPRT are what programs write.
RIFF_INFO = MappingProxyType(
    {
        b"INAM": "title",
        b"IART": "artists",
        b"IPRD": "album",
        b"ICRD": "date",
        b"IGNR": "genres",
        b"ICMT": "comment",
        b"IMUS": "composers",
        b"IPRT": "track_number",
        b"ITRK": "track_number",
    }
)

# Apple's AIFF 1.3, section 13; its "(c) " is a notice about rights, not a label.
AIFF_TEXTS = MappingProxyType({b"NAME": "title", b"AUTH": "artists", b"ANNO": "comment"})

MUSICBRAINZ_OWNER = b"http://musicbrainz.org"  # of ID3's UFID frame

_SEPARATORS = str.maketrans("", "", " _-/.")


@functools.lru_cache(maxsize=512)
def slot_of(name: str) -> str | None:
    """Return the slot of a name that people and programs spell freely, None if not wanted."""
    if len(name) > 40:
        return None
    return _FREE_NAMES.get(name.upper().translate(_SEPARATORS))


def comment_slot(description: str) -> str | None:
    """Return the slot: an undescribed comment comes first; iTunes' numbers are none."""
    if not description:
        return "comment"
    return None if description.lower().startswith(("itun", "songs-db")) else "comment.2"
