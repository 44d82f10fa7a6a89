"""Exit codes, the error that carries one, and checks that raise it."""

from __future__ import annotations

import enum
import os
import threading

from backend_worker.library.roots import normalise

FOLDER_SECONDS = 15.0  # longer than a disk needs to spin up


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


def is_folder(path: str) -> bool | None:
    """Say whether a path is a folder; None if it does not answer.

    Who looks at a dead network mount waits for ever: a thread of its own does.
    """
    found: list[bool] = []
    look = threading.Thread(target=lambda: found.append(os.path.isdir(path)), daemon=True)
    look.start()
    look.join(FOLDER_SECONDS)
    return found[0] if found else None


def check_folder(directory: str) -> str:
    """Return the absolute path of a folder that a person named.

    Raises:
        UserError: it is not a folder, or nobody answers who looks at it.
    """
    path = os.fsdecode(normalise(os.fsencode(os.path.expanduser(directory))))
    found = is_folder(path)
    if found is None:
        raise UserError(
            f"{directory} has not answered for {FOLDER_SECONDS:.0f} s: is its disk or its server "
            "there? Try again when `ls` shows it"
        )
    if not found:
        raise UserError(f"{directory} is not a folder", Exit.USAGE)
    return path
