"""Scans, changes and faults in turn against one worker for as long as one likes: ``make soak``.

Each cycle changes some files, perhaps disturbs the servers or the worker's processes, scans, and
compares the library with what the folder holds. At the end of each, when all is calm, it measures
what could grow: memory, open files, Redis, connections, tables. Over the second half of the cycles
none may rise by more than its limit: the slope of a robust line through them (Theil and Sen's, the
median of the slopes of all pairs) says by how much.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import json
import os
import random
import re
import shutil
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

LONG_AGO = 1_600_000_000
TRACKS = 240
CHANGES = 12
SCAN_SECONDS = 180
LEAST_CYCLES = 6
GAP_SECONDS = 60

# name: (unit, largest rise over the second half as a part of its mean, and in its unit at least)
METRICS = {
    "parent_heap": ("MiB", 0.05, 3),
    "child_pss": ("MiB", 0.15, 12),
    "parent_files": ("", 0.0, 3),
    "redis_keys": ("", 0.0, 8),
    "redis_memory": ("MiB", 0.10, 1),
    "connections": ("", 0.0, 2),
    "tables": ("MiB", 0.10, 2),
    "indexes": ("MiB", 0.20, 4),
    "dead_rows": ("", 0.5, 5000),
    "cover_files": ("", 0.05, 20),
}


def main() -> int:
    """Run; the exit status says whether all libraries were right and nothing grew."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30, help="how long (30)")
    parser.add_argument("--seed", type=int, help="of changes and faults (random)")
    parser.add_argument("--json", help="file for the measurements")
    options = parser.parse_args()
    seed = random.randrange(2**32) if options.seed is None else options.seed
    folder = Path(tempfile.mkdtemp(prefix="bw-soak-"))
    try:
        report = soak(folder, options.minutes * 60, seed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=1))
    _show(report)
    return 1 if report["grown"] or report["wrong"] else 0


def soak(folder: Path, seconds: float, seed: int) -> dict:
    """Run cycles for so many seconds and return what was measured and what was wrong."""
    from backend_worker.embedded import EmbeddedServers

    for name in [name for name in os.environ if name.startswith("BACKEND_WORKER_")]:
        del os.environ[name]
    servers = EmbeddedServers(folder)
    os.environ.update(servers.environment())
    os.environ["BACKEND_WORKER_COVER_ART_ARCHIVE"] = "no"
    from backend_worker.storage.connection import close_process_connection, connect
    from backend_worker.storage.migrations import migrate
    from tests.support import lab

    report = {"seed": seed, "seconds": seconds, "cycles": [], "wrong": []}
    with servers:
        connection = connect()
        migrate(connection)
        connection.close()
        settings = {"BACKEND_WORKER_SETTLE_SECONDS": 0, "BACKEND_WORKER_BATCH_SIZE": 20}
        with lab.running_worker(servers, **settings) as worker:
            lab.wait_for(lab.worker_is_ready, what="a ready worker")
            _cycles(Soak(folder, servers, worker, random.Random(seed)), report)
            if worker.poll() is not None:
                report["wrong"].append(f"the worker ended with status {worker.returncode}")
        close_process_connection()
        gc.collect()  # Celery's results say goodbye to Redis when they are collected
    report["grown"] = grown(report["cycles"])
    return report


def _cycles(run: Soak, report: dict) -> None:
    """Run until the time is over or the worker has ended; each cycle is a line."""
    end = time.monotonic() + report["seconds"]
    while time.monotonic() < end or len(report["cycles"]) < LEAST_CYCLES:
        number = len(report["cycles"]) + 1
        fault, took = run.cycle(number)
        report["wrong"] += [f"cycle {number} ({fault}): {line}" for line in run.wrong()]
        report["cycles"].append({"fault": fault, "scan": took} | run.measure())
        values = "  ".join(f"{name} {value:g}" for name, value in list(run.last.items())[:6])
        sys.stdout.write(f"{number:4d}  {fault:18} {took:6.1f} s  {values}\n")
        sys.stdout.flush()
        if run.worker.poll() is not None:
            return


class Soak:
    """One worker, its servers, its music, and what is done to them."""

    def __init__(self, folder, servers, worker, chance):
        from backend_worker.library.sample import make_library

        self.servers = servers
        self.worker = worker
        self.chance = chance
        self.music = folder / "music"
        self.last = {}
        make_library(str(self.music), tracks=TRACKS, processes=2)
        self.spare = folder / "spare"
        shutil.copytree(self.music, self.spare, symlinks=True, copy_function=_copy)
        self.faults = {
            "none": lambda: None,
            "children killed": self._kill_children,
            "redis restarted": self._restart_redis,
            "redis emptied": self._empty_redis,
            "postgres restarted": self._restart_postgres,
            "queries cancelled": self._cancel,
            "garbage sent": self._send_garbage,
        }
        self._turns = itertools.cycle(self.faults)

    def cycle(self, number):
        """Change files, disturb, scan; return the fault's name and the scan's seconds."""
        from backend_worker.cli.scan import start_scan
        from tests.support import lab

        if number > 1:
            for _ in range(CHANGES):
                self.chance.choice(
                    (self._add, self._rename, self._retag, self._remove, self._corrupt)
                )()
        fault = next(self._turns)
        began = time.monotonic()
        scan_id = start_scan(str(self.music))
        time.sleep(self.chance.uniform(0.0, 0.6))
        self.faults[fault]()
        lab.ended(scan_id, SCAN_SECONDS)
        took = time.monotonic() - began
        if fault != "none":  # what was left for the next scan
            lab.settle(SCAN_SECONDS)
            lab.scan(self.music, SCAN_SECONDS)
        lab.settle(SCAN_SECONDS)
        if number % 5 == 0:  # as the Pi does every night
            for name in ("purge_gone", "purge_orphans", "trim_progress", "analyze"):
                self._maintain(name)
            lab.settle(SCAN_SECONDS)
        return fault, took

    def _maintain(self, name):
        from backend_worker.celery_app import app

        if name == "purge_orphans":  # which spares pictures of the last hour
            for folder, _, names in os.walk(self.servers.folder / "covers"):
                for picture in names:
                    os.utime(os.path.join(folder, picture), (LONG_AGO, LONG_AGO))
        arguments = [0] if name == "purge_gone" else []
        app.send_task(f"maintenance.{name}", arguments, ignore_result=True)

    def wrong(self):
        """Yield what the library holds and the folder does not, and the reverse."""
        from tests.support import lab

        expected = {os.fsencode(path) for path in self._audio()}
        known = {
            bytes(path): (state, size, mtime)
            for path, state, size, mtime in lab.rows(
                "SELECT path, state, size, mtime_ns FROM file WHERE state <> 'gone'"
            )
        }
        yield from (f"not in the library: {path!r}" for path in sorted(expected - known.keys()))
        yield from (f"not in the folder: {path!r}" for path in sorted(known.keys() - expected))
        for path in sorted(expected & known.keys()):
            state, size, mtime = known[path]
            status = os.stat(path)
            if (status.st_size, status.st_mtime_ns) != (size, mtime):
                yield f"not as it is in the folder: {path!r} ({state})"
        # those that a crash of PostgreSQL took back are made again when the worker next looks
        deadline = time.monotonic() + GAP_SECONDS
        while (without := _without_vector()) and time.monotonic() < deadline:
            time.sleep(0.5)
        if without:
            yield f"{without} tracks have no vector"

    def measure(self):
        """Return all metrics, when everything is calm."""
        from backend_worker.progress.connection import redis_client
        from tests.support import lab
        from tests.support.disturbance import children

        pool = children(self.worker)
        memory = redis_client().info("memory")
        keys = redis_client().info("keyspace").get("db0", {"keys": 0, "expires": 0})
        [(tables, indexes, dead)] = lab.rows(
            "SELECT sum(pg_table_size(relid)), sum(pg_indexes_size(relid)), sum(n_dead_tup)"
            " FROM pg_stat_user_tables"
        )
        [(connections,)] = lab.rows(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'backend-worker'"
            " AND pid <> pg_backend_pid()"
        )
        self.last = {
            # not PSS, which falls when young children share pages with it, and rises when they go
            "parent_heap": round(_memory(self.worker.pid, "Anonymous"), 1),
            "child_pss": round(max((_memory(pid, "Pss") for pid in pool), default=0), 1),
            "parent_files": len(os.listdir(f"/proc/{self.worker.pid}/fd")) - 2 * len(pool),
            # what expires by itself does not grow for ever
            "redis_keys": keys["keys"] - keys["expires"],
            "redis_memory": round(memory["used_memory"] / 2**20, 2),
            "connections": connections,
            "tables": round(float(tables) / 2**20, 2),
            "indexes": round(float(indexes) / 2**20, 2),
            "dead_rows": int(dead),
            "cover_files": sum(
                len(names) for _, _, names in os.walk(self.servers.folder / "covers")
            ),
        }
        return self.last

    def _audio(self):
        from backend_worker.library.tags import AUDIO_EXTENSIONS
        from backend_worker.library.walk import Walk

        walk = Walk(os.fsencode(str(self.music)), AUDIO_EXTENSIONS)
        return [os.fsdecode(path) for path, _, _ in walk.files()]

    def _any_file(self):
        paths = [path for path in self._audio() if path.endswith(".mp3")]
        return self.chance.choice(paths)

    def _add(self):
        lost = [
            path
            for path in self.spare.rglob("*.mp3")
            if path.is_file() and not (self.music / path.relative_to(self.spare)).exists()
        ]
        if lost:
            source = self.chance.choice(sorted(lost))
            target = self.music / source.relative_to(self.spare)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)

    def _rename(self):
        path = self._any_file()
        stem = re.sub(r" #\d+$", "", os.path.splitext(path)[0])
        os.rename(path, f"{stem} #{self.chance.randrange(1000)}.mp3")

    def _retag(self):
        import mutagen

        path = self._any_file()
        with contextlib.suppress(mutagen.MutagenError, TypeError):
            file = mutagen.File(path, easy=True)
            file["title"] = f"Title {self.chance.randrange(1000)}"
            file.save()
        self._date(path)

    def _remove(self):
        if len(self._audio()) > TRACKS / 2:
            os.unlink(self._any_file())

    def _corrupt(self):
        path = self._any_file()
        if os.path.getsize(path):
            with open(path, "r+b") as file:
                file.seek(self.chance.randrange(os.path.getsize(path)))
                file.write(self.chance.randbytes(64))
        self._date(path)

    def _date(self, path):
        when = LONG_AGO + self.chance.randrange(10**6)
        os.utime(path, (when, when))

    def _kill_children(self):
        from tests.support.disturbance import children, kill

        kill(*children(self.worker))

    def _restart_redis(self):
        self.servers.redis.stop()
        self.servers.redis.start()

    def _empty_redis(self):
        self.servers.redis.stop()
        shutil.rmtree(self.servers.redis.folder / "appendonlydir")
        self.servers.redis.start()

    def _restart_postgres(self):
        from backend_worker.storage.connection import close_process_connection

        close_process_connection()
        self.servers.postgres.stop(signal.SIGQUIT)
        self.servers.postgres.start()

    def _cancel(self):
        from tests.support import lab

        for _ in range(10):
            lab.rows(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'backend-worker' AND pid <> pg_backend_pid()"
            )
            time.sleep(0.05)

    def _send_garbage(self):
        from backend_worker.progress.connection import redis_client
        from backend_worker.queues import QUEUE_NAMES

        for name in QUEUE_NAMES:
            redis_client().lpush(name, self.chance.randbytes(40))


def _copy(source, target):
    if os.path.isfile(source):
        shutil.copy2(source, target)


def _without_vector():
    from tests.support import lab

    [(number,)] = lab.rows(
        "SELECT count(*) FROM file LEFT JOIN track_vector ON track_id = id"
        " WHERE state = 'stored' AND track_id IS NULL"
    )
    return number


def _memory(pid, kind):
    """Return a process's memory of a kind that the kernel tells apart, in MiB; 0 if it ended."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return int(re.search(rf"^{kind}: +(\d+)", file.read(), re.MULTILINE)[1]) / 1024
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def grown(cycles) -> list[str]:
    """Return a sentence for each metric that rose over the second half of the cycles."""
    half = cycles[len(cycles) // 2 :]
    found = []
    for name, (unit, part, least) in METRICS.items():
        values = [cycle[name] for cycle in half]
        rise = slope(values) * (len(values) - 1)
        limit = max(part * statistics.mean(values), least)
        if rise > limit:
            found.append(
                f"{name} rose by {rise:.1f} {unit} over {len(values)} cycles;"
                f" {limit:.1f} is the limit"
            )
    return found


def slope(values) -> float:
    """Return the rise of a value from one cycle to the next: the median over all pairs."""
    pairs = itertools.combinations(enumerate(values), 2)
    return statistics.median((b - a) / (j - i) for (i, a), (j, b) in pairs)


def _show(report) -> None:
    half = report["cycles"][len(report["cycles"]) // 2 :]
    lines = [f"\n{'metric':14} {'first':>9} {'middle':>9} {'last':>9} {'rise':>9}  limit"]
    for name, (unit, part, least) in METRICS.items():
        values = [cycle[name] for cycle in half]
        rise = slope(values) * (len(values) - 1)
        limit = max(part * statistics.mean(values), least)
        first = report["cycles"][0][name]
        numbers = f"{first:9.1f} {values[0]:9.1f} {values[-1]:9.1f} {rise:+9.1f}"
        lines.append(f"{name:14} {numbers}  {limit:.1f} {unit}")
    lines.append(f"{len(report['cycles'])} cycles, seed {report['seed']}")
    lines += [f"GROWN: {line}" for line in report["grown"]]
    lines += [f"WRONG: {line}" for line in report["wrong"]]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
