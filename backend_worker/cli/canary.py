"""``canary``: a task through each of the queues, and whether it comes back."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from celery.exceptions import TimeoutError as ResultTimeoutError
from celery.result import ResultSet

from backend_worker.celery_app import app
from backend_worker.cli import output
from backend_worker.cli.errors import Exit, UserError
from backend_worker.cli.workers import running_workers
from backend_worker.queues import QUEUE_NAMES
from backend_worker.tasks.broker import queue_lengths

if TYPE_CHECKING:
    import argparse

TASK = "maintenance.canary"


@dataclass(frozen=True, slots=True)
class Flight:
    """One queue's canary.

    ``returned``: it came back. ``waiting``: it stands behind other tasks, and the worker
    finished some meanwhile. ``lost``: neither.
    """

    queue: str
    state: str
    seconds: float | None = None
    host: str | None = None


def canary(args: argparse.Namespace) -> Exit:
    """Send a task through each queue, wait for the results, show the times."""
    before = _tasks_done()
    if before is None:
        raise UserError("no worker answers: is celery-worker.service running?", Exit.SERVER_AWAY)
    flights = fly(args.timeout, before)
    if args.json:
        output.print_json([asdict(flight) for flight in flights])
    else:
        output.print_table(
            "",
            ["queue", "canary", "seconds", "where it ran"],
            [
                [f.queue, f.state, "" if f.seconds is None else f"{f.seconds:.3f}", f.host]
                for f in flights
            ],
            right=("seconds",),
        )
    accepted = {"returned", "waiting"} if args.allow_busy else {"returned"}
    return Exit.OK if {f.state for f in flights} <= accepted else Exit.SERVER_AWAY


def fly(timeout: float, tasks_done_before: int) -> list[Flight]:
    """Send the canaries and wait for them at most so many seconds together.

    Args:
        timeout: seconds; a canary that nobody has taken by then is dropped by the worker.
        tasks_done_before: what the workers had finished before.

    Raises:
        kombu.exceptions.OperationalError: Redis is away.
    """
    started = time.monotonic()
    sent = {
        app.send_task(TASK, queue=name, ignore_result=False, expires=timeout): name
        for name in QUEUE_NAMES
    }
    results = ResultSet(list(sent), app=app)
    queues = {result.id: name for result, name in sent.items()}
    returned: dict[str, Flight] = {}
    try:
        for task_id, meta in results.iter_native(timeout=timeout):
            if meta["status"] == "SUCCESS":
                queue = queues[task_id]
                seconds = round(time.monotonic() - started, 3)
                returned[queue] = Flight(queue, "returned", seconds, meta["result"]["host"])
    except (ResultTimeoutError, TimeoutError):
        pass  # what is missing is looked at below
    finally:
        results.forget()
    if len(returned) == len(QUEUE_NAMES):
        return [returned[name] for name in QUEUE_NAMES]
    lengths = queue_lengths()
    goes_on = (_tasks_done() or 0) - tasks_done_before > len(returned)
    return [
        returned.get(name) or Flight(name, "waiting" if lengths[name] and goes_on else "lost")
        for name in QUEUE_NAMES
    ]


def _tasks_done() -> Any:
    """Return how many tasks the workers that answer have finished; None if none answers."""
    workers = running_workers()
    return sum(worker["tasks_done"] for worker in workers) if workers else None
