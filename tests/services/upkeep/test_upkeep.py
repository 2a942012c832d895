"""`check` and `gc`, on a registry with files and beside running uploads."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from modelyard.blobs.store import BlobWriter
from modelyard.registry.files.blobs import BlobRepository
from modelyard.services.upkeep import checking, results
from modelyard.services.upkeep.checking import Finding, check
from modelyard.services.upkeep.collecting import Garbage, collect
from modelyard.services.upkeep.pace import Pace
from modelyard.services.upkeep.results import Progress
from tests.live import LiveServer, running
from tests.services.upkeep.test_pace import Clock

CONTENT = b"content of a model"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running(tmp_path_factory.mktemp("yard")) as live:
        yield live


@pytest.fixture(scope="module")
def files(yard: LiveServer) -> str:
    with yard.client(yard.root_token) as root:
        project = root.post("/projects", json={"name": "p"}).json()["id"]
        base = f"/projects/{project}/ml/mlflow/api/2.0/mlflow"
        root.post(f"{base}/registered-models/create", json={"name": "m"})
        version = root.post(f"{base}/model-versions/create", json={"name": "m"}).json()["model_version"]["version"]
    return f"/projects/{project}/packages/ml_models/{version}/files"


@pytest.fixture
def root(yard: LiveServer) -> Iterator[httpx2.Client]:
    with yard.client(yard.root_token) as client:
        yield client


def findings(yard: LiveServer, *, read: bool) -> list[Finding]:
    return list(check(yard.app.state.database, yard.app.state.store, read=read))


def garbage(yard: LiveServer, *, grace: int = 0, dry_run: bool = False) -> list[Garbage]:
    return list(collect(yard.app.state.database, yard.app.state.store, grace=grace, dry_run=dry_run))


def blob_path(yard: LiveServer, sha256: str) -> Path:
    return yard.settings.blob_root / "sha256" / sha256[:2] / sha256[2:4] / sha256


def delete_all(root: httpx2.Client, files: str) -> None:
    project = f"/projects/{files.split('/')[2]}/packages"
    for package in root.get(project).json():
        root.delete(f"{project}/{package['id']}")


def test_a_healthy_registry_has_no_findings(yard: LiveServer, root: httpx2.Client, files: str) -> None:
    root.put(f"{files}/one", content=CONTENT)
    root.put(f"{files}/two", content=CONTENT)
    assert findings(yard, read=True) == []
    assert garbage(yard) == []


@pytest.mark.parametrize(
    ("damage", "fault", "by_stat"),
    [(b"content of a modem", "digest", False), (b"short", "size", True), (None, "missing", True)],
    ids=["flipped", "truncated", "removed"],
)
def test_check_finds_what_is_not_what_it_was(
    yard: LiveServer, root: httpx2.Client, files: str, damage: bytes | None, fault: str, by_stat: bool
) -> None:
    root.put(f"{files}/one", content=CONTENT)
    root.put(f"{files}/two", content=CONTENT)
    path = blob_path(yard, SHA256)
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    expected = [Finding(fault, SHA256, 2)]
    assert findings(yard, read=False) == (expected if by_stat else [])
    assert findings(yard, read=True) == expected
    assert findings(yard, read=False) == expected
    status = root.get(f"{files}/one").status_code
    assert status == {"digest": 500, "size": 500, "missing": 404}[fault]
    root.put(f"{files}/three", content=CONTENT)  # the same content heals the blob
    assert findings(yard, read=True) == []
    delete_all(root, files)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_check_sees_every_blob_in_however_many_looks(
    yard: LiveServer, root: httpx2.Client, files: str, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(checking, "BATCH", batch)
    contents = [b"%d" % number for number in range(5)]
    for content in contents:
        root.put(f"{files}/{content.decode()}", content=content)
    digests = sorted(hashlib.sha256(content).hexdigest() for content in contents)
    for digest in digests:
        blob_path(yard, digest).unlink()
    assert findings(yard, read=False) == [Finding("missing", digest, 1) for digest in digests]
    delete_all(root, files)
    assert [each.name for each in garbage(yard) if each.kind == "record"] == digests


def test_a_scrub_stops_within_a_large_blob_but_gets_through_one(
    yard: LiveServer, root: httpx2.Client, files: str
) -> None:
    size = 3 * checking.READ_BYTES
    contents = [os.urandom(size) for _ in range(2)]
    for number, content in enumerate(contents):
        root.put(f"{files}/{number}", content=content)
    digests = sorted(hashlib.sha256(content).hexdigest() for content in contents)
    progress = Progress()
    for seconds in (size + 1, size - 1):  # at a byte a second: within the second blob, and within the last one
        clock, progress = Clock(), Progress(progress.position)
        pace = Pace(1, seconds, clock=clock, sleep=clock.sleep)
        assert list(check(yard.app.state.database, yard.app.state.store, read=True, pace=pace, progress=progress)) == []
        assert (progress.position, progress.size) == (digests[0] if seconds > size else digests[1], size)
    assert progress.complete
    delete_all(root, files)


def test_a_scrub_that_is_stopped_goes_on_where_it_was_and_finds_all(
    yard: LiveServer, root: httpx2.Client, files: str
) -> None:
    contents = [b"first", b"second", b"third"]
    for content in contents:
        root.put(f"{files}/{content.decode()}", content=content)
    digests = sorted(hashlib.sha256(content).hexdigest() for content in contents)
    for digest in (digests[0], digests[2]):
        blob_path(yard, digest).write_bytes(b"?" * blob_path(yard, digest).stat().st_size)
    database, store, kept, found = yard.app.state.database, yard.app.state.store, [], []
    for _ in digests:
        progress = Progress(results.stopped_at(database, results.SCRUB))
        faults = list(check(database, store, read=True, pace=Pace(max_seconds=0), progress=progress))
        results.keep(database, results.SCRUB, 0, len(faults), progress)
        found += [finding.sha256 for finding in faults]
        (run,) = database.read_now(lambda registry: [r for r in registry.upkeep.all() if r.task == results.SCRUB])
        kept.append((run.found, run.position, run.completed_at is not None))
    assert found == [digests[0], digests[2]]
    assert kept == [(1, digests[0], False), (1, digests[1], False), (2, "", True)]
    assert progress.size == blob_path(yard, digests[2]).stat().st_size
    for digest in (digests[0], digests[2]):
        blob_path(yard, digest).unlink()
    delete_all(root, files)
    garbage(yard)


def test_a_result_that_cannot_be_kept_is_no_failure(yard: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    database = yard.app.state.database
    results.keep(database, "task", 0, 1, Progress())

    def read_only(*_arguments: object) -> None:
        raise OperationalError("UPDATE", None, Exception("attempt to write a readonly database"))

    monkeypatch.setattr(database, "write_now", read_only)
    results.keep(database, "task", 0, 2, Progress())
    assert database.read_now(lambda registry: registry.upkeep.last("task")).found == 1


def test_what_nothing_refers_to_goes_after_the_grace_period(yard: LiveServer, root: httpx2.Client, files: str) -> None:
    root.put(f"{files}/one", content=CONTENT)
    delete_all(root, files)
    blob = Garbage("blob", SHA256, len(CONTENT))
    assert garbage(yard, grace=60) == []
    assert garbage(yard, dry_run=True) == [blob]
    assert blob_path(yard, SHA256).exists()
    assert garbage(yard) == [blob]
    assert not blob_path(yard, SHA256).exists()
    assert garbage(yard) == []


def test_bytes_that_were_never_recorded_go(yard: LiveServer) -> None:
    with yard.app.state.store.begin() as writer:
        writer.write([b"published by a process that died before its commit"])
        writer.publish()
    assert [each.kind for each in garbage(yard)] == ["blob"]


def test_records_without_bytes_go(yard: LiveServer) -> None:
    with yard.app.state.database.writing() as registry:
        registry.blobs.ensure("ab" * 32, 7)
    record = Garbage("record", "ab" * 32, 7)
    assert garbage(yard, dry_run=True) == [record]
    assert garbage(yard) == [record]
    assert garbage(yard) == []


class DiskFull(Exception):
    """As the drivers say it: SQLite's code, PostgreSQL's state."""

    sqlite_errorcode = sqlite3.SQLITE_FULL
    sqlstate = "53100"


def test_bytes_go_also_where_the_database_has_no_room_and_their_records_the_next_time(
    yard: LiveServer, root: httpx2.Client, files: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.put(f"{files}/one", content=CONTENT)
    delete_all(root, files)

    def refuse(_repository: BlobRepository, _sha256: str) -> None:
        raise OperationalError("DELETE", None, DiskFull())

    with monkeypatch.context() as full:
        full.setattr(BlobRepository, "forget", refuse)
        with capture_logs() as logged:
            assert garbage(yard) == [Garbage("blob", SHA256, len(CONTENT))]
        assert [line["event"] for line in logged] == ["left to the next run for want of room"]
        assert not blob_path(yard, SHA256).exists()
        assert garbage(yard) == []
    assert garbage(yard) == [Garbage("record", SHA256, len(CONTENT))]


def test_other_failures_of_the_database_end_a_collection(
    yard: LiveServer, root: httpx2.Client, files: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.put(f"{files}/one", content=CONTENT)
    delete_all(root, files)

    def refuse(_repository: BlobRepository, _sha256: str) -> None:
        raise OperationalError("DELETE", None, RuntimeError("the connection is lost"))

    monkeypatch.setattr(BlobRepository, "forget", refuse)
    with pytest.raises(OperationalError):
        garbage(yard)
    assert blob_path(yard, SHA256).exists()
    blob_path(yard, SHA256).unlink()
    with pytest.raises(OperationalError):
        garbage(yard)
    monkeypatch.undo()
    assert [each.kind for each in garbage(yard)] == ["record"]


def test_a_writer_that_lives_is_left_alone_and_a_dead_ones_bytes_go(yard: LiveServer) -> None:
    with yard.app.state.store.begin() as writer:
        writer.write([b"on its way"])
        assert garbage(yard) == []
    abandoned = yard.settings.blob_root / "incoming" / ("ab" * 16)
    abandoned.write_bytes(b"by nobody")
    os.utime(abandoned, (0, 0))
    assert garbage(yard, grace=60, dry_run=True) == [Garbage("write", "ab" * 16, 9)]
    assert garbage(yard, grace=60) == [Garbage("write", "ab" * 16, 9)]
    assert not abandoned.exists()


def test_an_upload_puts_its_bytes_back_if_they_are_collected_before_it_is_recorded(
    yard: LiveServer, root: httpx2.Client, files: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = yard.app.state.store.begin

    def begin_and_lose() -> BlobWriter:
        writer: BlobWriter = begin()
        publish, published = writer.publish, threading.Event()

        def publish_and_lose() -> None:
            publish()
            if not published.is_set():
                published.set()
                assert [each.name for each in garbage(yard)] == [SHA256]

        monkeypatch.setattr(writer, "publish", publish_and_lose, raising=False)
        return writer

    monkeypatch.setattr(yard.app.state.store, "begin", begin_and_lose)
    assert root.put(f"{files}/lost-and-found", content=CONTENT).status_code == 201
    assert root.get(f"{files}/lost-and-found").content == CONTENT
    assert findings(yard, read=True) == []


def test_collecting_beside_uploads_and_deletions_loses_nothing(yard: LiveServer, files: str) -> None:
    """Four uploaders of few contents, which come and go all the time, against a collector without any grace."""
    stop = time.monotonic() + 3
    failures: list[str] = []

    def upload(worker: int) -> None:
        with yard.client(yard.root_token) as client:
            i = 0
            while time.monotonic() < stop:
                i += 1
                content, url = b"content %d" % (i % 5), f"{files}/worker-{worker}"
                if client.put(url, content=content).status_code != 201 or client.get(url).content != content:
                    failures.append(url)

    threads = [threading.Thread(target=upload, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    with yard.client(yard.root_token) as client:
        while any(thread.is_alive() for thread in threads):
            garbage(yard)
            package = client.get(f"/projects/{files.split('/')[2]}/packages").json()[0]["id"]
            listing = f"/projects/{files.split('/')[2]}/packages/{package}/package_files"
            for file in client.get(listing, params={"per_page": 100}).json()[:-8]:
                client.delete(f"{listing}/{file['id']}")
    assert failures == []
    assert findings(yard, read=True) == []
