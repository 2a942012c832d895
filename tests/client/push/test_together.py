"""Small files that go up together: all of them arrive as they are, and one that is refused holds up no other."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard_client import PushOptions, Registry
from modelyard_client.errors import NotIdentified, Partly
from modelyard_client.push import together
from modelyard_client.push.sending import digest_field
from modelyard_client.results import Transfer
from tests.client.meddler import Meddler, Meddling, Request, answer, meddling
from tests.conftest import Account
from tests.live import LiveServer

COUNT = 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of small files, with names of all kinds."""
    path = tmp_path / "model"
    (path / "part ü").mkdir(parents=True)
    for number in range(COUNT):
        (path / "part ü" / f'{number} "100%".bin').write_bytes(os.urandom(number * 200))
    return path


def held(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def stored(registry: Registry, target: str) -> dict[str, str]:
    return {file.path: file.sha256 for file in registry.files(target)}


def commits(line: Meddler) -> list[Request]:
    return [request for request in line.asked("POST") if "/commit/" in request.path]


def puts(line: Meddler) -> list[str]:
    return [request.path for request in line.asked("PUT") if "authorize" not in request.path]


def outcomes(done: Transfer) -> set[str]:
    return {file.outcome for file in done.files}


def test_small_files_go_by_few_requests_and_large_ones_by_themselves(
    server: LiveServer, account: Account, registry: Registry, target: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "MOST_FILES", 8)
    (folder / "weights.bin").write_bytes(os.urandom(together.LARGEST_BYTES + 1))
    with meddling(server.port) as line:
        done = Registry(line.url, account.token).push([folder], target)
    assert (len(commits(line)), len(puts(line))) == (3, 1)
    assert stored(registry, target) == held(folder) == {file.path: file.sha256 for file in done.files}
    assert done.bytes == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    again = registry.push([folder], target)
    assert (again.bytes, outcomes(again)) == (0, {"present"})


def test_a_commit_holds_no_more_bytes_than_fit_in_memory(
    server: LiveServer, account: Account, registry: Registry, target: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "MOST_BYTES", 6_000)
    with meddling(server.port) as line:
        Registry(line.url, account.token).push([folder], target)
    assert len(commits(line)) > 5
    assert all(int(request.headers["content-length"]) < 12_000 for request in commits(line))
    assert stored(registry, target) == held(folder)


def test_a_few_files_go_one_by_one(
    server: LiveServer, account: Account, registry: Registry, target: str, tmp_path: Path
) -> None:
    paths = [tmp_path / str(number) for number in range(together.FEWEST_FILES - 1)]
    for path in paths:
        path.write_text(path.name)
    with meddling(server.port) as line:
        Registry(line.url, account.token).push(paths, target)
    assert (commits(line), len(puts(line))) == ([], len(paths))
    assert len(stored(registry, target)) == len(paths)


def test_a_run_s_files_go_one_by_one(
    server: LiveServer, account: Account, registry: Registry, project: dict[str, Any], folder: Path
) -> None:
    mlflow = f"/projects/{project['id']}/ml/mlflow/api/2.0/mlflow"
    experiment = account.client.post(f"{mlflow}/experiments/create", json={"name": "runs"}).json()["experiment_id"]
    account.client.post(f"{mlflow}/runs/create", json={"experiment_id": experiment})
    target = f"{project['path_with_namespace']}@candidate:1"
    with meddling(server.port) as line:
        Registry(line.url, account.token).push([folder], target)
    assert (commits(line), len(puts(line))) == ([], COUNT)
    assert stored(registry, target) == held(folder)


def test_a_project_whose_name_would_mean_another_is_not_asked_for_by_it(
    account: Account, server: LiveServer, make_project: Callable[..., dict[str, Any]], folder: Path
) -> None:
    project = make_project(account, path="a__b")
    target = f"{project['path_with_namespace']}/net@1.0.0"
    with meddling(server.port) as line, Registry(line.url, account.token) as registry:
        registry.push([folder], target, options=PushOptions(create=True))
        assert (commits(line), stored(registry, target)) == ([], held(folder))


@pytest.mark.parametrize("status", ["404 Not Found", "400 Bad Request", "403 Forbidden", "413 Too Large"])
def test_where_a_server_takes_no_commit_files_go_one_by_one(
    server: LiveServer, account: Account, registry: Registry, target: str, folder: Path, status: str
) -> None:
    with meddling(server.port, lambda request: answer(status) if "/commit/" in request.path else None) as line:
        done = Registry(line.url, account.token).push([folder], target)
    assert (len(commits(line)), len(puts(line)), outcomes(done)) == (1, COUNT, {"sent"})
    assert stored(registry, target) == held(folder)


def test_a_server_that_has_no_such_api_is_asked_once(
    server: LiveServer, account: Account, registry: Registry, target: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "MOST_FILES", 4)
    with meddling(server.port, lambda request: answer("404 No") if "/commit/" in request.path else None) as line:
        Registry(line.url, account.token).push([folder], target, options=PushOptions(jobs=1))
    assert len(commits(line)) == 1
    assert stored(registry, target) == held(folder)


def test_what_one_file_is_refused_for_is_told_of_that_file_and_keeps_no_other_from_arriving(
    server: LiveServer, account: Account, registry: Registry, target: str, folder: Path
) -> None:
    def refuse(request: Request) -> Meddling | None:
        is_it = "/commit/" in request.path or (
            request.method == "PUT" and request.path.endswith("/3%20%22100%25%22.bin")
        )
        return answer("400 Bad", b'{"message": "not this one"}') if is_it else None

    with meddling(server.port, refuse) as line, pytest.raises(Partly) as caught:
        Registry(line.url, account.token).push([folder], target)
    (failure,) = caught.value.transfer.failed
    assert (failure.path, "not this one" in failure.message) == ('part ü/3 "100%".bin', True)
    expected = held(folder)
    del expected[failure.path]
    assert stored(registry, target) == expected


def test_a_file_that_is_changed_meanwhile_is_left_out_and_no_other(
    server: LiveServer, account: Account, registry: Registry, target: str, folder: Path
) -> None:
    changed = folder / "part ü" / '7 "100%".bin'

    def change(request: Request) -> Meddling | None:
        if request.path.endswith("/authorize"):
            changed.write_bytes(b"other")
        return None

    with meddling(server.port, change) as line, pytest.raises(Partly) as caught:
        Registry(line.url, account.token).push([folder], target)
    assert [failure.path for failure in caught.value.transfer.failed] == ['part ü/7 "100%".bin']
    assert stored(registry, target).keys() == held(folder).keys() - {'part ü/7 "100%".bin'}


@pytest.mark.parametrize("meddled", [Meddling(up=1_000), Meddling(loses=True), answer("503 Busy", b"{}")])
def test_a_commit_that_is_cut_or_whose_answer_is_lost_is_sent_again(
    server: LiveServer, account: Account, registry: Registry, target: str, folder: Path, meddled: Meddling
) -> None:
    once = [meddled]
    with meddling(server.port, lambda request: once.pop() if once and "/commit/" in request.path else None) as line:
        done = Registry(line.url, account.token).push([folder], target)
    assert (len(commits(line)), puts(line)) == (2, [])
    assert done.bytes == 2 * sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert stored(registry, target) == held(folder)


def test_a_commit_that_is_not_what_was_read_is_refused_and_its_files_go_one_by_one(
    server: LiveServer, account: Account, registry: Registry, target: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "digest_field", lambda _sha256: digest_field("0" * 64))
    with meddling(server.port) as line:
        Registry(line.url, account.token).push([folder], target)
    assert (len(commits(line)), len(puts(line))) == (1, COUNT)
    assert stored(registry, target) == held(folder)


def test_a_token_that_is_revoked_ends_all(
    server: LiveServer, account: Account, registry: Registry, target: str, folder: Path
) -> None:
    refused = answer("401 Unauthorized", b"{}")
    with (
        meddling(server.port, lambda request: refused if "/commit/" in request.path else None) as line,
        pytest.raises(NotIdentified),
    ):
        Registry(line.url, account.token).push([folder], target)
    assert (puts(line), stored(registry, target)) == ([], {})


def test_a_limit_to_the_rate_holds_for_what_goes_together(
    registry: Registry, target: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    monkeypatch.setattr("modelyard_client.http.pace.Pace.take", lambda _pace, count: taken.append(count))
    registry.push([folder], target, options=PushOptions(limit=1 << 30))
    assert sum(taken) > sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert stored(registry, target) == held(folder)
