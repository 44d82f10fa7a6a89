"""The hand-made albums that every sample library begins with: what real libraries are full of.

Each is as short as its point allows. All names are invented.
"""

from __future__ import annotations

import os
import unicodedata
import zlib
from typing import Any

from backend_worker.library.model import TrackRecord
from backend_worker.library.sample.catalogue import LAST_MTIME, mbid
from backend_worker.library.sample.plan import (
    FORMATS,
    VARIOUS_ARTISTS,
    PlannedAlbum,
    PlannedTrack,
    file_name,
    fit_format,
)

# Latin-1 in a world of UTF-8; the other name where the file system refuses it.
NOT_UTF8_STEM = os.fsdecode(b"01 Cr\xe8me br\xfbl\xe9e")
UTF8_STEM = "01 Crème brûlée"


class _Album:
    """Collects one album's tracks."""

    def __init__(
        self,
        folder: str,
        title: str | None,
        track_format: str,
        *,
        cover: str | None = None,
        mood: str = "tone",
        **tags: Any,
    ) -> None:
        # Any time in the past will do, as long as it is always the same.
        age = 86_400 + zlib.crc32(folder.encode()) % (900 * 86_400)
        self.plan = PlannedAlbum(folder, title, LAST_MTIME - age, cover)
        self.format = track_format
        self.mood = mood
        self.tags = tags

    def track(
        self,
        stem: str,
        artists: list[str],
        *,
        people: tuple[str, ...] | None = None,
        extension: str | None = None,
        **tags: Any,
    ) -> _Album:
        """Add a track; ``stem`` is the file name without extension, "NN Title"."""
        number = len(self.plan.tracks) + 1
        name = file_name(stem, extension or FORMATS[self.format][1])
        record = TrackRecord(
            path=f"{self.plan.folder}/{name}",
            size=0,
            mtime_ns=(self.plan.mtime + 3 * number) * 1_000_000_000,
            fingerprint="",
        )
        defaults = {"track_number": number, "title": stem.split(" ", 1)[-1]}
        for field, value in {**defaults, "album": self.plan.title, **self.tags, **tags}.items():
            setattr(record, field, value)
        record.artists = artists
        credited = tuple(artists) if people is None else people
        fit_format(record, self.format)
        self.plan.tracks.append(PlannedTrack(record, self.format, self.mood, credited))
        return self


def special_albums(seed: int, *, mislabelled: bool, not_utf8: bool) -> list[PlannedAlbum]:
    """Return the special albums.

    Args:
        seed: the MusicBrainz ids depend on it.
        mislabelled: begin with an MP3 file named ``.flac``.
        not_utf8: the file system takes names that are not UTF-8.
    """
    albums = [
        *_compilations(),
        *_discs(),
        *_several_artists(seed),
        *_spellings(),
        *_scripts(),
        *_odd_names(not_utf8=not_utf8),
        *_tags(seed),
    ]
    if mislabelled:
        albums.insert(0, _mislabelled())
    return [album.plan for album in albums]


def _mislabelled() -> _Album:
    artist = "Hollow Pines Choir"
    album = _Album(f"{artist}/Wrong Clothes (2007)", "Wrong Clothes", "mp3", date="2007")
    return album.track("01 Sheep in Wolf's Fur", [artist], extension=".flac", genres=["Folk"])


def _compilations() -> list[_Album]:
    flagged = _Album(
        "Compilations/Night Ferry (1999)",
        "Night Ferry",
        "mp3",
        cover="embedded.jpg",
        album_artists=[VARIOUS_ARTISTS],
        compilation=True,
        date="1999",
        genres=["Soul"],
    )
    flagged.track("01 Gangway", ["Odessa Plume"])
    flagged.track("02 Salt on the Railing", ["Rasmus Okarina"])
    flagged.track("03 Last Buoy", ["The Tin Sparrows"])
    # Nothing but the folder says that these belong together.
    bare = _Album(
        "Compilations/Harbour Lights (2011)",
        "Harbour Lights",
        "flac",
        cover="cover.jpg",
        date="2011",
        genres=["Jazz"],
        mood="calm",
    )
    bare.track("01 Lighthouse", ["Marisol Quave"])
    bare.track("02 Breakwater", ["Teodor Nacht"])
    bare.track("03 Foghorn", ["Sextet Paloma Grün"])
    return [flagged, bare]


def _discs() -> list[_Album]:
    # Two folders, and no album artist: only the folder above tells that it is one album.
    folders = _Album(
        "Vesper Kane/Opposite Shores (2004)", "Opposite Shores", "ogg", disc_total=2, date="2004"
    )
    home = folders.plan.folder
    for disc in (1, 2):
        folders.plan.folder = f"{home}/CD{disc}"
        for number, title in enumerate(("Tide", "Ebb") if disc == 1 else ("Shoal", "Spring"), 1):
            stem = f"{number:02d} {title}"
            folders.track(stem, ["Vesper Kane"], disc_number=disc, track_number=number)
    folders.plan.folder = home
    one_folder = _Album(
        "Ondine Farge/Complete Nocturnes (2016)",
        "Complete Nocturnes",
        "opus",
        cover="folder.png",
        mood="calm",
        album_artists=["Ondine Farge"],
        composers=["Casimir Belltower"],
        disc_total=2,
        date="2016-09-30",
        genres=["Chamber Music"],
        replaygain_track_gain=-4.25,
        replaygain_album_gain=-3.5,
    )
    for disc in (1, 2):
        for number in (1, 2):
            title = f"Nocturne No. {disc * 2 + number - 2}"
            one_folder.track(
                f"{disc}-{number:02d} {title}",
                ["Ondine Farge"],
                disc_number=disc,
                track_number=number,
                title=title,
            )
    return [folders, one_folder]


def _several_artists(seed: int) -> list[_Album]:
    host, guest = "Kofi Lanternfish", "Signe Utterby"
    featured = _Album(
        f"{host}/Guest House (2018)", "Guest House", "aac", album_artists=[host], date="2018"
    )
    featured.track("01 Front Door", [host], genres=["Hip-Hop"])
    featured.track("02 Spare Bed", [f"{host} feat. {guest}"], people=(host, guest))
    left, right = "Duo Partner Lux", "Ember Sixpence"
    joined = _Album(
        "Duo Partner Lux; Ember Sixpence/Split (2013)",
        "Split",
        "alac",
        album_artists=[f"{left}; {right}"],
        date="2013",
        genres=["Dream Pop"],
    ).track("01 Halves", [f"{left}; {right}"], people=(left, right))
    pair = ["Ilse Montgolfier", "Kwabena Stern"]
    values = _Album(
        "Ilse Montgolfier, Kwabena Stern/Two Balloons (2020)",
        "Two Balloons",
        "flac",
        cover="embedded.png",
        album_artists=pair,
        date="2020",
        genres=["Ambient", "Jazz"],
        mb_release_id=mbid(seed, "release", "Two Balloons"),
        mb_album_artist_ids=[mbid(seed, "artist", name) for name in pair],
    )
    values.track("01 Ascent", pair, mb_artist_ids=[mbid(seed, "artist", name) for name in pair])
    values.track("02 Ballast", pair[:1], mb_artist_ids=[mbid(seed, "artist", pair[0])])
    return [featured, joined, values]


def _spellings() -> list[_Album]:
    slash = _Album(
        "Volt_Ampère/High Tension (1980)",
        "High Tension",
        "wav",
        album_artists=["Volt/Ampère"],
        date="1980",
        genres=["Rock"],
        mood="drive",
    ).track("01 Short/Circuit", ["Volt/Ampère"])
    ampersand = _Album(
        "Birch, Stone & River/Salt & Ember (1972)",
        "Salt & Ember",
        "aiff",
        album_artists=["Birch, Stone & River"],
        date="1972",
        genres=["Folk"],
    ).track("01 Ferns", ["Birch, Stone & River"])
    mixed = _Album("Mira Vossberg/Lower Case (2001)", "Lower Case", "mp3-v23", date="2001")
    mixed.track("01 Small", ["Mira Vossberg"], album_artists=["Mira Vossberg"])
    mixed.track("02 Large", ["MIRA VOSSBERG"], album_artists=["MIRA VOSSBERG"])
    # The same name twice: precomposed letters here, letters with combining accents there.
    name = "Jórunn Bláfeld"
    apart = unicodedata.normalize("NFD", name)
    composed = _Album(f"{name}/Ísbrún (1997)", "Ísbrún", "mp3-v23", date="1997", mood="calm")
    composed.track("01 Hjarn", [name], album_artists=[name])
    decomposed = _Album(f"{name}/Vetur (1998)", "Vetur", "flac", date="1998", mood="calm")
    decomposed.track("01 Mjöll", [apart], album_artists=[apart], people=(name,))
    # Two albums of one title: the artist tells them apart.
    first = _Album("Odessa Plume/Greatest Hits (2005)", "Greatest Hits", "ogg", date="2005")
    first.track("01 Gangway", ["Odessa Plume"], album_artists=["Odessa Plume"])
    second = _Album("Marisol Quave/Greatest Hits (2006)", "Greatest Hits", "mp3", date="2006")
    second.track("01 Lighthouse", ["Marisol Quave"], album_artists=["Marisol Quave"])
    return [slash, ampersand, mixed, composed, decomposed, first, second]


def _scripts() -> list[_Album]:
    albums = []
    for track_format, artist, title, track in (
        ("mp3", "月影 はるか", "夜明けの港", "ひかりの舟"),
        ("mp3-v23", "Лада Синеречная", "Белые ночи над рекой", "Мост"),
        ("flac", "Μελίνα Αστροπούλου", "Νησί", "Κύμα"),
        ("ogg", "سلمى النوراني", "رسائل إلى البحر", "موجة"),
        ("opus", "נועה בת־אור", "שירי מדבר", "חול"),
        ("aac", "윤슬 김하람", "파도의 노래", "등대"),
    ):
        album = _Album(f"{artist}/{title} (2015)", title, track_format, date="2015")
        albums.append(album.track(f"01 {track}", [artist], album_artists=[artist]))
    return albums


def _odd_names(*, not_utf8: bool) -> list[_Album]:
    artist = "Dr. Émile 🦔 Igelstein"
    odd = _Album(
        f"{artist}/100% “Quotes” & 'More' (2021)",
        "100% “Quotes” & 'More'",
        "aac",
        cover="front.webp",
        album_artists=[artist],
        date="2021",
        mood="drive",
    )
    odd.track("01 🎷🌧️ 👩‍🚀", [artist])
    odd.track('02 %s %d "NULL"; $HOME `ls`', [artist])
    odd.track("03 ...and Then It Stopped…", [artist])
    long_title = "A Very Long Title That Goes On, " * 9 + "and Ends"
    odd.track("04 " + long_title, [artist], title=long_title)
    cafe = _Album(
        "Café Zimtstern/Desserts (1994)",
        "Desserts",
        "mp3",
        album_artists=["Café Zimtstern"],
        date="1994",
    )
    cafe.track(NOT_UTF8_STEM if not_utf8 else UTF8_STEM, ["Café Zimtstern"], title="Crème brûlée")
    return [odd, cafe]


def _tags(seed: int) -> list[_Album]:
    artist = "Philippa Greyling"
    full = _Album(
        f"{artist}/Everything Filled In (1987)",
        "Everything Filled In",
        "flac",
        cover="embedded.jpg",
        album_artists=[artist],
        album_artist_sorts=["Greyling, Philippa"],
        artist_sorts=["Greyling, Philippa"],
        album_sort="Everything Filled In",
        date="1987-06",
        original_date="1986-11-24",
        genres=["Dream Pop"],
        label="Paper Moon Records",
        catalog_number="PMR-001",
        comment="Complete",
        track_total=1,
        disc_number=1,
        disc_total=1,
        mb_release_id=mbid(seed, "release", "Everything Filled In"),
        mb_release_group_id=mbid(seed, "release group", "Everything Filled In"),
        mb_artist_ids=[mbid(seed, "artist", artist)],
        mb_album_artist_ids=[mbid(seed, "artist", artist)],
        replaygain_album_gain=-6.5,
        replaygain_album_peak=0.988553,
    ).track(
        "01 The Archivist",
        [artist],
        title_sort="Archivist, The",
        composers=[artist, "Casimir Belltower"],
        bpm=98.5,
        key="F#m",
        isrc="QZXYZ8700001",
        has_lyrics=True,
        replaygain_track_gain=-7.25,
        replaygain_track_peak=0.912345,
        mb_track_id=mbid(seed, "track", "The Archivist"),
        mb_recording_id=mbid(seed, "recording", "The Archivist"),
    )
    bare = _Album("Unsorted", None, "mp3").track("track7", [], title=None, track_number=None)
    return [full, bare]
