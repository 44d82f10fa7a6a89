"""Log lines of the worker for people.

What is to be expected (a server is away, the disk is full, a file kills its reader) is one
line; a stack trace means that something is wrong with the program.
"""

from __future__ import annotations

import logging
import warnings

import billiard.util
import redis.exceptions
from billiard.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded, WorkerLostError
from celery.exceptions import CPendingDeprecationWarning, InvalidTaskError, NotRegistered
from kombu.exceptions import ContentDisallowed, DecodeError

from backend_worker import journal
from backend_worker.tasks.base import TRANSIENT, KillsItsProcessError
from backend_worker.worker.repeats import RepeatFilter

# Lines of Celery that tell an owner nothing: two for each of a scan's thousand tasks.
_TOO_CHATTY = ("celery.worker.strategy", "celery.app.trace")
# These pass by themselves.
_AWAY = (*TRANSIENT, redis.exceptions.RedisError, ConnectionError)
# These do not, but they say all there is to say: a process was killed, or it is a client's fault.
_PLAIN = (
    WorkerLostError,
    TimeLimitExceeded,
    SoftTimeLimitExceeded,
    KillsItsProcessError,
    ContentDisallowed,
    DecodeError,
    InvalidTaskError,
    NotRegistered,
)

_EXPECTED: tuple[type[BaseException], ...] = (*_AWAY, *_PLAIN)

_repeats = RepeatFilter()


class ExpectedRetryFilter(logging.Filter):
    """Drops Celery's stack trace of a retry: our own task base logs it in one line."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep everything but the records of retries."""
        return " retry: " not in record.getMessage()


class OneLineFilter(logging.Filter):
    """Makes one line of a record whose stack trace would tell nothing more."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep every record; shorten those that come with an expected exception."""
        error: BaseException | None = record.exc_info[1] if record.exc_info else None
        error = getattr(error, "exc", error)  # billiard wraps those that come from the pool
        if isinstance(error, _EXPECTED):
            record.msg = _one_line(record.getMessage(), error)
            record.args = None
            record.exc_info = record.exc_text = None
            highest = logging.WARNING if isinstance(error, _AWAY) else logging.ERROR
            record.levelno = min(record.levelno, highest)
            record.levelname = logging.getLevelName(record.levelno)
        return True


def set_up(level: str) -> None:
    """Send all log lines to standard error, where the journal or the terminal reads them."""
    handler = journal.set_up(level)
    if level != "DEBUG":
        handler.addFilter(_repeats)
        handler.addFilter(OneLineFilter())
    # billiard keeps its logger to itself; it tells of processes that were killed
    pool = billiard.util.get_logger()
    pool.handlers = [handler]
    if level != "DEBUG":
        pool.setLevel(logging.WARNING)
    for name in _TOO_CHATTY:
        logger = logging.getLogger(name)
        logger.addFilter(ExpectedRetryFilter())
        if level != "DEBUG":
            logger.setLevel(logging.WARNING)


def tell_repeats(*, all_of_them: bool = False) -> None:
    """Write how many lines were left out, for having been written often before.

    Args:
        all_of_them: also of those that may come again in this minute.
    """
    _repeats.tell_what_is_over(all_of_it=all_of_them)


def silence_advice() -> None:
    """Drop what Celery says to programmers; it asks for it after logging was set up."""
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)


def _one_line(message: str, error: BaseException) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    reason = " ".join(str(error).split())
    return text if not reason or reason in text else f"{text}: {reason}"
