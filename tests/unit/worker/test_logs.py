"""Log lines as the journal and a terminal get them."""

import logging

from backend_worker.worker.logs import ExpectedRetryFilter, JournalFormatter


def record(level, message):
    return logging.LogRecord("name", level, "file.py", 1, message, (), None)


def test_every_line_carries_the_journals_priority():
    text = JournalFormatter().format(record(logging.WARNING, "one\ntwo"))
    assert text.splitlines() == ["<4>name: one", "<4>two"]
    assert JournalFormatter().format(record(logging.INFO, "x")) == "<6>name: x"
    assert JournalFormatter().format(record(logging.ERROR, "x")) == "<3>name: x"


def test_expected_retries_are_not_logged_with_their_stack_trace():
    keep = ExpectedRetryFilter().filter
    assert not keep(record(logging.INFO, "Task a.b[1] retry: Retry in 2s: OperationalError"))
    assert keep(record(logging.ERROR, "Task a.b[1] raised unexpected: ValueError"))
