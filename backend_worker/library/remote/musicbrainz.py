"""Searching MusicBrainz for a release, https://musicbrainz.org/doc/MusicBrainz_API/Search."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backend_worker.library.names import are_various, normalise
from backend_worker.library.remote import UnusableAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend_worker.library.remote.client import RemoteClient

MINIMUM_SCORE = 95  # of 100
_MAX_BYTES = 2 * 1024 * 1024
_LIMIT = "25"
# https://lucene.apache.org/core/9_0_0/queryparser/org/apache/lucene/queryparser/classic/package-summary.html
_LUCENE_SPECIAL = re.compile(r'([+\-&|!(){}\[\]^"~*?:\\/])')


@dataclass(frozen=True, slots=True)
class Release:
    """A release that was found, with its release group."""

    mbid: str
    group_mbid: str | None


def find_release(client: RemoteClient, artist: str, title: str) -> Release | None:
    """Return the release with this title by this artist, None if there is no certain one.

    A hit counts when its score is at least ``MINIMUM_SCORE`` and both names are the same
    when normalised. If the hits belong to several release groups (two albums of one name),
    none is taken; else the first official one, in the order of the service.

    Raises:
        RemoteAway: the service is not to be asked for a while.
        UnusableAnswer: this one answer is of no use.
    """
    query = f'release:"{escape(title)}" AND artist:"{escape(artist)}"'
    body = client.get(
        "/release",
        content_type="application/json",
        max_bytes=_MAX_BYTES,
        params={"query": query, "fmt": "json", "limit": _LIMIT},
    )
    hits = list(_agreeing(_parse(body), artist, title)) if body is not None else []
    if len({release.group_mbid for release, _ in hits}) != 1:
        return None
    return next((release for release, official in hits if official), hits[0][0])


def escape(text: str) -> str:
    """Return the text with Lucene's special characters made ordinary."""
    return _LUCENE_SPECIAL.sub(r"\\\1", text)


def _parse(body: bytes) -> list[dict[str, Any]]:
    try:
        releases = json.loads(body)["releases"]
        return [release for release in releases if isinstance(release, dict)]
    except (ValueError, KeyError, TypeError) as error:
        raise UnusableAnswer("its answer is not the JSON of a search for releases") from error


def _agreeing(
    releases: list[dict[str, Any]], artist: str, title: str
) -> Iterator[tuple[Release, bool]]:
    """Yield the releases that are the wanted one, and whether each is official."""
    for release in releases:
        mbid = _mbid(release.get("id"))
        if mbid is None or not _is_at_least(release.get("score"), MINIMUM_SCORE):
            continue
        if normalise(str(release.get("title"))) != normalise(title):
            continue
        if not _same_artist(release.get("artist-credit"), artist):
            continue
        group = release.get("release-group")
        group_mbid = _mbid(group.get("id")) if isinstance(group, dict) else None
        yield Release(mbid, group_mbid), release.get("status") == "Official"


def _is_at_least(score: Any, minimum: int) -> bool:
    # a number in JSON; older servers sent text
    return str(score).isdigit() and int(score) >= minimum


def _same_artist(credit: Any, artist: str) -> bool:
    """Compare with the names as credited and with the artists' own names."""
    if not isinstance(credit, list) or not all(isinstance(part, dict) for part in credit):
        return False
    credited = own = ""
    for part in credit:
        join = str(part.get("joinphrase") or "")
        name = str(part.get("name") or "")
        known = part.get("artist")
        credited += name + join
        own += (str(known.get("name") or name) if isinstance(known, dict) else name) + join
    if are_various([artist]):
        return are_various([own])
    return normalise(artist) in {normalise(credited), normalise(own)} - {""}


def _mbid(value: Any) -> str | None:
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        return None
