"""What a check is, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: ``ok``, ``warning`` or ``problem``, and what to do."""

    state: str
    subject: str
    detail: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A look at one subject.

    Args:
        subject: as the findings name it.
        run: does it; it may hang.
        hangs: what it means if it does, and what to do then.
        seconds: how long it may take.
    """

    subject: str
    run: Callable[[], Iterable[Finding]]
    hangs: tuple[str, str] = ("", "run it again")
    seconds: float = 20.0
