"""Work on many things at once."""

from __future__ import annotations

import threading

import pytest

from modelyard_client.errors import Interrupted
from modelyard_client.stopping import Stop
from modelyard_client.workers import each


def test_nothing_to_do_is_done() -> None:
    assert list(each(lambda item: [item], [], 2, Stop())) == []


def test_what_is_found_on_the_way_is_done_too() -> None:
    def work(item: int) -> int | list[int]:
        return [item - 1, item - 2] if item > 2 else item

    assert sorted(each(work, [4], 3, Stop())) == [1, 2, 2]


def test_ctrl_c_stops_all_others_and_is_told() -> None:
    stop = Stop()

    def work(item: int) -> int:
        if item:
            raise KeyboardInterrupt
        stop.wait(60)
        return item

    with pytest.raises(Interrupted):
        list(each(work, [0, 1], 2, stop))
    assert stop.wanted


def test_threads_that_cannot_begin_end_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = threading.Thread.start
    begun: list[threading.Thread] = []

    def start(thread: threading.Thread) -> None:
        if begun:
            raise RuntimeError("can't start new thread")
        begun.append(thread)
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    stop = Stop()
    with pytest.raises(RuntimeError, match="new thread"):
        list(each(lambda _item: stop.wait(60), [1, 2], 2, stop))
    assert stop.wanted
