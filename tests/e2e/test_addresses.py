"""A server on all addresses of IPv6 and IPv4: whoever comes over IPv4 is known by the address that all know."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.processes import ServerProcess, launched, serving, wait_until_ready
from tests.sockets import IPV6
from tests.waiting import eventually

pytestmark = [pytest.mark.slow, IPV6]

WORKERS = pytest.mark.parametrize("workers", ["1", "2"])


def lines(server: ServerProcess) -> Iterator[dict[str, Any]]:
    """The structured lines of its log."""
    for line in server.log().splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def told(server: ServerProcess) -> str:
    """The URL that the server prints when it starts."""
    return server.log().partition("serves on ")[2].split()[0]


def authors(client: httpx2.Client) -> list[str]:
    """The addresses in the audit trail, the newest first."""
    return [event["details"]["ip_address"] for event in client.get("/audit_events?per_page=100").json()]


@WORKERS
def test_both_protocols_are_served_and_addresses_are_plain(tmp_path: Path, workers: str) -> None:
    environment = {"MODELYARD_HOST": "::", "MODELYARD_RATE_LIMIT_ANONYMOUS": "3"}
    with serving(tmp_path, "--workers", workers, environment=environment) as server, server.client as client:
        assert f"serves on http://[::]:{server.port}\n" in server.log()
        for host in ("127.0.0.1", "[::1]"):
            for path in ("/-/health", "/metrics"):
                assert httpx2.get(f"http://{host}:{server.port}{path}").status_code == 200, (host, path)
        mark = {"X-Request-Id": "over-ipv4"}
        assert client.post("/projects", json={"name": "p"}, headers=mark).status_code == 201
        eventually(lambda: any(line.get("request_id") == "over-ipv4" for line in lines(server)))
        assert {line.get("client") for line in lines(server) if line["event"] == "request"} == {"127.0.0.1", "::1"}
        assert authors(client)[0] == "127.0.0.1"
        assert not any("::ffff:" in line for line in server.log().splitlines())


@pytest.mark.parametrize(
    ("workers", "proxies"),
    [
        ("1", "127.0.0.1"),
        ("1", "::ffff:127.0.0.1"),
        ("1", "127.0.0.0/8"),
        ("1", "::ffff:127.0.0.0/104"),
        ("2", "::ffff:127.0.0.0/104"),  # which workers read as one process does
    ],
)
def test_proxies_are_known_by_their_address_over_ipv4(tmp_path: Path, workers: str, proxies: str) -> None:
    environment = {"MODELYARD_HOST": "::", "MODELYARD_TRUSTED_PROXIES": proxies}
    with serving(tmp_path, "--workers", workers, environment=environment) as server, server.client as client:
        for number, said in enumerate(
            ("203.0.113.9", "::ffff:203.0.113.9", "[::FFFF:203.0.113.9]:81", "203.0.113.9, ::ffff:127.0.0.1")
        ):
            answer = client.post("/projects", json={"name": f"p{number}"}, headers={"X-Forwarded-For": said})
            assert answer.status_code == 201
            assert authors(client)[0] == "203.0.113.9"


@WORKERS
def test_a_request_without_a_host_gets_urls_all_the_same(tmp_path: Path, workers: str) -> None:
    with (
        serving(tmp_path, "--workers", workers, environment={"MODELYARD_HOST": "[::]"}) as server,
        server.client as client,
    ):
        token = client.headers["authorization"]
        for address, host in (("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")):
            with socket.create_connection((address, server.port), timeout=20) as connection:
                connection.sendall(f"GET /api/v4/users?per_page=1 HTTP/1.0\r\nAuthorization: {token}\r\n\r\n".encode())
                answer = b""
                while part := connection.recv(65536):
                    answer += part
            assert f"<http://{host}:{server.port}/api/v4/users?".encode() in answer


def test_a_name_stands_for_all_its_addresses(tmp_path: Path) -> None:
    addresses = {each[4][0] for each in socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)}
    with serving(tmp_path, "--workers", "2", environment={"MODELYARD_HOST": "localhost"}) as server:
        assert f"serves on http://localhost:{server.port}\n" in server.log()
        for address in addresses:
            host = f"[{address}]" if ":" in str(address) else address
            assert httpx2.get(f"http://{host}:{server.port}/-/health").status_code == 200


def test_a_host_that_is_no_part_of_a_url_is_told_as_an_address(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "1", environment={"MODELYARD_HOST": "*"}) as server:
        assert httpx2.get(f"{told(server)}/-/health").status_code == 200


def test_the_port_that_the_system_chose_is_told(tmp_path: Path) -> None:
    server = launched(tmp_path, 0, ("--workers", "2"), {"MODELYARD_HOST": "127.0.0.1"})
    try:
        eventually(lambda: "serves on" in server.log())
        server.port = int(server.log().partition("serves on http://127.0.0.1:")[2].split()[0])
        wait_until_ready(server)
    finally:
        server.process.terminate()
        assert server.process.wait(30) == 0
