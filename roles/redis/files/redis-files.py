#!/usr/bin/python3 -I
"""Lets Redis start again when its append-only files are damaged; runs before and after it.

A power cut leaves zeros at the end of a file, a worn card a hole in its middle, a restore by hand
the wrong owner: Redis refuses each, and systemd would start it in vain for ever. What waits in
Redis can be sent again, so a broker that runs is worth more than its last messages.

After an orderly stop `stopped` notes what the files are, and `start` leaves files alone that are
still the same. Otherwise it lets Redis try to load them; nobody else knows what Redis accepts.
What it refuses is repaired in a copy: the append-only file is cut off where it stops making
sense, which is a state that Redis was once in. Where that is not enough Redis starts empty. The
original goes to the folder `damaged` in both cases. It stays where it is when Redis does not start
with an empty folder either: the fault is then another one.

It fails by saying why, never by keeping Redis from starting.
"""

from __future__ import annotations

import argparse
import os
import pwd
import re
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = "appendonlydir"
MARK = "stopped-in-order"
WORKSHOP = "repair"
DAMAGED = "damaged"
KEPT = 3
KEPT_BYTES = 1 << 30
SPARE_BYTES = 256 << 20  # what a copy must leave free
TRIAL_SECONDS = 240
# What workers had taken by then they may have dealt with since, and no record of theirs would
# ever be removed: each message goes back to its queue, as kombu's own redelivery puts it there.
# An entry is [message, "exchange", "queue"]; the message is taken as it stands.
# Our workers keep theirs apart (backend_worker/queues.py); the other names are Celery's own.
GIVE_BACK = """
for taken, index in pairs({
  ['backend_worker:unacked'] = 'backend_worker:unacked:index', ['unacked'] = 'unacked_index'
}) do
  for _, entry in ipairs(redis.call('HVALS', taken)) do
    local message, queue = string.match(entry, '^%[(.*), *"[^"]*", *"([^"]+)"%]$')
    if message then redis.call('RPUSH', queue, message) end
  end
  redis.call('DEL', taken, index)
end
"""
READY = b"eady to accept connections"
NO_LIST = "the list of the files is missing"
STARTS, REFUSES, UNCLEAR = "starts", "refuses", "unclear"


class Redis(NamedTuple):
    """How to run it: its programs and its settings."""

    server: str
    check: str
    config: str


class Entry(NamedTuple):
    """A line of the manifest."""

    line: str
    file: str
    kind: str  # b: the base, i: what came after it, h: history, to be deleted


class UnrepairableError(Exception):
    """No state that Redis was once in can be read from the files; the message says why."""


def main() -> None:
    """Run one of the two commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["start", "stopped"])
    parser.add_argument("--folder", required=True, help="Redis' data")
    parser.add_argument("--config", default="", help="Redis' settings")
    parser.add_argument("--logs", help="folder of its log")
    parser.add_argument("--user", help="whose the files are to be (root only)")
    parser.add_argument("--server", default="/usr/bin/redis-server")
    parser.add_argument("--check", default="/usr/bin/redis-check-aof")
    args = parser.parse_args()
    folder = os.path.realpath(args.folder)
    if args.user and os.geteuid() == 0:
        user = pwd.getpwnam(args.user)
        if args.command == "start":
            os.makedirs(folder, mode=0o750, exist_ok=True)
            for path in filter(None, (folder, args.logs)):
                give(os.path.realpath(path), user)
        become(user)
    if args.command == "stopped":
        stopped(folder)
    else:
        start(folder, Redis(args.server, args.check, args.config))


def say(sentence: str, level: int = 4) -> None:
    """Write a line with a priority that systemd understands."""
    sys.stdout.write(f"<{level}>{sentence}\n")
    sys.stdout.flush()


def give(top: str, user: pwd.struct_passwd) -> None:
    """Give a folder and what is in it to a user.

    Links are left alone, and files with a second name: whoever could write into the folder must
    not get other files by this.
    """
    device = os.lstat(top).st_dev
    given = 0
    for _, _, files, here in os.fwalk(top):
        for name in (".", *files):
            status = os.stat(name, dir_fd=here, follow_symlinks=False)
            ours = stat.S_ISDIR(status.st_mode) or (
                stat.S_ISREG(status.st_mode) and status.st_nlink == 1
            )
            if ours and status.st_uid != user.pw_uid and status.st_dev == device:
                os.chown(name, user.pw_uid, user.pw_gid, dir_fd=here, follow_symlinks=False)
                given += 1
    if given:
        say(f"{given} of the files and folders in {top} were not {user.pw_name}'s: they are now")


def become(user: pwd.struct_passwd) -> None:
    """Give root's rights up for good."""
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def stopped(folder: str) -> None:
    """Note what the files are, if Redis stopped in order; systemd says how it ended."""
    if os.environ.get("SERVICE_RESULT") == "success":
        write(os.path.join(folder, MARK), fingerprint(folder))


def start(folder: str, redis: Redis) -> None:
    """See to it that Redis can start with its files."""
    os.umask(0o027)
    make_writable(folder)
    if in_order(folder):
        return
    workshop = os.path.join(folder, WORKSHOP)
    shutil.rmtree(workshop, ignore_errors=True)  # of a repair that a power cut ended
    began = time.monotonic()
    verdict, reason = (REFUSES, NO_LIST) if is_ignored(folder) else trial(redis, folder)
    seconds = time.monotonic() - began
    if verdict == STARTS:
        say(f"Redis had not stopped in order: it can read its files ({seconds:.1f} s)", 6)
        return
    if verdict == UNCLEAR:
        say(f"whether Redis can read its files is unclear after {seconds:.0f} s: {reason}")
        return
    try:
        empty = os.path.join(workshop, "empty")
        os.makedirs(empty)
        verdict, other = trial(redis, empty)
        if verdict == STARTS:
            mend(folder, workshop, redis, reason)
        else:
            say(f"Redis would not start without its files either, so they stay: {other}", 3)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def make_writable(folder: str) -> None:
    """Let the owner read and write what Redis has to."""
    for here, _, files in os.walk(folder):
        os.chmod(here, stat.S_IMODE(os.stat(here).st_mode) | stat.S_IRWXU)
        for path in (os.path.join(here, name) for name in files):
            status = os.lstat(path)
            if stat.S_ISREG(status.st_mode) and status.st_mode & 0o600 != 0o600:
                os.chmod(path, stat.S_IMODE(status.st_mode) | 0o600)


def in_order(folder: str) -> bool:
    """Say whether the files are those that Redis left when it last stopped in order."""
    mark = os.path.join(folder, MARK)
    try:
        with open(mark, encoding="utf-8") as file:
            noted = file.read()
        os.unlink(mark)  # whatever comes now, it is not an orderly stop yet
    except (FileNotFoundError, UnicodeDecodeError):
        return False
    return noted == fingerprint(folder)


def fingerprint(folder: str) -> str:
    """Return names, sizes and times of change of the append-only files."""
    lines = []
    for name in sorted(listing(os.path.join(folder, FOLDER))):
        status = os.lstat(os.path.join(folder, FOLDER, name))
        lines.append(f"{name!r} {status.st_size} {status.st_ino} {status.st_ctime_ns}\n")
    return "".join(lines)


def listing(folder: str) -> list[str]:
    """Return the names in a folder; none where it is missing or none."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_ignored(folder: str) -> bool:
    """Say whether there are files that Redis would not read: it would start empty, and silently."""
    names = listing(os.path.join(folder, FOLDER))
    return any(map(part, names)) and not any(name.endswith(".manifest") for name in names)


def trial(redis: Redis, folder: str) -> tuple[str, str]:
    """Start Redis with the files in a folder, where nobody can connect, and stop it again.

    Returns:
        A verdict, and Redis' last words or what else was the reason.
    """
    with tempfile.TemporaryDirectory() as private:
        options = {
            "dir": folder,
            "port": "0",
            "tls-port": "0",
            "unixsocket": os.path.join(private, "socket"),
            "unixsocketperm": "700",
            "logfile": "",
            "pidfile": "",
            "daemonize": "no",
            "supervised": "no",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        process = subprocess.Popen(  # noqa: S603 - the unit's own words
            [redis.server, redis.config, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            return watch(process)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def watch(process: subprocess.Popen[bytes]) -> tuple[str, str]:
    """Read what Redis says until it is ready, has ended, or has taken too long."""
    said = b""
    deadline = time.monotonic() + TRIAL_SECONDS
    while READY not in said:
        if not select.select([process.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
            return UNCLEAR, f"it was not ready after {TRIAL_SECONDS} s"
        new = os.read(process.stdout.fileno(), 1 << 16)
        if not new:
            ended = process.wait()
            if ended == -signal.SIGKILL:
                return UNCLEAR, "it was killed; is there enough memory?"
            return REFUSES, last_words(said) or f"it ended with {ended}"
        said = (said + new)[-(1 << 16) :]
    process.terminate()
    process.communicate(timeout=TRIAL_SECONDS)
    return STARTS, ""


def last_words(said: bytes) -> str:
    """Return why Redis ended: the first warning that is not about the machine's settings."""
    lines = said.decode(errors="replace").strip().splitlines()
    warnings = [line.partition(" # ")[2] for line in lines if " # " in line]
    reasons = [line for line in warnings if not line.lower().startswith("warning")]
    reason = (reasons or lines or [""])[0]
    return reason.partition(": make a backup")[0].strip()  # how to mend it by hand


def mend(folder: str, workshop: str, redis: Redis, reason: str) -> None:
    """Replace files that Redis refuses: by what can be read of them, else by none."""
    done = repaired(os.path.join(folder, FOLDER), workshop, redis)
    aside = put_aside(folder, f"Redis refused these files: {reason}")
    if done:
        os.rename(os.path.join(workshop, FOLDER), os.path.join(folder, FOLDER))
        result = f"Redis' files were damaged and are repaired: {done}"
    else:
        result = (
            "Redis' files were damaged beyond repair: it starts empty. The library is in "
            "PostgreSQL; the worker sends again what waited for its scans"
        )
    with open(os.path.join(aside, "README"), "a", encoding="utf-8") as file:
        file.write(f"{result}.\n")
    say(f"{result}. ({reason}) The damaged files are in {aside}; delete them when you like")
    prune(os.path.dirname(aside))


def repaired(damaged: str, workshop: str, redis: Redis) -> str:
    """Make a copy that Redis starts with; return what was done to it, or nothing."""
    size = bytes_in(damaged)
    if shutil.disk_usage(workshop).free < size + SPARE_BYTES:
        say(f"there is no room to repair a copy of {damaged} ({size >> 20} MiB)")
        return ""
    copy = os.path.join(workshop, FOLDER)
    try:
        shutil.copytree(damaged, copy, symlinks=True)
        done = repair(copy, redis)
    except (OSError, UnrepairableError) as error:
        say(f"a repair was not possible: {error}")
        return ""
    verdict, reason = trial(redis, workshop)
    if verdict != STARTS:
        say(f"Redis refuses the repaired files, too: {reason}")
        return ""
    return done


def repair(folder: str, redis: Redis) -> str:
    """Keep the base and as much of what came after it as can be read, without a gap.

    Returns:
        What was done.

    Raises:
        UnrepairableError: no base is left, or nobody can tell which one.
    """
    manifest, entries = read_manifest(folder)
    done = [] if entries else ["the list of its files is written anew"]
    entries = entries or list_files(folder)
    base = [entry for entry in entries if entry.kind == "b"]
    if len(base) != 1 or not os.path.isfile(os.path.join(folder, base[0].file)):
        raise UnrepairableError("without the base file the rest makes no sense")
    kept = base
    lost = 0
    ended = False
    for entry in (entry for entry in entries if entry.kind == "i"):
        path = os.path.join(folder, entry.file)
        before = os.path.getsize(path) if os.path.isfile(path) else 0
        if ended:
            lost += before
            done.append(f"{entry.file} is left out")
            continue
        kept = [*kept, entry]
        if not os.path.isfile(path):
            ended = True
            done.append(f"{entry.file} is missing")
        elif before and not check(redis, path):
            ended = True
            lost += before - cut_off(redis, path)
        if ended:
            append(path, ("SELECT", "0"), ("EVAL", GIVE_BACK, "0"))
    if lost:
        done.append(f"{lost:,} bytes at the end are cut off")
    write(os.path.join(folder, manifest), "".join(f"{entry.line}\n" for entry in kept))
    return ", ".join(done) or "they were copied"


def read_manifest(folder: str) -> tuple[str, list[Entry]]:
    """Return the manifest's name and its lines; no lines if it makes no sense."""
    names = [name for name in os.listdir(folder) if name.endswith(".manifest")]
    if not names:
        prefixes = {match[1] for match in map(part, os.listdir(folder)) if match}
        return f"{min(prefixes, default='appendonly.aof')}.manifest", []
    entries = []
    with open(os.path.join(folder, names[0]), encoding="utf-8", errors="replace") as file:
        for line in file.read().splitlines():
            match = re.match(r"file (\S+) seq \d+ type ([bih])(?: |$)", line)
            if match and "/" not in match[1]:
                entries.append(Entry(line, match[1], match[2]))
            elif line.strip() and not line.startswith("#"):
                return names[0], []
    return names[0], entries


def list_files(folder: str) -> list[Entry]:
    """Return what a manifest of the files in a folder would say."""
    found = []
    for name in os.listdir(folder):
        match = part(name)
        if match:
            kind = match[3][0]
            line = f"file {name} seq {match[2]} type {kind}"
            found.append((kind, int(match[2]), Entry(line, name, kind)))
    found.sort()
    numbers = [number for kind, number, _ in found if kind == "i"]
    if numbers != list(range(numbers[0], numbers[0] + len(numbers)) if numbers else []):
        raise UnrepairableError("one of the files in between is missing")
    return [entry for _, _, entry in found]


def part(name: str) -> re.Match[str] | None:
    """Match the name of a part: its prefix, its number, and base or incr."""
    return re.fullmatch(r"(.+)\.(\d+)\.(base|incr)\.(?:rdb|aof)", name)


def cut_off(redis: Redis, path: str) -> int:
    """Cut a file off where it stops making sense and return its size.

    All of it goes where Redis' own check finds no place to cut.
    """
    if not check(redis, "--fix", path):
        os.truncate(path, 0)
    return os.path.getsize(path)


def append(path: str, *commands: Sequence[str]) -> None:
    """Append commands to an append-only file, which is made if it is missing."""
    with open(path, "ab") as file:
        for command in commands:
            words = "".join(f"${len(word)}\r\n{word}\r\n" for word in command)
            file.write(f"*{len(command)}\r\n{words}".encode())


def check(redis: Redis, *arguments: str) -> bool:
    """Run Redis' own check, which asks before it cuts, and say whether it was content."""
    command = [redis.check, *arguments]
    answer = subprocess.run(command, input=b"y\n", capture_output=True, check=False)  # noqa: S603 - as above
    return answer.returncode == 0


def put_aside(folder: str, note: str) -> str:
    """Move the append-only files into a folder of their own and return its path."""
    damaged = os.path.join(folder, DAMAGED)
    number = max((int(name.partition("-")[0]) for name in kept_in(damaged)), default=0) + 1
    now = time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime())
    aside = os.path.join(damaged, f"{number:04}-{now}")  # the clock may be wrong, the number not
    os.makedirs(aside)
    # before Redis 7 it was a single file, which Redis moves into the folder when it loads it
    for name in (FOLDER, "appendonly.aof"):
        if os.path.lexists(os.path.join(folder, name)):
            os.rename(os.path.join(folder, name), os.path.join(aside, name))
    with open(os.path.join(aside, "README"), "w", encoding="utf-8") as file:
        file.write(f"{note}.\n")
    return aside


def kept_in(damaged: str) -> list[str]:
    """Return the names of the folders with damaged files, the oldest first."""
    return sorted(name for name in listing(damaged) if re.match(r"\d+-", name))


def prune(damaged: str) -> None:
    """Keep the newest folders with damaged files; older ones go, by number and by size."""
    total = 0
    for count, name in enumerate(reversed(kept_in(damaged))):
        path = os.path.join(damaged, name)
        total += bytes_in(path)
        if count >= KEPT or (count > 0 and total > KEPT_BYTES):
            shutil.rmtree(path)
            say(f"{path} is deleted: newer ones are kept", 6)


def bytes_in(folder: str) -> int:
    """Return the size of all files below a folder."""
    return sum(
        os.lstat(os.path.join(here, name)).st_size
        for here, _, names in os.walk(folder)
        for name in names
    )


def write(path: str, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(f"{path}.new", path)


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        say(f"Redis' files could not be looked at: {type(error).__name__}: {error}", 3)
        sys.exit(1)
