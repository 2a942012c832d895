"""A file on its way into the store: what is left when it does not arrive."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from modelyard.blobs.local import LocalBlobStore
from modelyard.services.files.ingest import BATCH_BYTES, Expectations, Ingest

ANYTHING = Expectations(representation={}, content={}, body=None)


class _SlowToBegin(LocalBlobStore):
    """A store on a disk that takes its time for a new file."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.began, self.go_on = threading.Event(), threading.Event()

    def begin(self) -> Any:
        self.began.set()
        assert self.go_on.wait(10)
        return super().begin()


@pytest.mark.parametrize("size", [BATCH_BYTES, 1], ids=["first-write", "only-write"])
def test_an_upload_that_ends_while_its_first_write_begins_leaves_nothing_open(tmp_path: Path, size: int) -> None:
    store = _SlowToBegin(tmp_path / "blobs")

    async def upload(executor: ThreadPoolExecutor) -> None:
        ingest = Ingest(store, executor, ANYTHING, lambda _size: None)

        async def pieces() -> AsyncIterator[bytes]:
            yield bytes(size)
            if size == BATCH_BYTES:
                await asyncio.Event().wait()

        receiving = asyncio.create_task(ingest.receive(pieces()))
        await asyncio.to_thread(store.began.wait, 10)
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
        closing = asyncio.create_task(ingest.close())
        await asyncio.sleep(0.05)
        store.go_on.set()
        await closing

    with ThreadPoolExecutor(4) as executor:
        asyncio.run(upload(executor))
    assert list((tmp_path / "blobs").glob("incoming/*")) == []  # where gc would see none that still has an owner
