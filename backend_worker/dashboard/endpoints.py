"""The API: one table of endpoints, from which routing, checks and description all come."""

from __future__ import annotations

import asyncio
import inspect
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from backend_worker.dashboard.errors import Refusal
from backend_worker.dashboard.parameters import Parameter, most, path_id
from backend_worker.library.roots import normalise
from backend_worker.storage import browse, scans, search

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backend_worker.dashboard.services import Services

_AFTER = Parameter(name="after", doc="the `next` of the page before")
_WORDS = Parameter(
    name="q", doc="only what contains each of these words; accents and case do not matter",
    default="", longest=search.LONGEST_SEARCH,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path."""

    method: str
    path: str
    summary: str
    answer: Callable[..., Awaitable[Any]]
    schema: str  # of the answer, in openapi.SCHEMAS
    parameters: tuple[Parameter, ...] = ()
    body: str | None = None  # schema of the request's body
    status: int = 200
    refusals: tuple[int, ...] = ()

    @property
    def writes(self) -> bool:
        """Whether it changes something, and so needs the token."""
        return self.method != "GET"


Answer = TypeVar("Answer", bound="Callable[..., Awaitable[Any]]")
ENDPOINTS: list[Endpoint] = []


def _endpoint(
    method: str, path: str, schema: str, *parameters: Parameter, **more: Any
) -> Callable[[Answer], Answer]:
    """Enter a function in the table; its docstring is the summary."""

    def enter(function: Answer) -> Answer:
        summary = (inspect.getdoc(function) or "").partition("\n")[0]
        ENDPOINTS.append(Endpoint(method, path, summary, function, schema, parameters, **more))
        return function

    return enter


def _found(row: Any, what: str, row_id: int) -> Any:
    if row is None:
        raise Refusal(404, f"there is no {what} {row_id}")
    return row


@_endpoint("GET", "/api/status", "Status", refusals=(503,))
async def status(services: Services) -> Any:
    """What the worker does, what waits, and how much is in the library."""
    return await services.watch.status()


@_endpoint("GET", "/api/scans", "Scans", most(20, 200), refusals=(503,))
async def list_scans(services: Services, limit: int) -> Any:
    """The newest scans, newest first."""
    return [scan.as_dict() for scan in await services.ask(scans.recent, limit)]


@_endpoint("GET", "/api/scans/{id}", "Scan", path_id("scan"), refusals=(404, 503))
async def one_scan(services: Services, row_id: int) -> Any:
    """One scan, with what it could not look into."""
    found = _found(await services.ask(scans.get, row_id), "scan", row_id).as_dict()
    errors = await services.ask(scans.errors_of, row_id)
    return found | {"errors": [{"path": path, "reason": reason} for path, reason in errors]}


@_endpoint("POST", "/api/scans", "Started", body="StartScan", status=202, refusals=(400, 409, 503))
async def start_scan(services: Services, body: dict[str, Any]) -> Any:
    """Start a scan: of the whole library, or of one folder of it."""
    folder = body.get("folder")
    arguments = [] if folder is None else ["--", _folder(folder, services.config.music_dir)]
    return {"id": (await services.actions.run("scan", "--json", *arguments))["scan"]}


def _folder(folder: Any, music_dir: str) -> str:
    """Return a folder that may be scanned from here.

    Raises:
        Refusal: it is no absolute path, or not within the library's folder.
    """
    if not isinstance(folder, str) or not folder.startswith("/") or "\0" in folder:
        raise Refusal(400, "folder: expected the absolute path of a folder on this machine")
    try:
        os.fsencode(folder)
    except UnicodeEncodeError as error:
        raise Refusal(400, "folder: it is no valid text") from error
    path = _normal(folder)
    root = _normal(music_dir) if music_dir else ""
    if root and os.path.commonpath([root, path]) != root:
        raise Refusal(400, f"folder: only {root} and what is below it can be scanned from here")
    return path


def _normal(path: str) -> str:
    return os.fsdecode(normalise(os.fsencode(path)))


@_endpoint(
    "DELETE", "/api/scans/{id}", "Cancelled", path_id("scan"), status=202, refusals=(404, 503)
)
async def cancel_scan(services: Services, row_id: int) -> Any:
    """Cancel a running scan; what is stored stays stored."""
    _found(await services.ask(scans.get, row_id), "scan", row_id)
    try:
        return await services.actions.run("cancel", "--json", str(row_id))
    except Refusal as refusal:
        if refusal.status == 404:
            raise Refusal(404, f"scan {row_id} is not running") from refusal
        raise


@_endpoint("GET", "/api/search", "Tracks", _WORDS, most(20, 100), refusals=(503,))
async def find(services: Services, q: str, limit: int) -> Any:
    """Tracks by words of title, artist and album; typos are forgiven."""
    return {"tracks": await services.ask(search.search, q, limit)}


@_endpoint("GET", "/api/tracks", "TrackPage", _AFTER, most(60, 200), _WORDS, refusals=(400, 503))
async def tracks(services: Services, after: str | None, limit: int, q: str) -> Any:
    """Tracks, page by page, the newest first."""
    return await _page(services, browse.tracks, limit, after, q)


@_endpoint("GET", "/api/tracks/{id}", "Track", path_id("track"), refusals=(404, 503))
async def track(services: Services, row_id: int) -> Any:
    """One track, with its artists."""
    found = _found(await services.ask(search.track, row_id), "track", row_id)
    return found | {"artists": await services.ask(browse.artists_of_track, row_id)}


@_endpoint(
    "GET", "/api/tracks/{id}/similar", "Similar", path_id("track"), most(10, 50),
    refusals=(404, 503),
)  # fmt: skip
async def similar(services: Services, row_id: int, limit: int) -> Any:
    """The tracks most like one; `score` is 1 for the same."""
    found = _found(await services.ask(search.track, row_id), "track", row_id)
    try:
        return {"track": found, "similar": await services.ask(search.similar, row_id, limit)}
    except LookupError as error:
        raise Refusal(404, str(error)) from error


@_endpoint(
    "GET", "/api/albums", "Albums", _AFTER, most(60, 200), _WORDS,
    Parameter(name="sort", doc="order", default="title", choices=tuple(browse.ALBUM_SORTS)),
    refusals=(400, 503),
)  # fmt: skip
async def albums(services: Services, after: str | None, limit: int, q: str, sort: str) -> Any:
    """Albums, page by page."""
    return await _page(services, browse.albums, limit, after, q, sort)


@_endpoint("GET", "/api/albums/{id}", "Album", path_id("album"), refusals=(404, 503))
async def album(services: Services, row_id: int) -> Any:
    """One album, with its tracks."""
    return _found(await services.ask(browse.album, row_id), "album", row_id)


@_endpoint(
    "GET", "/api/artists", "Artists", _AFTER, most(60, 200), _WORDS,
    Parameter(name="sort", doc="order", default="name", choices=tuple(browse.ARTIST_SORTS)),
    refusals=(400, 503),
)  # fmt: skip
async def artists(services: Services, after: str | None, limit: int, q: str, sort: str) -> Any:
    """Artists, page by page."""
    return await _page(services, browse.artists, limit, after, q, sort)


@_endpoint("GET", "/api/artists/{id}", "Artist", path_id("artist"), refusals=(404, 503))
async def artist(services: Services, row_id: int) -> Any:
    """One artist, with albums and similar artists."""
    return _found(await services.ask(browse.artist, row_id), "artist", row_id)


@_endpoint("GET", "/api/failures", "Failures", _AFTER, most(50, 500), refusals=(400, 503))
async def failures(services: Services, after: str | None, limit: int) -> Any:
    """Files that could not be read, and why; newest first."""
    return await _page(services, browse.failures, limit, after)


@_endpoint("POST", "/api/failures/retry", "Retried", status=202, refusals=(503,))
async def retry(services: Services, body: dict[str, Any]) -> Any:
    """Read again what could not be read."""
    del body
    return await services.actions.run("retry", "--json", "--no-wait")


@_endpoint("GET", "/healthz", "Healthy")
async def healthz(services: Services) -> Any:
    """Whether this server answers; it asks no other."""
    await asyncio.sleep(0)
    return {"ok": True, "away": sorted(services.hub.away)}


async def _page(services: Services, function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return await services.ask(function, *arguments)
    except browse.CursorError as error:
        raise Refusal(400, str(error)) from error
