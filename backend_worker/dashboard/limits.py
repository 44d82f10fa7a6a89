"""The HTTP server's own limits: connections, and the size of what a client sends."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import tornado.httpserver
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, ResponseStartLine

from backend_worker.dashboard import guard
from backend_worker.dashboard.stream import encode

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tornado.http1connection import HTTP1Connection

logger = logging.getLogger(__name__)

MOST_BODY_BYTES = 64 * 1024
# A client that is still sending sees no answer, but a broken connection: of a larger body so
# much is read and thrown away before it is refused.
MOST_DISCARDED_BYTES = 1024 * 1024
MOST_HEADER_BYTES = 16 * 1024
MOST_CONNECTIONS = 256


class LimitedServer(tornado.httpserver.HTTPServer):
    """Closes connections beyond a number that no household needs, and refuses large bodies."""

    def initialize(self, *arguments: Any, **options: Any) -> None:
        """Take what tornado's server takes, but for the sizes."""
        options["max_header_size"] = MOST_HEADER_BYTES
        # ours comes first, with a sentence
        options["max_body_size"] = 2 * MOST_DISCARDED_BYTES
        super().initialize(*arguments, **options)

    def handle_stream(self, stream: Any, address: Any) -> None:
        """Take a connection, or close it at once."""
        if len(self._connections) >= MOST_CONNECTIONS:
            logger.warning("more than %d connections: one is closed", MOST_CONNECTIONS)
            stream.close()
            return
        super().handle_stream(stream, address)

    def start_request(self, server_conn: object, request_conn: Any) -> HTTPMessageDelegate:
        """Look at a request's size before the application sees it."""
        return _Limited(request_conn, super().start_request(server_conn, request_conn))


class _Limited(HTTPMessageDelegate):
    """Passes a request on, unless its body is too large: that is never kept in memory."""

    def __init__(self, connection: HTTP1Connection, application: HTTPMessageDelegate) -> None:
        self._connection = connection
        self._application = application
        self._size = 0
        self._refused = False

    def headers_received(self, start_line: Any, headers: HTTPHeaders) -> Awaitable[None] | None:
        try:
            announced = int(headers.get("Content-Length", "0"))
        except ValueError:
            announced = 0  # tornado refuses it
        if announced > MOST_DISCARDED_BYTES:
            self._refuse()
            return None
        return self._application.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self._size += len(chunk)
        if self._size <= MOST_BODY_BYTES:
            return self._application.data_received(chunk)
        if self._size > MOST_DISCARDED_BYTES and not self._refused:
            self._refuse()
        return None

    def finish(self) -> None:
        if self._size > MOST_BODY_BYTES:
            self._refuse()
        else:
            self._application.finish()

    def on_connection_close(self) -> None:
        self._application.on_connection_close()

    def _refuse(self) -> None:
        self._refused = True
        sentence = f"the body is larger than {MOST_BODY_BYTES // 1024} kB, the most taken here"
        body = encode({"error": sentence}).encode()
        headers = HTTPHeaders(guard.SECURITY_HEADERS)
        headers["Cache-Control"] = "no-store"
        headers["Content-Type"] = "application/json; charset=utf-8"
        headers["Content-Length"] = str(len(body))
        start_line = ResponseStartLine("HTTP/1.1", 413, "Content Too Large")
        self._connection.write_headers(start_line, headers, body)
        self._connection.finish()
