"""Work that threads do for a task."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from modelyard.hops import Reply, hand_on


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


def test_a_thread_tells_what_it_has_done(executor: ThreadPoolExecutor) -> None:
    async def work() -> tuple[str, str]:
        return await hand_on(executor, lambda: threading.current_thread().name), threading.current_thread().name

    there, here = asyncio.run(work())
    assert there != here


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_a_thread_tells_what_it_raises_and_goes_on(executor: ThreadPoolExecutor, error: BaseException) -> None:
    def fail() -> None:
        raise error

    async def work() -> str:
        found = (await asyncio.gather(hand_on(executor, fail), return_exceptions=True))[0]
        assert found is error
        return await hand_on(executor, lambda: "next")

    assert asyncio.run(work()) == "next"


def test_what_nobody_waits_for_any_more_is_not_begun(executor: ThreadPoolExecutor) -> None:
    begun: list[int] = []

    async def work() -> None:
        free = threading.Event()
        first = hand_on(executor, lambda: free.wait(60))
        second = hand_on(executor, lambda: begun.append(2))
        third = hand_on(executor, lambda: begun.append(3))
        second.cancel()
        free.set()
        assert await first
        await third

    asyncio.run(work())
    assert begun == [3]


@pytest.mark.parametrize("tell", [lambda reply: reply.succeed(1), lambda reply: reply.fail(ValueError())])
def test_what_comes_after_its_time_is_nobody_s(tell: Callable[[Reply[int]], None]) -> None:
    async def cancelled() -> Reply[int]:
        reply = Reply[int]()
        reply.awaited.cancel()
        tell(reply)
        await asyncio.sleep(0)
        assert reply.is_unwanted
        return reply

    tell(asyncio.run(cancelled()))  # whose loop has ended as well


def test_an_exception_that_nobody_looks_at_is_no_complaint(executor: ThreadPoolExecutor) -> None:
    complaints: list[object] = []

    def fail() -> None:
        raise ValueError

    async def work() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
        done = asyncio.Event()
        hand_on(executor, fail).add_done_callback(lambda _future: done.set())
        await done.wait()

    asyncio.run(work())
    assert complaints == []
