"""Which tracks are one album: the rules, and what they look at.

``RULES`` is the table that ``docs/library.md`` shows; a test keeps the two equal and has a case
for each row. The first four rules need one track alone and make its album's key. The years need
all tracks of that key: :func:`part` is given them when they are stored.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from backend_worker.library import discs, names
from backend_worker.library.paths import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backend_worker.library.model import TrackRecord


class Rule(NamedTuple):
    """One row of the table, the strongest first."""

    name: str
    when: str
    then: str


RULES = (
    Rule("release", "same MusicBrainz release id", "one album, whatever else differs"),
    Rule("other release", "other MusicBrainz release ids", "two albums"),
    Rule("release group", "no release id, other MusicBrainz release-group ids", "two albums"),
    Rule("title", "other titles (case, accents, punctuation and the disc do not count)",
         "two albums"),
    Rule("album artist", "same title, other album artists (guests and order do not count)",
         "two albums"),
    Rule("various", "same title by various artists, in any folder", "one album"),
    Rule("common various", "by various artists, a title that many albums have "
         "(“Greatest Hits”, “Love Songs”), in two folders", "two albums"),
    Rule("years", "same title and album artist, other years **and** other folders",
         "two albums (“Weezer” of 1994 and of 2016)"),
    Rule("years in a folder", "other years, in one folder", "one album"),
    Rule("folders", "same title and album artist, other folders, same year or none", "one album"),
    Rule("no album artist", "no album artist, same title, one folder",
         "one album, by who is on every track; where nobody is, by various artists"),
    Rule("no album artist, folders", "no album artist, same title, two folders", "two albums"),
    Rule("common title", "no album artist and no mark of a compilation, a title that artists give "
         "to their own (“Greatest Hits”), one folder", "an album of each artist"),
    Rule("compilation of one", "the mark of a compilation, no album artist, one artist on all "
         "tracks", "that artist's album"),
    Rule("discs", "the discs of an album, in folders of their own", "one album"),
    Rule("no title", "no album title", "no album"),
)  # fmt: skip

# Titles that artists give to their own albums, and those that labels give to anybody's too.
_OF_ONE = (
    "greatest hits|hits|the hits|best of|the best of|the very best of|best|singles|the singles"
    "|anthology|discography|demo|demos|unplugged|mtv unplugged|b-sides|rarities|remixes|live|ep"
    "|the essential|essential|ultimate collection|the ultimate collection|untitled|unknown album"
    "|grandes éxitos|lo mejor de|le meilleur de|die größten hits|i grandi successi|ベスト"
)
_OF_ANYBODY = (
    "love songs|collection|the collection|gold|ballads|christmas|christmas songs|christmas album"
    "|weihnachten|party|dance|rock|pop|jazz|blues|classics|hits collection|super hits|compilation"
    "|soundtrack|original soundtrack|ost|mix|mixtape|sampler|various|misc|favorites|favourites"
)
_VOLUME = re.compile(r"\s+(?:vol(?:ume)?|no|part|teil)?\s*\d{1,2}$")


def _keys(titles: str) -> frozenset[str]:
    return frozenset(map(names.normalise, titles.split("|")))


_TITLES_OF_ONE = _keys(_OF_ONE)
_COMMON_TITLES = _TITLES_OF_ONE | _keys(_OF_ANYBODY)


class Identity(NamedTuple):
    """What tells a track's album from others of its title, and what is known of its artist.

    ``key`` is the second part of :attr:`AlbumEntity.name_key`. ``kind`` is ``various``,
    ``tagged`` (an album artist) or ``folder`` (who it is by is derived from all its tracks).
    """

    kind: str
    key: str


def identity(record: TrackRecord, title_key: str) -> Identity:
    """Return what tells the album of a track from others of its title."""
    common = _VOLUME.sub("", title_key)
    if names.VARIOUS_ARTISTS_MBID in record.mb_album_artist_ids or (
        record.album_artists and names.are_various(record.album_artists)
    ):
        key = "various" + (_in(record.path) if common in _COMMON_TITLES else "")
        return Identity("various", key + _release_group(record))
    if record.album_artists:
        # Without guests: some taggers put each track's artists here.
        return Identity("tagged", _joined(record.album_artists) + _release_group(record))
    own = common in _TITLES_OF_ONE and record.artists and not record.compilation
    by = _joined(record.artists) + "|" if own else ""
    folder = names.bounded(folder_of(record.path))
    return Identity("folder", f"{by}dir:{folder}{_release_group(record)}")


def folder_of(path: str) -> str:
    """Return the album's folder of a file, as a text that a database takes."""
    folder = discs.of_folder(os.path.dirname(path)).album
    return shown(folder).replace("\0", "\\x00")


def _in(path: str) -> str:
    return "|in:" + names.bounded(folder_of(path))


def _release_group(record: TrackRecord) -> str:
    """Return what an id of the release group adds to a key; one of the release is stronger."""
    group = names.uuid(record.mb_release_group_id)
    return f"|rg:{group}" if group and not names.uuid(record.mb_release_id) else ""


def _joined(values: Iterable[str]) -> str:
    main, _ = names.split_parts(values)
    return names.bounded("+".join(sorted({names.normalise(name) for name in main})))


def part(tracks: Iterable[tuple[int, str, str]]) -> list[tuple[str, list[int]]]:
    """Part the tracks of one key by years and folders; the earliest come first.

    Args:
        tracks: (id, album's folder, year or nothing) of all of them.

    Returns:
        The first year and the ids of each album. Folders that share a year are one, and
        tracks of no year belong to their folder, or else to the earliest.
    """
    rows = sorted(tracks)
    leaders: dict[str, str] = {}  # a folder or a year → another of the same album

    def leader(name: str) -> str:
        while leaders.setdefault(name, name) != name:
            name = leaders[name]
        return name

    for _, folder, year in rows:
        if year:
            # a folder begins with "/" or a letter of its own, a year with "\0"
            one, other = leader(folder), leader("\0" + year)
            leaders[max(one, other)] = min(one, other)
    years: dict[str, str] = {}
    for _, folder, year in rows:
        if year:
            years[leader(folder)] = min(year, years.get(leader(folder), year))
    earliest = min(years, key=lambda name: (years[name], name), default="")
    albums: dict[str, list[int]] = defaultdict(list)
    for number, folder, _ in rows:
        found = leader(folder)
        albums[found if found in years else earliest].append(number)
    return sorted((years.get(name, ""), ids) for name, ids in albums.items())
