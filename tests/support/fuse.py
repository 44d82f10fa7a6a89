"""A mounted folder whose file system hangs on request, as a network mount or a dying disk does.

The file system really is another process's (FUSE). While it hangs, who touches the folder waits in
the kernel, and not even SIGKILL ends that: the process is then in the state D, of which `ps` and
/proc tell. Running this file serves one.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time

import pytest

MOUNT_SECONDS = 30
LOOK_SECONDS = 0.02
# Answers that the kernel remembers would be given while the file system hangs.
NO_CACHE = {"attr_timeout": 0, "entry_timeout": 0, "negative_timeout": 0}


class HungMount:
    """A read-only view of a folder, mounted elsewhere."""

    def __init__(self, folder, server, switch):
        self.folder = folder
        self._server = server
        self._switch = switch

    def hang(self, below="/"):
        """Answer nobody who asks for this path within the mounted folder, or for one below it."""
        new = f"{self._switch}.new"
        with open(new, "w") as file:
            file.write(below)
        os.replace(new, self._switch)

    def resume(self):
        """Answer again, also those who wait."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._switch)

    def break_off(self):
        """End the server: who waits gets an error, and everybody after him (ENOTCONN)."""
        self._server.kill()
        self._server.wait()


@contextlib.contextmanager
def mounted(source, folder):
    """Show ``source`` at ``folder`` (is made) until the end; skip where FUSE is missing."""
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory() as switches:
        switch = os.path.join(switches, "hang")
        server = subprocess.Popen(
            [sys.executable, __file__, str(source), str(folder), switch],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            if not _is_served(server, folder):
                server.kill()
                said = server.communicate()[1].strip().splitlines()
                pytest.skip(f"FUSE does not work here: {said[-1] if said else 'no reason given'}")
            yield HungMount(str(folder), server, switch)
        finally:
            server.kill()  # who still waits gets an error
            server.communicate()
            unmount = ["umount", "--lazy"] if os.geteuid() == 0 else ["fusermount3", "-uz"]
            subprocess.run([*unmount, str(folder)], capture_output=True, check=False)


def _is_served(server, folder):
    deadline = time.monotonic() + MOUNT_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        if os.path.ismount(folder):
            return True
        time.sleep(LOOK_SECONDS)
    return False


def _wait(switch, path):
    while True:
        try:
            with open(switch) as file:
                below = file.read()
        except FileNotFoundError:
            return
        if below not in {"/", path} and not path.startswith(f"{below}/"):
            return
        time.sleep(LOOK_SECONDS)


def _serve(source, folder, switch):
    import mfusepy  # the test extra's; without libfuse it fails, which the test shows as skipped

    class View(mfusepy.Operations):
        use_ns = True

        def _real(self, path):
            _wait(switch, path)
            return source + path

        def getattr(self, path, fh=None):
            status = os.lstat(self._real(path))
            names = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_ino", "st_blocks")
            known = {name: getattr(status, name) for name in names}
            times = ("st_mtime", "st_atime", "st_ctime")
            return known | {name: getattr(status, f"{name}_ns") for name in times}

        def readdir(self, path, fh, flags=0):
            return [".", "..", *os.listdir(self._real(path))]

        def readlink(self, path):
            return os.readlink(self._real(path))

        def open(self, path, flags):
            return os.open(self._real(path), os.O_RDONLY)

        def read(self, path, size, offset, fh):
            _wait(switch, path)
            return os.pread(fh, size, offset)

        def release(self, path, fh):
            os.close(fh)
            return 0

        def statfs(self, path):
            status = os.statvfs(self._real(path))
            return {name: getattr(status, name) for name in dir(status) if name.startswith("f_")}

    # Others than root see it only where root allows it for all; the tests run as either.
    others = {"allow_other": True} if os.geteuid() == 0 else {}
    mfusepy.FUSE(View(), folder, foreground=True, ro=True, **NO_CACHE, **others)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
