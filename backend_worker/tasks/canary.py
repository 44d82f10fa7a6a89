"""The canary: a task that does nothing, sent through a queue to see whether it comes back."""

from __future__ import annotations

import os
import socket

from celery import Task

from backend_worker.tasks.base import task


# Neither tried again nor waited for: it says how things stand now.
@task("maintenance.canary", base=Task, ignore_result=False)
def canary() -> dict[str, str | int]:
    """Return where it ran."""
    return {"host": socket.gethostname(), "pid": os.getpid()}
