r"""How paths are shown: the same in status, log, events and the API.

Paths are bytes, or text made by :func:`os.fsdecode`. A byte that is no UTF-8 is shown as ``\xNN``.
"""

from __future__ import annotations


def shown(path: bytes | str) -> str:
    r"""Return a path as valid text: ``caf\xe9`` for a name in Latin-1."""
    if isinstance(path, bytes):
        return path.decode("utf-8", "backslashreplace")
    try:
        return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # lone surrogates that stand for no byte
        return path.encode("utf-8", "backslashreplace").decode()


def quoted(path: bytes | str) -> str:
    """Return a path between quotes for one line of a log: without breaks and control characters."""
    text = shown(path)
    if not text.isprintable():
        text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return f"'{text}'"
