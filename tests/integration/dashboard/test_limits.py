"""Bodies and headers that are too large."""

import contextlib
import http.client
import socket

import pytest

from backend_worker.dashboard.limits import MOST_BODY_BYTES, MOST_DISCARDED_BYTES
from tests.support.dashboard import TOKEN, Answer
from tests.support.waiting import WAIT_SECONDS


@pytest.mark.parametrize("size", [MOST_BODY_BYTES + 1, MOST_DISCARDED_BYTES])
@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
def test_a_body_that_is_too_large_is_refused_with_a_sentence(dashboard, size, chunked):
    body = b"x" * size
    for method, path in (("POST", "/api/scans"), ("GET", "/"), ("PUT", "/nothing")):
        connection = http.client.HTTPConnection("127.0.0.1", dashboard.port, timeout=WAIT_SECONDS)
        connection.request(method, path, iter([body]) if chunked else body, encode_chunked=chunked,
                           headers={"Transfer-Encoding": "chunked"} if chunked else {})  # fmt: skip
        answer = Answer(reply := connection.getresponse(), reply.read())
        assert (answer.status, answer.error) == (
            413,
            "the body is larger than 64 kB, the most taken here",
        )
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        # the connection is as good as before
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()


def test_a_body_of_many_megabytes_is_refused_before_it_is_sent(dashboard):
    head = f"POST /api/scans HTTP/1.1\r\nHost: localhost\r\nContent-Length: {10**9}\r\n"
    with socket.create_connection(("127.0.0.1", dashboard.port), timeout=WAIT_SECONDS) as client:
        client.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        answer = b""
        while part := client.recv(10_000):  # until the server closes
            answer += part
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"larger than 64 kB" in answer


def test_an_endless_body_is_cut_off(dashboard):
    before = dashboard.own_mib()
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    head = b"POST /api/scans HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", dashboard.port), timeout=WAIT_SECONDS) as client:
        client.sendall(head)
        with pytest.raises(ConnectionError):
            client.sendall(chunk * 1600)
    assert dashboard.own_mib() - before < 4
    assert dashboard.answers()


def test_a_body_that_is_no_json_object_is_refused(dashboard):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    for body in (b"{", b"[]", b'"x"', b"\xff"):
        answer = dashboard.request("POST", "/api/scans", body, **headers)
        assert answer.status == 400
        assert "JSON" in answer.error


def test_headers_that_are_too_large_are_not_read(dashboard):
    with contextlib.suppress(OSError):
        assert dashboard.get("/healthz", X=("x" * 100_000)).status in {400, 431}
    assert dashboard.answers()
