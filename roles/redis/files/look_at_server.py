"""Say what another program has of the Redis on this host; it changes nothing.

Usage: ``look_at_server.py [--address HOST:PORT|unix:PATH] [--ignore-clients]``

Without an address it looks at Debian's ``redis-server.service``, whatever it listens on, and at
its settings file. It prints a JSON list of findings, each the end of a sentence ("it has …");
an empty list says that nothing of anybody else's is there. Runs on the host, with Debian's
Python alone.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import subprocess
import sys

CONFIG = "/etc/redis/redis.conf"
QUEUES = "insert|batch|extract|scan|vector|deferred|covers|maintenance"
# What a worker of this library leaves, also the nine services before it: its queues and what
# Celery keeps beside them.
OURS = re.compile(
    rf"(({QUEUES})(\x06\x16\d)?"
    rf"|_kombu\.binding\.({QUEUES}|celeryev|backend_worker\.events"
    r"|(reply\.)?(celery|backend_worker)\.pidbox)"
    r"|.*\.reply\.(celery|backend_worker)\.pidbox"
    r"|unacked(_index|_mutex)?"
    r"|celery-task(set)?-meta-.*"
    r"|backend_worker:.*)"
)
SHOWN = 3  # names of keys and of clients


class RefusedError(Exception):
    """Redis refused a command."""


class Connection:
    """A connection to a Redis server, with as much of its protocol as is needed here."""

    def __init__(self, address: str) -> None:
        if address.startswith("unix:"):
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(10)
            self._socket.connect(address.removeprefix("unix:"))
        else:
            host, _, port = address.rpartition(":")
            self._socket = socket.create_connection((host, int(port)), timeout=10)
        self._answers = self._socket.makefile("rb")

    def ask(self, *words: str) -> object:
        """Send one command and return its answer; errors are raised."""
        parts = [word.encode("utf-8", "surrogateescape") for word in words]
        self._socket.sendall(
            b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)
        )
        return self._answer()

    def _answer(self) -> object:
        line = self._answers.readline()[:-2].decode("utf-8", "surrogateescape")
        kind, value = line[:1], line[1:]
        if kind == "-":
            raise RefusedError(value)
        if kind == "*":
            return [self._answer() for _ in range(int(value))]
        if kind == "$":
            size = int(value)
            return self._answers.read(size + 2)[:size].decode("utf-8", "surrogateescape")
        return int(value) if kind == ":" else value


def changed_settings() -> list[str]:
    """Return a finding when Debian's settings file is not as Debian made it."""
    conffiles = output("dpkg-query", "--show", "--showformat=${Conffiles}", "redis-server")
    digest = re.search(rf"^ {re.escape(CONFIG)} (\w+)", conffiles, re.MULTILINE)
    try:
        with open(CONFIG, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return []
    if digest is None or hashlib.md5(content, usedforsecurity=False).hexdigest() == digest[1]:
        return []
    return [f"settings of its own in {CONFIG}"]


def listening_address() -> str | None:
    """Return where Debian's service listens, or None when it does not run."""
    pid = output("systemctl", "show", "--property=MainPID", "--value", "redis-server.service")
    if pid.strip() in ("", "0"):
        return None
    with open(f"/proc/{pid.strip()}/cmdline", encoding="utf-8") as file:
        title = file.read().replace("\0", " ").split()
    # Redis writes it there itself: "/usr/bin/redis-server 127.0.0.1:6379"
    address = title[1] if len(title) > 1 else "127.0.0.1:6379"
    if address.startswith("unixsocket:"):
        return "unix:" + address.removeprefix("unixsocket:")
    return address.replace("*:", "127.0.0.1:", 1)


def found_in(address: str, *, ignore_clients: bool) -> list[str]:
    """Return what the server at this address has of others."""
    try:
        connection = Connection(address)
        found = foreign_accounts(connection) + foreign_keys(connection)
        return found + ([] if ignore_clients else clients(connection))
    except RefusedError as error:
        if "NOAUTH" in str(error):
            return ["a password"]
        return [f"an answer that refuses a look ({error})"]
    except OSError as error:
        return [f"no answer at {address} ({error})"]


def foreign_accounts(connection: Connection) -> list[str]:
    """Return the accounts beside the default one."""
    names = [name for name in connection.ask("ACL", "USERS") if name != "default"]
    return [f"accounts ({', '.join(sorted(names)[:SHOWN])})"] if names else []


def foreign_keys(connection: Connection) -> list[str]:
    """Return, for each database, keys that no worker of ours wrote."""
    found = []
    keyspace = str(connection.ask("INFO", "keyspace"))
    for database, size in re.findall(r"^db(\d+):keys=(\d+)", keyspace, re.MULTILINE):
        connection.ask("SELECT", database)
        names = some_foreign(connection)
        if names:
            shown = ", ".join(name.encode("ascii", "backslashreplace").decode() for name in names)
            found.append(f"keys in database {database} ({size} in all, such as {shown})")
    return found


def some_foreign(connection: Connection) -> list[str]:
    """Return the first foreign keys of the selected database."""
    cursor, names = "0", []
    while True:
        cursor, keys = connection.ask("SCAN", cursor, "COUNT", "1000")
        names += [key for key in keys if not OURS.fullmatch(key)]
        if cursor == "0" or len(names) >= SHOWN:
            return names[:SHOWN]


def clients(connection: Connection) -> list[str]:
    """Return a finding when somebody else is connected."""
    own = connection.ask("CLIENT", "ID")
    others = []
    for line in str(connection.ask("CLIENT", "LIST")).splitlines():
        fields = dict(field.partition("=")[::2] for field in line.split())
        if int(fields["id"]) != own:
            others.append(fields.get("name") or fields.get("lib-name") or fields["addr"])
    return [f"{len(others)} clients ({', '.join(others[:SHOWN])})"] if others else []


def output(*command: str) -> str:
    """Return what a command prints; nothing where it fails or does not exist."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError:
        return ""
    return answer.stdout


def main(arguments: list[str]) -> None:
    """Print what was found."""
    ignore_clients = "--ignore-clients" in arguments
    if "--address" in arguments:
        found, address = [], arguments[arguments.index("--address") + 1]
    else:
        found, address = changed_settings(), listening_address()
    if address is not None:
        found += found_in(address, ignore_clients=ignore_clients)
    print(json.dumps(found))  # noqa: T201 - read by the role


if __name__ == "__main__":
    main(sys.argv[1:])
