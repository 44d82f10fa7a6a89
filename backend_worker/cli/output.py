"""Printing for people (rich) and for programs (JSON)."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


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
    return Text(text.encode("utf-8", "backslashreplace").decode())


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
