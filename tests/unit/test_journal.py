"""Log lines as the journal gets them."""

import logging

from backend_worker.journal import JournalFormatter


def record(level, message):
    return logging.LogRecord("name", level, "file.py", 1, message, (), None)


def test_every_line_carries_the_journals_priority():
    text = JournalFormatter().format(record(logging.WARNING, "one\ntwo"))
    assert text.splitlines() == ["<4>name: one", "<4>two"]
    assert JournalFormatter().format(record(logging.INFO, "x")) == "<6>name: x"
    assert JournalFormatter().format(record(logging.ERROR, "x")) == "<3>name: x"


def test_no_password_is_ever_written():
    text = JournalFormatter().format(
        record(logging.INFO, "Connected to redis://worker:s3cret@pi/0")
    )
    assert text == "<6>name: Connected to redis://worker:***@pi/0"
