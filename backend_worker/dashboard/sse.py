"""``/api/events``: events as text/event-stream."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, cast

import redis.exceptions
from tornado.iostream import StreamClosedError

from backend_worker.dashboard.errors import Refusal
from backend_worker.dashboard.handlers import EVENT_PARAMETERS, Handler
from backend_worker.dashboard.stream import (
    BEGINNING,
    Position,
    StreamId,
    event_text,
    parse_id,
    show_id,
)

if TYPE_CHECKING:
    from tornado.http1connection import HTTP1Connection
    from tornado.iostream import IOStream

logger = logging.getLogger(__name__)

MOST_LISTENERS = 20
MOST_LISTENERS_OF_ADDRESS = 5
HEARTBEAT_SECONDS = 15.0
# A client that takes nothing for so long is taken for gone; it resumes by itself if it is not.
WRITE_SECONDS = 30.0
# How soon a browser comes back when the connection ends, in milliseconds.
RETRY_MILLISECONDS = 2000


class EventsHandler(Handler):
    """Tells one client what happens, until it goes."""

    @property
    def _stream(self) -> IOStream:
        """The connection's socket."""
        return cast("HTTP1Connection", self.request.connection).stream

    async def get(self) -> None:
        """Send events, and a comment when there was none for a while.

        Raises:
            Refusal: too many listen already.
        """
        scan, after, last = (self.argument(parameter, {}) for parameter in EVENT_PARAMETERS)
        begin = self._begin(after)
        self._count()
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("X-Accel-Buffering", "no")  # nginx would collect them
        self._give_up_soon()
        hub = self.server.services.hub
        address = self.client
        self.server.listeners[address] += 1
        position = None
        try:
            position = await hub.join(begin, scan)
            self.server.services.watch.begin()
            await self._hello(position, begin, last)
            await self._tell(position)
        except (StreamClosedError, TimeoutError):
            logger.debug("a listener at %s is gone", address)
        finally:
            if position is not None:
                hub.leave(position)
            self.server.listeners[address] -= 1
            self.server.listeners += type(self.server.listeners)()  # without the zeros
            stream: IOStream | None = self._stream  # None if tornado has let go of it
            if stream is not None:
                stream.close()

    def on_connection_close(self) -> None:
        """Let :meth:`get` see that the client is gone."""
        self.server.services.hub.wake()

    def _begin(self, after: str | None) -> StreamId | None:
        """Return the event that the client has, None if it has none.

        Raises:
            Refusal: it is no id.
        """
        text = self.request.headers.get("Last-Event-ID") or after
        if text is None:
            return None
        begin = parse_id(text)
        if begin is None:
            raise Refusal(400, f"after={text[:50]!r}: expected the id of an event")
        return begin

    def _count(self) -> None:
        listeners = self.server.listeners
        if listeners.total() >= MOST_LISTENERS:
            raise Refusal(503, f"{MOST_LISTENERS} clients listen already: close one of them")
        if listeners[self.client] >= MOST_LISTENERS_OF_ADDRESS:
            raise Refusal(
                429, f"{MOST_LISTENERS_OF_ADDRESS} clients of this address listen already"
            )

    def _give_up_soon(self) -> None:
        """Let the kernel notice within half a minute that a client vanished without a word."""
        connection = self._stream.socket
        if connection.family in {socket.AF_INET, socket.AF_INET6}:
            connection.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(WRITE_SECONDS * 1000)
            )

    async def _hello(self, position: Position, begin: StreamId | None, last: int | None) -> None:
        hub = self.server.services.hub
        missed = False
        try:
            if begin is not None:
                missed = await hub.misses(begin)
            elif last:
                position.after = await hub.newest(last)
        except (redis.exceptions.RedisError, OSError):
            logger.debug("Redis is away: nobody knows what was missed")
        data = {
            "time": time.time(),
            "version": version("backend-worker"),
            "missed": missed,  # events that happened since `begin` are lost: ask for all anew
            "away": hub.away,
        }
        known = position.after if position.after not in {None, BEGINNING} else None
        text = event_text("hello", data, show_id(known) if known else None)
        await self._send(f"retry: {RETRY_MILLISECONDS}\n{text}")

    async def _tell(self, position: Position) -> None:
        hub = self.server.services.hub
        spoke = time.monotonic()
        while not self._stream.closed():
            messages = await hub.take(position)
            if messages:
                await self._send("".join(message.text for message in messages))
                spoke = time.monotonic()
                continue
            silence = time.monotonic() - spoke
            if silence >= HEARTBEAT_SECONDS:
                await self._send(": still here\n\n")
                spoke = time.monotonic()
                continue
            await hub.wait(position, HEARTBEAT_SECONDS - silence)

    async def _send(self, text: str) -> None:
        """Send, and wait until the client has taken it."""
        if self._stream.closed():
            raise StreamClosedError
        self.write(text)
        await asyncio.wait_for(self.flush(), WRITE_SECONDS)
