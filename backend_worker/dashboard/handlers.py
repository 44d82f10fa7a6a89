"""Answering requests: the checks that all have in common, JSON, pictures, files of the page."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING, Any, cast

import tornado.web
from tornado.iostream import StreamClosedError

from backend_worker.dashboard import guard, openapi
from backend_worker.dashboard.endpoints import ENDPOINTS
from backend_worker.dashboard.errors import Refusal
from backend_worker.dashboard.metrics import CONTENT_TYPE, as_text
from backend_worker.dashboard.parameters import Parameter, path_id
from backend_worker.dashboard.stream import encode
from backend_worker.library.artwork import THUMBNAIL_SIZES
from backend_worker.library.artwork.store import CoverStore
from backend_worker.storage import browse

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend_worker.dashboard.endpoints import Endpoint
    from backend_worker.dashboard.server import Server

logger = logging.getLogger(__name__)

PICTURE_CHUNK = 64 * 1024
# A picture whose version is in its address never changes.
PICTURE_SECONDS = 365 * 86400
# What Pillow calls the formats that browsers show.
PICTURE_TYPES = {
    "image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/avif",
}  # fmt: skip
LOOPBACK = {"127.0.0.1", "::1"}


class Handler(tornado.web.RequestHandler):
    """Refuses what must not be answered, and turns errors into JSON with a sentence."""

    client: str  # its address; set by prepare

    @property
    def server(self) -> Server:
        """The server that this request came to."""
        return cast("Server", self.settings["server"])

    def set_default_headers(self) -> None:
        """Set what every answer has."""
        self.clear_header("Server")
        for name, value in guard.SECURITY_HEADERS.items():
            self.set_header(name, value)
        self.set_header("Cache-Control", "no-store")

    async def prepare(self) -> None:
        """Check where the request comes from, and whether it may write.

        Raises:
            Refusal: it may not.
        """
        services = self.server.services
        self.server.touch()
        hosts = guard.asked_hosts(self.request.headers)
        for host in hosts:
            guard.check_host(host, self.server.names)
        self.client = guard.client_address(self.request.headers, self.request.remote_ip or "")
        wait = self.server.rates.take(self.client)
        if wait:
            later = {"Retry-After": str(max(1, round(wait)))}
            raise Refusal(429, "too many requests from this address: slow down", later)
        if self.request.method not in {"GET", "HEAD"}:
            guard.check_origin(self.request.headers, hosts, self.server.allowed)
            guard.check_token(self.request.headers, services.config.dashboard_token_file)

    def on_finish(self) -> None:
        """Remember when somebody was last here."""
        self.server.touch()

    def write_json(self, data: Any) -> None:
        """Answer with JSON."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(encode(data))

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log what nobody expected, with a stack trace, and which server is away."""
        if isinstance(value, Refusal) and value.status >= 500:
            logger.warning("%s: %s", self._request_summary(), value.sentence)
        elif not isinstance(value, (Refusal, tornado.web.HTTPError, StreamClosedError)):
            logger.error("%s failed", self._request_summary(), exc_info=(typ, value, tb))

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Answer with the status of a refusal."""
        error = kwargs.get("exc_info", (None, None))[1]
        super().send_error(error.status if isinstance(error, Refusal) else status_code, **kwargs)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with a sentence."""
        # an error is an answer of its own: nothing of the intended one stays
        self.set_default_headers()
        error = kwargs.get("exc_info", (None, None))[1]
        if isinstance(error, Refusal):
            sentence = error.sentence
            for name, value in error.headers.items():
                self.set_header(name, value)
        else:
            sentence = {
                404: "there is nothing at this address; /api/openapi.json describes what is",
                405: f"{self.request.method} is not possible here",
            }.get(status_code, "this server made a mistake: its journal says more")
        if status_code == 401:
            self.set_header("WWW-Authenticate", "Bearer")
        self.write_json({"error": sentence})

    def argument(self, parameter: Parameter, in_path: dict[str, str]) -> Any:
        """Return a parameter of the request.

        Raises:
            Refusal: it is not usable.
        """
        if parameter.in_path:
            return parameter.parse(in_path[parameter.name])
        return parameter.parse(self.get_query_argument(parameter.name, None, strip=False))


class ApiHandler(Handler):
    """Answers the endpoints of one path."""

    def initialize(self, endpoints: dict[str, Endpoint]) -> None:
        """Take the endpoints by their methods."""
        self.endpoints = endpoints

    async def get(self, **in_path: str) -> None:
        """Answer GET."""
        await self._answer(in_path)

    async def post(self, **in_path: str) -> None:
        """Answer POST."""
        await self._answer(in_path)

    async def delete(self, **in_path: str) -> None:
        """Answer DELETE."""
        await self._answer(in_path)

    async def _answer(self, in_path: dict[str, str]) -> None:
        endpoint = self.endpoints.get(self.request.method)
        if endpoint is None:
            allowed = {"Allow": ", ".join(self.endpoints)}
            raise Refusal(405, f"{self.request.method} is not possible here", allowed)
        values = {
            parameter.argument: self.argument(parameter, in_path)
            for parameter in endpoint.parameters
        }
        if endpoint.method == "POST":
            values["body"] = self._body()
        answer = await endpoint.answer(self.server.services, **values)
        if endpoint.path == "/api/status":
            answer["flower_url"] = await self._flower_url()
        self.set_status(endpoint.status)
        self.write_json(answer)

    def _body(self) -> dict[str, Any]:
        if not self.request.body:
            return {}
        try:
            body = json.loads(self.request.body)
        except ValueError as error:
            raise Refusal(400, f"the body is not JSON: {error}") from error
        if not isinstance(body, dict):
            raise Refusal(400, 'the body is no JSON object, such as {"folder": "/srv/music"}')
        return body

    async def _flower_url(self) -> str | None:
        """Return where Flower is while it runs; one on loopback only for browsers there."""
        url = self.server.services.config.dashboard_flower_url
        if not url or not await self.server.services.watch.flower_runs.get():
            return None
        is_here = guard.is_loopback(url.partition("://")[2].partition("/")[0])
        asked = [*guard.asked_hosts(self.request.headers), self.client]
        return None if is_here and not all(map(guard.is_loopback, asked)) else url


class OpenApiHandler(Handler):
    """Describes the API."""

    def get(self) -> None:
        """Answer with the description."""
        self.write_json(openapi.describe(ENDPOINTS, OTHER_PATHS))


class MetricsHandler(Handler):
    """Tells Prometheus the figures of the moment."""

    async def get(self) -> None:
        """Answer in Prometheus' text format; a server that is away is a figure too."""
        self.set_header("Content-Type", CONTENT_TYPE)
        self.finish(await as_text(self.server.services))


class PictureHandler(Handler):
    """Sends covers and images from the store."""

    def initialize(self, find: Callable[[int], tuple[str, str | None] | None]) -> None:
        """Take the function that finds the picture."""
        self.find = find

    async def get(self, **in_path: str) -> None:
        """Send the picture, or 304 when the browser has it."""
        row_id = self.argument(PICTURE_PARAMETERS[0], in_path)
        size = self.argument(PICTURE_PARAMETERS[1], in_path)
        services = self.server.services
        found = await services.ask(self.find, row_id)
        if found is None:
            raise Refusal(404, "there is no picture of this")
        picture, mime = found
        path, mime = _picture_file(services.config.cover_dir, picture, mime, size)
        self.set_header("Etag", f'"{picture[:32]}-{os.path.basename(path)[64:] or "full"}"')
        version = self.argument(PICTURE_PARAMETERS[2], in_path)
        if version == picture[: browse.VERSION_DIGITS]:
            self.set_header("Cache-Control", f"private, max-age={PICTURE_SECONDS}, immutable")
        else:
            self.set_header("Cache-Control", "private, no-cache")
        # should it ever be opened by itself: it is a picture and nothing else
        self.set_header("Content-Security-Policy", "default-src 'none'; sandbox")
        if self.check_etag_header():
            self.set_status(304)
            return
        try:
            file = open(path, "rb")  # noqa: SIM115 - a local file, closed below
        except OSError as error:
            raise Refusal(404, "the picture is not in the cover store any more") from error
        with file:
            self.set_header("Content-Type", mime)
            self.set_header("Content-Length", str(os.fstat(file.fileno()).st_size))
            while chunk := file.read(PICTURE_CHUNK):
                self.write(chunk)
                await self.flush()


def _picture_file(folder: str, picture: str, mime: str | None, size: str) -> tuple[str, str]:
    """Return path and type of a picture in this size.

    Raises:
        Refusal: browsers do not show its type.
    """
    store = CoverStore(folder)
    if size == "small":
        path = store.thumbnail_path(picture, max(THUMBNAIL_SIZES))
        return path, "image/webp" if path.endswith(".webp") else "image/jpeg"
    if mime not in PICTURE_TYPES:
        raise Refusal(404, "browsers do not show a picture of this kind: use size=small")
    return store.path(picture), mime


class PageHandler(tornado.web.StaticFileHandler, Handler):
    """Sends the files of the page."""

    def set_extra_headers(self, path: str) -> None:
        """Let browsers keep the files, and ask whether they changed."""
        self.set_header("Cache-Control", "no-cache")


class NothingHandler(Handler):
    """Answers what nobody else does."""

    async def prepare(self) -> None:
        """Refuse it, after the checks.

        Raises:
            Refusal: always.
        """
        await super().prepare()
        raise tornado.web.HTTPError(404)


PICTURE_PARAMETERS = (
    path_id("album or artist"),
    Parameter(
        name="size",
        doc=f"small: at most {max(THUMBNAIL_SIZES)} pixels wide and high",
        default="small",
        choices=("small", "full"),
    ),
    Parameter(
        name="version",
        doc="the `cover` or `image` of the album or artist: the picture may be kept while it is"
        " this one, and without it browsers ask each time whether it has changed",
        default="",
    ),
)


def _plain(summary: str, kind: str, *parameters: Parameter, refusals: tuple[int, ...] = ()) -> Any:
    return {
        "get": {
            "operationId": "get" + "".join(word.title() for word in summary.split()[:3]),
            "summary": summary,
            "parameters": [parameter.described() for parameter in parameters],
            "responses": {
                "200": {"description": "done", "content": {kind: {"schema": {}}}},
                **{
                    str(status): openapi.refusal(status) for status in sorted({*refusals, 403, 429})
                },
            },
        }
    }


EVENT_PARAMETERS = (
    Parameter(
        name="scan",
        doc="only events of this scan; covers and vectors follow scans and belong to none",
        low=0,
        high=browse.LARGEST_ID,
    ),
    Parameter(name="after", doc="begin after this id, where no Last-Event-ID is sent"),
    Parameter(name="last", doc="begin with so many of the newest events", low=0, high=500),
)
OTHER_PATHS: dict[str, Any] = {
    "/api/events": _plain(
        "Events as they happen", "text/event-stream", *EVENT_PARAMETERS, refusals=(400, 503)
    ),
    "/api/covers/{id}": _plain(
        "Cover of an album", "image/*", *PICTURE_PARAMETERS, refusals=(400, 404, 503)
    ),
    "/api/artists/{id}/image": _plain(
        "Image of an artist", "image/*", *PICTURE_PARAMETERS, refusals=(400, 404, 503)
    ),
    "/api/openapi.json": _plain("This description itself", "application/json"),
    "/metrics": _plain("Figures for Prometheus", "text/plain"),
}
