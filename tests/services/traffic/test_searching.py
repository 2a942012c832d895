"""Turns for searches: who waits for one, who gives up, and that none is lost by that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from modelyard import departures
from modelyard.departures import Client, ClientGone
from modelyard.errors import TooManyRequests
from modelyard.services.traffic.searching import _taken


def waiting(then: Callable[[asyncio.Semaphore, asyncio.Task[None], Client], Awaitable[None]]) -> asyncio.Semaphore:
    """One waits for the only turn, for a client, and something happens; the turns then, of which none may be held."""

    async def run() -> asyncio.Semaphore:
        free, client = asyncio.Semaphore(1), Client()
        await _taken(free, None)  # which is free, and taken at once
        departures.begin(client)
        task = asyncio.create_task(_taken(free, 30.0))
        await asyncio.sleep(0)
        await then(free, task, client)
        assert not client._told
        return free

    return asyncio.run(run())


def test_a_turn_comes_when_another_ends() -> None:
    async def then(free: asyncio.Semaphore, task: asyncio.Task[None], _client: Client) -> None:
        free.release()
        await task

    assert waiting(then).locked()


def test_whoever_waits_too_long_is_told_to_come_back() -> None:
    async def run() -> None:
        free = asyncio.Semaphore(1)
        await free.acquire()
        with pytest.raises(TooManyRequests):
            await _taken(free, 0.01)
        free.release()
        assert not free.locked()

    asyncio.run(run())


def test_a_client_that_leaves_waits_no_more() -> None:
    async def then(free: asyncio.Semaphore, task: asyncio.Task[None], client: Client) -> None:
        client.leave()
        with pytest.raises(ClientGone):
            await task
        free.release()

    assert not waiting(then).locked()


def test_a_request_that_is_cancelled_is_cancelled() -> None:
    async def then(free: asyncio.Semaphore, task: asyncio.Task[None], _client: Client) -> None:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        free.release()

    assert not waiting(then).locked()


def test_a_turn_that_comes_at_the_moment_of_a_cancellation_goes_to_the_next() -> None:
    async def then(free: asyncio.Semaphore, task: asyncio.Task[None], _client: Client) -> None:
        free.release()
        await asyncio.sleep(0)  # the turn has come, and whoever waits for it has yet to be told
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert not waiting(then).locked()
