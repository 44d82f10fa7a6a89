"""Give back at once what was taken from Redis and not finished.

With ``acks_late`` Redis keeps a taken message until it is acknowledged. After a crash, or
after an acknowledgement that a lost connection swallowed, kombu would hand it out again only
when the visibility time-out is over, hours later.
"""

from __future__ import annotations

import gc
import json
import logging
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar

import redis.exceptions
from celery.worker import state
from kombu.exceptions import OperationalError
from kombu.transport import redis as redis_transport
from kombu.transport import virtual
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps

from backend_worker.queues import QUEUE_NAMES, TASK_QUEUE
from backend_worker.worker.steps import Step
from backend_worker.worker.systemd import notifier

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from kombu.asynchronous import Hub
    from kombu.connection import Connection

logger = logging.getLogger(__name__)

PING_SECONDS = 1.0
RETRY_SECONDS = 2.0
# Between two looks for what is left of a scan, while there is nothing to do.
LOOK_SECONDS = 20.0
# For so long it is remembered what was given back, and of so many messages.
DOUBT_SECONDS = 10.0
MOST_GIVEN_BACK = 200
LOOKED_AT = 1000  # messages at each end of a list
_SCANNING = {"scan", "extract", "batch", "insert"}
# Where any Celery program keeps what it has taken, and where earlier versions of ours did.
FORMER_UNACKED_KEY = "unacked"
FORMER_UNACKED_INDEX_KEY = "unacked_index"
_AWAY = (OperationalError, redis.exceptions.RedisError, OSError)


class GiveBackOrphans(Step):
    """Runs once, after the pool was made and before the first message is taken."""

    requires = ("celery.worker.components:Pool",)

    def start(self, worker: Any) -> None:
        """Restore orphaned messages, waiting for Redis if it is away, and resume scans."""
        warned = False
        while True:
            state.maybe_shutdown()
            try:
                give_back_orphans(worker.app)
                resume_scans(worker.app)
            except _AWAY as error:
                notifier().waiting("Redis")
                if not warned:
                    logger.warning("Redis is not available, waiting for it: %s", error)
                    warned = True
                time.sleep(RETRY_SECONDS)
            else:
                return


@contextmanager
def _sign_of_life() -> Iterator[None]:
    """Feed the watchdog after a failure: a silent Redis took its whole time-out.

    As many messages as there are processes may wait for theirs in one turn of the event loop.
    """
    try:
        yield
    except _AWAY:
        notifier().ping()
        raise


class RememberingQoS(redis_transport.QoS):
    """kombu's record of taken messages, and which of all workers' are this worker's own.

    kombu forgets a message when it loses Redis while it writes or removes that record.
    """

    taken: ClassVar[set[str]] = set()  # delivery tags, of all connections that this worker had
    # Messages that Redis handed out just before it went away, which only this worker has now.
    unrecorded: ClassVar[dict[str, str]] = {}
    # The same, with the list that each was in: the connection was lost before they were read.
    unread: ClassVar[list[tuple[bytes, bytes]]] = []
    # What this worker has given back, by delivery tag: when (monotonic seconds), list, text.
    given_back: ClassVar[dict[str, tuple[float, str, str]]] = {}
    # That of it which Redis may have handed out as it ended, without anybody hearing of it.
    doubtful: ClassVar[dict[str, tuple[str, str]]] = {}

    def append(self, message: Any, delivery_tag: str) -> None:
        """Record that a message was taken."""
        self.taken.add(delivery_tag)
        self.given_back.pop(delivery_tag, None)
        self.doubtful.pop(delivery_tag, None)
        try:
            super().append(message, delivery_tag)
        except redis.exceptions.ResponseError:
            # Redis has handed it out and has no room for the record, in memory or on its disk.
            # Working on it makes room.
            virtual.QoS.append(self, message, delivery_tag)
        except _AWAY:
            place = message.delivery_info
            self.unrecorded[delivery_tag] = dumps(
                [message._raw, place["exchange"], place["routing_key"]]
            )
            raise

    @classmethod
    def remember_given_back(cls, delivery_tag: str, key: str, text: str) -> None:
        """Remember for a while that a message was put back into a list."""
        cls.given_back[delivery_tag] = (time.monotonic(), key, text)
        while len(cls.given_back) > MOST_GIVEN_BACK:
            del cls.given_back[next(iter(cls.given_back))]

    @classmethod
    def doubt(cls) -> None:
        """Take note that Redis went: what was given back just before may be lost.

        Redis that is told to end hands out a message, writes that to its log, and exits before
        it writes the answer.
        """
        now = time.monotonic()
        cls.doubtful.update(
            (tag, (key, text))
            for tag, (when, key, text) in cls.given_back.items()
            if now - when < DOUBT_SECONDS
        )
        cls.given_back.clear()

    def record_again(self) -> None:
        """Give back or record what was on its way when Redis went; kombu would have lost it.

        Should Redis have lost its last second, a message may be in its queue as well: it is done
        twice then, which does no harm.
        """
        with self.channel.conn_or_acquire() as client:
            lost = [entry for tag, entry in self.doubtful.items() if self._is_lost(client, tag)]
            with client.pipeline() as pipe:
                for key, text in [*self.unread, *lost]:
                    pipe.rpush(key, text)  # it is handed out next
                for tag, entry in self.unrecorded.items():
                    pipe.zadd(self.unacked_index_key, {tag: time.time()})
                    pipe.hset(self.unacked_key, tag, entry)
                pipe.execute()
        self.unread.clear()
        self.doubtful.clear()
        self.unrecorded.clear()

    def _is_lost(self, client: redis.Redis, tag: str) -> bool:
        if client.hexists(self.unacked_key, tag):
            return False
        key, text = self.doubtful[tag]
        # near one of the ends: it was put there seconds before Redis went
        return all(client.lpos(key, text, rank=rank, maxlen=LOOKED_AT) is None for rank in (1, -1))

    def ack(self, delivery_tag: str) -> None:
        """Remove a message that is dealt with."""
        with _sign_of_life():
            super().ack(delivery_tag)
        self.taken.discard(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Remove a message that is refused."""
        with _sign_of_life():
            super().reject(delivery_tag, requeue=requeue)
        self.taken.discard(delivery_tag)

    def restore_visible(self, *args: Any, **kwargs: Any) -> None:
        """Give back what other workers have had for too long; kombu calls it every 10 seconds.

        Of what this worker has taken it knows better: a task may wait in it for its time, or
        for Redis or PostgreSQL, for longer than a message may be taken.
        """
        if self.taken:
            now = time.time()
            with self.channel.conn_or_acquire() as client:
                old = client.zrange(
                    self.unacked_index_key, "-inf", now - self.visibility_timeout / 2, byscore=True
                )
                own = {tag: now for tag in map(bytes_to_str, old) if tag in self.taken}
                if own:
                    client.zadd(self.unacked_index_key, own, xx=True)
        super().restore_visible(*args, **kwargs)

    def orphans(self) -> set[str]:
        """Return the tags of messages that nobody works on and no connection will give back.

        A process died just before its connection, and Celery noticed it afterwards.
        """
        working = {request.message.delivery_tag for request in state.requests.values()}
        return self.taken - working - set(self._delivered)

    def restore_by_tag(
        self, tag: str | bytes, client: redis.Redis | None = None, leftmost: bool = False
    ) -> None:
        """Put a message back into its queue."""
        super().restore_by_tag(tag, client=client, leftmost=leftmost)
        self.taken.discard(bytes_to_str(tag))


def let_go(connection: Connection, hub: Hub) -> None:
    """Forget a connection that is lost; kombu 5.7 keeps each with its socket and messages.

    Its channels are kept to give back at the worker's end what was taken: that is given back
    after the reconnect, and may be done long since. And the event loop goes on asking it.
    """
    RememberingQoS.doubt()
    for channel in connection.transport.channels:
        RememberingQoS.unread += _last_answer(channel)
        if channel._qos is not None:
            channel._qos._on_collect.cancel()
    hub.on_tick.difference_update(
        [ask for ask in hub.on_tick if ask.__module__ == redis_transport.__name__]
    )


def _last_answer(channel: Any) -> list[tuple[bytes, bytes]]:
    """Return the message that Redis handed out on a lost connection and that nobody has read.

    When the loss shows on another connection first, the answer of this one lies in its socket;
    kombu takes note of it while it closes the channel, when it cannot tell Redis any more.
    """
    polled = channel._in_poll
    if not polled or polled._sock is None:
        return []
    with suppress(redis.exceptions.RedisError, OSError):
        if polled.can_read():
            answer = polled.read_response()
            channel._in_poll = None  # kombu would wait for another
            if isinstance(answer, list) and len(answer) == 2:
                return [(answer[0], answer[1])]
    return []


class GiveBackAfterReconnect(Step):
    """Does the same for this worker's own messages each time that it has lost Redis.

    The consumer forgets then what it had taken but not begun, tasks that wait for another
    try included; and what ended just as the connection broke was never acknowledged.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, consumer: Any) -> None:
        """Give back what is not being worked on, and look after scans.

        Redis may have lost its last second, and kombu the message that was on its way.

        Raises:
            ConnectionError: Redis is away again; the consumer reconnects.
        """
        if not consumer.restart_count:
            return
        gc.collect()  # the lost connection: its parts refer to each other
        running = {request.message.delivery_tag for request in state.active_requests}
        channel = consumer.connection.default_channel
        channel.qos.record_again()
        count = _give_back(channel, RememberingQoS.taken - running)
        RememberingQoS.taken.intersection_update(running)
        if count:
            logger.info("%d tasks that were cut off from Redis are back in their queues", count)
        try:
            resume_scans(consumer.app, producer=consumer.app.amqp.Producer(channel))
        except OperationalError as error:
            raise ConnectionError(str(error)) from error


class LookAfterWork(Step):
    """Has a look now and then at what may have got lost without the worker noticing.

    Messages that it took on an earlier connection and that nobody works on any more; and scans,
    while one runs and after anything of one was done: Redis may have been emptied, or have
    refused a message. What else the worker holds is no reason not to look: a client's task may
    wait in it until tomorrow.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **kwargs: Any) -> None:
        super().__init__(consumer, **kwargs)
        self._looked_at = 0

    def start(self, consumer: Any) -> None:
        """Look every now and then; the timer ends with the connection."""
        consumer.timer.call_repeatedly(LOOK_SECONDS, self._look, (consumer,))

    def _look(self, consumer: Any) -> None:
        try:
            self._look_at_messages(consumer.connection.default_channel)
            self._look_at_scans(consumer)
        except _AWAY as error:
            logger.debug("nothing is looked after now: %s", error)

    @staticmethod
    def _look_at_messages(channel: Any) -> None:
        orphans = channel.qos.orphans()
        count = _give_back(channel, orphans)
        RememberingQoS.taken.difference_update(orphans)
        if count:
            logger.info("%d tasks that were cut off from Redis are back in their queues", count)

    def _look_at_scans(self, consumer: Any) -> None:
        done = sum(
            count for name, count in state.total_count.items() if TASK_QUEUE.get(name) in _SCANNING
        )
        sample = consumer.controller.sampler.last
        if done == self._looked_at and not (sample and sample.scans):
            return
        producer = consumer.app.amqp.Producer(consumer.connection.default_channel)
        resume_scans(consumer.app, producer=producer)
        self._looked_at = done


def give_back_orphans(app: Any) -> int:
    """Put unacknowledged messages back into their queues and return how many.

    Where another worker of ours answers, they may be its own, and nothing is done: kombu's
    visibility time-out serves them then. Other programs' workers neither hear the question nor
    have their messages there.

    Raises:
        kombu.exceptions.OperationalError: Redis is away.
    """
    with app.connection_for_read(connect_timeout=5) as connection:
        connection.ensure_connection(max_retries=1, timeout=5)
        channel = connection.default_channel
        before = _taken(channel)
        former = _formerly_taken(channel)
        if not before and not former:
            return 0
        others = app.control.ping(timeout=PING_SECONDS, connection=connection)
        if others:
            logger.info(
                "%d messages are taken and %d other workers run: left to them",
                len(before) + len(former),
                len(others),
            )
            return 0
        # not what a worker that starts at the same moment has taken since
        now = _taken(channel)
        count = _give_back(channel, {tag for tag, when in before.items() if now.get(tag) == when})
        _take_over(channel, former)
        count += _give_back(channel, former)
    logger.info("%d unfinished tasks of the last run are back in their queues", count)
    return count


def _taken(channel: Any) -> dict[str, float]:
    """Return the tags of all taken messages, the newest first, and when they were taken."""
    with channel.conn_or_acquire() as client:
        present = {bytes_to_str(tag) for tag in client.hkeys(channel.unacked_key)}
        index = client.zrange(channel.unacked_index_key, 0, -1, desc=True, withscores=True)
    return {bytes_to_str(tag): when for tag, when in index if bytes_to_str(tag) in present}


def _formerly_taken(channel: Any) -> dict[str, bytes]:
    """Return our messages among those that all programs have taken, by tag, as kombu keeps them."""
    with channel.conn_or_acquire() as client:
        entries = client.hgetall(FORMER_UNACKED_KEY)
    return {bytes_to_str(tag): entry for tag, entry in entries.items() if _is_ours(entry)}


def _is_ours(entry: bytes) -> bool:
    try:
        message, _, queue = json.loads(entry)
        return queue in QUEUE_NAMES and message["headers"]["task"] in TASK_QUEUE
    except (ValueError, TypeError, LookupError):
        return False


def _take_over(channel: Any, former: Mapping[str, bytes]) -> None:
    """Move messages from where an earlier version kept what it had taken to where we do."""
    with channel.conn_or_acquire() as client, client.pipeline() as pipe:
        for tag, entry in former.items():
            pipe.hset(channel.unacked_key, tag, entry)
            pipe.zadd(channel.unacked_index_key, {tag: time.time()})
            pipe.hdel(FORMER_UNACKED_KEY, tag)
            pipe.zrem(FORMER_UNACKED_INDEX_KEY, tag)
        pipe.execute()


def _give_back(channel: Any, tags: Collection[str]) -> int:
    # each goes to the head of its queue: the oldest comes first then, as it did before
    newest_first = [tag for tag in _taken(channel) if tag in tags] if tags else []
    for tag in newest_first:
        channel.qos.restore_by_tag(tag)
    return len(newest_first)


def resume_scans(app: Any, **options: Any) -> None:
    """Have a task look after scans that do not go on by themselves.

    Raises:
        kombu.exceptions.OperationalError: Redis is away.
    """
    # Not patiently, as tasks send: the worker must still see that it is to stop.
    app.send_task("maintenance.resume_scans", ignore_result=True, retry=False, **options)
