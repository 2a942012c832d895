"""A few kills of a real server, and the driver itself: what it would not forgive."""

from __future__ import annotations

import json
import random
from http import HTTPStatus
from pathlib import Path

import httpx2
import pytest

from tests.crash.contents import KIB, MIB, Contents
from tests.crash.driver import UPLOADERS, CrashFailure, Plan, run
from tests.crash.ledger import Ledger, deleted, uploaded
from tests.crash.uploader import Body
from tests.databases import ON_POSTGRESQL
from tests.e2e.processes import ServerProcess
from tests.waiting import eventually

SEED = 20


@pytest.mark.slow
def test_what_was_acknowledged_survives_kills_and_nothing_else_shows(tmp_path: Path) -> None:
    lines: list[str] = []
    run(tmp_path, Plan(SEED, kills=3), lines.append)
    assert lines[0].startswith(f"seed {SEED}, 3 kills")
    assert len(lines) == 4


@pytest.mark.slow
@pytest.mark.skipif(not ON_POSTGRESQL, reason="it is about PostgreSQL")
def test_what_was_acknowledged_survives_kills_of_postgresql(tmp_path: Path) -> None:
    lines: list[str] = []
    run(tmp_path, Plan(SEED, kills=2, largest=1 * MIB, kill_database=True), lines.append)
    assert [line.split(" after")[0] for line in lines[1:]] == [f"round {i}: PostgreSQL killed" for i in range(2)]


@pytest.mark.slow
def test_a_file_that_is_lost_breaks_the_run_and_its_seed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver finds what it looks for: here somebody takes the blobs away after each kill."""

    kill = ServerProcess.kill

    def uploaded(server: ServerProcess) -> int:
        lines = [json.loads(line) for line in server.log().splitlines() if line.startswith("{") and line.endswith("}")]
        return [(line.get("method"), line.get("status")) for line in lines].count(("PUT", HTTPStatus.CREATED))

    def kill_and_lose(server: ServerProcess) -> None:
        eventually(lambda: uploaded(server) >= UPLOADERS)  # on a busy machine none is within half a second
        kill(server)
        for blob in (server.folder / "data" / "blobs").glob("sha256/*/*/*"):
            blob.unlink()

    monkeypatch.setattr(ServerProcess, "kill", kill_and_lose)
    with pytest.raises(CrashFailure, match=rf"round 0 of seed {SEED}.*is damaged"):
        run(tmp_path, Plan(SEED, kills=1, largest=64 * KIB, max_seconds=0.5))


def test_an_unanswered_request_was_done_or_was_not() -> None:
    ledger = Ledger({"f": ("a",)})
    for found, possible in (({"f": ("a", "b")}, True), ({"f": ("b",)}, False), ({}, False), ({"f": ("a",)}, True)):
        ledger.files = {"f": ("a",)}
        ledger.begin(uploaded(ledger.files, "f", "b"))
        assert ledger.settle(found) is possible


def test_an_answered_request_was_done_and_one_that_was_cut_off_was_not() -> None:
    ledger = Ledger()
    ledger.begin(uploaded(ledger.files, "f", "a"))
    ledger.end(done=True)
    assert not ledger.settle({})
    ledger.begin(uploaded(ledger.files, "f", "b"))
    ledger.end(done=False)
    assert not ledger.settle({"f": ("a", "b")})
    assert ledger.settle({"f": ("a",)})


def test_the_newest_file_of_a_name_is_followed_by_the_one_before_when_it_goes() -> None:
    files = uploaded(uploaded({"g": ("c",)}, "f", "a"), "f", "b")
    assert uploaded(files, "f", "b") == files == {"g": ("c",), "f": ("a", "b")}
    assert deleted(files, "f", 1) == {"g": ("c",), "f": ("a",)}
    assert deleted({"f": ("a",)}, "f", 0) == {}


@pytest.mark.parametrize("form", ["form", "raw", "chunked"])
def test_a_body_that_was_not_sent_to_its_end_cannot_be_whole(form: str) -> None:
    content = Contents(SEED, largest=MIB).new(random.Random(SEED))
    body = Body(content, form)
    seen: list[tuple[bytes, bool]] = [(piece, body.may_be_whole) for piece in body.pieces()]
    assert [whole for _, whole in seen[:-1]] == [False] * (len(seen) - 1)
    assert seen[-1][1] is (form != "chunked")
    assert body.may_be_whole
    sent = b"".join(piece for piece, _ in seen)
    request = httpx2.Request("PUT", "http://x", content=sent, headers=body.headers)
    assert request.headers.get("content-length", str(len(sent))) == str(len(sent))
    assert b"".join(content.chunks()) in sent


def test_a_seed_gives_the_same_contents_again() -> None:
    first, second = (Contents(SEED, largest=MIB).new(random.Random(SEED)) for _ in range(2))
    assert first.sha256 == second.sha256
    assert first.sha256 != Contents(SEED + 1, largest=MIB).new(random.Random(SEED)).sha256
