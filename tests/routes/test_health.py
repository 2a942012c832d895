"""Readiness: what fails is in the log, once for each change of state."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import OperationalError, TimeoutError
from structlog.testing import capture_logs

from modelyard.blobs.store import StoreUnavailable
from tests.live import LiveServer, running


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running(tmp_path_factory.mktemp("yard")) as live:
        yield live


def look(yard: LiveServer) -> tuple[int, list[dict[str, Any]]]:
    """The status of readiness, and what was logged about it."""
    with capture_logs() as lines:
        status = httpx.get(f"{yard.url}/-/readiness").status_code
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
        threads = [threading.Thread(target=httpx.get, args=(f"{yard.url}/-/readiness",)) for _ in range(8)]
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
