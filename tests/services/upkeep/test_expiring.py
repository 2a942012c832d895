"""What `gc`, `check` and `backup` do with uploads that go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from structlog.testing import capture_logs

from modelyard.blobs.local import LocalBlobStore
from modelyard.blobs.memory import MemoryBlobStore
from modelyard.clock import DAY, now
from modelyard.registry.snapshots import snapshots_of
from modelyard.services.backup.restore import restore
from modelyard.services.backup.taking import back_up
from modelyard.services.upkeep import expiring
from modelyard.services.upkeep.collecting import Garbage, collect
from modelyard.services.upkeep.expiring import check_uploads
from tests.databases import database_url
from tests.e2e.processes import new_version
from tests.live import LiveServer, running
from tests.tus import VERSION, begun, patch


@pytest.fixture
def server(tmp_path: Path) -> object:
    with running(tmp_path / "server") as live:
        yield live


@pytest.fixture
def client(server: LiveServer) -> object:
    with server.client(server.root_token) as client:
        yield client


def collected(server: LiveServer, *, dry_run: bool = False) -> list[Garbage]:
    return list(collect(server.app.state.database, server.app.state.store, grace=-1, dry_run=dry_run))


def uid_of(url: str) -> str:
    return url.rpartition("/")[2]


def expire(server: LiveServer, url: str) -> None:
    with server.app.state.database.writing() as registry:
        registry.resumable.by_uid(uid_of(url), 0).expires_at = 1


def test_gc_takes_what_has_expired_and_leaves_what_goes_on(server: LiveServer, client: httpx2.Client) -> None:
    files = new_version(client)
    living, expired, empty = (begun(client, files, 10, name) for name in ("living", "expired", "empty"))
    for url in (living, expired):
        assert patch(client, url, 0, b"12345").status_code == 204
    for url in (expired, empty):
        expire(server, url)
    assert client.head(expired, headers=VERSION).status_code == 404
    expected = [Garbage("upload", uid_of(expired), 5), Garbage("upload", uid_of(empty), 0)]
    assert collected(server, dry_run=True) == expected
    assert len(server.partial()) == 2
    assert collected(server) == expected
    assert [path.name for path in server.partial()] == [f"{uid_of(living)}.upload"]
    assert collected(server) == []
    assert patch(client, living, 5, b"67890").status_code == 204


def test_gc_leaves_one_that_somebody_writes_though_it_has_expired(server: LiveServer, client: httpx2.Client) -> None:
    url = begun(client, new_version(client), 10)
    patch(client, url, 0, b"12345")
    expire(server, url)
    store: LocalBlobStore = server.app.state.store
    hold = store.hold(uid_of(url), new=False)
    assert hold is not None
    with hold:
        assert collected(server) == []
    assert [garbage.kind for garbage in collected(server)] == ["upload"]


def test_gc_leaves_one_that_is_no_longer_expired_when_it_comes_to_it(server: LiveServer, client: httpx2.Client) -> None:
    url = begun(client, new_version(client), 10)
    expire(server, url)
    (found,) = expiring.expired(server.app.state.database)
    with server.app.state.database.writing() as registry:
        registry.resumable.by_uid(uid_of(url), 0).expires_at = now() + DAY
    assert not expiring.remove(server.app.state.database, server.app.state.store, found)
    assert client.head(url, headers=VERSION).status_code == 200


def test_gc_removes_bytes_whose_upload_went_with_its_project(server: LiveServer, client: httpx2.Client) -> None:
    files = new_version(client)
    url = begun(client, files, 10)
    patch(client, url, 0, b"12345")
    assert client.delete(files.partition("/packages")[0]).status_code in {202, 204}
    assert client.head(url, headers=VERSION).status_code == 404
    assert collected(server) == [Garbage("write", f"{uid_of(url)}.upload", 5)]
    assert server.partial() == []


def test_uploads_that_have_ended_are_forgotten_in_time(server: LiveServer, client: httpx2.Client) -> None:
    files = new_version(client)
    url = begun(client, files, 1)
    patch(client, url, 0, b"x")
    expire(server, url)
    begun(client, files, 1, "another")
    with server.app.state.database.reading() as registry:
        assert registry.resumable.by_uid(uid_of(url), 0) is None
    assert client.get(f"{files}/w.bin").content == b"x"


def test_check_tells_of_an_upload_whose_bytes_are_gone(server: LiveServer, client: httpx2.Client) -> None:
    files = new_version(client)
    whole, lost = begun(client, files, 10, "whole"), begun(client, files, 10, "lost")
    begun(client, files, 10, "empty")
    for url in (whole, lost):
        patch(client, url, 0, b"12345")
    database, store = server.app.state.database, server.app.state.store
    assert check_uploads(database, store) == []
    assert check_uploads(database, MemoryBlobStore()) == []
    (server.settings.blob_root / "incoming" / f"{uid_of(lost)}.upload").unlink()
    (found,) = check_uploads(database, store)
    assert (found.fault, found.uid, found.size) == ("upload", uid_of(lost), 5)
    assert uid_of(lost) in str(found)
    assert client.head(lost, headers=VERSION).status_code == 200  # nobody has looked for its bytes
    assert patch(client, lost, 5, b"67890").status_code == 410
    assert client.head(lost, headers=VERSION).status_code == 410
    assert check_uploads(database, store) == []


def test_check_waits_for_one_that_is_only_not_recorded_yet(
    server: LiveServer, client: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = begun(client, new_version(client), 10)
    patch(client, url, 0, b"12345")
    goes_on: list[Callable[[], object]] = [lambda: patch(client, url, 5, b"67890")]

    def missing(*_: object) -> bool:
        goes_on.pop()()
        return False

    monkeypatch.setattr(LocalBlobStore, "has", missing)
    assert check_uploads(server.app.state.database, server.app.state.store) == []
    assert goes_on == []


def test_a_backup_leaves_them_out_and_says_so(server: LiveServer, client: httpx2.Client, tmp_path: Path) -> None:
    files = new_version(client)
    patch(client, begun(client, files, 10), 0, b"12345")
    assert client.put(f"{files}/there", content=b"there").status_code == 201
    snapshots = snapshots_of(server.settings.effective_database_url)
    with capture_logs() as logged:
        back_up(server.app.state.database, snapshots, server.app.state.store, tmp_path / "backup")
    (said,) = [line for line in logged if line["event"] == "unfinished uploads are left out"]
    assert (said["uploads"], said["bytes"]) == (1, 5)
    target = database_url(tmp_path / "restored", migrated=False)
    (tmp_path / "restored").mkdir(exist_ok=True)
    restore(snapshots_of(target), LocalBlobStore(tmp_path / "restored" / "blobs"), tmp_path / "backup")
    with running(tmp_path / "restored", database_url=target, root_token=server.root_token) as again:
        with again.app.state.database.reading() as registry:
            assert registry.resumable.unfinished(0).uploads == 0
        with again.client(again.root_token) as other:
            assert other.get(f"{files}/there").content == b"there"
