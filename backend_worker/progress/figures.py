"""Figures of the scans that run now, for display: one small Redis hash for each scan.

The tasks write what they know anyway, one Redis command or pipeline a batch. The facts are in
PostgreSQL: figures may be a moment behind, and losing them harms nothing. They expire.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import redis.exceptions

from backend_worker.progress.connection import redis_client

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from redis.typing import EncodableT, FieldT

logger = logging.getLogger(__name__)

RUNNING_KEY = "backend_worker:scans:running"  # the ids of scans that have figures
# Longer than a stop of PostgreSQL in the middle of a scan; then nobody looks any more.
KEEP_SECONDS = 6 * 3600
WRITE_TRIES = 30  # each in vain because another process wrote
_RUNNING = "running"
_COUNTS = ("found", "stored", "unchanged", "failed", "ignored")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A running scan as far as its tasks have told; see :class:`storage.scans.ScanStatus`."""

    scan_id: int
    root: str = ""
    folder: str = ""  # that which the walk has come to; afterwards, of what was stored last
    started: float = 0.0  # seconds since 1970
    walk_ended: bool = False
    found: int = 0
    stored: int = 0
    unchanged: int = 0
    failed: int = 0
    ignored: int = 0

    @property
    def done(self) -> int:
        """Files that are dealt with."""
        return self.stored + self.unchanged + self.failed + self.ignored

    @property
    def waiting(self) -> int:
        """Files that were found and are not dealt with yet."""
        return max(self.found - self.done, 0)

    @property
    def percent(self) -> int | None:
        """How much of the scan is done; None until the walk has ended: the whole is not known."""
        if not self.walk_ended:
            return None
        return 100 * min(self.done, self.found) // self.found if self.found else 100


def write(scan_id: int, **values: str | float | bool) -> None:
    """Set some figures of a running scan.

    Never raises: a task does not fail for want of a display.

    Args:
        scan_id: the scan.
        **values: fields of :class:`Figures`, with absolute values.
    """
    try:
        pipeline = redis_client().pipeline(transaction=False)
        _set(pipeline, scan_id, values)
        pipeline.execute()
    except Exception as error:
        logger.debug("figures of scan %d not written: %s", scan_id, error)


def write_stored(scan_id: int, stored: int, failed: int, **values: str | float | bool) -> None:
    """Set figures of a running scan unless another process has told later ones.

    Between a task's look at PostgreSQL and its word to Redis others store their batches.
    Never raises; see :func:`write`.
    """
    key = _key(scan_id)
    fields = {"stored": stored, "failed": failed, **values}
    try:
        with redis_client().pipeline() as pipeline:
            for _ in range(WRITE_TRIES):
                pipeline.watch(key)
                before = pipeline.hmget(key, "stored", "failed")
                if sum(int(count or 0) for count in before) > stored + failed:
                    return
                pipeline.multi()
                _set(pipeline, scan_id, fields)
                with suppress(redis.exceptions.WatchError):  # another was faster
                    pipeline.execute()
                    return
    except Exception as error:
        logger.debug("figures of scan %d not written: %s", scan_id, error)


def begin(scan_id: int, root: str) -> None:
    """Start a scan's figures, or start them anew where its walk begins once more."""
    write(
        scan_id,
        status=_RUNNING,
        root=root,
        folder=root,
        started=time.time(),
        walk_ended=False,
    )


def end(scan_id: int, status: str) -> None:
    """Say that a scan has ended: it is not among the running ones any more."""
    try:
        pipeline = redis_client().pipeline(transaction=False)
        pipeline.hset(_key(scan_id), "status", status)
        pipeline.expire(_key(scan_id), KEEP_SECONDS)
        pipeline.srem(RUNNING_KEY, scan_id)
        pipeline.execute()
    except Exception as error:
        logger.debug("end of scan %d not told: %s", scan_id, error)


def get(scan_id: int) -> Figures:
    """Return the figures of a scan; zeros if there are none.

    Raises:
        redis.RedisError: Redis is away.
    """
    found = redis_client().hgetall(_key(scan_id))
    return _figures(scan_id, cast("dict[str, str]", found))  # decode_responses


def running(client: redis.Redis | None = None) -> list[Figures]:
    """Return the figures of all scans that run, oldest first.

    Args:
        client: a connection to use (with ``decode_responses``), such as one that gives up soon.

    Raises:
        redis.RedisError: Redis is away.
    """
    client = redis_client() if client is None else client
    return of(cast("set[str]", client.smembers(RUNNING_KEY)), client)


def of(scan_ids: Iterable[str], client: redis.Redis) -> list[Figures]:
    """Return the figures of those of these scans that run, oldest first."""
    ids = sorted(int(scan_id) for scan_id in scan_ids)
    if not ids:
        return []
    pipeline = client.pipeline(transaction=False)
    for scan_id in ids:
        pipeline.hgetall(_key(scan_id))
    found = dict(zip(ids, pipeline.execute(), strict=True))
    ended = [scan_id for scan_id, fields in found.items() if fields.get("status") != _RUNNING]
    if ended:
        client.srem(RUNNING_KEY, *ended)
    return [_figures(scan_id, found[scan_id]) for scan_id in ids if scan_id not in ended]


def _set(
    pipeline: redis.client.Pipeline, scan_id: int, values: Mapping[str, str | float | bool]
) -> None:
    fields: dict[FieldT, EncodableT] = {name: _as_text(value) for name, value in values.items()}
    pipeline.hset(_key(scan_id), mapping=fields)
    # only if it has none: a batch that comes late must not call back a scan that has ended
    pipeline.hsetnx(_key(scan_id), "status", _RUNNING)
    pipeline.expire(_key(scan_id), KEEP_SECONDS)
    pipeline.sadd(RUNNING_KEY, scan_id)


def _key(scan_id: int) -> str:
    return f"backend_worker:scan:{scan_id}"


def _as_text(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return str(value)


def _figures(scan_id: int, fields: dict[str, str]) -> Figures:
    return Figures(
        scan_id=scan_id,
        root=fields.get("root", ""),
        folder=fields.get("folder", ""),
        started=float(fields.get("started", 0)),
        walk_ended=fields.get("walk_ended") == "1",
        **{name: int(fields.get(name, 0)) for name in _COUNTS},
    )
