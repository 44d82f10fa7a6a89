"""Progress events for any number of clients: one reader of the Redis stream, none while idle.

A client is no more than a position in the stream. It takes what comes after it whenever it can
be written to: from the last few hundred events, which the reader keeps for all, or else from
Redis. So a slow client holds nothing and loses nothing, and one that comes back goes on where
it was by the id it saw last.

What the dashboard itself makes (figures of the moment) has no id: of each kind only the newest
counts, and a slow client gets fewer of them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import redis.exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from backend_worker.config import Config, redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

logger = logging.getLogger(__name__)

EVENTS_KEPT = 300
PAGE = 200
# What a client gets at once, and what a slow one therefore holds, whatever the events' size.
MOST_CHARACTERS = 128 * 1024
# A reader asks Redis again this often, so that a connection that died in silence is noticed.
BLOCK_SECONDS = 5
ANSWER_SECONDS = 10
RETRY_SECONDS = 1

StreamId = tuple[int, int]
BEGINNING: StreamId = (0, 0)
Entry = tuple[str, dict[str, str]]  # id, fields


@dataclass(frozen=True, slots=True)
class Message:
    """One event as a client gets it."""

    text: str  # as text/event-stream has it
    id: StreamId = BEGINNING  # that of one which is not of the stream
    scan: int | None = None
    for_all: bool = False  # also for those who asked for one scan only


@dataclass(slots=True, eq=False)
class Position:
    """Where a client is: the last event and the last figures that it got."""

    after: StreamId | None
    scan: int | None
    figures: int

    def wants(self, message: Message) -> bool:
        """Say whether this client asked for such events."""
        return self.scan is None or message.for_all or message.scan == self.scan


def encode(data: Any) -> str:
    """Return JSON in UTF-8 for any data: what is not valid Unicode becomes a question mark."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.encode("utf-8", "replace").decode()


def event_text(kind: str, data: Any, event_id: str | None = None) -> str:
    """Return one event in the format text/event-stream; JSON has no line breaks."""
    first = f"id: {event_id}\n" if event_id else ""
    return f"{first}event: {kind}\ndata: {encode(data)}\n\n"


def parse_id(text: str) -> StreamId | None:
    """Return a stream's id as numbers, None if it is none."""
    match = re.fullmatch(r"(\d{1,20})(?:-(\d{1,20}))?", text.strip(), re.ASCII)
    return (int(match[1]), int(match[2] or 0)) if match else None


def show_id(event_id: StreamId) -> str:
    """Return an id as Redis writes it."""
    return f"{event_id[0]}-{event_id[1]}"


class Hub:
    """What happens, for all who listen; only used within the event loop."""

    def __init__(self, config: Config) -> None:
        self.away: dict[str, str] = {}  # servers that do not answer, and a sentence on each
        self._config = config
        self._listeners: set[Position] = set()
        self._reader: asyncio.Task[None] | None = None
        self._client: Redis | None = None
        self._changed = asyncio.Event()
        self._reading = asyncio.Event()
        # All events after `_since` up to `_last`.
        self._events: deque[Message] = deque()
        self._since = BEGINNING
        self._last: StreamId | None = None
        self._figures: dict[str, tuple[int, Message]] = {}
        self._counter = 0

    @property
    def listeners(self) -> int:
        """How many clients listen."""
        return len(self._listeners)

    async def join(self, after: StreamId | None, scan: int | None = None) -> Position:
        """Begin to listen.

        Args:
            after: the last event that the client has; None to begin now.
            scan: only events of this scan.
        """
        position = Position(after, scan, self._counter)
        self._listeners.add(position)
        if self._reader is None:
            self._reading.clear()
            self._reader = asyncio.create_task(self._read())
        try:
            # while Redis is away nobody knows where the stream ends: later then
            with suppress(TimeoutError):
                await asyncio.wait_for(self._reading.wait(), RETRY_SECONDS)
        except BaseException:
            self.leave(position)
            raise
        self._adopt(position)
        return position

    def leave(self, position: Position) -> None:
        """Listen no more; the last one stops the reader."""
        self._listeners.discard(position)
        if not self._listeners and self._reader is not None:
            self._reader.cancel()
            self._reader = None
            self._last = None
            self._events.clear()
            self._figures.clear()

    async def misses(self, after: StreamId) -> bool:
        """Say whether events after this one are no longer in the stream.

        Raises:
            redis.RedisError: Redis is away.
        """
        async with self._connection() as client:
            first = await client.xrange(self._config.progress_stream, count=1)
        oldest = _ids(first)[0] if first else None
        return after > BEGINNING and (oldest is None or after < oldest)

    async def newest(self, count: int) -> StreamId:
        """Return the id before the newest so many events.

        Raises:
            redis.RedisError: Redis is away.
        """
        async with self._connection() as client:
            found = await client.xrevrange(self._config.progress_stream, count=count + 1)
        ids = _ids(found)
        return ids[count] if len(ids) > count else BEGINNING

    async def take(self, position: Position) -> list[Message]:
        """Return what is new for a client, as much as may be sent at once; move its position."""
        self._adopt(position)
        messages: list[Message] = []
        after, end = position.after, self._last
        if after is not None and end is not None and after < end:
            if after >= self._since:
                messages = [event for event in self._events if event.id > after]
            else:
                # what comes while Redis is asked comes next time
                messages, end = await self._fetch(after, end)
            messages, end = _first_of(messages, end)
            position.after = end
        new = [entry for entry in self._figures.values() if entry[0] > position.figures]
        position.figures = self._counter
        messages += [message for _, message in sorted(new, key=lambda entry: entry[0])]
        return [message for message in messages if message.text and position.wants(message)]

    async def wait(self, position: Position, seconds: float) -> None:
        """Wait until something is new for a client, at most so long."""
        if self._is_behind(position) and "redis" not in self.away:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    def show(
        self, kind: str, data: Mapping[str, Any], *, scan: int | None = None, for_all: bool = False
    ) -> None:
        """Tell figures of the moment to all who listen; they replace earlier ones."""
        self._counter += 1
        message = Message(event_text(kind, data), scan=scan, for_all=for_all)
        self._figures[f"{kind} {scan}"] = (self._counter, message)
        self.wake()

    def set_away(self, server: str, sentence: str | None) -> None:
        """Note that a server does not answer, or (None) that it does, and tell if that is new."""
        was_away = server in self.away
        if sentence is not None:
            self.away[server] = sentence
            if not was_away:
                logger.warning("%s", sentence)
                self._tell_server("server.away", server, {"error": sentence})
        elif was_away:
            del self.away[server]
            logger.info("%s answers again", server)
            self._tell_server("server.back", server, {})

    def _tell_server(self, kind: str, server: str, more: dict[str, str]) -> None:
        self._counter += 1
        message = Message(event_text(kind, {"server": server, **more}), for_all=True)
        self._figures[f"server {server}"] = (self._counter, message)
        self.wake()

    def wake(self) -> None:
        """Let everybody look whether something is new."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _is_behind(self, position: Position) -> bool:
        return position.after is not None and self._last is not None and position.after < self._last

    def _adopt(self, position: Position) -> None:
        """Place a client that has no position yet, or one in a stream that was lost since."""
        if self._last is None:
            return
        if position.after is None:
            position.after = self._last
        elif position.after > self._last:
            position.after = self._since

    async def _fetch(self, after: StreamId, last: StreamId) -> tuple[list[Message], StreamId]:
        """Return events that the reader no longer has, and where they end.

        The client stays where it is while Redis is away.
        """
        try:
            async with self._connection() as client:
                entries = await client.xrange(
                    self._config.progress_stream,
                    min=f"({show_id(after)}",
                    max=show_id(last),
                    count=PAGE,
                )
        except (redis.exceptions.RedisError, OSError) as error:
            self.set_away("redis", self._sentence(error))
            return [], after
        messages = list(_messages(cast("list[Entry]", entries)))  # decode_responses
        return messages, messages[-1].id if messages else last

    async def _read(self) -> None:
        """Read the stream for all; ends by being cancelled."""
        while self._is_the_reader():
            try:
                async with self._connection() as client:
                    await self._read_from(client)
            except (redis.exceptions.RedisError, OSError) as error:
                if self._is_the_reader():
                    self.set_away("redis", self._sentence(error))
                    await asyncio.sleep(RETRY_SECONDS)

    async def _read_from(self, client: Redis) -> None:
        """Read the stream on one connection."""
        newest = await client.xrevrange(self._config.progress_stream, count=1)
        if not self._is_the_reader():
            return
        last = self._begin(_ids(newest)[0] if newest else BEGINNING)
        self.set_away("redis", None)
        self._reading.set()
        while True:
            answer = await client.xread(
                {self._config.progress_stream: show_id(last)},
                count=PAGE,
                block=BLOCK_SECONDS * 1000,
            )
            if not self._is_the_reader():
                return
            if answer:
                last = self._append(last, _messages(_entries(answer)))

    def _is_the_reader(self) -> bool:
        """Say whether this task is (still) the one that reads for all.

        A cancellation is not enough to end one: redis-py sends with ``asyncio.wait_for``, which
        before Python 3.12 forgets a cancellation at the moment when all is sent. Two readers
        would append each event twice.
        """
        return asyncio.current_task() is self._reader

    def _begin(self, newest: StreamId) -> StreamId:
        """Start at the end of the stream, or go on; a stream that was lost begins anew.

        Returns:
            the event behind which to read.
        """
        if self._last is None:
            self._last = self._since = newest
            self._events.clear()
        elif newest < self._last:
            self._last = self._since = BEGINNING
            self._events.clear()
        return self._last

    def _append(self, last: StreamId, messages: Iterable[Message]) -> StreamId:
        for message in messages:
            self._events.append(message)
            self._last = last = message.id
        while len(self._events) > EVENTS_KEPT:
            self._since = self._events.popleft().id
        self.wake()
        return last

    def _connection(self) -> Redis:
        return Redis.from_url(
            self._config.redis_client_url,
            decode_responses=True,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )

    def _sentence(self, error: Exception) -> str:
        return f"Redis is not available at {redact(self._config.redis_url)}: {redact(str(error))}"


def _first_of(messages: list[Message], end: StreamId) -> tuple[list[Message], StreamId]:
    """Return those of the messages that may be sent at once, and where these end."""
    size = 0
    for number, message in enumerate(messages[:-1], 1):
        size += len(message.text)
        if size >= MOST_CHARACTERS:
            return messages[:number], message.id
    return messages, end


def _ids(entries: object) -> list[StreamId]:
    """Return the ids of entries as Redis answers them."""
    # decode_responses
    return [parse_id(entry_id) or BEGINNING for entry_id, _ in cast("list[Entry]", entries)]


def _entries(answer: Any) -> list[Entry]:
    """Return the entries of one stream from what XREAD answers, in either protocol of Redis."""
    [(_, entries)] = answer.items() if isinstance(answer, dict) else answer
    return entries[0] if entries and isinstance(entries[0], list) else entries


def _messages(entries: Iterable[Entry]) -> Iterable[Message]:
    for entry_id, fields in entries:
        scan = int(fields["scan"]) if fields.get("scan", "").isdigit() else None
        try:
            data = {**json.loads(fields["details"]), "time": float(fields["time"]), "scan": scan}
        except (KeyError, ValueError, TypeError):
            logger.warning("event %s is not one of ours: left out", entry_id)
            data = None
        kind = re.sub(r"[^\w.]", "_", fields.get("kind", "unknown"))
        text = "" if data is None else event_text(kind, data, entry_id)
        yield Message(text, id=parse_id(entry_id) or BEGINNING, scan=scan)
