"""What waits for a similarity vector: two sets of ids in Redis, tracks and artists.

scikit-learn costs a process some 100 MB and a second of processor time. So stored batches only
note their tracks here, and one task after the other makes the vectors of thousands at once.

If Redis loses the sets, ``maintenance.fill_gaps`` finds what lacks its vector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import redis

from backend_worker.config import get_config
from backend_worker.progress.connection import redis_client
from backend_worker.tasks.base import send

if TYPE_CHECKING:
    from collections.abc import Collection


class PendingSet:
    """Ids that wait, and those of them that a run has taken and not done yet.

    One run at a time takes and removes; anybody may add. An id that is added again while a
    run deals with it waits again, for the run may have read what was there before. Taken ids
    of a run that ended before its time are the next one's first.
    """

    def __init__(self, name: str) -> None:
        self._waiting = f"backend_worker:vectors:{name}"
        self._taken = f"{self._waiting}:taken"

    @property
    def keys(self) -> tuple[str, str]:
        """The two sets of it in Redis."""
        return self._waiting, self._taken

    def add(self, ids: Collection[int]) -> int:
        """Add ids and return how many wait now.

        Raises:
            redis.RedisError: Redis is away.
        """
        pipeline = redis_client().pipeline(transaction=False)
        if ids:
            pipeline.sadd(self._waiting, *ids)
        pipeline.scard(self._waiting)
        count: int = pipeline.execute()[-1]
        return count

    def take(self, count: int) -> list[int]:
        """Return at most so many ids in order; they stay until they are :meth:`done`.

        Raises:
            redis.RedisError: Redis is away.
        """
        client = redis_client()
        ids = _members(client, self._taken, count)
        if not ids:
            try:
                client.rename(self._waiting, self._taken)
            except redis.exceptions.ResponseError as error:
                if "no such key" in str(error):  # nothing waits
                    return []
                raise
            ids = _members(client, self._taken, count)
        return sorted(map(int, ids))

    def done(self, ids: Collection[int]) -> None:
        """Remove ids that were taken.

        Raises:
            redis.RedisError: Redis is away.
        """
        redis_client().srem(self._taken, *ids)

    def __bool__(self) -> bool:
        """Say whether there is anything to be done."""
        return bool(redis_client().exists(self._waiting, self._taken))


TRACKS = PendingSet("tracks")
ARTISTS = PendingSet("artists")


def note_tracks(track_ids: Collection[int], *, at_once: bool) -> None:
    """Note tracks that were stored; have vectors made when enough wait.

    Args:
        track_ids: the tracks of one batch.
        at_once: do not wait for more; of a batch of which no end of a scan will follow.

    Raises:
        redis.RedisError: Redis is away.
    """
    waiting = TRACKS.add(track_ids)
    enough = get_config().vector_batch_size
    # Once, as the number is passed: a message for each further batch would do nothing.
    if at_once or waiting - len(track_ids) < enough <= waiting:
        ask_for_vectors()


def ask_for_vectors() -> None:
    """Have the vectors made of all that wait, if anything does.

    Raises:
        redis.RedisError: Redis is away.
    """
    if TRACKS or ARTISTS:
        send("vectorization.pending", [])


def _members(client: redis.Redis, key: str, count: int) -> list[str]:
    return cast("list[str]", client.srandmember(key, count))
