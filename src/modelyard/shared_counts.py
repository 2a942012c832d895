"""Numbers that several processes count, each in memory of its own, and that each can add up.

prometheus-client maps files for that. A page of a file for which the disk has no room when it is first written to kills
the process (SIGBUS in mmap(2)), and temporary files are tidied away by others. So this memory has no name and lies on
no disk (memfd_create(2)), and each page of it is there before it is mapped. Where none is left, what is new is counted
by its own process for itself: what only counts must not fail a request.

A place is the memory of one process at a time. Whoever starts takes one that is free, and goes on with the counters of
the process that had it before, so that no sum ever falls.
"""

from __future__ import annotations

import errno
import fcntl
import json
import mmap
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from multiprocessing.reduction import DupFd
from tempfile import TemporaryFile
from threading import Lock
from typing import Any, NamedTuple

import structlog

log = structlog.get_logger()

GROWTH_BYTES = 64 * 1024
MAX_BYTES = 8 * 1024 * 1024  # some 40 000 numbers
_GAUGE = "gauge"
_BOUND = "le"  # the label of a histogram's buckets
_CELL_BYTES = 8
# A place is cells of doubles: who has it, how many cells are in use, and then for each number the bytes of its series'
# name, that name in as many cells as it takes, and the number itself.
_OWNER, _USED, _HEAD_CELLS = 0, 1, 2


class Series(NamedTuple):
    """What a number is of: the type and the name of its metric, the labels' values, and which part of the metric."""

    type: str
    metric: str
    labels: tuple[str, ...]
    sample: str
    bound: str  # of a histogram's bucket; else empty


class SharedCounts:
    """The places of some processes. Given to a process that is started, it is there as well."""

    def __init__(self, places: Sequence[int]) -> None:
        self.sums: dict[Series, float] = {}
        self._places = list(places)  # descriptors of files
        self._own: _Place | None = None
        self._lock = Lock()
        self._complained = False

    @classmethod
    def for_processes(cls, count: int) -> SharedCounts:
        """With places for so many processes at a time, or for fewer where the system gives no more."""
        shared = cls(())
        try:
            for _ in range(count):
                shared._places.append(_nameless_file())
        except OSError as error:
            shared._complain(error)
        return shared

    def __getstate__(self) -> list[Any]:
        return [DupFd(place) for place in self._places]

    def __setstate__(self, places: list[Any]) -> None:
        self.__init__([place.detach() for place in places])  # type: ignore[misc] # of this very class

    def claim(self) -> None:
        """Take a place for this process, for as long as it lives."""
        free = next(filter(_lock, self._places), None)
        try:
            if free is None:
                raise OSError(errno.EUSERS, "there are more processes than places")
            self._own = _Place(free)
        except OSError as error:
            self._complain(error)

    def read(self) -> set[int]:
        """Add up what all have counted, into `sums`; the ids of the processes that live, this one among them."""
        sums, living = defaultdict[Series, float](float), {os.getpid()}
        for place in self._places:
            owner, numbers = _content(place)
            if lives := _lives(owner):
                living.add(owner)
            for series, number in numbers:
                sums[series] += number if lives or series.type != _GAUGE else 0
        self.sums = dict(sums)
        return living

    def value(
        self, kind: str, metric: str, sample: str, names: Sequence[str], labels: Sequence[str], _text: str, **_mode: str
    ) -> Value:
        """The number of a series, as prometheus-client asks for it, in this process's place if there is room."""
        inner = len(labels) - (_BOUND in names)
        series = Series(kind, metric, tuple(labels[:inner]), sample, "".join(labels[inner:]))
        with self._lock:
            try:
                cell = self._own.cell(series) if self._own else 0
            except OSError as error:
                self._complain(error)
                cell = 0
        return Value(self, series, self._own if cell else None, cell)

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            advice = (
                "what is new is told by the worker that counts it alone; look at memory, and the limit of open files"
            )
            log.warning("metrics are not shared", error=str(error), advice=advice)
            self._complained = True


class Value:
    """One number, counted here; safe between threads."""

    def __init__(self, shared: SharedCounts, series: Series, place: _Place | None, cell: int) -> None:
        self._shared = shared
        self._series = series
        self._place = place
        self._cell = cell
        self._lock = Lock()
        self._number = place.cells[cell] if place else 0.0

    def inc(self, amount: float) -> None:
        """Add to the number."""
        with self._lock:
            self._number += amount
            if self._place is not None:
                self._place.cells[self._cell] = self._number

    def get(self) -> float:
        """The sum of all processes' numbers as they were last read; this one's own where it is not shared."""
        return self._shared.sums.get(self._series, 0.0) if self._place else self._number

    def get_exemplar(self) -> None:
        """None: exemplars are not kept."""


class _Place:
    """The memory of this process, which it alone writes."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._known: dict[Series, int] = {}
        if not os.fstat(file).st_size:
            self._grow()
        self._map()
        for series, cell in _numbers(self._bytes):
            self._known[series] = cell
            if series.type == _GAUGE:
                self.cells[cell] = 0
        self.cells[_OWNER] = os.getpid()

    def cell(self, series: Series) -> int:
        """Where the number of a series is, 0 in the beginning. Raises OSError where there is no room for it."""
        if series not in self._known:
            name = json.dumps(series).encode()
            name += b" " * (-len(name) % _CELL_BYTES)
            used = max(int(self.cells[_USED]), _HEAD_CELLS)
            cell = used + 1 + len(name) // _CELL_BYTES
            while cell >= len(self.cells):
                self._grow()
                self._map()
            self.cells[used] = len(name)
            self._bytes[(used + 1) * _CELL_BYTES : cell * _CELL_BYTES] = name
            self.cells[_USED] = cell + 1
            self._known[series] = cell
        return self._known[series]

    def _map(self) -> None:
        self._bytes = memoryview(mmap.mmap(self._file, 0))
        self.cells = self._bytes.cast("d")

    def _grow(self) -> None:
        """Get memory by writing it: what cannot be had then is an error, and later on it would be the end."""
        size = os.fstat(self._file).st_size
        if size >= MAX_BYTES or os.pwrite(self._file, bytes(GROWTH_BYTES), size) < GROWTH_BYTES:
            os.ftruncate(self._file, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _nameless_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("modelyard-metrics")
    with TemporaryFile(buffering=0) as file:
        return os.dup(file.fileno())


def _lock(place: int) -> bool:
    """Whether a place is this process's from now on. The lock ends with the process."""
    try:
        fcntl.lockf(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another one has it
        return False
    return True


def _content(place: int) -> tuple[int, list[tuple[Series, float]]]:
    """The id of the process that has or had a place, 0 where none had it yet, and its numbers."""
    content = os.pread(place, os.fstat(place).st_size, 0)
    if not content:
        return 0, []
    cells = memoryview(content).cast("d")
    return int(cells[_OWNER]), [(series, cells[cell]) for series, cell in _numbers(memoryview(content))]


def _numbers(content: memoryview) -> Iterator[tuple[Series, int]]:
    """The series of a place, and the cells where their numbers are."""
    cells, position = content.cast("d"), _HEAD_CELLS
    while position < cells[_USED]:
        cell = position + 1 + int(cells[position]) // _CELL_BYTES
        kind, metric, labels, sample, bound = json.loads(
            bytes(content[(position + 1) * _CELL_BYTES : cell * _CELL_BYTES])
        )
        yield Series(kind, metric, tuple(labels), sample, bound), cell
        position = cell + 1


def _lives(process: int) -> bool:
    if not process:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
