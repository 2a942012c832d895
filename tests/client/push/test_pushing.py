"""Pushes against a real server, over a line that is cut, delayed and falsified."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from modelyard.blobs._layout import Layout
from modelyard.blobs.store import StoreFull
from modelyard_client import PushOptions, Registry
from modelyard_client.errors import (
    FileChanged,
    Forbidden,
    Mismatch,
    NoRoom,
    NotFound,
    NotIdentified,
    Partly,
    Refused,
    Unreachable,
    UsageMistake,
)
from modelyard_client.http import transport
from modelyard_client.local.files import LocalFile
from modelyard_client.local.places import state_folder
from modelyard_client.local.walking import Walk, files_of
from modelyard_client.push import resuming
from modelyard_client.push.hashing import Hashing
from modelyard_client.stopping import Stop
from tests.client.meddler import Meddling, Request, answer, meddling
from tests.conftest import Account
from tests.live import LiveServer

MIB = 1 << 20
SIZE = 12 * MIB


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom(SIZE))
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def stored(registry: Registry, target: str) -> dict[str, str]:
    return {file.path: file.sha256 for file in registry.files(target)}


def settle(path: Path) -> None:
    """Let a change to a file show from now on."""
    os.utime(path, ns=(1_700_000_000_123_456_789, 1_700_000_000_123_456_789))
    until = time.time_ns() + 300_000_000
    while time.time_ns() < until:
        threading.Event().wait(0.05)


def test_small_and_large_files_arrive_as_they_are(registry: Registry, target: str, large: Path, tmp_path: Path) -> None:
    for size in (0, 1, 4 * MIB, 4 * MIB + 1):
        (tmp_path / f"{size}.bin").write_bytes(os.urandom(size))
    files = sorted(tmp_path.glob("*.bin"))
    done = registry.push(files, target)
    assert done.bytes == sum(file.stat().st_size for file in files)
    assert stored(registry, target) == {file.name: sha256(file) for file in files}
    assert {file.sha256 for file in done.files} == {sha256(file) for file in files}
    assert large in files


def test_what_is_there_costs_no_byte(
    registry: Registry, server: LiveServer, account: Account, target: str, large: Path
) -> None:
    small = large.with_name("small.bin")
    small.write_bytes(b"small")
    registry.push([large, small], target)
    with meddling(server.port) as line, Registry(line.url, account.token) as again:
        done = again.push([large, small], target)
    assert [file.outcome for file in done.files] == ["present", "present"]
    assert line.up == 0


def test_other_bytes_of_the_same_size_are_sent(registry: Registry, target: str, large: Path) -> None:
    registry.push([large], target)
    large.write_bytes(os.urandom(SIZE))
    assert registry.push([large], target).bytes == SIZE
    assert stored(registry, target) == {"large.bin": sha256(large)}


def test_a_digest_is_remembered_of_a_file_that_is_as_it_was(
    registry: Registry, target: str, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(large)
    registry.push([large], target)
    read: list[LocalFile] = []
    real = sha256(large)

    def reading(file: LocalFile, *_arguments: object) -> str:
        read.append(file)
        return real

    monkeypatch.setattr(LocalFile, "sha256", reading)
    assert registry.push([large], target).bytes == 0
    assert read == []
    os.utime(large)
    registry.push([large], target)
    assert len(read) == 1


def test_after_a_cut_only_the_rest_is_sent(
    server: LiveServer, account: Account, registry: Registry, target: str, large: Path
) -> None:
    cuts = [5 * MIB, 3 * MIB]

    def hook(request: Request) -> Meddling | None:
        return Meddling(up=cuts.pop()) if request.method == "PATCH" and cuts else None

    with meddling(server.port, hook) as line, Registry(line.url, account.token) as cut:
        done = cut.push([large], target)
    offsets = [int(request.headers["upload-offset"]) for request in line.asked("PATCH")]
    assert len(offsets) == 3
    assert offsets == sorted(offsets)
    assert line.up == 3 * MIB + 5 * MIB + SIZE - offsets[-1] < SIZE + 8 * MIB
    assert done.files[0].sha256 == sha256(large)
    assert stored(registry, target) == {"large.bin": sha256(large)}


def test_an_upload_that_was_left_off_goes_on_and_one_of_a_changed_file_begins_anew(
    server: LiveServer, account: Account, registry: Registry, target: str, large: Path
) -> None:
    cuts = True

    def hook(request: Request) -> Meddling | None:
        if cuts and request.method == "PATCH":
            return Meddling(up=7 * MIB)
        return answer("403 No") if cuts and request.method == "HEAD" else None

    with meddling(server.port, hook) as line, Registry(line.url, account.token) as cut:
        for changed, sent in ((False, range(SIZE - 7 * MIB, SIZE)), (True, range(SIZE, SIZE + 1))):
            cuts = True
            with pytest.raises(Forbidden):
                cut.push([large], target)
            if changed:
                large.write_bytes(os.urandom(SIZE))
            cuts = False
            assert cut.push([large], target).bytes in sent
            assert stored(registry, target) == {"large.bin": sha256(large)}
            large.write_bytes(os.urandom(SIZE))


def test_what_was_left_off_of_a_file_that_has_changed_gives_its_room_back(
    server: LiveServer,
    account: Account,
    project: dict[str, Any],
    root: httpx2.Client,
    registry: Registry,
    target: str,
    large: Path,
) -> None:
    def cut(request: Request) -> Meddling | None:
        if request.method == "PATCH":
            return Meddling(up=7 * MIB)
        return answer("403 No") if request.method == "HEAD" else None

    with meddling(server.port, cut) as line, Registry(line.url, account.token) as bad:
        with pytest.raises(Forbidden):
            bad.push([large], target)
        limit = {"storage_limit": SIZE + MIB}
        assert root.put(f"/projects/{project['id']}", json=limit).status_code == 200
        large.write_bytes(os.urandom(SIZE))
        line.hook = lambda _request: None
        assert bad.push([large], target).bytes == SIZE
    assert stored(registry, target) == {"large.bin": sha256(large)}


def test_a_file_that_changes_while_it_is_sent_is_refused_and_nothing_of_it_is_kept(
    server: LiveServer, account: Account, registry: Registry, target: str, large: Path
) -> None:
    def hook(request: Request) -> Meddling | None:
        if request.method == "PATCH":
            with large.open("r+b") as file:
                file.write(b"changed")
        return None

    with meddling(server.port, hook) as line, Registry(line.url, account.token) as changing:
        with pytest.raises(FileChanged, match=r"large\.bin"):
            changing.push([large], target)
        assert len(line.asked("DELETE")) == 1
    assert stored(registry, target) == {}


@pytest.mark.parametrize("change", ["shorter", "longer", "replaced"])
def test_a_file_that_is_another_one_meanwhile_is_refused(
    server: LiveServer, account: Account, registry: Registry, target: str, large: Path, change: str
) -> None:
    def hook(request: Request) -> Meddling | None:
        if request.method == "POST":
            if change == "replaced":
                other = large.with_name("other")
                other.write_bytes(b"x" * SIZE)
                other.replace(large)
            else:
                os.truncate(large, SIZE + (1 if change == "longer" else -1))
        return None

    with meddling(server.port, hook) as line, Registry(line.url, account.token) as changing, pytest.raises(FileChanged):
        changing.push([large], target)
    assert stored(registry, target) == {}


def test_bytes_that_change_unseen_are_found_at_the_end_and_removed(
    registry: Registry, target: str, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resuming.Sending, "sha256", "0" * 64)
    with pytest.raises(Mismatch):
        registry.push([large], target)
    assert stored(registry, target) == {}


def test_retry_after_is_obeyed(server: LiveServer, account: Account, target: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    answers = [answer("503 Busy", Retry_After="1"), answer("429 Slow", Retry_After="1"), answer("502 Bad")]
    with meddling(
        server.port, lambda request: answers.pop() if request.path.endswith("/a") and answers else None
    ) as line:
        begun = time.monotonic()
        Registry(line.url, account.token).push([tmp_path / "a"], target)
        assert time.monotonic() - begun >= 2


@pytest.mark.parametrize(
    ("status", "error"),
    [("401 No", NotIdentified), ("404 No", NotFound), ("403 No", Forbidden), ("400 No", Refused), ("507 Full", NoRoom)],
)
def test_a_refusal_that_would_stay_is_not_tried_again(
    server: LiveServer, account: Account, target: str, tmp_path: Path, status: str, error: type[Exception]
) -> None:
    (tmp_path / "a").write_text("a")
    with meddling(server.port, lambda request: answer(status) if request.path.endswith("/a") else None) as line:
        with pytest.raises(error):
            Registry(line.url, account.token).push([tmp_path / "a"], target)
        assert len([request for request in line.asked("PUT") if request.path.endswith("/a")]) == 1


def test_nothing_is_tried_forever(server: LiveServer, account: Account, target: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    with meddling(server.port, lambda request: answer("500 No") if request.path.endswith("/a") else None) as line:
        with pytest.raises(Unreachable):
            Registry(line.url, account.token).push([tmp_path / "a"], target)
        assert len([request for request in line.asked("PUT") if request.path.endswith("/a")]) == 6
    with meddling(server.port, lambda _request: answer("503 No", Retry_After="86400")) as line:
        with pytest.raises(Unreachable):
            Registry(line.url, account.token).files(target)
        assert len(line.requests) == 1


def test_a_line_that_stalls_is_noticed(
    server: LiveServer, account: Account, registry: Registry, target: str, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "CONNECT_SECONDS", 0.5)
    stalls = [Meddling(up=2 * MIB, stalls=True)]
    with meddling(server.port, lambda request: stalls.pop() if request.method == "PATCH" and stalls else None) as line:
        Registry(line.url, account.token).push([large], target)
        assert len(line.asked("PATCH")) == 2
    assert stored(registry, target) == {"large.bin": sha256(large)}


def test_a_file_larger_than_the_server_takes_is_told_before_the_first_byte(
    server: LiveServer, account: Account, target: str, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 65 * MIB)
    with meddling(server.port) as line, pytest.raises(UsageMistake, match="huge"):
        Registry(line.url, account.token).push([tmp_path / "a", tmp_path / "huge"], target)
    assert line.up == 0


def test_a_quota_that_is_shrunk_meanwhile_is_no_room_and_goes_on_when_there_is(
    server: LiveServer, account: Account, root: httpx2.Client, project: dict[str, Any], target: str, large: Path
) -> None:
    def limit(size: int) -> None:
        assert root.put(f"/projects/{project['id']}", json={"storage_limit": size}).status_code == 200

    def hook(request: Request) -> Meddling | None:
        if request.method == "PATCH":
            limit(MIB)
        return None

    with meddling(server.port, hook) as line, Registry(line.url, account.token) as shrunk:
        with pytest.raises(NoRoom, match="storage limit"):
            shrunk.push([large], target)
        limit(0)
        line.hook = lambda _request: None
        assert shrunk.push([large], target).files[0].outcome == "sent"


def test_a_version_that_is_deleted_meanwhile_is_told(
    server: LiveServer, account: Account, registry: Registry, target: str, large: Path
) -> None:
    def hook(request: Request) -> Meddling | None:
        if request.method == "PATCH":
            registry.remove_version(target)
        return None

    with meddling(server.port, hook) as line, pytest.raises(NotFound):
        Registry(line.url, account.token).push([large], target)


def test_a_token_that_is_revoked_meanwhile_is_told_and_another_goes_on(
    server: LiveServer,
    account: Account,
    registry: Registry,
    make_token: Callable[..., dict[str, Any]],
    target: str,
    large: Path,
) -> None:
    token = make_token(account.id)

    def hook(request: Request) -> Meddling | None:
        if request.method != "PATCH" or request.headers["authorization"] != f"Bearer {token['token']}":
            return None
        return Meddling(up=6 * MIB, then=lambda: account.client.delete(f"/personal_access_tokens/{token['id']}"))

    with meddling(server.port, hook) as line:
        with pytest.raises(NotIdentified):
            Registry(line.url, token["token"]).push([large], target)
        done = Registry(line.url, account.token).push([large], target)
        assert done.bytes < SIZE
    assert stored(registry, target) == {"large.bin": sha256(large)}


def test_two_pushes_of_one_file_at_once_both_succeed(
    registry: Registry, server: LiveServer, account: Account, target: str, large: Path
) -> None:
    errors: list[BaseException] = []

    def push() -> None:
        try:
            Registry(server.url, account.token).push([large], target, options=PushOptions(limit=40 * MIB))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=push) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert stored(registry, target) == {"large.bin": sha256(large)}


def test_a_stop_ends_it_within_a_second_and_what_was_sent_stays(
    server: LiveServer, account: Account, registry: Registry, target: str, large: Path
) -> None:
    with meddling(server.port) as line:
        slow = Registry(line.url, account.token)
        ended: list[BaseException] = []

        def push() -> None:
            try:
                slow.push([large], target, options=PushOptions(limit=4 * MIB))
            except BaseException as error:
                ended.append(error)

        thread = threading.Thread(target=push)
        thread.start()
        while line.up < MIB:
            assert thread.is_alive()
            threading.Event().wait(0.01)
        slow.stop()
        thread.join(2)
        assert not thread.is_alive()
        assert ended[0].code == "interrupted"  # type: ignore[attr-defined] # it is the client's
        done = slow.push([large], target)
        assert 0 < done.bytes < SIZE
    assert stored(registry, target) == {"large.bin": sha256(large)}


def test_one_file_that_is_refused_keeps_none_of_the_others(
    server: LiveServer, account: Account, registry: Registry, target: str, tmp_path: Path
) -> None:
    for name in "abc":
        (tmp_path / name).write_text(name)
    refusing = meddling(server.port, lambda request: answer("400 No") if request.path.endswith("/b") else None)
    with refusing as line, pytest.raises(Partly) as caught:
        Registry(line.url, account.token).push([tmp_path / name for name in "abc"], target)
    assert [failure.path for failure in caught.value.transfer.failed] == ["b"]
    assert sorted(stored(registry, target)) == ["a", "c"]


def test_many_small_files_go_by_few_connections(registry: Registry, target: str, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(250):
        (folder / f"{number:03}").write_bytes(os.urandom(100))
    registry.push([folder], target)
    assert stored(registry, target) == {path.name: sha256(path) for path in folder.iterdir()}
    out = tmp_path / "out"
    registry.pull(target, out)
    assert {path.name: sha256(path) for path in out.iterdir()} == {path.name: sha256(path) for path in folder.iterdir()}


def test_a_limit_holds_for_small_files_too(registry: Registry, target: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(os.urandom(MIB))
    assert registry.push([tmp_path / "a"], target, options=PushOptions(limit=8 * MIB)).bytes == MIB
    assert stored(registry, target) == {"a": sha256(tmp_path / "a")}


def test_a_digest_goes_back_to_where_the_server_is(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(os.urandom(3 * MIB))
    (file,) = files_of([path], Walk())
    hashing = Hashing(file, Stop(), mark_bytes=MIB)
    with file.opened() as descriptor:
        for offset in (3 * MIB, 2 * MIB + 5, 0, MIB, 3 * MIB):
            hashing.go_to(offset, descriptor, lambda _count: None)
            assert hashing.hexdigest() == hashlib.sha256(path.read_bytes()[:offset]).hexdigest()


def test_an_upload_that_is_lost_begins_anew(
    server: LiveServer, account: Account, registry: Registry, target: str, large: Path
) -> None:
    gone = [answer("410 Gone", b"{}"), answer("404 Not Found", b"{}")]

    def hook(request: Request) -> Meddling | None:
        return gone.pop() if request.method in {"PATCH", "HEAD"} and gone else None

    with meddling(server.port, hook) as line:
        Registry(line.url, account.token).push([large], target)
    assert stored(registry, target) == {"large.bin": sha256(large)}


def test_what_another_request_has_taken_over_is_asked_for_again(
    server: LiveServer, account: Account, registry: Registry, target: str, large: Path
) -> None:
    taken = [answer("409 Conflict", b"{}"), answer("423 Locked", b"{}", Retry_After="0")]

    def hook(request: Request) -> Meddling | None:
        return taken.pop() if request.method == "PATCH" and taken else None

    with meddling(server.port, hook) as line:
        Registry(line.url, account.token).push([large], target)
        assert len(line.asked("HEAD")) == 2
    assert stored(registry, target) == {"large.bin": sha256(large)}


def test_a_file_whose_last_answer_was_lost_is_there(
    server: LiveServer, account: Account, registry: Registry, target: str, large: Path
) -> None:
    lost = [Meddling(loses=True)]
    with meddling(server.port, lambda request: lost.pop() if request.method == "PATCH" and lost else None) as line:
        assert Registry(line.url, account.token).push([large], target).bytes == SIZE
        assert len(line.asked("PATCH")) == 1
    assert stored(registry, target) == {"large.bin": sha256(large)}


def test_questions_that_fail_for_a_while_are_asked_again(
    server: LiveServer, account: Account, registry: Registry, target: str, large: Path
) -> None:
    failing = {method: [answer("503 Busy", b"{}")] for method in ("POST", "PATCH", "HEAD")}

    def hook(request: Request) -> Meddling | None:
        of_upload = "/uploads" in request.path
        return failing[request.method].pop() if of_upload and failing.get(request.method) else None

    with meddling(server.port, hook) as line:
        Registry(line.url, account.token).push([large], target)
    assert not any(failing.values())
    assert stored(registry, target) == {"large.bin": sha256(large)}


def test_a_disk_that_is_full_at_the_very_end_is_told_also_when_it_is_asked_for_again(
    registry: Registry, target: str, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise StoreFull("for now")

    with monkeypatch.context() as patched:
        patched.setattr(Layout, "adopt", refuse)
        for _ in range(2):
            with pytest.raises(NoRoom, match="no room"):
                registry.push([large], target)
    assert registry.push([large], target).bytes == 0
    assert stored(registry, target) == {"large.bin": sha256(large)}


def test_an_upload_that_cannot_be_asked_for_is_asked_for_by_sending_nothing(
    server: LiveServer, account: Account, registry: Registry, target: str, large: Path
) -> None:
    held = [answer("423 Locked", Retry_After="60") for _ in range(2)]
    taken = [answer("409 Conflict", b"{}")]

    def hook(request: Request) -> Meddling | None:
        if request.method == "HEAD" and "/uploads/" in request.path:
            return held.pop() if held else None
        if request.method == "PATCH" and request.headers["content-length"] == "0":
            return taken.pop() if taken else None
        return Meddling(up=5 * MIB) if len(line.asked("PATCH")) == 1 else None

    with meddling(server.port, hook) as line:
        done = Registry(line.url, account.token).push([large], target)
        assert [request.headers["upload-offset"] for request in line.asked("PATCH")][1] == str(SIZE)
        assert SIZE < done.bytes < SIZE + 6 * MIB
    assert stored(registry, target) == {"large.bin": sha256(large)}


def test_an_upload_that_cannot_be_cancelled_expires(
    server: LiveServer, account: Account, registry: Registry, target: str, large: Path
) -> None:
    changes = [Meddling(up=5 * MIB, then=lambda: large.write_bytes(os.urandom(SIZE)))]

    def hook(request: Request) -> Meddling | None:
        if request.method == "DELETE":
            return answer("403 Forbidden", b"{}")
        return changes.pop() if request.method == "PATCH" and changes else None

    with meddling(server.port, hook) as line, pytest.raises(FileChanged):
        Registry(line.url, account.token).push([large], target)
    assert stored(registry, target) == {}


def test_where_nothing_can_be_remembered_a_file_is_sent_all_the_same(
    registry: Registry, target: str, large: Path, home: Path
) -> None:
    (home / "state").write_text("in the way")
    assert registry.push([large], target).bytes == SIZE


def test_what_no_server_keeps_any_more_is_forgotten(registry: Registry, target: str, large: Path) -> None:
    registry.push([large], target)
    old, new = state_folder() / "old.json", state_folder() / "new.json"
    for path in (old, new):
        path.write_text("{}")
    os.utime(old, (0, 0))
    registry.push([large], target)
    assert (old.exists(), new.exists()) == (False, True)


def test_a_project_that_another_makes_meanwhile_is_taken(
    server: LiveServer, account: Account, registry: Registry, tmp_path: Path
) -> None:
    path = f"{account.username}/at-once"
    (tmp_path / "a").write_text("a")

    def first(request: Request) -> None:
        if request.method == "POST" and request.path == "/api/v4/projects":
            account.client.post("/projects", json={"name": "at-once"})

    with meddling(server.port, first) as line, Registry(line.url, account.token) as second:
        second.push([tmp_path / "a"], f"{path}/net@1.0.0", options=PushOptions(create=True))
    assert stored(registry, f"{path}/net@1.0.0") == {"a": sha256(tmp_path / "a")}
