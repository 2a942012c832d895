"""What is seen of a transfer, on a terminal and elsewhere."""

from __future__ import annotations

import io
import os
import shutil
import sys
import threading
from types import SimpleNamespace

import click
import pytest

from modelyard_client.cli import terminal
from modelyard_client.cli.amounts import Rate, shown_bytes, shown_seconds
from modelyard_client.cli.terminal import Lines, OneLine, shown
from modelyard_client.progress import Progress
from modelyard_client.results import Failure, Moved


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(progress: Progress) -> None:
    progress.planned(2, 1000)
    progress.spared(250)
    progress.moved(250)
    progress.settled(Moved("a", 250, None, "sent", 250))
    progress.settled(Failure("b", "refused", "no"))
    progress.ended()


def test_elsewhere_there_are_lines_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    progress = shown()
    assert isinstance(progress, Lines)
    assert progress.seconds == 30
    told(progress)
    progress.show()
    assert "\r" not in stderr.getvalue()
    assert stderr.getvalue().splitlines()[0] == "b: no"
    assert "50%  500 B of 1.0 kB" in stderr.getvalue()
    assert stderr.getvalue().endswith("2/2 files\n")


def test_a_terminal_has_one_line_as_wide_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((40, 24)))
    progress = shown()
    assert isinstance(progress, OneLine)
    told(progress)
    progress.show()
    assert all(len(line) < 40 for line in stderr.getvalue().replace("\n", "\r").split("\r"))
    assert "\x1b" not in stderr.getvalue()
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(shown(), Lines)


def test_what_is_read_to_compare_is_shown_while_nothing_crosses_the_wire() -> None:
    progress = Lines()
    progress._size = 10_000
    progress.compared(5000)
    assert "  0% " in progress.line()
    assert "comparing at " in progress.line()
    progress.moved(10)
    assert "comparing" not in progress.line()


def test_a_rate_is_of_bytes_that_crossed_the_wire() -> None:
    progress = Lines()
    progress._size = 10_000
    progress.spared(5000)
    assert "  0 B/s" in progress.line()


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_999, "1.0 MB"), (1_500_000_000, "1.5 GB"), (2e12, "2.0 TB")],
)
def test_bytes_are_shown_in_powers_of_a_thousand(count: float, text: str) -> None:
    assert shown_bytes(count) == text


def test_seconds_are_shown_as_clocks_do() -> None:
    assert [shown_seconds(n) for n in (5, 65, 3725)] == ["0:05", "1:05", "1:02:05"]


@pytest.mark.parametrize(
    ("text", "rate"), [("10M", 10_000_000), ("512Ki", 524_288), ("1.5kB", 1500), ("7", 7), ("2 GiB", 2 << 30)]
)
def test_a_rate_is_read_with_its_unit(text: str, rate: int) -> None:
    assert Rate().convert(text, None, None) == rate
    assert Rate().convert(rate, None, None) == rate


@pytest.mark.parametrize("text", ["", "0", "-1", "fast", "10X"])
def test_what_is_no_rate_is_a_mistake(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Rate().convert(text, None, None)


def test_it_is_shown_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(Lines, "seconds", 0.001)
    shown_once, progress = threading.Event(), Lines()
    monkeypatch.setattr(progress, "show", shown_once.set)
    progress.planned(1, 1)
    assert shown_once.wait(10)
    progress.ended()


def test_a_line_from_time_to_time_tells_the_rate_since_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(terminal, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    progress = Lines()
    progress._size = 10**9
    for count, rate in ((30_000_000, "1.0 MB/s"), (90_000_000, "3.0 MB/s"), (0, "0 B/s")):
        clock[0] += terminal.LINE_SECONDS
        progress.moved(count)
        assert f"  {rate}" in progress.line()


def test_what_was_long_ago_is_no_part_of_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    progress = Lines()
    progress.planned(1, 1000)
    progress.moved(500)
    assert "0 B/s" not in progress.line()
    monkeypatch.setattr(terminal, "WINDOW_SECONDS", 0)
    assert " 0 B/s" in progress.line()
    progress.ended()
