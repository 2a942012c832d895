"""A process that dies at a named step of a commit, alone or with its machine, and what is there afterwards."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import httpx2
import pytest

from tests.crash import dying
from tests.crash.contents import KIB, MARK_BYTES, MIB, Content, Contents
from tests.crash.uploader import Uploader
from tests.crash.verify import only_the_unreferenced_goes, upkeep_within
from tests.databases import database_url, migrated_database
from tests.e2e.processes import new_version
from tests.live import LiveServer, running
from tests.ports import free_port
from tests.preloaded import MODULES
from tests.tus import begun, offset_of, patch
from tests.waiting import listens

pytestmark = pytest.mark.slow

# Forks of a process that has imported everything start in a tenth of the time.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.crash.dying", *MODULES])

WHO_DIES = {False: "process", True: "machine"}
BY_POWER = pytest.mark.parametrize("power", WHO_DIES, ids=WHO_DIES.values())


def of_files(step: str) -> Sequence[pytest.MarkDecorator]:
    """The marks of a step: what is done to files is done in the same order beside every database."""
    return () if step.endswith(dying.COMMIT) else (pytest.mark.once,)


@dataclass(frozen=True)
class Mortal:
    """A folder in which commands of modelyard die at one step, once they are armed."""

    folder: Path
    step: str
    power: bool
    variables: Mapping[str, str] = field(default_factory=dict)

    def start(self, *arguments: str) -> ForkServerProcess:
        variables = {
            "MODELYARD_DATABASE_URL": database_url(self.folder / "data"),
            "MODELYARD_GC_GRACE": "0",
            **self.variables,
        }
        process = FORKS.Process(target=dying.run, args=(self.folder, self.step, self.power, arguments, variables))
        process.start()
        return process

    def arm(self, survives: int = 0) -> None:
        """Let the step be deadly from now on, but for the first times."""
        (self.folder / dying.ARMED).write_text(str(survives))

    @contextmanager
    def serving(self) -> Iterator[httpx2.Client]:
        """A server for the length of a `with`, at whose end it must have died at its step."""
        port = free_port()
        migrated_database(self.folder / "data")
        process = self.start("serve", "--port", str(port))
        try:
            yield self._client(process, port)
            process.join(30)
            assert process.exitcode == dying.STATUS
        finally:
            process.kill()
            process.join()

    def _client(self, process: ForkServerProcess, port: int) -> httpx2.Client:
        for _ in range(1200):
            assert process.is_alive(), (self.folder / "server.log").read_text()
            try:
                if listens(port) and httpx2.get(f"http://127.0.0.1:{port}/-/readiness").status_code == 200:
                    token = (self.folder / "data" / "root-token").read_text().strip()
                    headers = {"PRIVATE-TOKEN": token}
                    return httpx2.Client(base_url=f"http://127.0.0.1:{port}/api/v4", headers=headers, timeout=30)
            except httpx2.TransportError:
                pass
            time.sleep(0.02)
        raise AssertionError("the server did not become ready")


def check_after(live: LiveServer, uploader: Uploader) -> None:
    """All that must hold when the server is back."""
    with live.client(live.root_token) as client:
        found = uploader.visible(client)
        assert uploader.ledger.settle(found)
        for name, digests in found.items():
            assert uploader.download(client, name) == digests[-1]
        referenced = {digest for digests in found.values() for digest in digests}
        only_the_unreferenced_goes(live.settings.blob_root, referenced, upkeep_within(live))


@pytest.mark.parametrize(
    ("step", "power"),
    [pytest.param(*death, marks=of_files(death[0])) for death in dying.UPLOAD_DEATHS],
    ids=lambda value: WHO_DIES.get(value, value),
)
def test_an_upload_that_dies_is_there_whole_or_not_at_all(tmp_path: Path, step: str, power: bool) -> None:
    an_upload_dies(Mortal(tmp_path, step, power), *Contents(1, largest=512 * KIB).popular[:2])


@pytest.mark.once
@pytest.mark.skipif(sys.platform != "linux", reason="O_DIRECT is Linux's own")
@BY_POWER
@pytest.mark.parametrize("step", dying.DIRECT_STEPS)
def test_a_large_upload_that_dies_is_not_there(tmp_path: Path, step: str, power: bool) -> None:
    kept, lost = (Content(mark * MARK_BYTES, memoryview(bytes(3 * MIB))) for mark in (b"k", b"l"))
    an_upload_dies(Mortal(tmp_path, step, power), kept, lost)


@BY_POWER
@pytest.mark.parametrize(
    ("step", "survives"),
    [pytest.param(*death, marks=of_files(death[0])) for death in dying.RESUMED_DEATHS],
)
def test_what_was_told_of_an_upload_that_goes_on_is_there_and_it_goes_on(
    tmp_path: Path, step: str, survives: int, power: bool
) -> None:
    mortal, content, told = Mortal(tmp_path, step, power), os.urandom(600 * KIB), 300 * KIB
    with mortal.serving() as client, client:
        files = new_version(client)
        url = begun(client, files, len(content))
        assert patch(client, url, 0, content[:told]).status_code == 204
        mortal.arm(survives)
        with pytest.raises(httpx2.TransportError):
            patch(client, url, told, content[told:])
    with running(mortal.folder / "data") as live, live.client(live.root_token) as client:
        path = url[url.index("/uploads") :]
        offset = offset_of(client, path)
        assert told <= offset <= len(content)
        assert patch(client, path, offset, content[offset:]).status_code == 204
        assert client.get(f"{files}/w.bin").content == content
        assert live.unfinished() == []
        only_the_unreferenced_goes(live.settings.blob_root, {hashlib.sha256(content).hexdigest()}, upkeep_within(live))


def an_upload_dies(mortal: Mortal, kept: Content, lost: Content) -> None:
    """At its step, after another upload; all else that must hold, then and after one more try."""
    contents = Contents(1, largest=512 * KIB)
    with mortal.serving() as client, client:
        uploader = Uploader(client, 1, contents)
        uploader.put(client, "f", kept, "raw")
        mortal.arm()
        with pytest.raises(httpx2.TransportError):
            uploader.put(client, "f", lost, "form")
    assert uploader.failures == []
    with running(mortal.folder / "data") as live:
        check_after(live, uploader)
        committed = mortal.step == f"after the {dying.COMMIT}"
        assert uploader.ledger.files == {"f": (kept.sha256, lost.sha256) if committed else (kept.sha256,)}
        with live.client(live.root_token) as client:
            uploader.put(client, "f", lost, "chunked")
            check_after(live, uploader)


@BY_POWER
@pytest.mark.parametrize("step", dying.CHANGE_STEPS)
@pytest.mark.parametrize("what", ["file", "package"])
def test_a_deletion_that_dies_is_done_or_not_at_all(tmp_path: Path, step: str, what: str, power: bool) -> None:
    mortal = Mortal(tmp_path, step, power)
    contents = Contents(1, largest=64 * KIB)
    with mortal.serving() as client, client:
        uploader = Uploader(client, 1, contents)
        for content in contents.popular[:2]:
            uploader.put(client, "f", content, "raw")
        mortal.arm()
        with pytest.raises(httpx2.TransportError):
            uploader.delete_file(client, "f", 1) if what == "file" else uploader.delete_package(client)
    with running(tmp_path / "data") as live:
        before = uploader.ledger.files
        check_after(live, uploader)
        assert (uploader.ledger.files == before) is (step == f"before the {dying.COMMIT}")


@BY_POWER
@pytest.mark.parametrize("step", [pytest.param(step, marks=of_files(step)) for step in dying.COLLECT_STEPS])
def test_a_collection_that_dies_has_taken_only_what_nothing_refers_to(tmp_path: Path, step: str, power: bool) -> None:
    mortal = Mortal(tmp_path, step, power)
    contents = Contents(1, largest=64 * KIB)
    with running(tmp_path / "data") as live, live.client(live.root_token) as client:
        uploader = Uploader(client, 1, contents)
        for content in contents.popular[:3]:
            uploader.put(client, "f", content, "raw")
        for index in (2, 1):
            uploader.delete_file(client, "f", index)
        mortal.arm()
        process = mortal.start("gc")
        process.join(30)
        assert process.exitcode == dying.STATUS
        again = contents.popular[1]
        uploader.put(client, "f", again, "raw")  # whether its blob, or the record of it, is there or not
        check_after(live, uploader)
        assert uploader.ledger.files == {"f": (contents.popular[0].sha256, again.sha256)}


@pytest.mark.sqlite
@pytest.mark.parametrize(("step", "survives"), dying.START_STEPS)
def test_a_first_start_that_dies_is_made_again(tmp_path: Path, step: str, survives: int) -> None:
    """Whatever token lies there afterwards is the administrator's."""
    mortal = Mortal(tmp_path, step, power=True)
    mortal.arm(survives)
    process = mortal.start("migrate")
    process.join(30)
    assert process.exitcode == dying.STATUS
    with running(tmp_path / "data") as live, live.client(live.root_token) as client:
        assert client.get("/user").json()["username"] == "root"
