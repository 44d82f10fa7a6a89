"""Printing for people (rich) and for programs (JSON)."""

from __future__ import annotations

import codecs
import json
import sys
from typing import TYPE_CHECKING, Any

from backend_worker.library.paths import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


# For terminals that show ASCII or Latin-1 alone.
_PLAIN = dict(zip("✓✗→…·⏎“”█■□░°", '+x>~- ""##..o', strict=True))


def survive_any_terminal() -> None:
    """Let nothing that is printed fail for want of a character, whatever the locale."""
    codecs.register_error("backend_worker.plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a test may have put another in its place
            stream.reconfigure(errors="backend_worker.plain")


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character) or _escaped(character) for character in text), error.end


def _escaped(character: str) -> str:
    return shown(character).encode("ascii", "backslashreplace").decode()


def print_json(data: Any) -> None:
    """Print one JSON document; text that is not valid Unicode is escaped."""
    sys.stdout.write(json.dumps(data, indent=2, default=str) + "\n")


def print_text(text: str) -> None:
    """Print text for programs as it is."""
    sys.stdout.write(text)


def print_json_line(data: Any) -> None:
    """Print one line of JSON at once."""
    sys.stdout.write(json.dumps(data, default=str) + "\n")
    sys.stdout.flush()


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = ()
) -> None:
    """Print a table; markup within the cells is shown as it is.

    Without any column's name there is no header.
    """
    from rich.table import Table  # noqa: PLC0415 - JSON output does without it

    table = Table(title=title or None, title_justify="left", show_header=any(columns))
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(printable(cell) for cell in row))
    _console().print(table)


def print_facts(title: str, facts: Mapping[str, Any]) -> None:
    """Print names and values below each other."""
    print_table(title, ("", ""), facts.items())


def print_line(text: str) -> None:
    """Print one line."""
    _console().print(printable(text), soft_wrap=True)


def printable(value: Any) -> Any:
    r"""Return a value as plain text for a terminal: bytes that are no UTF-8 as ``\\xNN``."""
    from rich.text import Text  # noqa: PLC0415 - JSON output does without it

    if value is None:
        return Text("")
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return Text(shown(text))


def duration(seconds: float | None) -> str:
    """Return seconds as ``m:ss`` or ``h:mm:ss``."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _console() -> Any:
    from rich.console import Console  # noqa: PLC0415 - as above

    return Console(highlight=False)
