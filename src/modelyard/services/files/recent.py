"""What was used lately, to be used again, within bounds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

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
