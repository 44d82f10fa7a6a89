"""Parameters of requests: declared once, for checking them and for the API's description."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backend_worker.dashboard.errors import Refusal
from backend_worker.storage.browse import LARGEST_ID


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of the address: within its path, or after the question mark."""

    name: str
    doc: str
    default: str | int | None = None
    low: int | None = None  # with it the parameter is a whole number
    high: int | None = None
    choices: tuple[str, ...] = ()
    in_path: bool = False
    longest: int = 500  # characters

    @property
    def argument(self) -> str:
        """The name of the function's argument."""
        return "row_id" if self.name == "id" else self.name

    def parse(self, text: str | None) -> Any:
        """Return the value.

        Raises:
            Refusal: it is missing or not usable; the sentence says what is accepted.
        """
        if text is None:
            return self.default
        if self.low is not None:
            return self._number(text, self.low)
        if self.choices and text not in self.choices:
            raise Refusal(400, f"{self.name}={text[:50]!r}: use {', '.join(self.choices)}")
        if len(text) > self.longest:
            raise Refusal(400, f"{self.name} is longer than {self.longest} characters")
        return text

    def _number(self, text: str, low: int) -> int:
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
        if number < low or (self.high is not None and number > self.high):
            if self.high in {None, LARGEST_ID}:
                wanted = "a whole number" + (f" from {self.low}" if self.low else "")
            else:
                wanted = f"a whole number from {self.low} to {self.high}"
            raise Refusal(400, f"{self.name}={text[:50]!r}: expected {wanted}")
        return number

    def described(self) -> dict[str, Any]:
        """Return the parameter as OpenAPI has it."""
        schema: dict[str, Any] = {"type": "string", "maxLength": self.longest}
        if self.low is not None:
            schema = {"type": "integer", "format": "int64", "minimum": self.low}
            if self.high is not None:
                schema["maximum"] = self.high
        if self.choices:
            schema = {"type": "string", "enum": list(self.choices)}
        if self.default is not None:
            schema["default"] = self.default
        return {
            "name": self.name,
            "in": "path" if self.in_path else "query",
            "required": self.in_path,
            "description": self.doc,
            "schema": schema,
        }


def path_id(what: str) -> Parameter:
    """Return the parameter ``id`` of a path."""
    return Parameter(name="id", doc=f"number of the {what}", low=0, high=LARGEST_ID, in_path=True)


def most(default: int, highest: int) -> Parameter:
    """Return the parameter ``limit``."""
    doc = "most rows to return"
    return Parameter(name="limit", doc=doc, default=default, low=1, high=highest)
