"""Exit codes, the error that carries one, and checks that raise it."""

from __future__ import annotations

import enum
import os


class Exit(enum.IntEnum):
    """What a command's exit code says."""

    OK = 0
    FAILED = 1  # the scan did not complete, a check failed
    USAGE = 2  # wrong arguments or settings
    SERVER_AWAY = 3  # Redis, PostgreSQL or the worker does not answer
    NOT_FOUND = 4  # nothing matches
    BUSY = 5  # another scan of an overlapping folder, or another worker, is running
    INTERRUPTED = 130  # Ctrl-C


class UserError(Exception):
    """A sentence for the person who typed the command, and the exit code that goes with it."""

    def __init__(self, sentence: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(sentence)
        self.exit = code


def check_folder(directory: str) -> str:
    """Return the absolute path of a folder that a person named.

    Raises:
        UserError: it is not a folder.
    """
    path = os.path.abspath(os.path.expanduser(directory))
    if not os.path.isdir(path):
        raise UserError(f"{directory} is not a folder", Exit.USAGE)
    return path
