"""Readiness: what fails is in the log, once for each change of state."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from sqlalchemy.exc import OperationalError, TimeoutError
from structlog.testing import capture_logs

from modelyard.blobs.store import StoreUnavailable
from modelyard.routes.operations import health
from tests.live import LiveServer, running
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("readiness_at_once")


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running(tmp_path_factory.mktemp("yard")) as live:
        yield live


def ask(yard: LiveServer) -> int:
    return httpx2.get(f"{yard.url}/-/readiness", timeout=60).status_code


def look(yard: LiveServer) -> tuple[int, list[dict[str, Any]]]:
    """The status of readiness, and what was logged about it."""
    with capture_logs() as lines:
        status = ask(yard)
    return status, [dict(line) for line in lines if "ready" in line["event"]]


def raising(error: Exception) -> Callable[[], None]:
    def probe() -> None:
        raise error

    return probe


FAULTS = [
    ("database", OperationalError("SELECT 1", None, Exception("it is\naway")), "it is"),
    ("database", TimeoutError("all connections are taken"), "all connections are taken"),
    ("store", StoreUnavailable("the bucket does not answer"), "the bucket does not answer"),
    ("store", OSError(5, "Input/output error"), "Input/output error"),
    ("store", RuntimeError("what nobody thought of"), "what nobody thought of"),
]


@pytest.mark.parametrize(
    ("part", "error", "reason"), FAULTS, ids=[f"{part}-{type(e).__name__}" for part, e, _ in FAULTS]
)
def test_what_fails_is_said_once_and_that_it_works_again_too(
    yard: LiveServer, monkeypatch: pytest.MonkeyPatch, part: str, error: Exception, reason: str
) -> None:
    check = {"database": "database", "store": "blob_store"}[part]
    assert look(yard) == (200, [])
    for _ in range(2):  # it may fail again
        with monkeypatch.context() as patch:
            patch.setattr(getattr(yard.app.state, part), "probe", raising(error))
            status, (line,) = look(yard)
            assert status == 503
            assert (line["event"], line["log_level"], line["check"]) == ("not ready", "error", check)
            assert reason in line["error"]
            assert "\n" not in line["error"]
            assert line["advice"]
            for _ in range(3):
                assert look(yard) == (503, [])
        status, (line,) = look(yard)
        assert (status, line["event"], line["check"]) == (200, "ready again", check)
        assert look(yard) == (200, [])


def test_each_check_is_told_by_itself(yard: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as first:
        first.setattr(yard.app.state.store, "probe", raising(OSError("gone")))
        assert [line["check"] for line in look(yard)[1]] == ["blob_store"]
        with monkeypatch.context() as second:
            second.setattr(yard.app.state.database, "probe", raising(OSError("gone")))
            assert [line["check"] for line in look(yard)[1]] == ["database"]
        assert [line["event"] for line in look(yard)[1]] == ["ready again"]
    assert [line["check"] for line in look(yard)[1]] == ["blob_store"]


def test_those_who_ask_at_once_do_not_say_it_twice(yard: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with capture_logs() as lines, monkeypatch.context() as patch:
        patch.setattr(yard.app.state.store, "probe", raising(OSError("gone")))
        threads = [threading.Thread(target=httpx2.get, args=(f"{yard.url}/-/readiness",)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [line["event"] for line in lines if "ready" in line["event"]] == ["not ready"]
    assert look(yard)[0] == 200


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    with running(tmp_path) as live:
        live.settings.blob_root.rename(tmp_path / "elsewhere")
        status, (line,) = look(live)
        assert (status, line["check"]) == (503, "blob_store")
        assert str(live.settings.blob_root) in line["error"]
        (tmp_path / "elsewhere").rename(live.settings.blob_root)
        assert look(live)[0] == 200


def test_anybody_may_ask_often_and_the_store_is_asked_once(yard: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, go_on = [], threading.Event()

    def probe() -> None:
        asked.append(True)
        assert go_on.wait(60)

    monkeypatch.setattr(yard.app.state.store, "probe", probe)
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(ask(yard))) for _ in range(8)]
    for thread in threads:
        thread.start()
    eventually(lambda: bool(asked))
    monkeypatch.setattr(health, "REMEMBERED_SECONDS", 3600)
    go_on.set()
    for thread in threads:
        thread.join()
    monkeypatch.setattr(yard.app.state.store, "probe", raising(OSError("gone")))
    answers += [ask(yard) for _ in range(8)]
    assert (answers, len(asked)) == ([200] * 16, 1)


def test_who_hangs_up_leaves_the_look_to_the_others(yard: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def probe() -> None:
        asked.set()
        assert go_on.wait(60)

    with monkeypatch.context() as patch:
        patch.setattr(yard.app.state.store, "probe", probe)
        with socket.create_connection((urlsplit(yard.url).hostname, urlsplit(yard.url).port)) as impatient:
            impatient.sendall(b"GET /-/readiness HTTP/1.1\r\nHost: x\r\n\r\n")
            assert asked.wait(60)
        answers: list[int] = []
        other = threading.Thread(target=lambda: answers.append(ask(yard)))
        other.start()
        go_on.set()
        other.join()
    assert answers == [200]
