"""A stop: no connection is closed without a word, and none that was let in is left without an answer."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from uvicorn import Config

from modelyard.app import create_app
from modelyard.process.server import server_options
from modelyard.process.stopping import StoppingServer
from modelyard.services.people.setup import prepare
from modelyard.settings import Settings
from tests.databases import migrated_database
from tests.e2e.processes import MIB, new_version, serving, slowly
from tests.waiting import eventually

REQUEST = b"GET /-/health HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


@pytest.fixture
def server(tmp_path: Path) -> StoppingServer:
    settings = Settings(_env_file=None, data_dir=tmp_path, database_url=migrated_database(tmp_path), port=0)  # type: ignore[call-arg]
    prepare(settings)
    config = Config(create_app(settings), **server_options(settings))
    config.load()
    stopping = StoppingServer(config, delay=0)
    stopping.lifespan = config.lifespan_class(config)
    return stopping


def received(connection: socket.socket) -> bytes:
    connection.settimeout(20)
    answer = b""
    while part := connection.recv(4096):
        answer += part
    return answer


def test_connections_that_only_the_kernel_knows_are_answered(server: StoppingServer, listener: socket.socket) -> None:
    port = listener.getsockname()[1]

    async def stop() -> list[socket.socket]:
        await server.startup([listener])
        waiting = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]  # nobody takes them: we do not wait
        for each in waiting:
            each.sendall(REQUEST)
        await server.shutdown()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        return waiting

    for connection in asyncio.run(stop()):
        with connection:
            answer = received(connection)
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"connection: close" in answer


def test_a_connection_that_was_just_let_in_may_send_its_first_request(
    server: StoppingServer, listener: socket.socket
) -> None:
    async def stop() -> bytes:
        await server.startup([listener])
        with socket.create_connection(listener.getsockname()) as connection:
            stopping = asyncio.create_task(server.shutdown())
            await asyncio.sleep(0.2)
            connection.sendall(REQUEST)
            await stopping
            return received(connection)

    assert asyncio.run(stop()).startswith(b"HTTP/1.1 200")


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_during_the_delay_requests_are_taken_and_readiness_is_red(tmp_path: Path, workers: str) -> None:
    environment = {"MODELYARD_SHUTDOWN_DELAY": "3"}
    with serving(tmp_path, "--workers", workers, environment=environment) as server:
        base = f"http://127.0.0.1:{server.port}"
        with httpx2.Client() as resting:
            assert "connection" not in resting.get(f"{base}/-/health").headers
            server.process.send_signal(signal.SIGTERM)
            while httpx2.get(f"{base}/-/readiness").status_code == 200:
                pass
            while "connection" not in (answer := resting.get(f"{base}/-/health")).headers:
                pass  # by the other worker, who has yet to hear of it
            assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert server.process.wait(30) == 0
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(base)


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_whoever_interrupts_does_not_wait_for_the_delay(tmp_path: Path, workers: str) -> None:
    environment = {"MODELYARD_SHUTDOWN_DELAY": "3600"}
    with serving(tmp_path, "--workers", workers, environment=environment) as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(30) == 0
    with serving(tmp_path, "--workers", workers, environment=environment) as server:
        server.process.send_signal(signal.SIGTERM)
        while httpx2.get(f"http://127.0.0.1:{server.port}/-/readiness").status_code == 200:
            pass
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0


@pytest.mark.slow
def test_a_closed_terminal_ends_nothing_that_is_under_way(tmp_path: Path) -> None:
    """Nor the server, as if it had been started by nohup: another SIGHUP finds it at work."""
    content, begun, answers = os.urandom(6 * MIB), threading.Event(), list[int]()
    with serving(tmp_path) as server, server.client as client:
        files = new_version(client)
        uploader = threading.Thread(
            target=lambda: answers.append(client.put(f"{files}/slow", content=slowly(content, 0.3, begun)).status_code)
        )
        uploader.start()
        assert begun.wait(30)
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: server.log().count("SIGHUP ends nothing") == 1)
        uploader.join()
        assert answers == [201]
        assert client.get(f"{files}/slow").content == content
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
            server.process.send_signal(number)
        eventually(lambda: server.log().count("SIGHUP ends nothing") == 2)
        server.process.terminate()
        assert server.process.wait(30) == 0
