"""Pulls from a real server, over a line that is cut, delayed and falsified."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from modelyard_client import PullOptions, Registry
from modelyard_client.catalog import Catalog
from modelyard_client.errors import ClientError, Mismatch, NoRoom, Partly, Unreachable
from modelyard_client.http import transport
from modelyard_client.local import files
from modelyard_client.pull.partials import Partial
from modelyard_client.results import RemoteFile
from tests.client.meddler import Hook, Meddling, Request, answer, meddling
from tests.conftest import Account
from tests.live import LiveServer

MIB = 1 << 20
SIZE = 40 * MIB


@pytest.fixture(scope="module")
def content() -> bytes:
    return os.urandom(SIZE)


@pytest.fixture
def filled(registry: Registry, target: str, tmp_path: Path, content: bytes) -> str:
    """A version with a large file."""
    (tmp_path / "large.bin").write_bytes(content)
    registry.push([tmp_path / "large.bin"], target)
    return target


class Outcome(NamedTuple):
    """Of a pull over a bad line."""

    error: ClientError | None
    down: int
    requests: list[Request]


Pull = Callable[..., Outcome]


@pytest.fixture
def pull(server: LiveServer, account: Account, filled: str, tmp_path: Path) -> Pull:
    def run(hook: Hook = lambda _request: None, jobs: int = 4, limit: int | None = None) -> Outcome:
        with meddling(server.port, hook) as line, Registry(line.url, account.token) as registry:
            try:
                registry.pull(filled, tmp_path / "out", options=PullOptions(jobs=jobs, limit=limit))
            except ClientError as error:
                return Outcome(error, line.down, line.requests)
            return Outcome(None, line.down, line.requests)

    return run


def of_file(request: Request) -> bool:
    return request.path.endswith("/large.bin")


def test_ranges_come_several_at_once_and_make_the_file(
    pull: Callable[..., Outcome], tmp_path: Path, content: bytes
) -> None:
    done = pull()
    assert done.error is None
    asked = [request for request in done.requests if of_file(request)]
    assert len(asked) == 5
    assert all(request.headers["if-range"] for request in asked)
    assert (tmp_path / "out" / "large.bin").read_bytes() == content
    assert os.listdir(tmp_path / "out") == ["large.bin"]
    again = pull()
    assert [request for request in again.requests if of_file(request)] == []


def test_after_a_cut_only_the_rest_of_the_range_is_asked_for(
    pull: Callable[..., Outcome], tmp_path: Path, content: bytes
) -> None:
    cuts = [3 * MIB, 5 * MIB, 100]
    done = pull(lambda request: Meddling(down=cuts.pop()) if of_file(request) and cuts else None)
    assert done.error is None
    assert done.down < SIZE + MIB
    assert (tmp_path / "out" / "large.bin").read_bytes() == content


def test_what_was_left_off_goes_on_and_the_target_is_not_there_before(
    pull: Callable[..., Outcome], tmp_path: Path, content: bytes
) -> None:
    refused = [0]

    def hook(request: Request) -> Meddling | None:
        if not of_file(request):
            return None
        refused[0] += 1
        return Meddling(down=5 * MIB) if refused[0] == 1 else answer("403 No")

    assert pull(hook, jobs=1).error is not None
    assert os.listdir(tmp_path / "out") == [".myd"]
    done = pull()
    assert done.error is None
    assert SIZE - 6 * MIB < done.down < SIZE - 4 * MIB
    assert (tmp_path / "out" / "large.bin").read_bytes() == content
    assert os.listdir(tmp_path / "out") == ["large.bin"]


def test_a_byte_that_flipped_in_what_was_left_off_costs_that_piece_alone(
    pull: Callable[..., Outcome], tmp_path: Path, content: bytes
) -> None:
    asked = [0]

    def hook(request: Request) -> Meddling | None:
        asked[0] += of_file(request)
        return answer("403 No") if of_file(request) and asked[0] > 1 else None

    assert pull(hook, jobs=1).error is not None
    (partial,) = (tmp_path / "out" / ".myd").glob("*.part")
    with partial.open("r+b") as file:
        file.seek(5 * MIB)
        byte = file.read(1)[0]
        file.seek(5 * MIB)
        file.write(bytes([byte ^ 1]))
    done = pull()
    assert done.error is None
    assert 20 * MIB < done.down < 23 * MIB  # the other range, and about a MiB around the byte
    assert (tmp_path / "out" / "large.bin").read_bytes() == content


def test_bytes_that_are_wrong_on_the_way_are_found_and_nothing_is_kept(
    pull: Callable[..., Outcome], tmp_path: Path, content: bytes
) -> None:
    done = pull(lambda request: Meddling(flips=True) if of_file(request) else None)
    assert isinstance(done.error, Mismatch)
    assert not (tmp_path / "out" / "large.bin").exists()
    assert pull().error is None
    assert (tmp_path / "out" / "large.bin").read_bytes() == content


@pytest.mark.parametrize(
    "meddling_",
    [
        answer("200 OK", b"<html>sign in</html>", Content_Type="text/html"),
        answer("206 Partial Content", b"x" * 100, Content_Range="bytes 0-99/100"),
        answer("206 Partial Content", b"x" * 100),
        answer("502 Bad Gateway", b"<html>"),
    ],
)
def test_an_error_page_or_another_range_is_never_taken_for_the_file(
    pull: Callable[..., Outcome], tmp_path: Path, content: bytes, meddling_: Meddling
) -> None:
    wrong = [meddling_, meddling_]
    done = pull(lambda request: wrong.pop() if of_file(request) and wrong else None)
    assert done.error is None
    assert (tmp_path / "out" / "large.bin").read_bytes() == content
    shutil.rmtree(tmp_path / "out")
    always = pull(lambda request: meddling_ if of_file(request) else None, jobs=1)
    assert isinstance(always.error, Unreachable)
    assert not (tmp_path / "out" / "large.bin").exists()


def test_a_file_that_is_replaced_meanwhile_is_told_and_nothing_is_mixed(
    pull: Callable[..., Outcome], registry: Registry, filled: str, tmp_path: Path
) -> None:
    replaced = [False]

    def hook(request: Request) -> Meddling | None:
        if of_file(request) and not replaced[0]:
            replaced[0] = True
            (tmp_path / "large.bin").write_bytes(os.urandom(SIZE))
            registry.push([tmp_path / "large.bin"], filled)
        return None

    done = pull(hook)
    assert isinstance(done.error, Mismatch)
    assert "meanwhile" in done.error.sentence
    assert not (tmp_path / "out" / "large.bin").exists()
    assert pull().error is None
    assert (tmp_path / "out" / "large.bin").read_bytes() == (tmp_path / "large.bin").read_bytes()


def test_a_line_that_stalls_is_noticed(
    pull: Callable[..., Outcome], tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "STALL_SECONDS", 0.5)
    stalls = [Meddling(down=2 * MIB, stalls=True)]
    done = pull(lambda request: stalls.pop() if of_file(request) and stalls else None)
    assert done.error is None
    assert (tmp_path / "out" / "large.bin").read_bytes() == content


def test_retry_after_holds_for_ranges(pull: Callable[..., Outcome]) -> None:
    busy = [answer("503 Busy", Retry_After="1")]
    assert pull(lambda request: busy.pop() if of_file(request) and busy else None).error is None
    done = pull(lambda request: answer("503 Busy", Retry_After="3600") if of_file(request) else None)
    assert done.error is None  # it is there


@pytest.mark.parametrize("name", ["../out.bin", "/etc/x", "a/../../x", "%2e%2e/x", "..", "a\\..\\x", "x\x00y"])
def test_a_name_that_leaves_the_folder_is_refused(
    registry: Registry, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(Catalog, "files", lambda *_: [RemoteFile(name, 1, hashlib.sha256(b"x").hexdigest())])
    with pytest.raises(Mismatch):
        registry.pull(target, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(Mismatch, match="refused"):
        registry.verify(target, tmp_path)


def test_a_link_that_leads_out_of_the_folder_is_not_written_through(
    registry: Registry, target: str, tmp_path: Path
) -> None:
    (tmp_path / "m" / "sub").mkdir(parents=True)
    (tmp_path / "m" / "sub" / "x").write_text("x")
    (tmp_path / "m" / "y").write_text("y")
    registry.push([tmp_path / "m"], target)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises((Mismatch, Partly), match="leads out"):
        registry.pull(target, tmp_path / "out")
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_folder_in_the_way_is_told(registry: Registry, target: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    registry.push([tmp_path / "x"], target)
    (tmp_path / "out" / "x").mkdir(parents=True)
    with pytest.raises(Mismatch, match="folder"):
        registry.pull(target, tmp_path / "out")


def test_a_file_that_is_another_one_here_is_replaced(registry: Registry, target: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("new")
    registry.push([tmp_path / "x"], target)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").write_text("old")
    assert registry.pull(target, tmp_path / "out").files[0].outcome == "received"
    assert (tmp_path / "out" / "x").read_text() == "new"


def test_a_disk_that_has_no_room_is_told_before_anything_comes(
    pull: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=MIB))
        done = pull()
    assert isinstance(done.error, NoRoom)
    assert [request for request in done.requests if of_file(request)] == []


def test_a_disk_that_fills_keeps_what_came_and_goes_on_later(
    pull: Callable[..., Outcome], tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = [0]
    write = Partial.write

    def filling(partial: Partial, piece: bytes, begin: int) -> None:
        written[0] += len(piece)
        if written[0] > 20 * MIB:
            with files.local_errors(partial.path):
                raise OSError(28, "No space left on device")
        write(partial, piece, begin)

    with monkeypatch.context() as patched:
        patched.setattr(Partial, "write", filling)
        assert isinstance(pull().error, NoRoom)
    done = pull()
    assert done.error is None
    assert done.down < 24 * MIB
    assert (tmp_path / "out" / "large.bin").read_bytes() == content


def test_two_pulls_at_once_both_succeed(
    server: LiveServer, account: Account, filled: str, tmp_path: Path, content: bytes
) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            Registry(server.url, account.token).pull(filled, tmp_path / "out", options=PullOptions(limit=100 * MIB))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert (tmp_path / "out" / "large.bin").read_bytes() == content
    assert os.listdir(tmp_path / "out") == ["large.bin"]


def test_a_file_that_is_read_is_held_against_its_digest(
    server: LiveServer, account: Account, filled: str, content: bytes
) -> None:
    with meddling(server.port) as line:
        assert b"".join(Registry(line.url, account.token).read(filled, "large.bin")) == content
        line.hook = lambda request: Meddling(flips=True) if request.method == "GET" and of_file(request) else None
        with pytest.raises(Mismatch):
            for _ in Registry(line.url, account.token).read(filled, "large.bin"):
                pass


def test_what_was_whole_before_a_kill_is_not_fetched_again(
    pull: Callable[..., Outcome], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "out").mkdir()
    partial = Partial(tmp_path / "out", "large.bin", hashlib.sha256(content).hexdigest(), SIZE)
    partial.write(content, 0)
    partial.note(0, SIZE, zlib.crc32(content))
    partial.close()
    done = pull(lambda request: answer("403 No") if of_file(request) else None)
    assert done.error is None
    assert (tmp_path / "out" / "large.bin").read_bytes() == content


def test_a_partial_that_cannot_be_read_is_told_and_left_to_others(
    pull: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_arguments: object) -> None:
        raise ClientError("It cannot be read")

    with monkeypatch.context() as patched:
        patched.setattr(Partial, "pieces", unreadable)
        assert str(pull().error) == "It cannot be read"
    assert pull().error is None


def test_a_line_that_leaves_out_ranges_costs_time_alone(
    server: LiveServer, account: Account, registry: Registry, target: str, tmp_path: Path
) -> None:
    content = os.urandom(9 * MIB)
    (tmp_path / "w.bin").write_bytes(content)
    registry.push([tmp_path / "w.bin"], target)
    whole = answer("200 OK", content, ETag=f'"{hashlib.sha256(content).hexdigest()}"')
    with meddling(server.port, lambda request: whole if request.path.endswith("/w.bin") else None) as line:
        Registry(line.url, account.token).pull(target, tmp_path / "out")
        assert len([request for request in line.requests if "range" in request.headers]) == 2
    assert (tmp_path / "out" / "w.bin").read_bytes() == content


def test_an_answer_that_ends_too_early_without_a_length_is_gone_on_with(
    pull: Callable[..., Outcome], tmp_path: Path, content: bytes
) -> None:
    told = f"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-{8 * MIB - 1}/{SIZE}\r\nConnection: close\r\n\r\n"
    short = [Meddling(told.encode() + content[:1000])]

    def hook(request: Request) -> Meddling | None:
        first = request.headers.get("range") == f"bytes=0-{8 * MIB - 1}"
        return short.pop() if first and short else None

    assert pull(hook, jobs=4).error is None
    assert not short
    assert (tmp_path / "out" / "large.bin").read_bytes() == content


def test_a_small_file_that_is_wrong_or_has_no_room_leaves_nothing(
    server: LiveServer,
    account: Account,
    registry: Registry,
    target: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "small").write_text("small")
    registry.push([tmp_path / "small"], target)
    flips = meddling(server.port, lambda request: Meddling(flips=True) if request.path.endswith("/small") else None)
    with flips as line, pytest.raises(Mismatch):
        Registry(line.url, account.token).pull(target, tmp_path / "out")
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        write(path, content[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(NoRoom):
        registry.pull(target, tmp_path / "out")
    assert os.listdir(tmp_path / "out") == []
