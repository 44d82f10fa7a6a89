"""The reader of the progress events, within this process, with a real Redis."""

import asyncio
import json

import pytest
from redis.asyncio import Redis

from backend_worker.config import get_config
from backend_worker.dashboard.stream import MOST_CHARACTERS, Hub
from backend_worker.progress import events
from backend_worker.progress.connection import redis_client
from tests.support.waiting import WAIT_SECONDS

CANCELLATIONS_LOST = 3


@pytest.fixture
def forgetful(monkeypatch):
    """XREAD goes on when it is cancelled, the first times: asyncio.wait_for may before Python 3.12.

    redis-py sends with it; a task that is cancelled just when all is sent does not end.
    """
    read = Redis.xread
    lost = []

    async def xread(*args, **kwargs):
        try:
            return await read(*args, **kwargs)
        except asyncio.CancelledError:
            if len(lost) == CANCELLATIONS_LOST:
                raise
            lost.append("a cancellation")
            return await read(*args, **kwargs)

    monkeypatch.setattr(Redis, "xread", xread)
    return lost


def publish(*numbers):
    events.publish_all([("test.event", {"n": n}) for n in numbers])


def numbers(messages):
    return [json.loads(m.text.partition("data: ")[2])["n"] for m in messages if m.id]


def waiting_readers():
    """Return how many readers wait for events."""
    connections = redis_client().client_list()
    return sum("b" in each["flags"] and each["cmd"] == "xread" for each in connections)


async def until(condition):
    """Wait as lab.wait_for does, and let other tasks go on."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


async def others_turns():
    """Let the other tasks go on until each waits for something that is outside."""
    for _ in range(50):
        await asyncio.sleep(0)


async def taken(hub, position, count):
    """Take until a client has so many events, and what else comes within a moment."""
    found = []
    async with asyncio.timeout(WAIT_SECONDS):
        while len(found) < count:
            found += numbers(await hub.take(position))
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    return found + numbers(await hub.take(position))


def test_reader_whose_cancellation_got_lost_adds_nothing(library, forgetful):
    async def test():
        hub = Hub(get_config())
        for left in range(CANCELLATIONS_LOST):  # each leaves a reader behind
            position = await hub.join(None)
            await until(lambda left=left: waiting_readers() == left + 1)
            await others_turns()  # Redis may know of its question before it knows itself
            hub.leave(position)
            await others_turns()
        assert len(forgetful) == CANCELLATIONS_LOST
        quick, slow = await hub.join(None), await hub.join(None)
        publish(1, 2, 3, 4)
        assert await taken(hub, quick, 4) == [1, 2, 3, 4]
        publish(5, 6)
        assert await taken(hub, quick, 2) == [5, 6]
        # one that takes only now gets all that the readers have appended
        assert await taken(hub, slow, 6) == [1, 2, 3, 4, 5, 6]
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert len(left) == 1
        hub.leave(quick)
        hub.leave(slow)

    asyncio.run(test())


def test_what_comes_while_a_client_fetches_older_events_is_not_passed_over(library, monkeypatch):
    """Its older events are gone meanwhile: the stream was cut."""
    fetch = Redis.xrange

    async def xrange(self, *args, **kwargs):
        await asyncio.to_thread(events.trim, 0)
        found = await fetch(self, *args, **kwargs)
        publish(8, 9)
        await asyncio.sleep(0.2)  # the reader gets them
        monkeypatch.setattr(Redis, "xrange", fetch)
        return found

    async def test():
        publish(0)
        hub = Hub(get_config())
        first = await hub.join(None)
        after = first.after
        hub.leave(first)
        publish(1, 2, 3)
        position = await hub.join(after)
        monkeypatch.setattr(Redis, "xrange", xrange)
        assert await taken(hub, position, 2) == [8, 9]
        hub.leave(position)

    asyncio.run(test())


@pytest.mark.parametrize("count", [100, 500], ids=["kept for all", "asked of Redis"])
def test_client_gets_no_more_at_once_than_may_be_sent(library, count):
    """Each of these is a tenth of that: what a slow client holds does not grow with the events."""
    text = "x" * (MOST_CHARACTERS // 10)

    async def test():
        hub = Hub(get_config())
        slow = await hub.join(None)
        events.publish_all([("test.event", {"n": n, "text": text}) for n in range(count)])
        found = []
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while len(found) < count:
                    messages = await hub.take(slow)
                    assert sum(len(message.text) for message in messages) < 1.2 * MOST_CHARACTERS
                    found += numbers(messages)
                    await asyncio.sleep(0)
        finally:
            hub.leave(slow)
        assert found == list(range(count))

    asyncio.run(test())
