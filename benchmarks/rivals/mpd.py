"""MPD."""

from __future__ import annotations

import shutil
import socket
from typing import TYPE_CHECKING

from benchmarks.meter import Meter
from benchmarks.rivals.program import START_SECONDS, Program

if TYPE_CHECKING:
    from pathlib import Path


class Mpd(Program):
    """MPD's database update, asked for through its socket."""

    debian = ("mpd",)
    units = ("mpd.service", "mpd.socket")
    command = "mpd"

    def start(self, music: Path, state: Path) -> None:
        """Start it on an empty folder: the music appears there when the scan begins."""
        super().start(music, state)
        self.link = state / "music" / "library"
        self.link.parent.mkdir()
        self.socket = state / "socket"
        (state / "mpd.conf").write_text(
            f'music_directory "{state / "music"}"\n'
            f'db_file "{state / "database"}"\n'
            f'bind_to_address "{self.socket}"\n'
            'auto_update "no"\nzeroconf_enabled "no"\n'
            'audio_output {\n  type "null"\n  name "none"\n}\n',
            encoding="utf-8",
        )
        self.process = self.popen([shutil.which("mpd"), "--no-daemon", str(state / "mpd.conf")])
        self.wait_until(self.socket.exists, self.process)
        self._wait_for_update()  # it begins with one when it has no database
        self.link.symlink_to(self.music)

    def first_scan(self) -> dict[str, float]:
        """Update the database."""
        with Meter({"program": [self.process.pid]}) as meter:
            self._ask("update")
            self._wait_for_update()
            return {
                "wall_seconds": meter.elapsed,
                "cpu_seconds": meter.cpu()["program"],
                "peak_pss": meter.peak_pss["program"],
            }

    def rescan(self) -> dict[str, float]:
        """Update again."""
        return self.first_scan()

    def tracks(self) -> int:
        """Ask it."""
        return int(self._ask("stats")["songs"])

    def _wait_for_update(self) -> None:
        self.wait_until(lambda: "updating_db" not in self._ask("status"), self.process)

    def _ask(self, command: str) -> dict[str, str]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(START_SECONDS)
            connection.connect(str(self.socket))
            with connection.makefile("rwb") as stream:
                stream.readline()  # its greeting
                stream.write(command.encode() + b"\n")
                stream.flush()
                answer = {}
                for line in stream:
                    if line.startswith(b"ACK"):
                        raise RuntimeError(f"MPD refuses {command}: {line.decode().strip()}")
                    if line == b"OK\n":
                        break
                    key, _, value = line.decode().strip().partition(": ")
                    answer[key] = value
        return answer
