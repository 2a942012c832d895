"""A file on its way into the store: what is left when it does not arrive."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest

from modelyard.blobs.local import LocalBlobStore
from modelyard.blobs.store import WriterClosed
from modelyard.services.files import ingest
from modelyard.services.files.ingest import BATCH_BYTES, LARGE_BYTES, MANY, Batches, Crowd, Expectations, Ingest

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
        one = Ingest(store, executor, ANYTHING, lambda _size: None)

        async def pieces() -> AsyncIterator[bytes]:
            yield bytes(size)
            if size == BATCH_BYTES:
                await asyncio.Event().wait()

        receiving = asyncio.create_task(one.receive(pieces()))
        await asyncio.to_thread(store.began.wait, 10)
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
        closing = asyncio.create_task(one.close())
        await asyncio.sleep(0.05)
        store.go_on.set()
        await closing

    with ThreadPoolExecutor(4) as executor:
        asyncio.run(upload(executor))
    assert list((tmp_path / "blobs").glob("incoming/*")) == []  # where gc would see none that still has an owner


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Batches, "_busy", WeakSet())  # without those that other tests have left


class _Gate:
    """Takes batches once it is let go on, but none of zeros."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.written: list[int] = []

    def write(self, batch: list[Any]) -> None:
        assert self.go_on.wait(10)
        if not batch[0][0]:
            raise OSError("a batch of zeros")
        self.written.append(batch[0][0])


def _batch(number: int) -> bytes:
    return bytes([number]) * BATCH_BYTES


@pytest.mark.parametrize("told", ["landed", "add"])
def test_a_batch_that_failed_is_told_of_by_whatever_comes_next(told: str) -> None:
    gate = _Gate()

    async def write(executor: ThreadPoolExecutor) -> None:
        batches = Batches(executor, gate.write)
        await batches.add(_batch(0))
        gate.go_on.set()
        if told == "add":
            await batches.add(_batch(1))  # lies ready before the failure is known
        with pytest.raises(OSError, match="zeros"):
            await (batches.landed() if told == "landed" else batches.add(_batch(2)))

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(write(executor))
    assert gate.written == []


@pytest.mark.parametrize("number", [0, 1], ids=["which-fails", "which-is-written"])
@pytest.mark.parametrize("waited", [True, False], ids=["cancelled", "left"])
def test_a_batch_that_nobody_waits_for_any_more_ends_without_a_word(number: int, waited: bool) -> None:
    gate, said = _Gate(), list[Any]()

    async def write(executor: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: said.append(context))
        batches = Batches(executor, gate.write)
        await batches.add(_batch(number))
        if waited:
            landing = asyncio.create_task(batches.landed())
            await asyncio.sleep(0.01)
            landing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await landing
        del batches
        gate.go_on.set()
        await loop.run_in_executor(executor, gate.go_on.wait)  # behind it, in the one thread
        gc.collect()  # asyncio complains of what nobody has asked for when it goes

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(write(executor))
    assert said == []
    assert gate.written == [1] * number


def test_a_batch_that_was_given_up_before_its_turn_is_not_written() -> None:
    gate = _Gate()

    async def write(executor: ThreadPoolExecutor) -> None:
        executor.submit(gate.go_on.wait, 10)  # the one thread is busy
        batches = Batches(executor, gate.write)
        await batches.add(_batch(1))
        landing = asyncio.create_task(batches.landed())
        await asyncio.sleep(0.01)
        landing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await landing
        gate.go_on.set()

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(write(executor))
    assert gate.written == []


async def _waits(batches: Batches, number: int) -> bool:
    """Whether a batch waits until those before it are written, which none is."""
    try:
        await asyncio.wait_for(batches.add(_batch(number)), 0.05)
    except TimeoutError:
        return True
    return False


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "beside-another"])
def test_one_batch_lies_ready_for_the_thread_while_nobody_else_has_any(alone: bool) -> None:
    gate = _Gate()

    async def write(executor: ThreadPoolExecutor) -> None:
        one, other = Batches(executor, gate.write), Batches(executor, gate.write)
        if not alone:
            await other.add(_batch(9))
        numbers = (1, 2, 3) if alone else (1, 2)
        assert [await _waits(one, number) for number in numbers] == [*[False] * (len(numbers) - 1), True]
        gate.go_on.set()

    with ThreadPoolExecutor(4) as executor:
        asyncio.run(write(executor))


@pytest.mark.parametrize("how", ["fails", "is-given-up"])
def test_nothing_is_written_behind_a_batch_that_was_not(how: str) -> None:
    gate = _Gate()

    async def write(executor: ThreadPoolExecutor) -> None:
        executor.submit(gate.go_on.wait, 10)  # the one thread is busy
        batches = Batches(executor, gate.write)
        await batches.add(_batch(0 if how == "fails" else 1))
        await batches.add(_batch(2))
        if how == "is-given-up":
            assert await _waits(batches, 3)
        gate.go_on.set()
        for _ in range(2):
            with pytest.raises((OSError, asyncio.CancelledError, WriterClosed)):
                await batches.landed()
            batches._in_flight.popleft()

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(write(executor))
    assert gate.written == []


def test_a_batch_that_no_thread_takes_any_more_is_told_of() -> None:
    gate = _Gate()

    async def write(executor: ThreadPoolExecutor) -> None:
        batches = Batches(executor, gate.write)
        await batches.add(_batch(1))
        await batches.add(_batch(2))
        executor.shutdown(wait=False)
        gate.go_on.set()
        with pytest.raises(RuntimeError, match="shutdown"):
            await batches.landed()

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(write(executor))
    assert gate.written == [1]


def test_memory_is_given_back_behind_the_last_of_a_crowd_and_not_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr(ingest, "give_back", lambda: given.append(1))
    crowd = Crowd()

    def pass_by(number: int) -> int:
        for _ in range(number):
            crowd.comes()
        for left in reversed(range(number)):
            crowd.goes()
            assert not left or len(given) == before
        return len(given)

    before = 0
    assert pass_by(MANY - 1) == 0
    assert pass_by(MANY) == (before := 1)
    assert pass_by(MANY) == 1  # within the same second
    monkeypatch.setattr(ingest, "PAUSE_SECONDS", 0)
    crowd = Crowd()
    assert pass_by(MANY) == (before := 2)
    assert pass_by(1) == 2
    assert pass_by(MANY) == 3


def test_a_large_upload_is_one_of_a_crowd_until_it_ends_in_whatever_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = Crowd()
    monkeypatch.setattr(ingest, "_crowd", crowd)

    async def upload(executor: ThreadPoolExecutor, size: int) -> int:
        one = Ingest(LocalBlobStore(tmp_path), executor, ANYTHING, lambda _size: None)

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(4):
                yield bytes(size // 4)
            raise ConnectionError

        with pytest.raises(ConnectionError):
            await one.receive(pieces())
        here = crowd._here
        await one.close()
        await one.close()
        return here

    with ThreadPoolExecutor(4) as executor:
        assert asyncio.run(upload(executor, LARGE_BYTES)) == 1
        assert crowd._here == 0
        assert asyncio.run(upload(executor, LARGE_BYTES - 4)) == 0
        assert crowd._here == 0
