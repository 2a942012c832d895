"""A real nginx in front of servers of the tests, with the example's configuration: `deploy/nginx/nginx.conf`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from bench.contenders.balancer import configuration

from tests.ports import free_port

PLACES = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin"))
START_SECONDS = 30


@dataclass(frozen=True)
class Nginx:
    """A running nginx and the folder of its logs."""

    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log(self) -> str:
        """Its access log: method, path, status, bytes, seconds, upstream's address and status."""
        return (self.folder / "access.log").read_text()


def require_nginx() -> str:
    """The program; the test is skipped where there is none, and fails there in CI."""
    found = shutil.which("nginx", path=PLACES)
    if found is None:
        reason = "nginx is not installed: apt-get install nginx-light"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextmanager
def running_nginx(
    folder: Path, ports: Sequence[int], blobs: Path | None = None, *, port: int = 0, below: bool = False
) -> Iterator[Nginx]:
    """nginx in front of servers on those ports of this machine; `blobs`: the folder that it may send files from;
    `below`: they are below the path of the example.
    """
    program = require_nginx()
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    text = configuration(folder, port, ports, blobs or folder / "none")
    (folder / "nginx.conf").write_text(_below(text) if below else text)
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
    with (folder / "stderr").open("wb") as errors:
        process = subprocess.Popen(command, stdout=errors, stderr=errors)
    try:
        _wait_until_it_listens(process, port, folder / "stderr")
        yield Nginx(port, folder)
    finally:
        process.terminate()
        process.wait(30)


def _below(text: str) -> str:
    """A configuration with what the example has in comments for servers below a path."""
    for old, new in (("# map $request_uri", "map $request_uri"), ("http://modelyard;", "http://modelyard$below;")):
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, errors: Path) -> None:
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        assert process.poll() is None, errors.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("nginx did not start")
