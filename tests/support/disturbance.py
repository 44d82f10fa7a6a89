"""A scan that something disturbs, and the one that nothing disturbed to compare it with."""

import contextlib
import fnmatch
import os
import signal

from backend_worker.storage import scans
from backend_worker.storage.connection import close_process_connection
from tests.support import lab

TRACKS = 600
BATCH = 10
ROWS_SHOWN = 5  # of each table, where two libraries differ


def started(servers, **settings):
    """Run a worker that takes many small batches, so that there is much to be disturbed."""
    return lab.running_worker(
        servers,
        BACKEND_WORKER_SETTLE_SECONDS=0,
        BACKEND_WORKER_BATCH_SIZE=BATCH,
        BACKEND_WORKER_AUTOSCALE_MAX=3,  # each of them imports scikit-learn
        **settings,
    )


def figures(status):
    """Return those figures of a scan that disturbances must not change."""
    return {
        name: getattr(status, name)
        for name in ("status", "found", "stored", "unchanged", "failed", "ignored", "moved", "gone")
    }


def adds_up(status):
    """Say whether each file that was found is counted once."""
    return status.found == status.stored + status.unchanged + status.failed + status.ignored


def result(scan_id, seconds=lab.WAIT_SECONDS):
    """Wait for the end of a scan and of what follows; return its figures and the library."""
    status = lab.ended(scan_id, seconds)
    lab.settle(seconds)
    assert adds_up(status)
    return figures(status), lab.snapshot()


def check(scan_id, undisturbed, seconds=lab.WAIT_SECONDS):
    """Compare a disturbed scan with the undisturbed one, row by row."""
    disturbed = result(scan_id, seconds)
    assert disturbed == undisturbed, differences(disturbed, undisturbed)


def differences(disturbed, undisturbed):
    """Return which rows two scans do not share; pytest would show how both begin."""
    lines = [f"figures: {undisturbed[0]} became {disturbed[0]}"]
    for name, expected in undisturbed[1].items():
        found = disturbed[1][name]
        for word, some, others in (("lost", expected, found), ("new", found, expected)):
            only = [row for row in some if row not in others]
            lines.append(f"{name}: {len(only)} of {len(some)} rows {word}")
            lines += [f"  {word} {row}" for row in only[:ROWS_SHOWN]]
    return "\n".join(lines)


def children(process):
    """Return the processes of a worker's pool."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(f"/proc/{name}/stat") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
            if parent == process.pid:
                found.append(int(name))
    return found


def kill(*pids):
    """Kill processes that may have ended."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_all(worker, servers):
    """Kill a worker with all of its processes."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


def cut_the_power(worker, servers):
    """Kill everything: PostgreSQL loses its last commits; Redis has written what it was sent."""
    kill_all(worker, servers)
    close_process_connection()
    servers.postgres.stop(signal.SIGQUIT)
    servers.redis.kill()
    servers.postgres.start()
    servers.redis.start()


def wait_for_stored(scan_id, part):
    """Wait until this part of the library is stored."""
    lab.wait_for(lambda: scans.get(scan_id).stored >= part * TRACKS, what=f"{part:.0%} of the scan")
    assert scans.get(scan_id).active


def wait_for_walk(scan_id):
    """Wait until the walk has sent some batches and not all."""
    lab.wait_for(lambda: scans.get(scan_id).found >= 3 * BATCH, what="a walk")
    assert not scans.get(scan_id).walk_ended


def ordinary_files(root):
    """Return the readable MP3 files of ordinary albums."""
    paths = (os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names)
    return sorted(path for path in paths if fnmatch.fnmatch(path, "*/[0-9]*.mp3"))
