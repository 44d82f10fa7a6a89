"""The server: its sockets, its routes, and its end when nobody looks any more."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import re
import signal
import socket
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import tornado.netutil
import tornado.web

from backend_worker.dashboard import guard
from backend_worker.dashboard.endpoints import ENDPOINTS
from backend_worker.dashboard.handlers import (
    ApiHandler,
    MetricsHandler,
    NothingHandler,
    OpenApiHandler,
    PageHandler,
    PictureHandler,
)
from backend_worker.dashboard.limits import LimitedServer
from backend_worker.dashboard.services import Services
from backend_worker.dashboard.sse import EventsHandler
from backend_worker.storage import browse
from backend_worker.storage.connection import limit_statements

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backend_worker.config import Config

logger = logging.getLogger(__name__)

STATIC = os.path.join(os.path.dirname(__file__), "static")
HEADER_SECONDS = 30
BODY_SECONDS = 10
# Enough for a page full of covers at once.
BURST_SECONDS = 10
STATEMENT_SECONDS = 10
# sd_listen_fds(3): the first that systemd passes
FIRST_PASSED = 3


class Server:
    """One running dashboard."""

    def __init__(self, config: Config) -> None:
        self.services = Services(config)
        self.allowed = set(config.dashboard_allowed_names)
        self.names = guard.own_names() | self.allowed
        rate = config.dashboard_requests_per_second
        self.rates = guard.Rates(rate, rate * BURST_SECONDS)
        self.listeners: Counter[str] = Counter()
        self._touched = time.monotonic()

    def touch(self) -> None:
        """Remember that somebody is here."""
        self._touched = time.monotonic()

    def idle_seconds(self) -> float:
        """Return for how long nobody has been here; 0 while somebody listens."""
        if self.listeners.total():
            self.touch()
        return time.monotonic() - self._touched

    def application(self) -> tornado.web.Application:
        """Return the routes."""
        return tornado.web.Application(
            _routes(),
            server=self,
            default_handler_class=NothingHandler,
            log_function=_log,
        )

    async def run(self, sockets: list[socket.socket], idle_seconds: float | None) -> None:
        """Serve until SIGTERM or SIGINT, or until nobody was here for so long."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        http = LimitedServer(
            self.application(),
            idle_connection_timeout=HEADER_SECONDS,
            body_timeout=BODY_SECONDS,
        )
        http.add_sockets(sockets)
        gc.collect()
        gc.freeze()
        try:
            await self._until(stop, idle_seconds)
        finally:
            # what connects from now on waits in systemd's socket for the next one
            http.stop()
            self.services.close()
            for connection in list(http._connections):
                connection.stream.close()
            while self.listeners.total():
                await asyncio.sleep(0.01)

    async def _until(self, stop: asyncio.Event, idle_seconds: float | None) -> None:
        while not stop.is_set():
            if idle_seconds is None:
                await stop.wait()
                return
            left = idle_seconds - self.idle_seconds()
            if left <= 0:
                logger.info("nobody has looked for %g s: until next time", idle_seconds)
                return
            try:
                await asyncio.wait_for(stop.wait(), min(left, 10) + 0.05)
            except TimeoutError:
                continue


def serve(config: Config, environment: Mapping[str, str] = os.environ) -> None:
    """Serve on the socket that systemd passes, or else on ``dashboard_listen``, until the end.

    Raises:
        OSError: the address cannot be listened on.
    """
    limit_statements(STATEMENT_SECONDS)
    passed = passed_sockets(environment)
    sockets = passed or tornado.netutil.bind_sockets(
        config.dashboard_address[1], config.dashboard_address[0]
    )
    where = ", ".join(_shown(one) for one in sockets)
    logger.info("the dashboard is at %s", where)
    idle = config.dashboard_idle_seconds if passed else None
    asyncio.run(_run(config, sockets, idle))


async def _run(config: Config, sockets: list[socket.socket], idle: float | None) -> None:
    await Server(config).run(sockets, idle)


def passed_sockets(environment: Mapping[str, str]) -> list[socket.socket]:
    """Return the listening sockets that systemd passes, as sd_listen_fds(3) has it."""
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(environment.get("LISTEN_FDS", "0"))
    sockets = []
    for number in range(FIRST_PASSED, FIRST_PASSED + count):
        os.set_inheritable(number, False)
        one = socket.socket(fileno=number)
        one.setblocking(False)
        sockets.append(one)
    return sockets


def _routes() -> list[Any]:
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    return [
        *((_pattern(path), ApiHandler, {"endpoints": methods}) for path, methods in paths.items()),
        (r"/api/events", EventsHandler),
        (_pattern("/api/covers/{id}"), PictureHandler, {"find": browse.album_cover}),
        (_pattern("/api/artists/{id}/image"), PictureHandler, {"find": browse.artist_image}),
        (r"/api/openapi\.json", OpenApiHandler),
        (r"/metrics", MetricsHandler),
        (r"/api(?:/.*)?", NothingHandler),
        (r"/(.*)", PageHandler, {"path": STATIC, "default_filename": "index.html"}),
    ]


def _pattern(path: str) -> str:
    return re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)


def _log(handler: tornado.web.RequestHandler) -> None:
    level = logging.WARNING if handler.get_status() >= 500 else logging.DEBUG
    request = handler.request
    logger.log(
        level,
        "%d %s %s from %s, %.0f ms",
        handler.get_status(),
        request.method,
        request.path[:200],
        request.remote_ip,
        request.request_time() * 1000,
    )


def _shown(one: socket.socket) -> str:
    address = one.getsockname()
    if one.family == socket.AF_UNIX:
        return str(address)
    host = f"[{address[0]}]" if one.family == socket.AF_INET6 else address[0]
    return f"http://{host}:{address[1]}"
