"""Log lines for people: plain on a terminal, with priorities where the journal reads them."""

from __future__ import annotations

import logging
import os
import sys

# sd-daemon(3): the journal takes "<3>" and the like at a line's start for its priority
_PRIORITIES = {
    logging.CRITICAL: 2,
    logging.ERROR: 3,
    logging.WARNING: 4,
    logging.INFO: 6,
    logging.DEBUG: 7,
}
# Lines of Celery that tell an owner nothing: two for each of a scan's thousand tasks.
_TOO_CHATTY = ("celery.worker.strategy", "celery.app.trace")


class JournalFormatter(logging.Formatter):
    """Prefixes every line of a record with the journal's priority; the journal has the time."""

    def __init__(self) -> None:
        super().__init__("%(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one or more prefixed lines."""
        prefix = f"<{_PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines())


class ExpectedRetryFilter(logging.Filter):
    """Drops Celery's stack trace of a retry: our own task base logs it in one line."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep everything but the records of retries."""
        return " retry: " not in record.getMessage()


def set_up(level: str) -> None:
    """Send all log lines to standard error, where the journal or the terminal reads them."""
    handler = logging.StreamHandler(sys.stderr)
    if os.environ.get("JOURNAL_STREAM"):
        handler.setFormatter(JournalFormatter())
    else:
        handler.setFormatter(
            logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")
        )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _TOO_CHATTY:
        logger = logging.getLogger(name)
        logger.addFilter(ExpectedRetryFilter())
        if level != "DEBUG":
            logger.setLevel(logging.WARNING)
