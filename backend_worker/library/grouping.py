"""Group tracks into artists and albums.

Identity depends on one track alone, and what two tracks say of one artist or album is merged
by commutative rules, the same as those of the database: batches may arrive in any order and
may cut albums anywhere, and the library comes out the same.
"""

from __future__ import annotations

import operator
import os
from typing import TYPE_CHECKING, Any, TypeVar

from backend_worker.library import albums, discs, names
from backend_worker.library.model import AlbumEntity, ArtistEntity, EntityBatch, TrackEntity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from backend_worker.library.model import TrackRecord

Entity = TypeVar("Entity", ArtistEntity, AlbumEntity)


def group(records: Iterable[TrackRecord]) -> EntityBatch:
    """Return the tracks with their artists and albums, each once and in the order of keys.

    Of two records with one path the later counts.
    """
    latest = {record.path: record for record in records}
    return _Grouping().group([record for _, record in sorted(latest.items())])


class _Grouping:
    """One batch; what its tracks have in common is worked out once."""

    def __init__(self) -> None:
        self.artists: dict[str, ArtistEntity] = {}
        self.albums: dict[str, AlbumEntity] = {}
        # keys by the words of the tags that they come from
        self._artist_keys: dict[tuple[Any, ...], list[str]] = {}
        self._album_keys: dict[tuple[Any, ...], str | None] = {}

    def group(self, records: Iterable[TrackRecord]) -> EntityBatch:
        """Return the tracks in the given order, artists and albums in that of their keys."""
        tracks = [self._track(record) for record in records]
        return EntityBatch(
            artists=[self.artists[key] for key in sorted(self.artists)],
            albums=[self.albums[key] for key in sorted(self.albums)],
            tracks=tracks,
        )

    def _track(self, record: TrackRecord) -> TrackEntity:
        guests = names.featured_in_title(record.title) if record.title else []
        # 0 separates: no name is a number
        words = (*record.artists, 0, *record.mb_artist_ids, 0, *record.artist_sorts, 0, *guests)
        message = record.to_message()
        message.update(_disc(record))
        return TrackEntity(
            record=message,
            album_key=self._album_key(record),
            artist_keys=self._keys(words, lambda: _track_artists(record, guests)),
            artist_credit=record.artist_credit or names.credit(record.artists) or None,
            composer_keys=self._keys((*record.composers,), lambda: _artists(record.composers)),
        )

    def _keys(self, words: tuple[Any, ...], find: Callable[[], list[ArtistEntity]]) -> list[str]:
        keys = self._artist_keys.get(words)
        if keys is None:
            keys = self._artist_keys[words] = [self._add_artist(artist) for artist in find()]
        return keys

    def _add_artist(self, artist: ArtistEntity) -> str:
        known = self.artists.get(artist.key)
        if known is not None and known.name != artist.name:
            known.varied = True
        _add(self.artists, artist, _ARTIST_RULES)
        return artist.key

    def _album_key(self, record: TrackRecord) -> str | None:
        words = _album_words(record)
        if words not in self._album_keys:
            album, artists = _album(record)
            for artist in artists:
                self._add_artist(artist)
            if album is not None:
                _add(self.albums, album, _ALBUM_RULES)
            self._album_keys[words] = album.key if album else None
        return self._album_keys[words]


def better_spelling(a: str | None, b: str | None) -> str | None:
    """Return which of two spellings to show, as the SQL function of this name does.

    Mixed case before all-upper or all-lower, then the first by code point.
    """
    if a is None or b is None:
        return b if a is None else a
    return min(a, b, key=lambda text: (_is_of_one_case(text), text))


def _is_of_one_case(text: str) -> bool:
    if text.isascii():
        return text in (text.upper(), text.lower())
    # PostgreSQL maps single characters: its upper('ß') is 'ß', its lower('\u0130') is 'i'
    upper = [mapped if len(mapped := char.upper()) == 1 else char for char in text]
    lower = [char.lower()[0] for char in text]
    return list(text) in (upper, lower)


# Beside its artists, what of a track tells of its album.
_album_facts = operator.attrgetter(
    "album",
    "compilation",
    "album_sort",
    "mb_release_id",
    "mb_release_group_id",
    "date",
    "original_date",
    "disc_total",
    "label",
    "catalog_number",
)


def _album_words(record: TrackRecord) -> tuple[Any, ...]:
    """Return all that :func:`_album` looks at."""
    return (
        os.path.dirname(record.path),
        *_album_facts(record),
        *record.album_artists,
        0,
        *record.mb_album_artist_ids,
        0,
        *record.album_artist_sorts,
        0,
        # they tell of the album where nobody else does
        *([] if record.album_artists else record.artists),
    )


def _disc(record: TrackRecord) -> dict[str, Any]:
    """Return what title or folder tell of a track's disc and its tags do not.

    Each disc of an album may be tagged as the first of one: title and folder know better then.
    """
    title = discs.of_title(record.album or "")
    folder = discs.of_folder(os.path.dirname(record.path))
    said: dict[str, Any] = {}
    if title.number is None and folder.number is None:
        return said
    tagged = record.disc_number
    if tagged == 1 and record.disc_total == 1:
        tagged = None
    for disc in (title, folder):
        if disc.number is None or tagged not in {None, disc.number}:
            continue
        tagged = disc.number
        said["disc_number"] = disc.number
        if disc.name and not record.disc_title:
            said.setdefault("disc_title", disc.name)
    return said


def _track_artists(record: TrackRecord, guests: Sequence[str]) -> list[ArtistEntity]:
    found = _artists(record.artists, record.mb_artist_ids, record.artist_sorts)
    if found and guests:
        known = {artist.name_key for artist in found}
        found += [guest for guest in _artists(guests) if guest.name_key not in known]
    return found


def _artists(
    values: Sequence[str], mbids: Sequence[str] = (), sorts: Sequence[str] = ()
) -> list[ArtistEntity]:
    """Return the artists that a tag names, each once; ids count only if each has its name."""
    ids = [mbid.lower() for mbid in mbids]
    if not all(names.uuid(mbid) for mbid in ids):
        ids = []
    parts = names.split_as(values, len(ids)) if ids else None
    if parts is None:
        ids = []
        main, featured = names.split_parts(values)
        parts = main + featured
    found: dict[str, ArtistEntity] = {}
    for position, name in enumerate(parts):
        name_key = names.bounded(names.normalise(name))
        mbid = ids[position] if ids else None
        artist = ArtistEntity(
            key=f"mbid:{mbid}" if mbid else name_key,
            name_key=name_key,
            name=name,
            sort_name=sorts[position] if len(sorts) == len(parts) else None,
            mbid=mbid,
        )
        found.setdefault(artist.key, artist)
    return list(found.values())


def _album(record: TrackRecord) -> tuple[AlbumEntity | None, list[ArtistEntity]]:
    """Return the album of a track, or None without a title, and the album's artists."""
    if not record.album or not record.album.strip():
        return None, []
    title = discs.of_title(record.album).album
    title_key = names.normalise(title)
    kind, told_apart_by = albums.identity(record, title_key)
    artists: list[ArtistEntity] = []
    credit = names.VARIOUS_ARTISTS if kind == "various" else None
    if kind == "tagged":
        artists = _artists(
            record.album_artists, record.mb_album_artist_ids, record.album_artist_sorts
        )
        credit = names.credit(record.album_artists)
    name_key = f"{names.bounded(title_key)}|{told_apart_by}"
    mbid = names.uuid(record.mb_release_id)
    album = AlbumEntity(
        key=f"mbid:{mbid}" if mbid else name_key,
        name_key=name_key,
        title=title,
        artist_keys=[artist.key for artist in artists],
        artist_credit=credit,
        sort_title=record.album_sort,
        mbid=mbid,
        release_group_mbid=names.uuid(record.mb_release_group_id),
        date=record.date,
        original_date=record.original_date,
        compilation=record.compilation or kind == "various",
        disc_total=record.disc_total,
        label=record.label,
        catalog_number=record.catalog_number,
    )
    return album, artists


def _least(a: Any, b: Any) -> Any:
    return min((value for value in (a, b) if value is not None), default=None)


def _greatest(a: Any, b: Any) -> Any:
    return max((value for value in (a, b) if value is not None), default=None)


def _better_album_key(a: str, b: str) -> str:
    return min(a, b, key=lambda key: ("|dir:" in key, key))


def _better_artist_keys(a: list[str], b: list[str]) -> list[str]:
    """Tagged before not, MusicBrainz ids before names."""
    return min(
        a, b, key=lambda keys: (-sum(key.startswith("mbid:") for key in keys), not keys, keys)
    )


# Both keys of an entity with a MusicBrainz id may differ from track to track in the name.
_ARTIST_RULES: dict[str, Callable[[Any, Any], Any]] = {
    "name_key": _least,
    "name": better_spelling,
    "sort_name": better_spelling,
}
_ALBUM_RULES: dict[str, Callable[[Any, Any], Any]] = {
    "name_key": _better_album_key,
    "title": better_spelling,
    "artist_keys": _better_artist_keys,
    "artist_credit": better_spelling,
    "sort_title": better_spelling,
    "release_group_mbid": _least,
    "date": _least,
    "original_date": _least,
    "compilation": _greatest,  # True if any says so
    "disc_total": _greatest,
    "label": better_spelling,
    "catalog_number": better_spelling,
}


def _add(
    known: dict[str, Entity], entity: Entity, rules: Mapping[str, Callable[[Any, Any], Any]]
) -> None:
    other = known.setdefault(entity.key, entity)
    if other is entity:
        return
    for name, rule in rules.items():
        ours, theirs = getattr(other, name), getattr(entity, name)
        if ours != theirs:
            setattr(other, name, rule(ours, theirs))
