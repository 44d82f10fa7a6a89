"""What changes something: a command of ours in a child process, whose answer is passed on.

The command line has the checks and the sentences already, and needs Celery: in this process that
would take 9 MB for good (measured), in a child it takes a moment now and then.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from contextlib import suppress
from typing import Any

from backend_worker.cli.errors import Exit
from backend_worker.dashboard.errors import Refusal

logger = logging.getLogger(__name__)

# A Pi's processor starts Python and Celery in some two seconds.
LONGEST_SECONDS = 60
# Children at once: each takes some 60 MB while it runs.
MOST_CHILDREN = 1
MOST_WAITING = 5

_STATUS: dict[int | None, int] = {
    Exit.USAGE: 400,
    Exit.SERVER_AWAY: 503,
    Exit.NOT_FOUND: 404,
    Exit.BUSY: 409,
}


class Actions:
    """Runs commands one after the other."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(MOST_CHILDREN)
        self._waiting = 0

    async def run(self, *arguments: str) -> Any:
        """Run ``backend-worker <arguments>`` and return the JSON that it prints.

        Raises:
            Refusal: it did not succeed; with its own sentence.
        """
        if self._waiting >= MOST_WAITING:
            raise Refusal(503, "too many changes at once: try again in a moment")
        self._waiting += 1
        try:
            async with self._turn:
                return await self._run(arguments)
        finally:
            self._waiting -= 1

    async def _run(self, arguments: tuple[str, ...]) -> Any:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "backend_worker",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            output, errors = await asyncio.wait_for(child.communicate(), LONGEST_SECONDS)
        except TimeoutError as error:
            raise Refusal(
                503, f"no answer within {LONGEST_SECONDS} s: look whether it is done"
            ) from error
        finally:
            if child.returncode is None:
                with suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
        if child.returncode == Exit.OK:
            return json.loads(output)
        lines = errors.decode("utf-8", "replace").strip().splitlines() or ["nothing was done"]
        sentence = lines[-1].removeprefix("backend-worker: ")
        logger.warning("backend-worker %s: %s", arguments[0], sentence)
        raise Refusal(_STATUS.get(child.returncode, 500), sentence)
