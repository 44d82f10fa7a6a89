"""Where log lines go: plain on a terminal, with priorities where the journal reads them."""

from __future__ import annotations

import logging
import os
import sys

from backend_worker.config import redact

# sd-daemon(3): the journal takes "<3>" and the like at a line's start for its priority
_PRIORITIES = {
    logging.CRITICAL: 2,
    logging.ERROR: 3,
    logging.WARNING: 4,
    logging.INFO: 6,
    logging.DEBUG: 7,
}


class _SafeFormatter(logging.Formatter):
    """Never shows a password, wherever the text comes from."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        return redact(super().format(record))


class JournalFormatter(_SafeFormatter):
    """Prefixes every line of a record with the journal's priority; the journal has the time."""

    def __init__(self) -> None:
        super().__init__("%(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one or more prefixed lines."""
        prefix = f"<{_PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines())


def set_up(level: str) -> logging.Handler:
    """Send all log lines to standard error, and return the handler that does."""
    handler = logging.StreamHandler(sys.stderr)
    if os.environ.get("JOURNAL_STREAM"):
        handler.setFormatter(JournalFormatter())
    else:
        handler.setFormatter(
            _SafeFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")
        )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    return handler
