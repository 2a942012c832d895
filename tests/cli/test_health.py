"""`modelyard health`, as container engines and operators run it."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.commands import run
from tests.live import running
from tests.sockets import IPV6


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A server that gives that answer to one connection, or none if it is empty; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(10_000)
                if answer:
                    connection.sendall(answer)
                else:
                    connection.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::", "[::]", "*", "localhost", "::ffff:127.0.0.1"])
def test_a_server_that_answers_is_well(tmp_path: Path, host: str) -> None:
    with running(tmp_path / "data") as live:
        for done in (
            run(tmp_path, "health", HOST=host, PORT=str(live.port)),
            run(tmp_path, "health", "--host", host, "--port", str(live.port), PORT="1"),
        ):
            assert (done.returncode, done.stdout, done.stderr) == (0, "modelyard OK\n", "")


@IPV6
def test_an_address_of_ipv6_is_asked_as_it_is(tmp_path: Path) -> None:
    done = run(tmp_path, "health", HOST="::1", PORT="1")
    assert done.returncode == 1
    assert done.stderr.startswith("modelyard: no answer from http://[::1]:1/-/health: ")


def test_the_address_is_read_where_the_server_reads_it(tmp_path: Path) -> None:
    with running(tmp_path / "data") as live:
        (tmp_path / ".env").write_text(f"MODELYARD_PORT={live.port}\n")
        assert run(tmp_path, "health").returncode == 0


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy", "answers 503: busy"),
        (b"SSH-2.0-OpenSSH\r\n", "no answer from"),
        (b"", "timed out"),
    ],
    ids=["refuses", "is another", "hangs"],
)
def test_whatever_else_is_said_in_one_line(tmp_path: Path, answer: bytes, sentence: str) -> None:
    with answering(answer) as port:
        done = run(tmp_path, "health", PORT=str(port))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert sentence in done.stderr


def test_it_loads_neither_the_database_nor_the_web(tmp_path: Path) -> None:
    """It is run every few seconds."""
    program = (
        "import sys; from modelyard.cli import main; sys.argv = ['modelyard', 'health', '--help']\n"
        "main()\n"
        "print({'sqlalchemy', 'fastapi', 'uvicorn', 'prometheus_client'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")
