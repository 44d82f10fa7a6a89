"""Answers that are no success: a status of HTTP and a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Refusal(Exception):  # noqa: N818 - it is an answer, not a fault
    """Raised anywhere while a request is answered; the client gets ``{"error": sentence}``."""

    def __init__(
        self, status: int, sentence: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(sentence)
        self.headers = headers or {}
        self.status = status
        self.sentence = sentence
