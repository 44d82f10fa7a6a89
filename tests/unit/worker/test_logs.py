"""Log lines of the worker."""

import logging

from backend_worker.worker.logs import ExpectedRetryFilter


def record(level, message):
    return logging.LogRecord("name", level, "file.py", 1, message, (), None)


def test_expected_retries_are_not_logged_with_their_stack_trace():
    keep = ExpectedRetryFilter().filter
    assert not keep(record(logging.INFO, "Task a.b[1] retry: Retry in 2s: OperationalError"))
    assert keep(record(logging.ERROR, "Task a.b[1] raised unexpected: ValueError"))
