"""Tasks that do nothing for a while and write down when; workers import them.

It writes to a file, not to Redis, which the tests stop. Only Celery is imported: it also runs
where nothing else is installed.
"""

import os
import time

from celery import current_app, shared_task

# names that our routing sends to a queue
NAP = "maintenance.nap"
NAP_BETWEEN = "maintenance.nap_between"
NAP_HEAVY = "maintenance.nap_heavy"
JOURNAL_VARIABLE = "NAP_JOURNAL"
HEAVY_MIB = 90
_LOOK_SECONDS = 0.1


@shared_task(name=NAP, bind=True)
def nap(self, seconds):
    """Sleep."""
    _sleep(self.request.id, seconds)


@shared_task(name=NAP_BETWEEN, bind=True)
def nap_between(self, seconds):
    """Sleep between sending two naps, which are called after this one, to different queues."""
    for moment, queue in (("before", "maintenance"), ("after", "deferred")):
        current_app.send_task(
            NAP, [0], task_id=f"{self.request.id}-{moment}", queue=queue, ignore_result=True
        )
        if moment == "before":
            _sleep(self.request.id, seconds)


@shared_task(name=NAP_HEAVY, bind=True)
def nap_heavy(self, seconds):
    """Sleep, and keep memory as an imported library does."""
    _kept.append(bytearray(b"x") * (HEAVY_MIB << 20))
    _sleep(self.request.id, seconds)


_kept = []


def _sleep(task_id, seconds):
    _write("start", task_id)
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not os.path.exists(alarm_of(_journal())):
        time.sleep(min(left, _LOOK_SECONDS))
    _write("end", task_id)


def alarm_of(journal):
    """Return the file that ends all naps of a journal while it is there."""
    return f"{journal}.alarm"


def _journal():
    return os.environ[JOURNAL_VARIABLE]


def _write(event, task_id):
    line = f"{event} {task_id} {time.monotonic()}\n"
    journal = os.open(_journal(), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(journal, line.encode())  # one write: lines of several processes do not mix
    finally:
        os.close(journal)
