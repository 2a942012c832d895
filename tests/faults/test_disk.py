"""A disk that is full, read-only or broken beneath the blobs, the database and the log.

    fault                         status, body                               log line                what stays
    ----------------------------  -----------------------------------------  ----------------------  ----------------
    no room for an upload's       507 {"message": "507 Insufficient          blob store full         nothing
      bytes                         Storage"}
    no room for its record        507, the same                              database failure        bytes for gc
    no room for the log           as without the fault                       lost                    everything
    read-only                     503 {"message": "503 Service               blob store unavailable  nothing
                                    Unavailable"}; downloads go on
    EIO at a write, fsync,        503, the same                              blob store unavailable  nothing, or bytes
      rename or folder's fsync                                                                         for gc

`check` finds nothing in all of these: what was acknowledged is whole.
"""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from modelyard.blobs import _direct
from modelyard.memory_pages import PAGE_BYTES
from tests.disks import fill, make_room
from tests.e2e.processes import MIB, new_version, serving
from tests.faults.conftest import LARGE, SMALL, Yard, yard_in
from tests.sessions import FACES, Sending

FULL = (507, {"message": "507 Insufficient Storage"})
UNAVAILABLE = (503, {"message": "503 Service Unavailable"})


def answer(response: httpx2.Response) -> tuple[int, Any]:
    return response.status_code, response.json()


def nothing_is_lost(yard: Yard) -> None:
    assert (yard.get("small").content, yard.get("large").content) == (SMALL, LARGE)
    assert yard.get("new").status_code == 404
    assert yard.check(read=True) == []
    assert yard.live.unfinished() == []


def and_it_goes_on(yard: Yard) -> None:
    assert yard.put("new", os.urandom(1_000_000)).status_code == 201
    assert yard.client.head(f"{yard.files}/new").status_code == 200


@contextmanager
def small_disk(size: int, *options: str) -> Iterator[Path]:
    """A file system of so many bytes in memory; the test is skipped where none can be mounted."""
    together = ",".join([f"size={size}", "mode=700", *options])
    with tempfile.TemporaryDirectory(prefix="disk-") as folder:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", together, "tmpfs", folder], capture_output=True, check=False
        )
        if mounted.returncode != 0:
            pytest.skip("no file system can be mounted here: that takes root and CAP_SYS_ADMIN")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize("direct", [False, True], ids=["through-the-page-cache", "past-it"])
def test_no_room_for_bytes_on_a_small_disk(monkeypatch: pytest.MonkeyPatch, direct: bool) -> None:
    if direct:
        monkeypatch.setattr(_direct, "FROM_BYTES", 0)
        monkeypatch.setattr(_direct, "LEAST_BYTES", PAGE_BYTES)
    with small_disk(20 * MIB) as disk, yard_in(disk) as yard:
        with yard.logged("blob store full") as line:
            assert answer(yard.put("new", os.urandom(30 * MIB))) == FULL
        assert "modelyard gc" in line["advice"]
        nothing_is_lost(yard)
        and_it_goes_on(yard)


def test_no_room_for_anything_on_a_small_disk() -> None:
    """The last byte is taken by others: neither bytes nor records find room, and all that is there is served."""
    with small_disk(20 * MIB) as disk, yard_in(disk) as yard:
        fill(disk)
        for size in (10, 1000, 1_000_000):
            assert answer(yard.put("new", os.urandom(size))) == FULL
        assert yard.client.post("/projects", json={"name": "more"}).status_code in (201, 503, 507)
        nothing_is_lost(yard)
        make_room(disk)
        and_it_goes_on(yard)
        yard.gc()
        assert yard.check(read=True) == []


@pytest.mark.parametrize("face", FACES)
def test_no_room_in_the_middle_of_an_upload_that_goes_on(face: type[Sending]) -> None:
    """What was told stays, and when there is room the rest is enough: of parts, too, which need it twice."""
    content = os.urandom(6 * MIB)
    with small_disk(24 * MIB) as disk, yard_in(disk) as yard:
        sending = face(yard.client, yard.files, content)
        assert sending.first().is_success
        fill(disk)
        with yard.logged("blob store full"):
            assert answer(sending.last()) == FULL
        assert not sending.is_there()
        make_room(disk)
        done = sending.last()
        assert done.is_success, done.text
        assert sending.is_there()
        yard.gc()
        assert yard.check(read=True) == []
        assert yard.live.unfinished() == []


def test_no_room_for_a_large_file_where_files_are_limited(tmp_path: Path) -> None:
    """A limit of the process, which is a full disk in miniature: the server's own, so that the log is limited too."""
    with serving(tmp_path) as server, server.client as client:
        files = new_version(client)
        assert client.put(f"{files}/small", content=SMALL).status_code == 201
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (5 * MIB, 5 * MIB))
        assert answer(client.put(f"{files}/new", content=os.urandom(10 * MIB))) == FULL
        assert client.get(f"{files}/small").content == SMALL
        assert client.get(f"{files}/new").status_code == 404
        assert client.put(f"{files}/new", content=bytes(MIB)).status_code == 201
    assert "blob store full" in (tmp_path / "server.log").read_text()


@pytest.mark.sqlite
@pytest.mark.parametrize("pages", [0, 3])
def test_no_room_for_records(yard: Yard, pages: int) -> None:
    """SQLite's own limit of pages: the file may grow by so many more."""
    engine = yard.live.app.state.database.engine
    engine.dispose()
    with engine.connect() as connection:  # the one that the writer takes next
        now = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {now + pages}")
    names = [f"{number}-{'n' * 200}" for number in range(200)]
    with yard.logged("database failure") as line:
        answers = [yard.put(name, name.encode()) for name in names]
    assert "disk space" in line["advice"]
    kept = [name for name, each in zip(names, answers, strict=True) if each.status_code == 201]
    assert {each.status_code for each in answers} <= {201, 507}
    refused = [each for each in answers if each.status_code == 507]
    assert [answer(each) for each in refused] == [FULL] * len(refused)
    nothing_is_lost(yard)
    assert all(yard.get(name).content == name.encode() for name in kept)
    assert set(yard.gc()) == {"blob"}
    engine.dispose()
    and_it_goes_on(yard)


def test_no_room_for_the_log(tmp_path: Path) -> None:
    """Refusals are logged before they are answered; both they and uploads are as they would be otherwise."""
    log = tmp_path / "server.log"
    log.write_bytes(bytes(6 * MIB))
    with serving(tmp_path) as server, server.client as client:
        files = new_version(client)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (5 * MIB, 5 * MIB))
        before = log.stat().st_size
        assert answer(client.put(f"{files}/new", content=os.urandom(10 * MIB))) == FULL
        assert client.put(f"{files}/small", content=SMALL).status_code == 201
        assert client.get(f"{files}/small").content == SMALL
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
    assert log.stat().st_size == before


@pytest.mark.usefixtures("readiness_at_once")
def test_read_only() -> None:
    """As a disk becomes when its file system has found an error."""
    with small_disk(20 * MIB) as disk, yard_in(disk) as yard:
        live = yard.live
        blobs = live.settings.blob_root
        subprocess.run(["mount", "--bind", blobs, blobs], check=True)
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", blobs], check=True)
            for content in (b"new", os.urandom(3 * MIB)):
                with yard.logged("blob store unavailable") as line:
                    response = yard.put("new", content)
                assert answer(response) == UNAVAILABLE
                assert response.headers["retry-after"]
                assert "permissions" in line["advice"]
            assert httpx2.get(f"{live.url}/-/readiness").json()["blob_store_check"] == [{"status": "failed"}]
            nothing_is_lost(yard)
        finally:
            subprocess.run(["umount", "--lazy", blobs], check=True)
        and_it_goes_on(yard)


@pytest.mark.parametrize("call", ["pwritev", "utime", "fsync", "replace", "mkdir", "open", "fsync of the folder"])
def test_input_output_errors(yard: Yard, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """Each in the place of a call that the upload makes; publishing that has failed late leaves bytes for gc."""
    name, wanted = ("fsync", "folder") if call == "fsync of the folder" else (call, "")
    real: Callable[..., Any] = getattr(os, name)

    def fail(*arguments: Any, **options: Any) -> Any:
        if wanted and not os.path.isdir(f"/proc/self/fd/{arguments[0]}"):
            return real(*arguments, **options)
        if name == "open" and "incoming" not in str(arguments[0]):
            return real(*arguments, **options)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, name, fail)
    with yard.logged("blob store unavailable") as line:
        response = yard.put("new", b"content of no other file")
    monkeypatch.undo()
    assert answer(response) == UNAVAILABLE
    assert re.search(rf"Input/output error: '{yard.live.settings.blob_root}", line["error"]), line["error"]
    nothing_is_lost(yard)
    assert yard.gc() in ([], ["blob"])
    and_it_goes_on(yard)
