"""Who waits for whom among the threads of a database."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from modelyard.registry.engine import Database
from modelyard.services.setup import prepare
from modelyard.settings import Settings
from tests.databases import database_url


def test_long_reads_and_writes_hold_up_no_short_read(tmp_path: Path) -> None:
    url = database_url(tmp_path)
    prepare(Settings(_env_file=None, data_dir=tmp_path, database_url=url))  # type: ignore[call-arg]
    database, waiting, over = Database(url), threading.Barrier(3), threading.Event()

    def hold(_registry: object) -> bool:
        waiting.wait(30)
        return over.wait(30)

    async def read_meanwhile() -> bool:
        held = [asyncio.ensure_future(each(hold)) for each in (database.read_long, database.write)]
        await asyncio.to_thread(waiting.wait, 30)
        found = await asyncio.wait_for(database.read(lambda registry: registry.users.by_id(1) is not None), 30)
        over.set()
        assert await asyncio.gather(*held) == [True, True]
        return found

    try:
        assert asyncio.run(read_meanwhile())
    finally:
        database.close()
