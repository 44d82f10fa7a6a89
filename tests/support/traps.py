"""Files that are traps for who reads them."""

import json

# Read by the worker's interpreter before anything of ours: some files kill,
# keep, engage or refuse who opens them.
TRAPS = """
import builtins, errno, json, os, signal, time

plain_open = builtins.open
folder = os.path.dirname(__file__)

def open(file, *args, **kwargs):
    if isinstance(file, str) and file in traps:
        with plain_open(os.path.join(folder, "sprung"), "a") as log:
            log.write(file + "\\n")
        if traps[file] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if traps[file] == "fail":
            raise OSError(errno.EIO, os.strerror(errno.EIO), file)
        if traps[file] == "starve":
            raise MemoryError
        while traps[file] == "busy":
            pass
        time.sleep(3600)
    return plain_open(file, *args, **kwargs)

with plain_open(os.path.join(folder, "traps")) as file:
    traps = json.load(file)
builtins.open = open
"""


class Traps:
    """Files that kill, keep or refuse the process that opens them.

    Args:
        folder: is made, and put into the worker's path.
    """

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(TRAPS)
        self.settings = {"PYTHONPATH": str(folder)}

    def set(self, **paths):
        """Set the traps, each a list of paths: ``kill``, ``fail``, ``starve``, ``keep``, ``busy``.

        ``keep`` waits, as for a disk that does not answer; ``busy`` works, both without end.
        """
        by_path = {path: kind for kind, some in paths.items() for path in some}
        (self.folder / "traps").write_text(json.dumps(by_path))

    def sprung(self):
        """Return the paths that were opened, in order."""
        log = self.folder / "sprung"
        return log.read_text().splitlines() if log.exists() else []

    def sprung_since(self, number):
        """Say whether more than so many were sprung."""
        return len(self.sprung()) > number
