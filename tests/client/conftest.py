"""Fixtures: a client with nothing remembered and nobody's settings, and versions to send files to."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelyard_client.cli.main import run as run_command
from modelyard_client.http import trying
from modelyard_client.registry import Registry
from tests.conftest import Account
from tests.live import LiveServer

OWN = ("CONFIG", "CACHE", "STATE", "DATA")


@dataclass(frozen=True)
class Done:
    """How a command has ended."""

    status: int
    out: str
    err: str


Myd = Callable[..., Done]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, and no variables of the tester's."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    for name in ("URL", "TOKEN", "TOKEN_FILE", "CACHE_DIR", "DEBUG"):
        monkeypatch.delenv(f"MODELYARD_{name}", raising=False)
    for name in OWN:
        monkeypatch.setenv(f"XDG_{name}_HOME", str(folder / name.lower()))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries again follow without a pause, but for what `Retry-After` asks."""
    monkeypatch.setattr(trying, "FIRST_SECONDS", 0.001)
    monkeypatch.setattr(trying, "MOST_SECONDS", 0.01)


@pytest.fixture
def account(make_user: Callable[..., Account]) -> Account:
    return make_user()


@pytest.fixture
def project(account: Account, make_project: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return make_project(account)


@pytest.fixture
def version(project: dict[str, Any], make_version: Callable[..., int]) -> int:
    return make_version(project["id"], "net", tags=[{"key": "gitlab.version", "value": "1.0.0"}])


@pytest.fixture
def target(project: dict[str, Any], version: int) -> str:
    """A fresh version, as people write it."""
    assert version
    return f"{project['path_with_namespace']}/net@1.0.0"


@pytest.fixture
def registry(server: LiveServer, account: Account) -> Iterator[Registry]:
    with Registry(server.url, account.token) as found:
        yield found


@pytest.fixture
def myd(monkeypatch: pytest.MonkeyPatch) -> Myd:
    """Runs the command in this process, whose own standard output is the server's log."""

    def run(*arguments: str | Path, stdin: str = "") -> Done:
        monkeypatch.setattr(sys, "argv", ["myd", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2)]
        for name, stream in zip(("stdout", "stderr"), streams, strict=True):
            monkeypatch.setattr(sys, name, stream)
        status = 0
        try:
            run_command()
        except SystemExit as end:
            status = int(end.code or 0)
        for stream in streams:
            stream.flush()
        out, err = (stream.buffer.getvalue().decode() for stream in streams)
        return Done(status, out, err)

    return run


@pytest.fixture
def signed_in(server: LiveServer, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command knows server and token."""
    monkeypatch.setenv("MODELYARD_URL", server.url)
    monkeypatch.setenv("MODELYARD_TOKEN", account.token)
