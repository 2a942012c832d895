"""Answers of another shape than was asked for, as another server's or a proxy's: each is a typed error."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from modelyard_client import Registry
from modelyard_client.errors import ClientError, Refused
from modelyard_client.push.pushing import SMALL_BYTES
from tests.client.meddler import Meddling, Request, answer, meddling
from tests.conftest import Account
from tests.live import LiveServer

Call = Callable[[Registry, str, Path], object]
CALLS: dict[str, Call] = {
    "user": lambda registry, _target, _path: registry.user(),
    "versions": lambda registry, target, _path: registry.versions(target.partition("@")[0]),
    "newest": lambda registry, target, _path: registry.files(target.partition("@")[0]),
    "files": lambda registry, target, _path: registry.files(target),
    "candidate": lambda registry, target, _path: registry.files(f"{target.rpartition('/')[0]}@candidate:1"),
    "push": lambda registry, target, path: registry.push([path / "large.bin"], target),
    "pull": lambda registry, target, path: registry.pull(target, path / "out"),
    "remove": lambda registry, target, _path: registry.remove(target, ["a"]),
    "read": lambda registry, target, _path: list(registry.read(target, "a")),
}
BODIES = [
    b"{}",
    b"[]",
    b"[1]",
    b'"x"',
    b"null",
    b'{"model_versions": [1]}',
    b'{"model_version": {}}',
    b'{"files": [1]}',
]


@pytest.mark.parametrize("body", BODIES)
def test_an_answer_of_another_shape_is_no_error_of_python_s(
    server: LiveServer, account: Account, target: str, tmp_path: Path, body: bytes
) -> None:
    (tmp_path / "large.bin").write_bytes(bytes(SMALL_BYTES + 1))
    (tmp_path / "a").write_text("a")
    Registry(server.url, account.token).push([tmp_path / "a"], target)
    with meddling(server.port) as line, Registry(line.url, account.token) as registry:
        for call in CALLS.values():
            for nth in range(4):  # the first ones are as they should be
                line.hook = _after(nth, answer("200 OK", body))
                with suppress(ClientError):
                    call(registry, target, tmp_path)


def _after(count: int, other: Meddling) -> Callable[[Request], Meddling | None]:
    seen: list[Request] = []

    def hook(request: Request) -> Meddling | None:
        seen.append(request)
        return other if len(seen) > count else None

    return hook


@pytest.mark.parametrize(
    "row",
    [
        b'{"id": "x", "file_name": "a", "size": 1, "file_sha256": "%s"}' % (b"ab" * 32),
        b'{"id": 1, "file_name": "a", "size": 1, "file_sha256": null}',
        b'{"id": 1, "file_name": "a", "size": 1, "file_sha256": "../../x"}',
        b'{"id": 1, "file_name": "%ff", "size": 1, "file_sha256": "{}"}'.replace(b"{}", b"ab" * 32),
        b'{"id": 1, "size": 1}',
    ],
)
def test_a_file_without_what_makes_it_one_is_refused(
    server: LiveServer, account: Account, target: str, tmp_path: Path, row: bytes
) -> None:
    (tmp_path / "a").write_text("a")
    Registry(server.url, account.token).push([tmp_path / "a"], target)
    listed = answer("200 OK", b"[" + row + b"]")
    hook = _of_files(listed)
    with meddling(server.port, hook) as line, pytest.raises(Refused, match="is it a modelyard"):
        Registry(line.url, account.token).files(target)


def _of_files(listed: Meddling) -> Callable[[Request], Meddling | None]:
    return lambda request: listed if "package_files" in request.path else None
