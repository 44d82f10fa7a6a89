"""Text of which the file does not say for sure what encoding it is in."""

from __future__ import annotations


class Latin1(str):
    """Text that a tag calls Latin-1, decoded as that: one character for each byte."""

    __slots__ = ()
