"""SQLite that cannot be written or read.

    fault                          status, body                               log line          what stays
    -----------------------------  -----------------------------------------  ----------------  -----------------
    locked for longer than its     503 {"message": "503 Service               database failure  bytes for gc
      timeout, by another process    Unavailable"}; reading goes on
    read-only                      503, the same; reading goes on             database failure  bytes for gc
    full                           507: see test_disk.py
    damaged                        500 {"message": "500 Internal Server       database damaged  everything else
                                     Error"}

PostgreSQL's faults are those of tests/registry/test_lost_connections.py and tests/routes/http/test_failures.py.
"""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from modelyard.registry.backends import sqlite
from modelyard.registry.repository import Registry
from tests.commands import COMMAND
from tests.faults.conftest import LARGE, SMALL, Yard, yard_in

pytestmark = pytest.mark.sqlite

UNAVAILABLE = (503, {"message": "503 Service Unavailable"})


def answer(response: httpx2.Response) -> tuple[int, Any]:
    return response.status_code, response.json()


@contextmanager
def locked(yard: Yard) -> Iterator[None]:
    """Another process writes, and takes its time."""
    with closing(sqlite3.connect(yard.live.settings.data_dir / "modelyard.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@pytest.fixture
def impatient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    """A server that waits a fifth of a second for its database."""
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.2)
    with yard_in(tmp_path) as yard:
        yield yard


def test_locked_for_longer_than_the_timeout(impatient: Yard) -> None:
    yard = impatient
    with locked(yard), yard.logged("database failure") as line:
        response = yard.put("new", b"new")
        assert answer(response) == UNAVAILABLE
        assert response.headers["retry-after"]
        assert answer(yard.client.post("/projects", json={"name": "more"})) == UNAVAILABLE
        assert (yard.get("small").content, yard.get("large").content) == (SMALL, LARGE)
    assert "locks" in line["advice"]
    assert yard.get("new").status_code == 404
    assert yard.live.unfinished() == []
    assert yard.check(read=True) == []
    assert yard.gc() == ["blob"]
    assert yard.put("new", b"new").status_code == 201


def test_those_who_queue_behind_a_lock_wait_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each for itself would wait as long again as all before it."""
    tries, begin = [], sqlite._begin

    def counted(connection: Connection) -> None:
        tries.append(connection)
        begin(connection)

    def work(registry: Registry) -> None:
        registry.session.connection()

    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(sqlite, "_begin", counted)
    with yard_in(tmp_path) as yard:
        database = yard.live.app.state.database

        async def write_all() -> list[object]:
            return list(await asyncio.gather(*[database.write(work) for _ in range(4)], return_exceptions=True))

        with locked(yard):
            tries.clear()
            results = asyncio.run(write_all())
        assert [type(result) for result in results] == [OperationalError] * 4
        assert len(tries) == 1
        assert yard.put("new", b"new").status_code == 201


def test_locked_for_a_while(yard: Yard) -> None:
    """Who waits gets their turn."""
    with locked(yard):
        writing = threading.Thread(target=yard.put, args=("new", b"new"))
        writing.start()
        writing.join(0.3)
        assert writing.is_alive()
    writing.join(30)
    assert yard.get("new").content == b"new"


def test_read_only(yard: Yard) -> None:
    engine = yard.live.app.state.database.engine
    engine.dispose()
    with engine.connect() as connection:  # the one that the writer takes next
        connection.exec_driver_sql("PRAGMA query_only = ON")
    with yard.logged("database failure") as line:
        assert answer(yard.put("new", b"new")) == UNAVAILABLE
    assert "readonly" in line["error"]
    assert (yard.get("small").content, yard.get("large").content) == (SMALL, LARGE)
    engine.dispose()
    assert yard.check(read=True) == []
    assert yard.gc() == ["blob"]
    assert yard.put("new", b"new").status_code == 201


@pytest.mark.parametrize("offset", [0, 4096], ids=["its-head", "all-else"])
def test_damaged(yard: Yard, offset: int) -> None:
    """Pages of the file are overwritten, as by a disk that mixes them up."""
    database = yard.live.settings.data_dir / "modelyard.db"
    with closing(sqlite3.connect(database)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    yard.live.app.state.database.engine.dispose()
    with database.open("r+b") as file:
        file.seek(offset)
        file.write(os.urandom(4096 if offset == 0 else database.stat().st_size - offset))
    with yard.logged("database damaged") as line:
        assert answer(yard.put("new", b"new")) == (500, {"message": "500 Internal Server Error"})
    assert "backup" in line["advice"]
    command = [str(COMMAND), "check"]
    environment = os.environ | {"MODELYARD_DATA_DIR": str(yard.live.settings.data_dir)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch("modelyard: database: .*(malformed|not a database)\n", done.stderr)
