"""Log lines that repeat themselves."""

import logging

import pytest

from backend_worker.worker.repeats import FIRST, MOST_REASONS, WINDOW_SECONDS, RepeatFilter


class Log(logging.Handler):
    """A handler with the filter, and what came through."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.lines = []
        self.repeats = RepeatFilter(lambda: self.now)
        self.addFilter(self.repeats)

    def emit(self, record):
        self.lines.append(record.getMessage())


@pytest.fixture
def log():
    handler = Log()
    logger = logging.getLogger("backend_worker.test_repeats")
    logger.addHandler(handler)
    logger.setLevel("DEBUG")
    yield handler
    logger.removeHandler(handler)


def failures(count, reason="damaged: byte {}"):
    logger = logging.getLogger("backend_worker.test_repeats")
    for number in range(count):
        why = reason.format(number)
        logger.info("could not be read: %r: %s", f"{number}.mp3", why, extra={"reason": why})


def test_first_of_each_reason_then_counts(log):
    failures(5000)
    failures(5000, "truncated: {} of 9 bytes")
    assert log.lines == [
        "could not be read: '0.mp3': damaged: byte 0",
        "could not be read: '0.mp3': truncated: 0 of 9 bytes",
    ]
    log.now = WINDOW_SECONDS
    log.repeats.tell_what_is_over()
    assert log.lines[2:] == [
        "4999 more lines like this within 60 s, with the reason 'damaged: byte 4999'",
        "4999 more lines like this within 60 s, with the reason 'truncated: 4999 of 9 bytes'",
    ]
    failures(1)
    assert len(log.lines) == 5  # a new minute
    log.repeats.tell_what_is_over(all_of_it=True)
    assert len(log.lines) == 5


def test_thousands_of_reasons_are_no_thousands_of_lines(log):
    for number in range(10_000):
        failures(1, f"reason {''.join(chr(97 + int(digit)) for digit in str(number))}")
    assert len(log.lines) == MOST_REASONS
    log.repeats.tell_what_is_over(all_of_it=True)
    assert len(log.lines) == MOST_REASONS + 1


def test_any_other_line_is_counted_by_its_place_in_the_program(log):
    logger = logging.getLogger("backend_worker.test_repeats")
    for number in range(1000):
        logger.warning("picture %s is missing", number)
        logger.error("another place: %s", number)
        logger.debug("who asks for all gets all")
    assert len(log.lines) == 2 * FIRST + 1000
    log.repeats.tell_what_is_over(all_of_it=True)
    assert log.lines[-2:] == [
        "900 more lines like this within 0 s, such as picture 999 is missing",
        "900 more lines like this within 0 s, such as another place: 999",
    ]
