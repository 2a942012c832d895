"""How far a transfer is: one line that changes, where that can be seen, else a line every 30 seconds."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import deque

import click

from modelyard_client.cli.amounts import shown_bytes, shown_seconds
from modelyard_client.progress import Progress
from modelyard_client.results import Failure, Moved, Retry, as_json

LOOK_SECONDS = 0.2
LINE_SECONDS = 30.0
WINDOW_SECONDS = 10.0  # of which the rate is told


class Telling(Progress):
    """Tells what somebody who waits may want to know, a line each; `as_json`: what programs read is for them."""

    def __init__(self, *, as_json: bool = False) -> None:
        self._as_json = as_json

    def noted(self, sentence: str) -> None:
        """See `Progress.noted`."""
        click.echo(sentence, err=True)

    def retries(self, retry: Retry) -> None:
        """See `Progress.retries`."""
        told = f"{retry.message}; trying again in {retry.seconds:.1f} s ({retry.attempt} of {retry.attempts})"
        self.noted(json.dumps({"retry": as_json(retry)}) if self._as_json else told)


class Shown(Telling, ABC):
    """Counts, and has a thread that shows what is counted. The rate is that of bytes that crossed the wire."""

    seconds: float  # between two looks

    def __init__(self, *, as_json: bool = False) -> None:
        super().__init__(as_json=as_json)
        self._lock = threading.Lock()
        self._files = self._settled = self._size = self._moved = self._spared = self._compared = 0
        self._recent: deque[tuple[float, int, int]] = deque([(time.monotonic(), 0, 0)])
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def planned(self, files: int, size: int) -> None:
        """See `Progress.planned`."""
        with self._lock:
            self._files, self._size = files, size
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def moved(self, count: int) -> None:
        """See `Progress.moved`."""
        with self._lock:
            self._moved += count

    def spared(self, count: int) -> None:
        """See `Progress.spared`."""
        with self._lock:
            self._spared += count

    def compared(self, count: int) -> None:
        """See `Progress.compared`."""
        with self._lock:
            self._compared += count

    def settled(self, file: Moved | Failure) -> None:
        """See `Progress.settled`."""
        with self._lock:
            self._settled += 1
            others = self._files > 1
        if isinstance(file, Failure) and others:  # what a single one fails of is told at the end
            self.noted(f"{file.path}: {file.message}")

    def ended(self) -> None:
        """See `Progress.ended`."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def line(self) -> str:
        """What there is to say now."""
        with self._lock:
            there, (rate, reading) = self._moved + self._spared, self._rates()
            left, share = self._size - there, there * 100 // self._size if self._size else 100
            told = f"{share:3d}%  {shown_bytes(there)} of {shown_bytes(self._size)}  "
            told += f"comparing at {shown_bytes(reading)}/s" if reading and not rate else f"{shown_bytes(rate)}/s"
            if rate and left > 0:
                told += f"  {shown_seconds(left / rate)}"
            return f"{told}  {self._settled}/{self._files} files"

    def _rates(self) -> tuple[float, float]:
        """Bytes a second that cross the wire, and that are read to compare, of late."""
        now = time.monotonic()
        self._recent.append((now, self._moved, self._compared))
        while len(self._recent) > 2 and self._recent[1][0] <= now - WINDOW_SECONDS:  # noqa: PLR2004 - from one to now
            self._recent.popleft()
        then, moved, compared = self._recent[0]
        seconds = now - then or float("inf")
        return (self._moved - moved) / seconds, (self._compared - compared) / seconds

    @abstractmethod
    def show(self) -> None:
        """Show how far it is."""

    def _run(self) -> None:
        while not self._ended.wait(self.seconds):
            self.show()


class Lines(Shown):
    """For logs: nothing but whole lines."""

    seconds = LINE_SECONDS

    def show(self) -> None:
        """See `Shown.show`."""
        click.echo(self.line().strip(), err=True)


class OneLine(Shown):
    """For a terminal: one line, as wide as that is, which goes away in the end."""

    seconds = LOOK_SECONDS

    def noted(self, sentence: str) -> None:
        """See `Progress.noted`."""
        sys.stderr.write(f"\r{' ' * _width()}\r{sentence}\n")
        sys.stderr.flush()

    def show(self) -> None:
        """See `Shown.show`."""
        width = _width()
        sys.stderr.write(f"\r{self.line()[:width].ljust(width)}")
        sys.stderr.flush()

    def ended(self) -> None:
        """See `Progress.ended`."""
        super().ended()
        sys.stderr.write(f"\r{' ' * _width()}\r")
        sys.stderr.flush()


def shown(*, as_json: bool = False) -> Progress:
    """What suits standard error."""
    is_terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return OneLine(as_json=as_json) if is_terminal else Lines(as_json=as_json)


def _width() -> int:
    return max(10, shutil.get_terminal_size().columns - 1)
