"""The program that stands before Redis on a Pi, run with the server that the tests have."""

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / "roles" / "redis" / "files" / "redis-files.py"


class RedisFiles:
    """Runs it for an embedded server's folder.

    Args:
        redis: the server.
        folder: for the server's settings and the check, which is the server by another name.
    """

    def __init__(self, redis, folder):
        server, *options = redis._command()
        check = folder / "valkey-check-aof"
        check.symlink_to(server)
        config = folder / "redis.conf"
        pairs = zip(options[::2], options[1::2], strict=True)
        config.write_text("".join(f'{name[2:]} "{value}"\n' for name, value in pairs))
        self._folder = redis.folder
        self._words = ["--config", config, "--server", server, "--check", check]

    def start(self, *more):
        """Do what comes before Redis' start; return what was said."""
        return self._run("start", *self._words, *more)

    def stopped(self, result="success", *more):
        """Do what comes after Redis' end."""
        return self._run("stopped", *more, result=result)

    def _run(self, command, *words, result=""):
        done = subprocess.run(
            [sys.executable, PROGRAM, command, "--folder", self._folder, *words],
            capture_output=True,
            text=True,
            env={"SERVICE_RESULT": result, "PATH": "/usr/bin:/bin"},
            check=False,
        )
        assert done.returncode == 0, done
        assert done.stderr == ""
        return done.stdout
