"""Blobs that changed behind the server's back.

fault                           status, body                                log line            check
------------------------------  ------------------------------------------  ------------------  --------------------
removed                         404 {"message": "404 Not Found"}            blob missing        missing
other length                    500 {"message": "500 Internal Server …"}    blob damaged        size
other bytes, up to 128 KiB      500, the same                               blob damaged        digest, with --read
other bytes, larger, not yet    200 and the bytes as they lie, under the    -                   digest, with --read
  found by `check --read`         digest of the right ones
the same, found                 500, as above                               blob damaged        digest
shorter since it was opened     200, cut short of its Content-Length        download cut short  size
unreadable, up to 128 KiB       503 {"message": "503 Service Unavailable"}  blob store          unreadable
unreadable, larger              503, or 200 cut short                         unavailable, or
                                                                            download cut short
"""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import httpx2
import pytest
from sqlalchemy.exc import OperationalError

from modelyard.services.upkeep import checking
from modelyard.services.upkeep.checking import Finding
from tests.faults.conftest import LARGE, SMALL, Yard

INTERNAL = (500, {"message": "500 Internal Server Error"})
CONTENTS = {"small": SMALL, "large": LARGE}

BOTH = pytest.mark.parametrize("name", list(CONTENTS))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


def shorten(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def answer(response: httpx2.Response) -> tuple[int, Any]:
    return response.status_code, response.json()


@BOTH
def test_removed(yard: Yard, name: str) -> None:
    yard.blob(len(CONTENTS[name])).unlink()
    with yard.logged("blob missing") as line:
        assert answer(yard.get(name)) == (404, {"message": "404 Not Found"})
    assert line["sha256"] == sha256(CONTENTS[name])
    assert yard.check() == [Finding("missing", sha256(CONTENTS[name]), 1)]


@BOTH
@pytest.mark.parametrize("damage", [shorten, lambda path: path.write_bytes(path.read_bytes() + b"x")])
def test_other_length(yard: Yard, name: str, damage: Callable[[Path], None]) -> None:
    damage(yard.blob(len(CONTENTS[name])))
    with yard.logged("blob damaged") as line:
        assert answer(yard.get(name)) == INTERNAL
    assert line["sha256"] == sha256(CONTENTS[name])
    assert yard.check() == [Finding("size", sha256(CONTENTS[name]), 1)]


def test_other_bytes_of_a_small_file(yard: Yard) -> None:
    flip(yard.blob(len(SMALL)))
    assert yard.check() == []
    for _ in range(2):
        with yard.logged("blob damaged"):
            assert answer(yard.get("small")) == INTERNAL
    assert yard.check(read=True) == [Finding("digest", sha256(SMALL), 1)]


def test_other_bytes_of_a_large_file_are_served_under_the_right_digest_until_they_are_found(yard: Yard) -> None:
    flip(yard.blob(len(LARGE)))
    served = yard.get("large")
    assert served.status_code == 200
    assert sha256(served.content) != sha256(LARGE) == served.headers["etag"].strip('"').removeprefix("sha256:")
    assert yard.check(read=True) == [Finding("digest", sha256(LARGE), 1)]
    for headers in ({}, {"Range": "bytes=0-99"}, {"If-None-Match": served.headers["etag"]}):
        with yard.logged("blob damaged"):
            assert answer(yard.client.get(f"{yard.files}/large", headers=headers)) == INTERNAL
    assert yard.client.head(f"{yard.files}/large").status_code == 500
    assert yard.check() == [Finding("digest", sha256(LARGE), 1)]


def test_the_same_bytes_sent_again_heal_every_file_that_has_them(yard: Yard) -> None:
    yard.put("other-name", LARGE)
    flip(yard.blob(len(LARGE)))
    assert yard.check(read=True) == [Finding("digest", sha256(LARGE), 2)]
    assert yard.get("other-name").status_code == 500
    assert yard.put("large", LARGE).status_code == 201
    assert yard.get("large").content == yard.get("other-name").content == LARGE
    assert yard.check() == []


def test_a_blob_that_was_put_back_is_served_when_check_has_read_it(yard: Yard) -> None:
    blob = yard.blob(len(LARGE))
    flip(blob)
    assert yard.check(read=True) != []
    flip(blob)
    assert yard.get("large").status_code == 500
    assert yard.check(read=True) == []
    assert yard.get("large").content == LARGE
    assert yard.check() == []


def test_a_damaged_blob_that_cannot_be_read_any_more_stays_damaged(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    flip(yard.blob(len(LARGE)))
    assert yard.check(read=True) != []
    unreadable_from(0, monkeypatch)
    assert Finding("unreadable", sha256(LARGE), 1) in yard.check(read=True)
    monkeypatch.undo()
    assert yard.check() == [Finding("digest", sha256(LARGE), 1)]


def test_authorize_does_not_count_damaged_bytes_as_there(yard: Yard) -> None:
    """Else a client that asks first would never send what heals them."""
    asked = f"{yard.files}/large/authorize"
    assert yard.client.put(asked).json()["Exists"]["SHA256"] == sha256(LARGE)
    flip(yard.blob(len(LARGE)))
    assert yard.check(read=True) != []
    assert yard.client.put(asked).json()["Exists"] is None


def test_what_is_found_is_said_also_where_it_cannot_be_remembered(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    flip(yard.blob(len(LARGE)))
    full = OperationalError("UPDATE", {}, sqlite3.OperationalError("database or disk is full"))

    def fail(*_arguments: object) -> NoReturn:
        raise full

    monkeypatch.setattr(yard.live.app.state.database, "write_now", fail)
    with yard.logged("finding not remembered"):
        assert yard.check(read=True) == [Finding("digest", sha256(LARGE), 1)]


def test_bytes_that_are_replaced_while_check_reads_the_old_ones_are_not_held_for_damaged(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip(yard.blob(len(LARGE)))
    judge = checking._fault

    def judge_and_heal(*arguments: Any, **options: Any) -> str | None:
        fault = judge(*arguments, **options)
        if fault:
            yard.put("large", LARGE)
        return fault

    monkeypatch.setattr(checking, "_fault", judge_and_heal)
    assert [finding.fault for finding in yard.check(read=True)] == ["digest"]  # it was, when it was read
    assert yard.get("large").content == LARGE
    monkeypatch.undo()
    assert yard.check() == []


def test_shorter_since_it_was_opened(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    blob, open_ = yard.blob(len(LARGE)), yard.live.app.state.store.open

    def open_and_lose(digest: str) -> object:
        reader = open_(digest)
        os.truncate(blob, len(LARGE) // 2)
        return reader

    monkeypatch.setattr(yard.live.app.state.store, "open", open_and_lose)
    with (
        yard.logged("download cut short") as line,
        pytest.raises(httpx2.RemoteProtocolError, match="without sending complete"),
    ):
        yard.get("large")
    assert line["sha256"] == sha256(LARGE)
    monkeypatch.undo()
    assert yard.check() == [Finding("size", sha256(LARGE), 1)]


def test_small_and_shorter_since_it_was_opened(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is what was read of it remembered."""
    monkeypatch.setattr("modelyard.blobs.local.read_at", lambda *_: SMALL[:5])
    with yard.logged("blob damaged"):
        assert answer(yard.get("small")) == INTERNAL
    monkeypatch.undo()
    assert yard.get("small").content == SMALL


def unreadable_from(offset: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file has a bad sector there."""
    pread = os.pread

    def read(descriptor: int, length: int, start: int) -> bytes:
        if start + length > offset:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return pread(descriptor, length, start)

    monkeypatch.setattr(os, "pread", read)


def test_unreadable_and_small(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    unreadable_from(0, monkeypatch)
    with yard.logged("blob store unavailable") as line:
        response = yard.get("small")
    assert answer(response) == (503, {"message": "503 Service Unavailable"})
    assert response.headers["retry-after"]
    assert sha256(SMALL) in line["error"]
    found = {finding.sha256: finding.fault for finding in yard.check(read=True)}
    assert found == {sha256(SMALL): "unreadable", sha256(LARGE): "unreadable"}


def test_unreadable_in_its_midst(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are served, and `check` goes on to them."""
    unreadable_from(2_000_000, monkeypatch)
    with (
        yard.logged("download cut short") as line,
        pytest.raises(httpx2.RemoteProtocolError, match="without sending complete"),
    ):
        yard.get("large")
    assert line["sha256"] == sha256(LARGE)
    assert yard.get("small").content == SMALL
    yard.blob(len(SMALL)).unlink()
    found = {finding.sha256: finding.fault for finding in yard.check(read=True)}
    assert found == {sha256(LARGE): "unreadable", sha256(SMALL): "missing"}


@BOTH
def test_unreadable_as_a_whole(yard: Yard, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    open_, digest = os.open, sha256(CONTENTS[name])

    def open_others(path: Any, *arguments: int) -> int:
        if str(path).endswith(digest):
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return open_(path, *arguments)

    monkeypatch.setattr(os, "open", open_others)
    with yard.logged("blob store unavailable") as line:
        assert answer(yard.get(name)) == (503, {"message": "503 Service Unavailable"})
    assert digest in line["error"]
    assert yard.check() == [Finding("unreadable", digest, 1)]
