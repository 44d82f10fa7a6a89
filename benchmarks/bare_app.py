"""A Celery application with one task that does nothing: the least that a worker costs."""

import os

from celery import Celery

app = Celery("bare", broker=os.environ.get("BACKEND_WORKER_REDIS_URL"))


@app.task(name="bare.nothing", ignore_result=True)
def nothing() -> None:
    """Do nothing."""
