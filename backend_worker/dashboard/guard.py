"""Who may ask what: host names, origins, the token, and how much.

The page is on loopback or on a home network without TLS. What a browser can be tricked into is
refused here: pages of other sites may neither read (the Host header shows a name that was bent
to this address) nor write (Origin, Sec-Fetch-Site, and a token that no browser sends by itself).
A reverse proxy may put another Host there; then its X-Forwarded-Host, and the Origin of whoever
writes, must be names of this machine just the same.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
import time
import urllib.parse
from collections import OrderedDict
from typing import TYPE_CHECKING

from backend_worker.dashboard.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
        " object-src 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# Addresses whose requests are counted; the one that asked longest ago is forgotten first.
MOST_CLIENTS = 1024
# Shorter than this, a token could be guessed.
SHORTEST_TOKEN = 16


def own_names() -> set[str]:
    """Return the names by which this machine is called: its own, and that of mDNS."""
    name = socket.gethostname().lower()
    return {"localhost", name, name.partition(".")[0], f"{name.partition('.')[0]}.local"}


def check_host(host: str, names: Collection[str]) -> None:
    """Refuse a request that was not meant for this machine (DNS rebinding).

    An address needs no check: only a name can be bent to another machine.

    Args:
        host: the Host header, with or without a port.
        names: the names that are ours, in lower case.

    Raises:
        Refusal: the header names another machine.
    """
    name = _without_port(host).lower().rstrip(".")
    if name not in names and not _is_address(name):
        raise Refusal(
            403,
            f"{name[:200] or 'a request without a Host header'} is not a name of this machine: "
            "if it is, add it to BACKEND_WORKER_DASHBOARD_ALLOWED_HOSTS",
        )


def asked_hosts(headers: Mapping[str, str]) -> list[str]:
    """Return the hosts that a request was made for: that of the browser, and those of proxies."""
    forwarded = headers.get("X-Forwarded-Host", "").split(",")
    return [headers.get("Host", ""), *(host.strip() for host in forwarded if host.strip())]


def check_origin(
    headers: Mapping[str, str], hosts: Collection[str], trusted: Collection[str] = ()
) -> None:
    """Refuse a writing request that a browser sends from another site.

    Args:
        headers: of the request.
        hosts: what it was made for, with ports, each of them checked before.
        trusted: names whose pages are ours at any port: a proxy may not pass on which one.

    Raises:
        Refusal: it does not come from our page, nor from a program that is no browser.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None and site not in {"same-origin", "none"}:
        raise Refusal(403, "this request comes from the page of another site")
    origin = headers.get("Origin")
    if origin is None:
        return
    netloc = urllib.parse.urlsplit(origin).netloc.lower()
    if netloc not in {host.lower() for host in hosts} and _without_port(netloc) not in trusted:
        raise Refusal(
            403,
            f"this request comes from the page of another site, {origin[:200]}: if that is a "
            "proxy before this machine, add its host name to "
            "BACKEND_WORKER_DASHBOARD_ALLOWED_HOSTS",
        )


def client_address(headers: Mapping[str, str], peer: str) -> str:
    """Return whom a request comes from: where a proxy on this machine passed it on, its client.

    Only what the proxy itself has added counts, and from other machines nothing does: anybody
    could write anything there.
    """
    forwarded = headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    is_proxied = is_loopback(peer) and _is_address(forwarded)
    return forwarded if is_proxied else peer


def check_token(headers: Mapping[str, str], token_file: str) -> None:
    """Refuse a writing request without the token.

    The file is read at each request: a new token holds at once.

    Raises:
        Refusal: there is no token here, or none or another one in the request.
    """
    if not token_file:
        raise Refusal(
            403,
            "nothing can be changed from here: no token is set "
            "(BACKEND_WORKER_DASHBOARD_TOKEN_FILE names its file)",
        )
    try:
        with open(token_file, "rb") as file:
            token = file.read(1024).strip()
    except OSError as error:
        raise Refusal(
            500, f"the file of the token, {token_file}, cannot be read: {error.strerror}"
        ) from error
    if len(token) < SHORTEST_TOKEN:
        raise Refusal(500, f"the token in {token_file} is shorter than {SHORTEST_TOKEN} characters")
    scheme, _, given = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given.strip():
        raise Refusal(401, "this needs the token: Authorization: Bearer <token>")
    if not hmac.compare_digest(given.strip().encode("utf-8", "replace"), token):
        raise Refusal(401, f"the token is wrong: it is in {token_file} on this machine")


class Rates:
    """How many requests each address may make: a bucket of tokens that fills steadily.

    Args:
        per_second: requests a second in the long run.
        burst: requests at once.
        clock: the time in seconds, from any start.
    """

    def __init__(
        self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.per_second = per_second
        self.burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str) -> float:
        """Count a request; return 0, or the seconds until the next one is allowed."""
        now = self._clock()
        tokens, filled = self._buckets.pop(address, (self.burst, now))
        tokens = min(self.burst, tokens + (now - filled) * self.per_second)
        allowed = tokens >= 1
        self._buckets[address] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) / self.per_second


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def is_loopback(host: str) -> bool:
    """Say whether a host, with or without a port, is this machine seen from itself."""
    name = _without_port(host).lower()
    return name == "localhost" or (_is_address(name) and ipaddress.ip_address(name).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
