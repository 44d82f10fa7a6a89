"""beets."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from benchmarks.installing import install_from_pypi
from benchmarks.rivals.program import Program, added, count

if TYPE_CHECKING:
    from pathlib import Path


class Beets(Program):
    """beets, told to import the tags as they are and to leave the files alone."""

    def prepare(self, *, install: bool) -> str:
        """Install it from PyPI, into an environment of its own."""
        del install
        python = install_from_pypi(self.cache, "beets")
        code = "from importlib.metadata import version; print(version('beets'))"
        return subprocess.run(
            [python, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()

    def start(self, music: Path, state: Path) -> None:
        """Write its configuration: no plugins, and folders that it knows are passed over."""
        super().start(music, state)
        self.beet = str(self.cache / "beets" / "bin" / "beet")
        self.environment["BEETSDIR"] = str(state)
        (state / "config.yaml").write_text(
            f"directory: {music}\nlibrary: {state / 'library.db'}\nplugins: []\n"
            "import:\n  incremental: yes\n",
            encoding="utf-8",
        )

    def first_scan(self) -> dict[str, float]:
        """Import all."""
        return self.run(self.beet, "import", "-A", "-C", "-q", str(self.music))

    def rescan(self) -> dict[str, float]:
        """Import new folders, then update changed files: it takes both to notice everything."""
        return added(self.first_scan(), self.run(self.beet, "update", "-M"))

    def tracks(self) -> int:
        """Ask its database."""
        return count(self.state / "library.db", "items")
