"""A disk without room for a byte while the server is stopped, or beside a server: the commands, as processes.

    command                  SQLite on that disk                              only blobs on it
    -----------------------  -----------------------------------------------  ----------------
    gc                       frees room, with the database for itself alone   frees room
    serve, check, and others one line with the path and what to do            as ever

What such a disk lacks may also be names of files (inodes) instead of bytes. A full XFS lacks both.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

import pytest

from tests.commands import Command, finished, run
from tests.databases import ON_POSTGRESQL, execute
from tests.disks import fill, fill_names, make_room
from tests.e2e.processes import MIB, ServerProcess, new_version, serving
from tests.faults.test_disk import small_disk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

KEPT, DELETED = b"content of a file that stays" * 1000, b"content of a file that was deleted" * 30_000
LEFTOVER = "0" * 32

FULL = [pytest.param(fill, id="bytes"), pytest.param(fill_names, id="names")]
Fill = Callable[[Path], None]


def use(server: ServerProcess) -> str:
    """Upload two files and delete one of them again; the address of the other."""
    with server.client as client:
        files = new_version(client)
        assert client.put(f"{files}/kept", content=KEPT).status_code == 201
        other = new_version(client, "q")
        assert client.put(f"{other}/deleted", content=DELETED).status_code == 201
        project = other.split("/")[2]
        assert client.delete(f"/projects/{project}").status_code == 202
    return f"{files}/kept"


@contextmanager
def used_disk(*, killed: bool = False) -> Iterator[tuple[Path, str]]:
    """A disk on which a server has run, with one blob that is needed and one that is not, and a file's address."""
    with small_disk(24 * MIB, "nr_inodes=400") as disk:
        with serving(disk) as server:
            address = use(server)
            if killed:
                server.kill()
        (disk / "data" / "blobs" / "incoming" / LEFTOVER).write_bytes(bytes(5))
        yield disk, address


def blobs(disk: Path) -> list[bytes]:
    return [path.read_bytes() for path in (disk / "data" / "blobs" / "sha256").glob("*/*/*")]


def goes_on(disk: Path, address: str) -> None:
    assert blobs(disk) == [KEPT]
    make_room(disk)
    assert run(disk, "check", "--read").stdout == ""
    with serving(disk) as server, server.client as client:
        assert client.get(address).content == KEPT
        assert client.put(f"{address}-new", content=DELETED).status_code == 201


def lines(said: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in said.splitlines()]


@pytest.mark.sqlite
@pytest.mark.parametrize("full", FULL)
def test_every_command_names_the_path_and_what_to_do(full: Fill, tmp_path: Path) -> None:
    with used_disk() as (disk, _address):
        full(disk)
        for command in (
            ("check",),
            ("check", "--read"),
            ("serve", "--port", "0"),
            ("migrate",),
            ("token", "create", "--user", "root", "--name", "n"),
            ("backup", tmp_path / "backup"),
            ("copy-database", f"sqlite:///{disk}/data/modelyard.db", f"sqlite:///{tmp_path}/copy.db"),
        ):
            done = run(disk, *command)
            assert (done.returncode, done.stdout) == (1, ""), command
            assert done.stderr.startswith("modelyard: database: "), command
            assert done.stderr.endswith(
                f": [Errno 28] No space left on device: '{disk}/data/modelyard.db'; "
                "free room there, say with `modelyard gc`\n"
            ), command


@pytest.mark.parametrize("full", FULL)
@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
def test_gc_frees_room(full: Fill, killed: bool) -> None:
    with used_disk(killed=killed) as (disk, address):
        full(disk)
        listed = run(disk, "gc", "--dry-run", "--json", GC_GRACE="0")
        assert sorted(blobs(disk)) == sorted([KEPT, DELETED])
        done = run(disk, "gc", "--json", GC_GRACE="0")
        assert done.returncode == listed.returncode == 0
        assert json.loads(done.stdout) == json.loads(listed.stdout)
        assert [each["kind"] for each in json.loads(done.stdout)] == ["write", "blob"]
        goes_on(disk, address)
        assert run(disk, "gc", GC_GRACE="0").returncode == 0


@pytest.mark.sqlite
def test_gc_needs_no_index_of_the_log_from_before() -> None:
    """As after a move to another machine: the log has rows that are not in the file, and its index is not there."""
    with used_disk(killed=True) as (disk, address):
        assert (disk / "data" / "modelyard.db-wal").stat().st_size
        (disk / "data" / "modelyard.db-shm").unlink()
        fill(disk)
        done = run(disk, "gc", GC_GRACE="0")
        assert done.returncode == 0
        assert [line["event"] for line in lines(done.stderr)] == [
            "no room beside the database, which is closed to all others meanwhile"
        ]
        goes_on(disk, address)


@pytest.mark.sqlite
def test_gc_says_what_it_could_not_write() -> None:
    """Without a name for the log, nothing can be written to the database; the records of the bytes go the next time."""
    with used_disk() as (disk, address):
        (disk / "data" / "blobs" / "incoming" / LEFTOVER).unlink()
        fill_names(disk)
        done = run(disk, "gc", GC_GRACE="0", AUDIT_DAYS="1")
        assert (done.returncode, done.stdout.partition("\t")[0]) == (0, "blob")
        assert [line["event"] for line in lines(done.stderr)] == [
            "no room beside the database, which is closed to all others meanwhile",
            "left to the next run for want of room",
            "the result is not kept",
        ]
        assert all(f"'{disk}/data/modelyard.db'" in line["error"] for line in lines(done.stderr))
        make_room(disk)
        assert run(disk, "gc", GC_GRACE="0").stdout.partition("\t")[0] == "record"
        goes_on(disk, address)


def test_gc_frees_room_beside_a_server() -> None:
    with small_disk(24 * MIB, "nr_inodes=400") as disk, serving(disk) as server:
        address = use(server)
        fill(disk)
        done = run(disk, "gc", GC_GRACE="0")
        assert (done.returncode, done.stdout.partition("\t")[0]) == (0, "blob")
        with server.client as client:
            assert client.get(address).content == KEPT
            assert client.put(f"{address}-new", content=b"new").status_code == 201
        assert blobs(disk).count(DELETED) == 0


@pytest.mark.sqlite
def test_gc_frees_room_on_another_disk(tmp_path: Path) -> None:
    """The database's own disk stays full, so that no record goes."""
    with small_disk(4 * MIB) as disk:
        blob_url = f"file://{tmp_path}/blobs"
        with serving(disk, environment={"MODELYARD_BLOB_URL": blob_url}) as server:
            use(server)
        fill(disk)
        for expected in ("blob", "", "record"):
            done = run(disk, "gc", GC_GRACE="0", BLOB_URL=blob_url)
            assert (done.returncode, done.stdout.partition("\t")[0]) == (0, expected)
            assert [path.read_bytes() for path in tmp_path.glob("blobs/sha256/*/*/*")] == [KEPT]
            if not expected:
                make_room(disk)
        assert execute(disk / "data", "SELECT count(*) FROM blobs")[0][0] == 1
        assert run(disk, "check", "--read", BLOB_URL=blob_url).stdout == ""


@pytest.mark.sqlite
def test_gc_has_the_database_for_itself_where_there_is_no_room(tmp_path: Path) -> None:
    """It lets nobody in until it has ended, and waits for nobody who is in."""
    script = tmp_path / "alone.py"
    script.write_text(
        "import sys; from pathlib import Path\n"
        "from modelyard.registry.backends.sqlite_full_disk import connect_alone\n"
        "connection = connect_alone(Path(sys.argv[1]))\n"
        "print(type(connection).__name__, flush=True); sys.stdin.read()"
    )
    for full, kind in ((fill, "Connection"), (fill_names, "ReadOnlyConnection")):
        with used_disk() as (disk, _address):
            full(disk)
            arguments = (disk / "data" / "modelyard.db",)
            with Command(arguments, script, stdin=PIPE, stdout=PIPE, text=True) as alone:
                assert alone.stdout
                assert alone.stdout.readline() == f"{kind}\n"
                second = finished(arguments, "", program=script)
                assert second.stderr.endswith("sqlite3.OperationalError: database is locked\n")
                alone.communicate("")
            assert finished(arguments, "", program=script).stdout == f"{kind}\n"


@pytest.mark.skipif(not ON_POSTGRESQL, reason="on SQLite, the database is on that disk as well")
def test_what_blobs_lie_on_is_of_no_concern_to_other_commands() -> None:
    with used_disk() as (disk, _address):
        fill(disk)
        assert run(disk, "check", "--read").returncode == 0
        assert run(disk, "token", "create", "--user", "root", "--name", "n").returncode == 0
