"""What Prometheus is told: requests, transfers, the latencies of database and store, upkeep, the processes.

With several workers, whichever is asked adds up the numbers of all of them (`shared_counts`).
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import product
from typing import Any, NamedTuple, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client import values as client_values
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from modelyard import __version__
from modelyard.shared_counts import SharedCounts

UNKNOWN = "unknown"  # the route of every path, and the method of every word, that is none of ours
METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"})

REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0)
STEP_SECONDS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)
STORE_STEPS = ("begin", "write", "publish", "open", "read")
DATABASE_UNITS = ("read", "write")
DIRECTIONS = ("up", "down")
SIGN_IN_WAYS = ("token", "code", "password", "provider", "device")
SIGN_IN_OUTCOMES = ("accepted", "refused")

F = TypeVar("F", Counter, Gauge, Histogram)


class LastRun(NamedTuple):
    """How the last run of a task of upkeep went; moments in milliseconds since 1970."""

    task: str
    started_at: int
    finished_at: int
    found: int
    size: int  # bytes
    completed_at: int | None


class Metrics:
    """The numbers of one application, added to those of others where they are shared.

    Counting is for the hot path: a few microseconds a request, whatever it does.
    """

    def __init__(self, shared: SharedCounts | None = None) -> None:
        self._shared = shared
        # Whatever PROMETHEUS_MULTIPROC_DIR says: the library maps files of that folder.
        client_values.ValueClass = client_values.MutexValue if shared is None else shared.value
        if shared is not None:
            shared.claim()
            # When the worker that is asked has first counted a series says nothing of it.
            disable_created_metrics()  # type: ignore[no-untyped-call] # it has no types
        self._registry = CollectorRegistry()
        self._families: dict[str, Counter | Gauge | Histogram] = {}
        by_route = ("route", "method")
        self._requests = self._family(
            Counter, "modelyard_http_requests", "Requests that were answered.", (*by_route, "status")
        )
        self._seconds = self._family(
            Histogram,
            "modelyard_http_request_duration_seconds",
            "From the head of a request to the end of its answer.",
            by_route,
            buckets=REQUEST_SECONDS,
        )
        self._received = self._family(Counter, "modelyard_http_received_bytes", "Bytes of request bodies.", by_route)
        self._sent = self._family(Counter, "modelyard_http_sent_bytes", "Bytes of answers' bodies.", by_route)
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram, Counter, Counter]] = {}
        in_flight = self._family(
            Gauge,
            "modelyard_transfers_in_flight",
            "Files on their way up, or down from the store; small ones come from memory.",
            ["direction"],
        )
        self._in_flight = {direction: in_flight.labels(direction) for direction in DIRECTIONS}
        sign_ins = self._family(Counter, "modelyard_sign_ins", "People who came in, or did not.", ("way", "outcome"))
        self._sign_ins = {key: sign_ins.labels(*key) for key in product(SIGN_IN_WAYS, SIGN_IN_OUTCOMES)}
        self._exchanges = self._family(
            Counter, "modelyard_id_tokens", "Id tokens that were presented to be exchanged.", ("issuer_kind", "outcome")
        )
        self._store = self._steps("store", "A step of the blob store.", "operation", STORE_STEPS)
        self._database = self._steps(
            "database", "A unit of work in the database, waiting for its turn included.", "kind", DATABASE_UNITS
        )

    def request(self, scope: MutableMapping[str, Any], status: int, received: int, sent: int, seconds: float) -> None:
        """Count a request that is over, with the bytes of both bodies."""
        key = (_template(scope), scope["method"], status)
        known = self._known.get(key) or self._know(*key)
        requests, duration, bytes_in, bytes_out = known
        requests.inc()
        duration.observe(seconds)
        if received:
            bytes_in.inc(received)
        if sent:
            bytes_out.inc(sent)

    def sign_in(self, way: str, *, accepted: bool) -> None:
        """Count somebody who came in, or was refused, in one of SIGN_IN_WAYS."""
        self._sign_ins[way, SIGN_IN_OUTCOMES[not accepted]].inc()

    def transfer(self, direction: str, change: int) -> None:
        """Count a transfer, `up` or `down`, that begins (1) or ends (-1)."""
        self._in_flight[direction].inc(change)

    def exchange(self, kind: str, outcome: str) -> None:
        """Count an id token: the kind of its issuer, as far as it is known, and `issued` or why it was refused."""
        self._exchanges.labels(kind or UNKNOWN, outcome).inc()

    def store(self, operation: str, seconds: float) -> None:
        """Count a step of the blob store."""
        self._store[operation].observe(seconds)

    def database(self, kind: str, seconds: float) -> None:
        """Count a unit of work, `read` or `write`."""
        self._database[kind].observe(seconds)

    def exposition(
        self, accept: str, upkeep: Sequence[LastRun], unfinished: tuple[int, int] | None
    ) -> tuple[bytes, str]:
        """All numbers in the format that the header asks for, and its media type; blocks for some milliseconds."""
        pids: list[str] = ["self"]
        if self._shared is not None:
            pids = sorted(map(str, self._shared.read()))
            self._meet(self._shared)
        encode, media_type = choose_encoder(accept)
        whole = CollectorRegistry()
        whole.register(
            _Joined([self._registry.collect(), _build(), _processes(pids), _upkeep(upkeep), _uploads(unfinished)])
        )
        return encode(whole), media_type

    def _meet(self, shared: SharedCounts) -> None:
        """Know the series of other workers, which may run another version with other metrics."""
        for series in shared.sums:
            with suppress(KeyError, ValueError):
                self._families[series.metric].labels(*series.labels)

    def _steps(self, subject: str, text: str, label: str, values: Sequence[str]) -> dict[str, Histogram]:
        name = f"modelyard_{subject}_duration_seconds"
        steps = self._family(Histogram, name, text, [label], buckets=STEP_SECONDS)
        return {value: steps.labels(value) for value in values}

    def _family(self, kind: type[F], name: str, text: str, labels: Sequence[str], **options: Any) -> F:  # noqa: ANN401
        family = kind(name, text, labels, registry=self._registry, **options)
        self._families[name] = family
        return family

    def _know(self, route: str, method: str, status: int) -> tuple[Counter, Histogram, Counter, Counter]:
        word = method if method in METHODS else UNKNOWN
        labels = (route, word)
        known = (
            self._requests.labels(*labels, str(status)),
            self._seconds.labels(*labels),
            self._received.labels(*labels),
            self._sent.labels(*labels),
        )
        self._known[route, method, status] = known
        return known


class _Joined(Collector):
    """Families of several sources, of which each is read once."""

    def __init__(self, sources: Sequence[Iterable[Metric]]) -> None:
        self._families = [family for source in sources for family in source]

    def collect(self) -> Iterable[Metric]:
        return self._families


def _template(scope: MutableMapping[str, Any]) -> str:
    """The template of the request's path, never the path itself: that would be a series for each file."""
    return str(scope.get("route_template") or getattr(scope.get("route"), "path", UNKNOWN))


def _build() -> Iterator[Metric]:
    info = {"version": __version__, "python": platform.python_version()}
    yield InfoMetricFamily("modelyard_build", "The program that runs.", info)


def _upkeep(runs: Sequence[LastRun]) -> Iterator[Metric]:
    """The last runs of `check` and `gc`, which are processes of their own."""
    columns: dict[str, tuple[str, list[tuple[str, float]]]] = {
        "last_finish_time_seconds": (
            "When the last run ended, in seconds since 1970.",
            [(run.task, run.finished_at / 1000) for run in runs],
        ),
        "last_completion_time_seconds": (
            "When a run last came to the end of all blobs, in seconds since 1970.",
            [(run.task, run.completed_at / 1000) for run in runs if run.completed_at is not None],
        ),
        "last_duration_seconds": (
            "How long the last run took.",
            [(run.task, (run.finished_at - run.started_at) / 1000) for run in runs],
        ),
        "last_found": (
            "Faults that the last check found; things that the last gc removed.",
            [(run.task, run.found) for run in runs],
        ),
        "last_bytes": (
            "Bytes that the last check read; bytes that the last gc freed.",
            [(r.task, r.size) for r in runs],
        ),
    }
    for name, (text, rows) in columns.items():
        family = GaugeMetricFamily(f"modelyard_upkeep_{name}", text, labels=["task"])
        for task, value in rows:
            family.add_metric([task], value)
        yield family


def _uploads(unfinished: tuple[int, int] | None) -> Iterator[Metric]:
    """Uploads that go on, and their bytes that are durable, in all processes together."""
    if unfinished is not None:
        yield GaugeMetricFamily("modelyard_unfinished_uploads", "Uploads that may go on.", unfinished[0])
        text = "Bytes of such uploads that are durable."
        yield GaugeMetricFamily("modelyard_unfinished_uploads_bytes", text, unfinished[1])


def _processes(pids: Sequence[str]) -> list[Metric]:
    """The usual numbers of a process; with several of them their sums, but for the start and the limit of files."""
    families: dict[str, Metric] = {}
    for pid in pids:
        for family in ProcessCollector(pid=partial(str, pid), registry=None).collect():
            _add(families.setdefault(family.name, family), family)
    return list(families.values())


def _add(total: Metric, family: Metric) -> None:
    if total is family:
        return
    (old,), (new,) = total.samples, family.samples
    values = (old.value, new.value)
    value = min(values) if total.name in {"process_start_time_seconds", "process_max_fds"} else sum(values)
    total.samples = [old._replace(value=value)]
