"""A server and its commands on object storage that leaves headers out, answers otherwise, or answers nonsense.

Right bytes or 503, and of commands their work or one line that says why not: never 500, never a traceback, no end of
waiting.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from structlog.testing import capture_logs

from modelyard.blobs.local import LocalBlobStore
from modelyard.blobs.store import BlobError
from modelyard.registry.snapshots import snapshots_of
from modelyard.services.backup.copying import copy_blobs
from modelyard.services.backup.taking import back_up
from modelyard.services.upkeep.checking import check
from modelyard.services.upkeep.collecting import collect
from tests.commands import run
from tests.e2e.processes import new_version
from tests.faults.conftest import LARGE, SMALL, Yard
from tests.live import running
from tests.odd_s3 import Odd, OddServer, running_odd
from tests.s3 import BUCKET

_serial = itertools.count(1)

LEAVING_OUT = (
    (Odd.WHOLE_IS_200, Odd.MISSING_IS_404, Odd.NO_UPLOADS, Odd.BARE_LISTS),
    (Odd.RANGES_IGNORED, Odd.NO_LENGTH, Odd.UPLOADS_ARE_HTML, Odd.NO_LENGTH_IN_HEAD),
    (Odd.NO_CONTENT_RANGE, Odd.NO_ETAGS, Odd.NO_DATES, Odd.UPLOADS_NOT_FOUND, Odd.MISSING_IS_BARE_404),
    (Odd.NO_TOTAL, Odd.EARLIER, Odd.FOREIGN_CHECKSUMS, Odd.UPLOADS_NOT_ALLOWED, Odd.SMALL_PAGES),
)
MISLEADING = (
    *[(odd,) for odd in (Odd.LATER, Odd.OTHER_RANGE_TOLD, Odd.MANY_RANGES, Odd.ALWAYS_416, Odd.GARBLED_LENGTH)],
    *[(odd,) for odd in (Odd.CUT, Odd.BROKEN, Odd.COMPRESSED, Odd.REDIRECTED, Odd.NONSENSE)],
    (Odd.RANGES_IGNORED, Odd.CUT),
)
LISTING = (Odd.CUT_LISTS, Odd.SAME_PAGE, Odd.HTML_LISTS, Odd.EMPTY_LISTS, Odd.BROKEN_LISTS, Odd.ENCODED_KEYS)


@pytest.fixture(scope="module")
def odd() -> Iterator[OddServer]:
    with running_odd() as server, server.s3.as_environment():
        yield server


@pytest.fixture
def url(odd: OddServer) -> str:
    odd.odd = set()
    return f"s3://{BUCKET}/{next(_serial)}"


@pytest.fixture
def yard(tmp_path: Path, url: str) -> Iterator[Yard]:
    """A server whose bucket is odd from then on when its files are there."""
    with (
        running(tmp_path / "data", blob_url=url, s3_addressing="path") as live,
        live.client(live.root_token) as client,
    ):
        yard = Yard(live, client, new_version(client))
        assert yard.put("small", SMALL).status_code == yard.put("large", LARGE).status_code == 201
        yield yard


def names(oddities: tuple[Odd, ...]) -> str:
    return "+".join(oddities)


def command(folder: Path, url: str, *arguments: str) -> tuple[int, str]:
    """Exit status of a command, and what it says; it ends, and without a traceback."""
    done = run(folder, *arguments, BLOB_URL=url, S3_ADDRESSING="path", GC_GRACE="0")
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


def succeeds(use: Callable[[], object]) -> bool:
    """Whether it does, or raises what a command says in one line; anything else would be a traceback."""
    try:
        use()
    except BlobError:
        return False
    return True


@pytest.mark.usefixtures("readiness_at_once")
@pytest.mark.parametrize("oddities", LEAVING_OUT, ids=names)
def test_all_goes_on_where_things_are_left_out(
    odd: OddServer, yard: Yard, tmp_path: Path, url: str, oddities: tuple[Odd, ...]
) -> None:
    odd.odd = set(oddities)
    assert httpx2.get(f"{yard.live.url}/-/readiness").status_code == 200
    new, gone = os.urandom(9 << 20), os.urandom(1000)
    assert yard.put("new", new).status_code == yard.put("gone", gone).status_code == 201
    for name, content in {"small": SMALL, "large": LARGE, "new": new}.items():
        answer = yard.get(name)
        assert (answer.status_code, answer.content) == (200, content)
        part = yard.client.get(f"{yard.files}/{name}", headers={"Range": "bytes=5-22"})
        assert (part.status_code, part.content) == (206, content[5:23])
        assert yard.client.head(f"{yard.files}/{name}").headers["Content-Length"] == str(len(content))
    project = yard.files.split("/")[2]
    packages = yard.client.get(f"/projects/{project}/packages").json()
    files = yard.client.get(f"/projects/{project}/packages/{packages[0]['id']}/package_files").json()
    (file,) = (each for each in files if each["file_name"] == "gone")
    path = f"/projects/{project}/packages/{packages[0]['id']}/package_files/{file['id']}"
    assert yard.client.delete(path).status_code == 204
    status, said = command(tmp_path, url, "gc")
    assert status == 0
    assert "unfinished uploads cannot be looked for" in said
    assert (yard.live.app.state.store.stat(hashlib.sha256(gone).hexdigest()) is None) == (Odd.NO_DATES not in oddities)
    assert yard.put("gone", gone).status_code == 201
    for arguments in (["check", "--read"], ["backup", "backup"], ["copy-blobs", url, f"file://{tmp_path}/copied"]):
        assert command(tmp_path, url, *arguments)[0] == 0
    copied = {path.name: path.read_bytes() for path in (tmp_path / "copied" / "sha256").glob("*/*/*")}
    assert copied == {hashlib.sha256(each).hexdigest(): each for each in (SMALL, LARGE, new, gone)}
    elsewhere = odd.s3.store(f"elsewhere-{next(_serial)}")
    assert len(list(copy_blobs(LocalBlobStore(tmp_path / "copied"), elsewhere))) == len(copied)
    for digest, content in copied.items():
        with elsewhere.open(digest) as reader:
            assert reader.read(0, len(content)) == content


@pytest.mark.parametrize("oddities", MISLEADING, ids=names)
def test_bytes_that_may_be_others_are_answered_503(odd: OddServer, yard: Yard, oddities: tuple[Odd, ...]) -> None:
    odd.odd = set(oddities)
    answer = yard.get("small")
    assert (answer.status_code, answer.json()) == (503, {"message": "503 Service Unavailable"})
    answered = b""
    try:
        with yard.client.stream("GET", f"{yard.files}/large") as streamed:
            assert streamed.status_code in (200, 503)
            if streamed.status_code == 200:
                for block in streamed.iter_raw():
                    answered += block
    except httpx2.RemoteProtocolError:
        pass
    assert LARGE.startswith(answered)
    odd.odd = set()
    assert (yard.get("small").content, yard.get("large").content) == (SMALL, LARGE)


@pytest.mark.parametrize("oddities", [*MISLEADING, *[(each,) for each in LISTING]], ids=names)
def test_upkeep_works_or_says_why_not(odd: OddServer, yard: Yard, tmp_path: Path, oddities: tuple[Odd, ...]) -> None:
    for number in range(4):
        assert yard.put(f"one-of-many-{number}", bytes([number])).status_code == 201
    database, store = yard.live.app.state.database, yard.live.app.state.store
    kept = dict(odd.objects)
    odd.odd = set(oddities)
    uses: list[Callable[[], object]] = [
        lambda: list(check(database, store, read=True)),
        lambda: list(collect(database, store, grace=0, dry_run=False)),
        lambda: back_up(database, snapshots_of(yard.live.settings.effective_database_url), store, tmp_path / "backup"),
        lambda: list(copy_blobs(store, odd.s3.store("elsewhere"))),
    ]
    assert not all(map(succeeds, uses))
    odd.odd = set()
    assert {key: odd.objects[key] for key in kept} == kept
    assert yard.check(read=True) == []


@pytest.mark.usefixtures("readiness_at_once")
@pytest.mark.parametrize("oddity", [Odd.NONSENSE, Odd.NO_ANSWER])
def test_nonsense_is_no_storage(odd: OddServer, yard: Yard, oddity: Odd) -> None:
    odd.odd = {oddity}
    assert httpx2.get(f"{yard.live.url}/-/readiness").status_code == 503
    for content in (b"new", os.urandom(9 << 20)):
        with capture_logs() as lines:
            assert yard.put("new", content).status_code == 503
        assert [line["event"] for line in lines if line["log_level"] == "error"] == ["blob store unavailable"]
    assert yard.get("new").status_code == 404


@pytest.mark.parametrize(
    "oddities", [(Odd.NONSENSE,), (Odd.OTHER_RANGE_TOLD,), (Odd.RANGES_IGNORED, Odd.CUT)], ids=names
)
@pytest.mark.usefixtures("yard")
def test_commands_end_with_one_line_that_says_why(
    odd: OddServer, tmp_path: Path, url: str, oddities: tuple[Odd, ...]
) -> None:
    odd.odd = set(oddities)
    for arguments in (["check", "--read"], ["backup", "backup"], ["copy-blobs", url, f"file://{tmp_path}/copied"]):
        status, said = command(tmp_path, url, *arguments)
        assert status == 1
        lines = [line for line in said.splitlines() if not line.startswith("{")]  # those are the log's
        assert len(lines) <= 1  # none where it has listed what it cannot read
        assert all(line.startswith("modelyard: ") for line in lines)
