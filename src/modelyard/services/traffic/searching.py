"""How many searches of one client go on at a time, so that nobody takes all threads that there are for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from modelyard import departures, origin
from modelyard.departures import ClientGone
from modelyard.errors import TooManyRequests
from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from modelyard.services.traffic.shares import Shares
from modelyard.services.traffic.throttling import mark_of, network_of

T = TypeVar("T")

MAX_SEARCHES = 2  # of a client at a time
PATIENCE_SECONDS = 10.0  # for a turn
RETRY_SECONDS = 5


class _Turns:
    """The turns of one client, and how many searches have one or wait for one."""

    __slots__ = ("free", "searches")

    def __init__(self) -> None:
        self.free = asyncio.Semaphore(MAX_SEARCHES)
        self.searches = 0


class Searches:
    """Searches by who asks: by token, and strangers by address. Nothing is kept of who has none."""

    def __init__(self, database: Database, shares: Shares) -> None:
        self._database = database
        self._shares = shares
        self._clients: dict[str, _Turns] = {}

    async def read(self, credential: str | None, work: Callable[[Registry], T], *, begun: bool = False) -> T:
        """`Database.read_long` in a turn of the caller's, which ends when no thread is at it any more.

        Raises TooManyRequests where the turn does not come in time; an answer that has `begun` waits for it.
        """
        who = mark_of(credential.encode()) if credential else network_of(origin.current().address or "")
        turns = self._clients.get(who)
        if turns is None:
            turns = self._clients[who] = _Turns()
        turns.searches += 1
        try:
            await _taken(turns.free, None if begun else PATIENCE_SECONDS)
        except BaseException:
            self._forget(who, turns)
            raise
        try:
            await asyncio.sleep(self._shares.wait(who))
        except BaseException:
            self._end(who, turns)
            raise
        return await self._database.read_long(self._counted(who, work), partial(self._end, who, turns))

    def __len__(self) -> int:
        """How many clients search."""
        return len(self._clients)

    @property
    def waiting(self) -> int:
        """How many searches wait for a turn."""
        return sum(max(0, turns.searches - MAX_SEARCHES) for turns in self._clients.values())

    def _counted(self, who: str, work: Callable[[Registry], T]) -> Callable[[Registry], T]:
        """`work`, whose time on the processor counts for the client."""
        loop = asyncio.get_running_loop()

        def counted(registry: Registry) -> T:
            begun = time.thread_time()
            try:
                return work(registry)
            finally:
                loop.call_soon_threadsafe(self._shares.took, who, time.thread_time() - begun)

        return counted

    def _end(self, who: str, turns: _Turns) -> None:
        turns.free.release()
        self._forget(who, turns)

    def _forget(self, who: str, turns: _Turns) -> None:
        turns.searches -= 1
        if not turns.searches:
            del self._clients[who]


async def _taken(free: asyncio.Semaphore, seconds: float | None) -> None:
    """Take a turn. Raises TooManyRequests, and ClientGone when nobody waits any more."""
    if not free.locked():
        await free.acquire()
        return
    turn, client, taken = asyncio.ensure_future(free.acquire()), departures.current(), False
    if client is not None:
        client.tell(turn.cancel)
    try:
        async with asyncio.timeout(seconds):
            taken = await turn
    except TimeoutError as error:
        raise TooManyRequests(f"{MAX_SEARCHES} searches of this client are running", RETRY_SECONDS) from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if client is None or not client.gone or (task is not None and task.cancelling()):
            raise
        raise ClientGone from None
    finally:
        if not taken and turn.done() and not turn.cancelled():
            free.release()  # it came at that very moment
        if client is not None:
            client.forget(turn.cancel)
