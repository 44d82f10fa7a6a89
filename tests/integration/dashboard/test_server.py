"""The server's life: its socket, its end, its size."""

import contextlib
import socket
import subprocess
import sys
import time

import pytest

from backend_worker.dashboard.sse import MOST_LISTENERS_OF_ADDRESS
from tests.support.dashboard import Dashboard, free_port, ids
from tests.support.measuring import measures
from tests.support.waiting import WAIT_SECONDS


def with_passed_socket(dashboard, listening):
    """Start a dashboard as systemd does: its socket is descriptor 3."""

    script = (
        f"import os, sys; os.dup2({listening.fileno()}, 3);"
        "os.environ['LISTEN_PID'] = str(os.getpid());"
        "os.execv(sys.executable, [sys.executable, '-m', 'backend_worker', 'dashboard'])"
    )
    with dashboard.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", script],
            env=dashboard.environment | {"LISTEN_FDS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[listening.fileno()],
        )


def test_systemd_can_pass_the_socket_and_it_ends_when_nobody_looks(tmp_path, servers):
    port = free_port()
    # the address of the settings is another one: nothing must listen there
    dashboard = Dashboard(tmp_path, port=port, listen=f"127.0.0.1:{free_port()}", idle_seconds=1)
    with socket.create_server(("127.0.0.1", port)) as listening:
        # a browser that came before the server was there
        early = socket.create_connection(("127.0.0.1", port))
        early.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
        dashboard.process = with_passed_socket(dashboard, listening)
        early.settimeout(WAIT_SECONDS)
        assert early.recv(1000).startswith(b"HTTP/1.1 200 OK")
        early.close()
        with dashboard.listen() as listener:
            listener.head()
            time.sleep(2.5)
            assert dashboard.process.poll() is None  # somebody looks
        assert dashboard.process.wait(WAIT_SECONDS) == 0
        assert "nobody has looked" in dashboard.log.read_text()
        # and systemd's socket takes the next one
        late = socket.create_connection(("127.0.0.1", port))
        late.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
        dashboard.process = with_passed_socket(dashboard, listening)
        late.settimeout(WAIT_SECONDS)
        assert late.recv(1000).startswith(b"HTTP/1.1 200 OK")
        late.close()
        assert dashboard.stop() == 0


def test_an_address_in_use_gets_a_sentence(dashboard, tmp_path):
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "backend_worker",
            "dashboard",
            "--listen",
            f"127.0.0.1:{dashboard.port}",
        ],
        env=dashboard.environment,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    assert result.returncode != 0
    assert f"cannot listen on 127.0.0.1:{dashboard.port}" in result.stderr
    assert "Traceback" not in result.stderr


def test_stopping_with_listeners_is_quick_and_quiet(own):
    dashboard = own()
    with dashboard.listen() as listener:
        listener.head()
        assert dashboard.stop() == 0  # it does not wait for who listens for ever
    assert "ERROR" not in dashboard.log.read_text()
    assert "Traceback" not in dashboard.log.read_text()


@measures
@pytest.mark.slow
def test_it_is_small_however_many_look(own, music):
    dashboard = own()
    known = ids(dashboard)
    with contextlib.ExitStack() as stack:
        for _ in range(MOST_LISTENERS_OF_ADDRESS):
            stack.enter_context(dashboard.listen()).head()
        for _ in range(20):
            for path in (
                "/api/status",
                "/metrics",
                "/api/albums",
                "/api/search?q=a",
                f"/api/covers/{known['albums']}?size=full",
                "/api/openapi.json",
            ):
                dashboard.get(path)
        pss = dashboard.pss_mib()
    assert pss <= 45, f"{pss:.1f} MiB"
