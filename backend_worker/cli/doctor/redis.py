"""Redis: whether it answers, keeps what it is given, takes more, and holds what it should."""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING, Any

from backend_worker.cli.doctor.finding import Check, Finding
from backend_worker.config import redact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend_worker.config import Config

_SECONDS = 5.0
_PROBE = "backend_worker:doctor"
_HANGS = (
    "it took the connection and is silent",
    "journalctl -u redis-server; then: sudo systemctl restart redis-server",
)
_ACCOUNT = "correct user and password in BACKEND_WORKER_REDIS_URL"
# Words of Redis' refusal in small letters, and what helps then.
_REFUSALS = {
    "noperm": "the account may not do that: run site.yml again, which writes the accounts",
    "no permissions": "the account may not do that: run site.yml again, which writes the accounts",
    "permission denied": "only root and the group redis may use its socket: use sudo",
    "wrongpass": _ACCOUNT,
    "authentication": _ACCOUNT,
    "noauth": _ACCOUNT,
    "maxmemory": "its memory is full: start the worker, which empties the queues, or raise "
    "redis_maxmemory_mb",
    "misconf": "it cannot write to its disk: make room there (df -h /var/lib/redis)",
    "read only replica": "it is a replica: name its master in BACKEND_WORKER_REDIS_URL",
    "loading": "it still reads its files: wait",
}


def check(config: Config) -> Check:
    """Return the look at Redis."""
    return Check("Redis", lambda: _look(config), _HANGS)


def _look(config: Config) -> Iterator[Finding]:
    import redis  # noqa: PLC0415 - a missing package is a finding of program

    from backend_worker.progress.connection import impatient_client  # noqa: PLC0415 - as above

    yield from _damaged_files(config)
    where = redact(config.redis_url)
    with impatient_client(_SECONDS) as client:
        try:
            info = client.info()
        except redis.TimeoutError:
            yield Finding("problem", "Redis", f"{where}: {_HANGS[0]}", _HANGS[1])
            return
        except redis.RedisError as error:
            yield Finding("problem", "Redis", f"{where}: {error}", _advice(error))
            return
        yield Finding("ok", "Redis", f"{where}, version {info['redis_version']}")
        yield from _settings(info)
        try:
            client.set(_PROBE, 1, px=1000)
            client.delete(_PROBE)
        except redis.RedisError as error:
            yield Finding("problem", "Redis takes nothing", str(error), _advice(error))
        yield from _types(client, config)


def _advice(error: Exception) -> str:
    text = str(error).lower()
    for words, advice in _REFUSALS.items():
        if words in text:
            return advice
    return (
        "start it (systemctl start redis-server) or correct BACKEND_WORKER_REDIS_URL; "
        "if it does not start: journalctl -u redis-server"
    )


def _settings(info: dict[str, Any]) -> Iterator[Finding]:
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield Finding(
            "problem",
            "Redis eviction",
            f"maxmemory-policy {policy} may delete whole queues",
            "set maxmemory-policy noeviction",
        )
    if not info.get("aof_enabled"):
        yield Finding(
            "warning",
            "Redis persistence",
            "no append-only file: queues are lost when it stops",
            "set appendonly yes",
        )
    elif info.get("aof_last_write_status", "ok") != "ok":
        yield Finding(
            "problem",
            "Redis persistence",
            "its append-only file could not be written",
            "make room on its disk (df -h /var/lib/redis), or replace a card that fails (dmesg)",
        )


def _types(client: Any, config: Config) -> Iterator[Finding]:
    """A key of another type fails every command on it, for ever."""
    from backend_worker.progress import figures  # noqa: PLC0415 - as above
    from backend_worker.tasks import broker, pending  # noqa: PLC0415 - as above

    expected = broker.expected_types()
    expected |= dict.fromkeys((figures.RUNNING_KEY, *pending.TRACKS.keys), "set")
    expected |= dict.fromkeys(pending.ARTISTS.keys, "set")
    if config.progress_stream:
        expected[config.progress_stream] = "stream"
    pipeline = client.pipeline(transaction=False)
    for key in expected:
        pipeline.type(key)
    wrong = [
        (key, found, wanted)
        for (key, wanted), found in zip(expected.items(), pipeline.execute(), strict=True)
        if found not in {wanted, "none"}
    ]
    for key, found, wanted in wrong:
        yield Finding(
            "problem",
            "Redis key",
            f"{key} is a {found}, not a {wanted}: another program wrote it",
            f"find that program and give it another database; then remove the key: "
            f"redis-cli … DEL '{key}'",
        )


def _damaged_files(config: Config) -> Iterator[Finding]:
    """What the unit's redis-files put aside, where the server is this board's."""
    folder = damaged_folder(config)
    for note in sorted(glob.glob(os.path.join(glob.escape(folder), "*", "README"))):
        with open(note, encoding="utf-8") as file:
            detail = " ".join(file.read().split())
        yield Finding(
            "warning",
            "Redis' files",
            f"{os.path.basename(os.path.dirname(note))}: {detail}",
            f"look at the card (dmesg | grep -i error); nothing else is to be done. To clear "
            f"this line: sudo rm -r {os.path.dirname(note)}",
        )


def damaged_folder(config: Config) -> str:
    """Return where the unit keeps damaged files: of /run/NAME/… it is /var/lib/NAME/damaged."""
    if not config.redis_url.startswith("redis+socket://"):
        return os.devnull
    socket = config.redis_client_url.removeprefix("unix://").partition("?")[0].rpartition("@")[2]
    name = os.path.basename(os.path.dirname(socket))
    return os.path.join(config.system_root, "var/lib", name, "damaged")
