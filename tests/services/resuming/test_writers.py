"""Who receives bytes of an upload, and has to stop when another process goes on with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx2
import pytest
from sqlalchemy.exc import OperationalError

from modelyard.clock import now
from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from modelyard.services.resuming import writers
from modelyard.services.resuming.sessions import Superseded
from modelyard.services.resuming.writers import Writers
from tests.live import LiveServer
from tests.tus import begun

Upload = tuple[int, int]  # id, generation


@pytest.fixture
def database(server: LiveServer) -> Iterator[Database]:
    """The server's, as another process has it."""
    found = Database(server.settings.effective_database_url)
    yield found
    found.close()


@pytest.fixture
def upload(server: LiveServer, root: httpx2.Client, version_url: str, monkeypatch: pytest.MonkeyPatch) -> Upload:
    monkeypatch.setattr(writers, "LOOK_SECONDS", 0.01)
    uid = begun(root, version_url, 4).rpartition("/")[2]

    def found(registry: Registry) -> Upload:
        row = registry.resumable.by_uid(uid, now())
        assert row is not None
        return row.id, row.generation

    ids: Upload = server.app.state.database.read_now(found)
    return ids


def superseded(database: Database, upload: Upload, meanwhile: Callable[[], object]) -> bool:
    """Whether who waits for bytes is told to stop, once something has happened meanwhile."""

    async def never() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    async def write() -> bool:
        with Writers(database).writing(*upload) as writer:
            asyncio.get_running_loop().call_later(0.1, meanwhile)
            try:
                async with asyncio.timeout(30):
                    await writer.next(never())
            except Superseded:
                return True
        return False

    return asyncio.run(write())


def test_a_writer_stops_when_another_process_goes_on(server: LiveServer, database: Database, upload: Upload) -> None:
    def go_on() -> None:
        server.app.state.database.write_now(
            lambda registry: registry.resumable.raise_generation(upload[0], writes=True)
        )

    assert superseded(database, upload, go_on)


def test_a_database_that_cannot_be_asked_stops_nobody_until_it_can(
    database: Database, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = database.read
    failed: list[bool] = []

    async def fail_at_first(work: Callable[[Registry], Any]) -> Any:
        if not failed:
            failed.append(True)
            raise OperationalError("SELECT", {}, Exception("away"))
        return await read(work)

    monkeypatch.setattr(database, "read", fail_at_first)
    assert superseded(
        database, upload, lambda: database.write_now(lambda registry: registry.resumable.remove(upload[0]))
    )
    assert failed
