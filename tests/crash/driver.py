"""Kill a real server again and again, and hold what is left against what it acknowledged.

A round: eight uploaders and `modelyard gc` work beside each other, the server is killed with SIGKILL at a random moment
and started again on the same data. Then

- every acknowledged file is listed and downloads byte for byte; a request without an answer was done or was not;
- nothing else is visible, least of all a file whose body was not sent to its end;
- `modelyard check --read` finds nothing;
- `modelyard gc` removes exactly the bytes that no file refers to, and `modelyard check` still finds nothing;
- the server logged no error.

Or it is PostgreSQL that is killed, while the server runs on: until it is back, clients are told 503, and what they
asked for may have been done or not, as what was not answered at all.

The seed decides what is sent, in which order, and when the server is killed. How far each upload comes until then is up
to the machine, so a failure may take a few runs of its seed to come again.
"""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.commands import Command, environment_of
from tests.crash.contents import LARGEST, Contents
from tests.crash.uploader import Uploader
from tests.crash.verify import errors_logged, only_the_unreferenced_goes, upkeep_of
from tests.e2e.processes import ServerProcess, serving
from tests.postgres import Cluster, new_cluster
from tests.waiting import eventually

UPLOADERS = 8
MAX_SECONDS = 2.0


class CrashFailure(AssertionError):
    """A promise was broken; the text says which one, and the seed."""


@dataclass(frozen=True)
class Plan:
    """What is to be done."""

    seed: int
    kills: int
    largest: int = LARGEST  # bytes of a file
    max_seconds: float = MAX_SECONDS  # from the first request of a round to its kill
    max_workers: int = 2  # processes of a server; the seed decides between 1 and these
    database_url: str | None = None  # where it is None, of the kind that the tests run on
    kill_database: bool = False  # PostgreSQL, instead of the server


def run(folder: Path, plan: Plan, say: Callable[[str], None] = print) -> None:
    """Run all rounds in a folder that is empty or does not exist. Raises CrashFailure."""
    folder.mkdir(parents=True, exist_ok=True)
    say(f"seed {plan.seed}, {plan.kills} kills, data in {folder}")
    with ExitStack() as stack:
        driver = _Driver(folder, plan, stack)
        for number in range(plan.kills):
            try:
                say(driver.round(number))
            except (AssertionError, httpx2.HTTPError) as error:
                raise CrashFailure(f"round {number} of seed {plan.seed}, data in {folder}: {error}") from error


class _Driver:
    def __init__(self, folder: Path, plan: Plan, stack: ExitStack) -> None:
        self.folder = folder
        self.plan = plan
        self.contents = Contents(plan.seed, plan.largest)
        self.variables = {"MODELYARD_LOG_FORMAT": "json"}
        if plan.database_url is not None:
            self.variables["MODELYARD_DATABASE_URL"] = plan.database_url
        self._cluster: Cluster | None = None
        if plan.kill_database:
            self._cluster = new_cluster(durable=True)
            stack.callback(self._cluster.remove)
            self.variables["MODELYARD_DATABASE_URL"] = self._cluster.fresh()
        self._stack = stack
        self._server = self._start(random.Random(plan.seed))
        with self._server.client as client:
            self.uploaders = [Uploader(client, number, self.contents) for number in range(UPLOADERS)]

    def round(self, number: int) -> str:
        """One kill and the checks that follow it; the answer is a line for whoever watches."""
        chance = random.Random(f"{self.plan.seed}/{number}")
        seconds = self.plan.max_seconds * chance.random()
        before = self._acknowledged()
        self._work_until_killed(number, seconds, kill_gc=chance.random() < 0.5)
        if self._cluster is None:
            self._server = self._start(chance)
        else:
            self._cluster.start()
            eventually(self._is_ready)
        referenced = self._check_files()
        removed = only_the_unreferenced_goes(
            self.folder / "data" / "blobs", referenced, upkeep_of(self.folder, self.variables)
        )
        told = errors_logged((self.folder / "server.log").read_text())
        # That the database was away is said as often as somebody was told 503.
        assert [line for line in told if self._cluster is None or '"database failure"' not in line] == []
        killed = "killed" if self._cluster is None else "PostgreSQL killed"
        return (
            f"round {number}: {killed} after {seconds:.2f} s, {self._acknowledged() - before} requests acknowledged, "
            f"{len(referenced)} blobs whole, {len(removed)} leftovers removed"
        )

    def _start(self, chance: random.Random) -> ServerProcess:
        arguments = ("--workers", str(chance.randint(1, self.plan.max_workers)))
        return self._stack.enter_context(serving(self.folder, *arguments, environment=self.variables))

    def _is_ready(self) -> bool:
        with self._server.client as client:
            return client.get(f"http://127.0.0.1:{self._server.port}/-/readiness").status_code == 200

    def _acknowledged(self) -> int:
        return sum(uploader.acknowledged for uploader in self.uploaders)

    def _work_until_killed(self, number: int, seconds: float, *, kill_gc: bool) -> None:
        stop = threading.Event()
        with ExitStack() as stack:
            for uploader in self.uploaders:
                chance = random.Random(f"{self.plan.seed}/{number}/{uploader.number}")
                client = stack.enter_context(self._server.client)
                thread = threading.Thread(target=uploader.run, args=(client, chance, stop))
                stack.callback(thread.join)
                thread.start()
            with self._collecting(stop, kill=kill_gc or self.plan.kill_database):
                time.sleep(seconds)
                self._kill()
        assert [failure for uploader in self.uploaders for failure in uploader.failures] == []

    def _kill(self) -> None:
        if self._cluster is None:
            self._server.kill()
        else:
            self._cluster.kill()

    @contextmanager
    def _collecting(self, stop: threading.Event, *, kill: bool) -> Iterator[None]:
        """`modelyard gc` again and again; at the end the last one is killed too, or goes on without the server."""
        environment = environment_of(self.folder, {**self.variables, "MODELYARD_GC_GRACE": "0"})
        processes: list[subprocess.Popen[bytes]] = []

        def collect() -> None:
            with (self.folder / "gc.log").open("ab") as log:
                while not stop.is_set():
                    process = Command(("gc",), cwd=self.folder, env=environment, stdout=log, stderr=log)
                    processes.append(process)
                    process.wait()

        thread = threading.Thread(target=collect)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            if kill and processes:
                processes[-1].kill()
            thread.join()
        assert [each.returncode for each in processes if each.returncode != 0 and not kill] == []

    def _check_files(self) -> set[str]:
        """The digests of all files, each of which is one that must be there, or may be."""
        referenced: set[str] = set()
        with self._server.client as client:
            for uploader in self.uploaders:
                found = uploader.visible(client)
                assert uploader.ledger.settle(found), f"{uploader.files}: {uploader.ledger}; found {found}"
                for name, digests in found.items():
                    assert uploader.download(client, name) == digests[-1], f"{uploader.files}/{name} is damaged"
                    referenced.update(digests)
        return referenced
