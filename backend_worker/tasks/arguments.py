"""Arguments as clients send them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def as_ids(values: Iterable[int | str] | int | str) -> list[int]:
    """Return ids as numbers, each once, in order; a single one may stand without a list.

    Raises:
        ValueError: a value is no whole number.
    """
    if isinstance(values, int | str):
        values = [values]
    try:
        return list(dict.fromkeys(int(value) for value in values))
    except (ValueError, TypeError) as error:
        raise ValueError(f"ids are whole numbers: {error}") from error
