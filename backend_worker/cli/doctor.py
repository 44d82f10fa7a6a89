"""``doctor``: check every dependency, path, permission and setting, and say what to do."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from backend_worker.cli import output
from backend_worker.cli.errors import Exit
from backend_worker.config import Config, ConfigError, get_config, redact
from backend_worker.queues import QUEUE_NAMES

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

LEAST_FREE_BYTES = 500 * 1024 * 1024
_MODULES = ("celery", "kombu", "redis", "psycopg2", "mutagen", "sklearn", "numpy", "PIL", "httpx")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: ``ok``, ``warning`` or ``problem``, and what to do."""

    state: str
    subject: str
    detail: str
    advice: str = ""


def doctor(args: argparse.Namespace) -> Exit:
    """Run all checks; the exit code says whether one of them found a problem."""
    findings = list(examine())
    if args.json:
        output.print_json([asdict(finding) for finding in findings])
    else:
        marks = {"ok": "✓", "warning": "!", "problem": "✗"}
        output.print_table(
            "",
            ["", "what", "found", "what to do"],
            [[marks[f.state], f.subject, f.detail, f.advice] for f in findings],
        )
    return Exit.FAILED if any(f.state == "problem" for f in findings) else Exit.OK


def examine() -> Iterator[Finding]:
    """Yield every finding; a check that fails unexpectedly is a finding too."""
    yield from _guarded("program", _program)
    try:
        config = get_config()
    except ConfigError as error:
        yield Finding("problem", "settings", str(error), "correct the variable")
        return
    yield Finding("ok", "settings", "all values are valid")
    for subject, check in (
        ("Redis", _redis),
        ("PostgreSQL", _postgres),
        ("worker", _worker),
        ("music folder", _music),
        ("cover store", _covers),
        ("memory limits", _memory),
    ):
        yield from _guarded(subject, lambda check=check: check(config))


def _guarded(subject: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except Exception as error:
        yield Finding("problem", subject, f"{type(error).__name__}: {error}".strip())


def _program() -> Iterator[Finding]:
    yield Finding("ok", "Python", sys.version.split()[0])
    missing = []
    for name in _MODULES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            missing.append(f"{name} ({error})")
    if missing:
        yield Finding(
            "problem",
            "packages",
            ", ".join(missing),
            "install the package again in its environment",
        )
    else:
        yield Finding("ok", "packages", f"all {len(_MODULES)} import")


def _redis(config: Config) -> Iterator[Finding]:
    import redis  # noqa: PLC0415 - a missing package is a finding of _program

    from backend_worker.progress.connection import (  # noqa: PLC0415 - as above
        check_redis,
        redis_client,
    )

    where = redact(config.redis_url)
    try:
        check_redis()
        info = redis_client().info()
    except redis.RedisError as error:
        yield Finding(
            "problem",
            "Redis",
            f"{where}: {error}",
            "start it (systemctl start redis-server) or correct BACKEND_WORKER_REDIS_URL",
        )
        return
    yield Finding("ok", "Redis", f"{where}, version {info['redis_version']}")
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


def _postgres(config: Config) -> Iterator[Finding]:
    from backend_worker.storage import migrations  # noqa: PLC0415 - as above
    from backend_worker.storage.connection import DatabaseAwayError, connect  # noqa: PLC0415 - as above

    where = redact(config.database_url)
    try:
        connection = connect()
    except DatabaseAwayError as error:
        yield Finding(
            "problem",
            "PostgreSQL",
            str(error),
            "start it (systemctl start postgresql) or correct BACKEND_WORKER_DATABASE_URL",
        )
        return
    try:
        version = connection.server_version
        yield Finding("ok", "PostgreSQL", f"{where}, version {version // 10000}.{version % 10000}")
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'")
            if not cursor.fetchone()[0]:
                yield Finding(
                    "problem",
                    "pgvector",
                    "the extension is not installed",
                    "install Debian's package postgresql-<version>-pgvector",
                )
                return
        try:
            missing = migrations.pending(connection)
        except migrations.MigrationError as error:
            yield Finding("problem", "tables", str(error))
            return
    finally:
        connection.close()
    if missing:
        yield Finding(
            "problem", "tables", f"{len(missing)} migrations are missing", "backend-worker migrate"
        )
    else:
        yield Finding("ok", "tables", "up to date")


def _worker(_config: Config) -> Iterator[Finding]:
    import redis  # noqa: PLC0415 - as above

    from backend_worker.celery_app import app  # noqa: PLC0415 - as above
    from backend_worker.progress.connection import check_redis  # noqa: PLC0415 - as above

    try:
        check_redis()
    except redis.RedisError:
        yield Finding("warning", "worker", "cannot be asked without Redis")
        return
    answers = app.control.inspect(timeout=1.0).active_queues() or {}
    if not answers:
        yield Finding(
            "warning", "worker", "none answers", "systemctl status celery-worker; start it"
        )
    for name, queues in answers.items():
        missing = set(QUEUE_NAMES) - {queue["name"] for queue in queues}
        if missing:
            yield Finding(
                "warning", "worker", f"{name} does not serve {', '.join(sorted(missing))}"
            )
        else:
            yield Finding("ok", "worker", f"{name} serves all {len(QUEUE_NAMES)} queues")


def _music(config: Config) -> Iterator[Finding]:
    if not config.music_dir:
        yield Finding(
            "warning", "music folder", "none is set", "set BACKEND_WORKER_MUSIC_DIR, or name one"
        )
    elif not os.path.isdir(config.music_dir):
        yield Finding(
            "problem", "music folder", f"{config.music_dir} is not there", "mount the disk"
        )
    elif not os.access(config.music_dir, os.R_OK | os.X_OK):
        yield Finding(
            "problem", "music folder", f"{config.music_dir} cannot be read", "grant read access"
        )
    elif not any(os.scandir(config.music_dir)):
        yield Finding("warning", "music folder", f"{config.music_dir} is empty", "mount the disk")
    else:
        yield Finding("ok", "music folder", config.music_dir)


def _covers(config: Config) -> Iterator[Finding]:
    folder = config.cover_dir
    existing = folder
    while not os.path.isdir(existing):
        existing = os.path.dirname(existing) or "/"
    if not os.access(existing, os.W_OK | os.X_OK):
        yield Finding(
            "problem",
            "cover store",
            f"{folder} cannot be written",
            f"chown {existing} to the worker",
        )
        return
    free = shutil.disk_usage(existing).free
    if free < LEAST_FREE_BYTES:
        yield Finding("warning", "cover store", f"{free >> 20} MiB are free", "make room")
    else:
        yield Finding("ok", "cover store", f"{folder}, {free >> 20:,} MiB free")


def _memory(_config: Config) -> Iterator[Finding]:
    """Raspberry Pi OS starts without the memory controller: limits then do nothing."""
    try:
        with open("/sys/fs/cgroup/cgroup.controllers", encoding="ascii") as file:
            controllers = file.read().split()
    except FileNotFoundError:
        yield Finding("ok", "memory limits", "not cgroup v2 (a laptop or a container)")
        return
    if "memory" in controllers:
        yield Finding("ok", "memory limits", "the kernel enforces them")
    else:
        yield Finding(
            "warning",
            "memory limits",
            "the memory controller is off: MemoryMax= does nothing",
            "add cgroup_enable=memory to /boot/firmware/cmdline.txt and reboot",
        )
