"""Numbers that several processes count and each adds up: none is lost with its process, none needs room on a disk."""

from __future__ import annotations

import errno
import multiprocessing
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import pytest
from prometheus_client import enable_created_metrics, values
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from modelyard import shared_counts
from modelyard.metrics import Metrics
from modelyard.shared_counts import Series, SharedCounts

spawning = multiprocessing.get_context("spawn")

Samples = dict[str, dict[tuple[str, ...], float]]


@pytest.fixture(autouse=True)
def no_metrics_elsewhere() -> Iterator[None]:
    """What a `Metrics` sets for the whole process ends with its test."""
    before = values.ValueClass
    yield
    values.ValueClass = before
    enable_created_metrics()  # type: ignore[no-untyped-call]


def count(shared: SharedCounts, pipe: Connection) -> None:
    """What runs in a process: counts the requests that it is told of, and sends all numbers when told of none."""
    metrics = Metrics(shared)
    metrics.transfer("up", 1)
    while (route := pipe.recv()) is not None:
        metrics.request({"method": "GET", "route_template": route}, 200, 3, 5, 0.02)
        pipe.send(samples(metrics))


def samples(metrics: Metrics) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(metrics.exposition("", [], None)[0].decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(value for _, value in sorted(sample.labels.items()))] = sample.value
    return found


class Process:
    """A process that counts."""

    def __init__(self, shared: SharedCounts) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        self.process = spawning.Process(target=count, args=(shared, theirs))
        self.process.start()
        theirs.close()

    def request(self, route: str) -> Samples:
        """Let it count a request; all numbers afterwards."""
        self._pipe.send(route)
        received: Samples = self._pipe.recv()
        return received

    def end(self) -> None:
        self._pipe.send(None)
        self.process.join()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


@contextmanager
def processes(shared: SharedCounts, number: int) -> Iterator[list[Process]]:
    started = [Process(shared) for _ in range(number)]
    try:
        yield started
    finally:
        for each in started:
            each.kill()


def requests_of(found: Samples, route: str) -> tuple[float, ...]:
    """Of one route: requests; those up to 10 ms, up to 25 ms and in all; bytes in and out."""
    key = ("GET", route)
    buckets = found["modelyard_http_request_duration_seconds_bucket"]
    return (
        found["modelyard_http_requests_total"][(*key, "200")],
        buckets["0.01", *key],
        buckets["0.025", *key],
        found["modelyard_http_request_duration_seconds_count"][key],
        found["modelyard_http_received_bytes_total"][key],
        found["modelyard_http_sent_bytes_total"][key],
    )


def test_each_tells_the_sums_of_all_and_nothing_is_lost_with_a_process() -> None:
    shared = SharedCounts.for_processes(3)
    with processes(shared, 2) as (one, two):
        one.request("/a")
        one.request("/a")
        found = two.request("/b")
        assert requests_of(found, "/a") == (2, 0, 2, 2, 6, 10)
        assert requests_of(found, "/b") == (1, 0, 1, 1, 3, 5)
        assert requests_of(one.request("/b"), "/b") == (2, 0, 2, 2, 6, 10)
        assert found["modelyard_transfers_in_flight"]["up",] == 2
        two.kill()
        found = one.request("/a")
        assert requests_of(found, "/b") == (2, 0, 2, 2, 6, 10)
        assert found["modelyard_transfers_in_flight"]["up",] == 1
        assert not any(name.endswith("_created") for name in found)
        with processes(shared, 1) as (three,):
            found = three.request("/b")
            assert requests_of(found, "/b") == (3, 0, 3, 3, 9, 15)
            assert requests_of(one.request("/b"), "/b") == (4, 0, 4, 4, 12, 20)
            assert found["modelyard_transfers_in_flight"]["up",] == 2


def test_a_process_goes_on_with_the_counters_of_one_that_has_ended() -> None:
    """Also when there is but one place, and none for the second of two at once."""
    shared = SharedCounts.for_processes(1)
    for number in (1, 2, 3):
        with processes(shared, 1) as (one,):
            assert one.request("/a")["modelyard_http_requests_total"]["GET", "/a", "200"] == number
            one.end()


def test_a_process_without_a_place_counts_for_itself() -> None:
    shared = SharedCounts.for_processes(1)
    with processes(shared, 1) as (one,):
        one.request("/a")
        with processes(shared, 1) as (two,):
            assert requests_of(two.request("/b"), "/b")[0] == 1
            assert requests_of(two.request("/b"), "/b")[0] == 2
            assert ("GET", "/b", "200") not in one.request("/a")["modelyard_http_requests_total"]


def test_memory_grows_with_the_numbers() -> None:
    shared = SharedCounts.for_processes(1)
    shared.claim()
    numbers = [shared.value("counter", "m", "m_total", ["route"], [f"/{i}"], "") for i in range(2000)]
    for i, value in enumerate(numbers):
        value.inc(i)
    assert shared.read() == {os.getpid()}
    assert shared.sums == {Series("counter", "m", (f"/{i}",), "m_total", ""): i for i in range(2000)}
    assert [value.get() for value in numbers] == list(range(2000))


@pytest.mark.parametrize("fault", ["all is taken", "no memory", "half of it"])
def test_what_finds_no_memory_is_counted_alone_and_said_once(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    shared = SharedCounts.for_processes(1)
    shared.claim()
    first = shared.value("counter", "m", "m_total", ["route"], ["/first"], "")
    real = os.pwrite

    def refuse(*_arguments: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if fault == "all is taken":
        monkeypatch.setattr(shared_counts, "MAX_BYTES", shared_counts.GROWTH_BYTES)
    elif fault == "no memory":
        monkeypatch.setattr(os, "pwrite", refuse)
    else:
        monkeypatch.setattr(os, "pwrite", lambda file, zeros, position: real(file, zeros[:4096], position))
    with capture_logs() as lines:
        numbers = [shared.value("counter", "m", "m_total", ["route"], [f"/{i}"], "") for i in range(2000)]
        for value in (first, *numbers):
            value.inc(2)
    monkeypatch.undo()
    assert [line["event"] for line in lines] == ["metrics are not shared"]
    assert "No space left" in lines[0]["error"]
    shared.read()
    assert [value.get() for value in (first, *numbers)] == [2] * 2001
    assert 100 < len(shared.sums) < 2000
    late = shared.value("counter", "m", "m_total", ["route"], ["/late"], "")  # there is memory again
    late.inc(1)
    shared.read()
    assert shared.sums[Series("counter", "m", ("/late",), "m_total", "")] == 1


def test_where_the_system_gives_no_memory_each_process_counts_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "memfd_create", refuse)
    with capture_logs() as lines:
        shared = SharedCounts.for_processes(3)
        shared.claim()
        metrics = Metrics(shared)
    assert lines[0]["error"] == "[Errno 24] Too many open files"
    metrics.request({"method": "GET", "route_template": "/a"}, 200, 3, 5, 0.02)
    assert requests_of(samples(metrics), "/a") == (1, 0, 1, 1, 3, 5)


def test_a_system_without_nameless_memory_gives_files_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    shared = SharedCounts.for_processes(2)
    with processes(shared, 2) as (one, two):
        one.request("/a")
        assert requests_of(two.request("/a"), "/a")[0] == 2


def test_metrics_of_another_version_are_left_out() -> None:
    """Workers are replaced one by one, and the program below them may have changed."""
    shared = SharedCounts.for_processes(1)
    metrics = Metrics(shared)
    shared.value("counter", "modelyard_newer", "modelyard_newer_total", ["x"], ["y"], "").inc(1)
    shared.value("counter", "modelyard_http_requests", "modelyard_http_requests_total", ["x"], ["y"], "").inc(1)
    found = samples(metrics)
    assert "modelyard_newer_total" not in found
    assert "modelyard_http_requests_total" not in found


def test_no_count_is_lost_between_threads() -> None:
    shared = SharedCounts.for_processes(1)
    shared.claim()
    value = shared.value("counter", "m", "m_total", [], [], "")

    def count_up() -> None:
        for _ in range(10_000):
            value.inc(1)

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shared.read()
    assert value.get() == 40_000


def test_a_process_that_has_ended_does_not_live() -> None:
    ended = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(ended, 0)
    assert [shared_counts._lives(each) for each in (os.getpid(), ended, 0)] == [True, False, False]
