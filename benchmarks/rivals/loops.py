"""The bare loops of ``benchmarks/loops.py``, as programs."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, ClassVar

from benchmarks.libraries import audio_files
from benchmarks.rivals.program import ROOT, Program

if TYPE_CHECKING:
    import subprocess


class Loop(Program):
    """One of the bare loops, in a Python of its own."""

    can_rescan = False
    words: ClassVar[tuple[str, ...]] = ()

    def prepare(self, *, install: bool) -> str:
        """Return the version: it is there."""
        del install
        return f"Python {sys.version.split()[0]}"

    def first_scan(self) -> dict[str, float]:
        """Run it."""
        kind, *options = self.words
        command = [sys.executable, "-m", "benchmarks.loops", kind, str(self.music), *options]
        return self.run(*command)

    def popen(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Run it where it can import this package."""
        self.environment["PYTHONPATH"] = str(ROOT)
        return super().popen(command)

    def tracks(self) -> int:
        """Count the files that it went through."""
        return len(audio_files(self.music))


class WalkLoop(Loop):
    """Walk and stat."""

    words = ("walk",)


class ReadLoop(Loop):
    """Read the first 64 kB."""

    words = ("read",)


class TagsLoop(Loop):
    """mutagen in one process."""

    words = ("tags",)


class ParallelTagsLoop(Loop):
    """mutagen in as many processes as there are cores."""

    words = ("tags", str(len(os.sched_getaffinity(0))))
