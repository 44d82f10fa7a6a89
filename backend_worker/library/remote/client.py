"""One remote service over HTTP: rate, redirects, time-outs, limits, and what failures mean.

Only the tasks that ask a remote service import this module: httpx costs memory in each
process.
"""

from __future__ import annotations

import email.utils
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import httpx

from backend_worker.library.remote import RemoteAway, UnusableAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_REDIRECTS = 5
# A pause that the service asks for and that is not worth giving up for.
SHORT_PAUSE_SECONDS = 10.0
_LONGEST_PAUSE_SECONDS = 86400.0
# The service does not know it: the archive says 400 for what is no id, 410 for removed.
_MISSES = {400, 404, 410}
_BUSY = {429, 503}
_REFUSED = {401, 403}
# Also how an idle connection ends that the service closes just when it is used again.
_HUNG_UP = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


class RemoteClient:
    """A client of one service; use it as a context manager, or close it.

    Args:
        base_url: address of the service, without a slash at the end.
        user_agent: how we introduce ourselves.
        throttle: called before each request to the service itself; returns when it may be
            sent. Other hosts, to which it redirects, are not its concern.
        timeout: seconds to wait for a connection and for each piece of an answer.
        total_timeout: seconds for a whole answer, however steadily it drips.
    """

    def __init__(
        self,
        base_url: str,
        *,
        user_agent: str,
        throttle: Callable[[], None],
        timeout: float = 20.0,
        total_timeout: float = 90.0,
    ) -> None:
        self._base = httpx.URL(base_url.rstrip("/"))
        self._throttle = throttle
        self._total_timeout = total_timeout
        # Pictures are compressed already, and a limit on plain bytes cannot be outwitted.
        headers = {"User-Agent": user_agent, "Accept-Encoding": "identity"}
        self._http = httpx.Client(headers=headers, timeout=timeout, follow_redirects=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(
        self,
        path: str,
        *,
        content_type: str,
        max_bytes: int,
        params: Mapping[str, str] | None = None,
    ) -> bytes | None:
        """Ask for something, once more if the service asks for a short pause.

        Args:
            path: below the base address, with a slash in front.
            content_type: how the answer's type must start: ``image/``.
            max_bytes: limit of the answer's size.
            params: the query.

        Returns:
            The answer's body, or None if the service does not have it.

        Raises:
            RemoteAway: see there; also an overloaded or broken service, or one that refuses us.
            UnusableAnswer: of another type, too large, cut short, too slow, in a circle of
                redirects, or from a host that the service sent us to and that fails.
        """
        try:
            return self._get(path, content_type, max_bytes, params)
        except RemoteAway as away:
            if away.retry_after is None or away.retry_after > SHORT_PAUSE_SECONDS:
                raise
            time.sleep(away.retry_after)
            return self._get(path, content_type, max_bytes, params)

    def _get(
        self, path: str, content_type: str, max_bytes: int, params: Mapping[str, str] | None
    ) -> bytes | None:
        url = self._base.copy_with(path=self._base.path.rstrip("/") + path)
        headers = {"Accept": f"{content_type}*" if content_type.endswith("/") else content_type}
        request = self._http.build_request("GET", url, params=params, headers=headers)
        deadline = time.monotonic() + self._total_timeout
        for _ in range(MAX_REDIRECTS + 1):
            response = self._send(request)
            try:
                following = response.next_request
                if following is None:
                    return self._body(response, content_type, max_bytes, deadline)
                request = following
            finally:
                response.close()
            if request.url.scheme not in {"http", "https"}:
                raise UnusableAnswer(f"it redirects to {request.url.scheme}:, which is not HTTP")
        raise UnusableAnswer(f"it redirects more than {MAX_REDIRECTS} times")

    def _send(self, request: httpx.Request) -> httpx.Response:
        own = self._is_own(request.url)
        try:
            try:
                return self._send_in_turn(request, own=own)
            except _HUNG_UP:
                return self._send_in_turn(request, own=own)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = f"{request.url.host} does not answer: {_words(error)}"
            raise (RemoteAway if own else UnusableAnswer)(reason) from error

    def _send_in_turn(self, request: httpx.Request, *, own: bool) -> httpx.Response:
        if own:
            self._throttle()
        return self._http.send(request, stream=True)

    def _is_own(self, url: httpx.URL) -> bool:
        return url.netloc == self._base.netloc

    def _body(
        self, response: httpx.Response, content_type: str, max_bytes: int, deadline: float
    ) -> bytes | None:
        status = response.status_code
        if status in _MISSES:
            return None
        if status != 200:
            raise self._failure(response)
        found_type = response.headers.get("Content-Type", "")
        if not found_type.lower().startswith(content_type):
            raise UnusableAnswer(f"its answer is of type {found_type!r}, not {content_type}")
        body = bytearray()
        try:
            for piece in response.iter_bytes():
                body += piece
                if len(body) > max_bytes:
                    raise UnusableAnswer(f"its answer is larger than {max_bytes:,} bytes")
                if time.monotonic() > deadline:
                    raise UnusableAnswer(f"its answer takes more than {self._total_timeout:g} s")
        except httpx.HTTPError as error:
            raise UnusableAnswer(f"its answer breaks off: {_words(error)}") from error
        return bytes(body)

    def _failure(self, response: httpx.Response) -> Exception:
        status = response.status_code
        reason = f"{response.url.host} answers {status} {response.reason_phrase}".rstrip()
        if status in _BUSY:
            return RemoteAway(reason, retry_after(response.headers.get("Retry-After")))
        if self._is_own(response.url) and (status in _REFUSED or status >= 500):
            return RemoteAway(reason)
        return UnusableAnswer(reason)


def retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header, a number or a date, at most a day.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        seconds = float(text)
    else:
        try:
            when = email.utils.parsedate_to_datetime(text)
        except ValueError:
            return None
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        seconds = (when - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 1.0), _LONGEST_PAUSE_SECONDS)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
