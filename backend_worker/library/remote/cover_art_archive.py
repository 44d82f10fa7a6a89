"""Front covers from the Cover Art Archive, https://musicbrainz.org/doc/Cover_Art_Archive/API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from backend_worker.library.artwork import MAX_PICTURE_BYTES

if TYPE_CHECKING:
    from backend_worker.library.remote.client import RemoteClient

Kind = Literal["release", "release-group"]


def front_cover(client: RemoteClient, kind: Kind, mbid: str) -> bytes | None:
    """Return the front cover, at most 500 pixels wide, or None if the archive has none.

    Args:
        client: of the archive.
        kind: a release, or a release group (the cover that its editors chose for it).
        mbid: its MusicBrainz id.

    Raises:
        RemoteAway: the archive is not to be asked for a while.
        UnusableAnswer: this one answer is of no use.
    """
    return client.get(
        f"/{kind}/{mbid}/front-500", content_type="image/", max_bytes=MAX_PICTURE_BYTES
    )
