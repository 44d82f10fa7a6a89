"""Mopidy-Local."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from benchmarks.rivals.program import Program, count

if TYPE_CHECKING:
    from pathlib import Path


class MopidyLocal(Program):
    """``mopidy local scan``."""

    # the last one decodes AAC and ALAC, without which it passes over such files
    debian = ("mopidy-local", "mopidy", "gstreamer1.0-libav")
    units = ("mopidy.service",)
    command = "mopidy"

    def start(self, music: Path, state: Path) -> None:
        """Write its configuration: nothing but the extension for local files."""
        super().start(music, state)
        (state / "mopidy.conf").write_text(
            f"[core]\ncache_dir = {state / 'cache'}\nconfig_dir = {state / 'config'}\n"
            f"data_dir = {state / 'data'}\n"
            f"[local]\nenabled = true\nmedia_dir = {music}\n"
            "[file]\nenabled = false\n[http]\nenabled = false\n[stream]\nenabled = false\n"
            "[m3u]\nenabled = false\n[softwaremixer]\nenabled = false\n",
            encoding="utf-8",
        )

    def first_scan(self) -> dict[str, float]:
        """Scan."""
        config = str(self.state / "mopidy.conf")
        return self.run(shutil.which("mopidy"), "--config", config, "local", "scan")

    def rescan(self) -> dict[str, float]:
        """Scan again: it compares times of modification."""
        return self.first_scan()

    def tracks(self) -> int:
        """Ask its database."""
        return count(self.state / "data" / "local" / "library.db", "track")
