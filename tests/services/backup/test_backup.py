"""`backup` and `restore` of a registry in use: complete or refused, whatever happens meanwhile."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from alembic import command
from sqlalchemy import text

from modelyard.blobs.local import LocalBlobStore
from modelyard.blobs.memory import MemoryBlobStore
from modelyard.blobs.store import BlobStore
from modelyard.errors import CommandError
from modelyard.registry.engine import Database, make_engine
from modelyard.registry.revisions import is_current
from modelyard.registry.schema import alembic_config, changing
from modelyard.registry.snapshots import snapshots_of
from modelyard.registry.upkeep.holding import BlobsHeld, holding_blobs, removing_blobs
from modelyard.services.backup.copying import DAMAGED, MISSING, Copy
from modelyard.services.backup.folder import BackupFolder, kept_by
from modelyard.services.backup.restore import restore
from modelyard.services.backup.taking import back_up
from modelyard.services.backup.tally import Summary, Watch, unwatched
from modelyard.services.upkeep.checking import check
from modelyard.services.upkeep.collecting import collect
from tests.blobs.tools import put
from tests.databases import ON_POSTGRESQL, database_url
from tests.live import LiveServer, running


@dataclass
class Yard:
    """A registry with a server, and what was uploaded to it."""

    live: LiveServer
    client: httpx2.Client
    project: int
    files: str
    contents: dict[str, bytes] = field(default_factory=dict)

    @property
    def database(self) -> Database:
        found: Database = self.live.app.state.database
        return found

    @property
    def store(self) -> LocalBlobStore:
        found: LocalBlobStore = self.live.app.state.store
        return found

    def upload(self, name: str, content: bytes) -> str:
        assert self.client.put(f"{self.files}/{name}", content=content).status_code == 201
        self.contents[name] = content
        return hashlib.sha256(content).hexdigest()

    def delete_all(self) -> None:
        for package in self.client.get(f"/projects/{self.project}/packages").json():
            assert self.client.delete(f"/projects/{self.project}/packages/{package['id']}").status_code == 204

    def back_up(self, folder: Path, *, with_blobs: bool = True, watch: Watch = unwatched) -> Summary:
        snapshots = snapshots_of(self.live.settings.effective_database_url)
        return back_up(self.database, snapshots, self.store, folder, with_blobs=with_blobs, watch=watch)

    def garbage(self) -> list[str]:
        return [each.name for each in collect(self.database, self.store, grace=0, dry_run=False)]


@contextmanager
def filled_yard(folder: Path) -> Iterator[Yard]:
    """A registry with five files."""
    with running(folder) as live, live.client(live.root_token) as client:
        project = client.post("/projects", json={"name": "p"}).json()["id"]
        base = f"/projects/{project}/ml/mlflow/api/2.0/mlflow"
        client.post(f"{base}/registered-models/create", json={"name": "m"})
        version = client.post(f"{base}/model-versions/create", json={"name": "m"}).json()["model_version"]["version"]
        made = Yard(live, client, project, f"/projects/{project}/packages/ml_models/{version}/files")
        for number in range(5):
            made.upload(f"f{number}", b"content %d" % number * 100)
        yield made


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with filled_yard(tmp_path / "yard") as made:
        yield made


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup to be copied and damaged."""
    folder = tmp_path_factory.mktemp("whole")
    with filled_yard(folder / "yard") as made:
        made.back_up(folder / "backup")
    return folder / "backup"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backup"


def put_back(folder: Path, target: Path, store: BlobStore | None = None, watch: Watch = unwatched) -> Summary:
    """Restore into a folder whose database is new and empty."""
    snapshots = snapshots_of(database_url(target, migrated=False))
    return restore(snapshots, store or LocalBlobStore(target / "blobs"), folder, watch=watch)


def assert_restored(yard: Yard, folder: Path, target: Path) -> None:
    """The registry that a backup gives has every file, for whoever has a token of before."""
    assert put_back(folder, target).faults == ()
    url = database_url(target, migrated=False)
    with running(target, database_url=url, root_token=yard.live.root_token) as restored:
        assert list(check(restored.app.state.database, restored.app.state.store, read=True)) == []
        with restored.client(yard.live.root_token) as client:
            assert {name: client.get(f"{yard.files}/{name}").content for name in yard.contents} == yard.contents


def first(action: Callable[[], object]) -> Watch:
    """Do something when the database is copied, and no blob yet."""

    def watch(copies: Iterable[Copy], _total: int) -> Iterator[Copy]:
        action()
        yield from copies

    return watch


def stopping_after(count: int) -> Watch:
    def watch(copies: Iterable[Copy], _total: int) -> Iterator[Copy]:
        for number, copy in enumerate(copies):
            if number == count:
                raise KeyboardInterrupt
            yield copy

    return watch


def refuse(enter: Callable[[], AbstractContextManager[object]], error: type[Exception], sentence: str | None) -> None:
    with pytest.raises(error, match=sentence), enter():
        pass


def entries(folder: Path) -> set[str]:
    return {each.name.partition("-")[0] for each in folder.iterdir()}


def blob_names(folder: Path) -> list[str]:
    return [blob.digest for blob in LocalBlobStore(folder / "blobs").list()]


def test_a_backup_restores_every_file_and_token(yard: Yard, folder: Path, tmp_path: Path) -> None:
    summary = yard.back_up(folder)
    assert (summary.linked, summary.copied, summary.present, summary.faults) == (5, 0, 0, ())
    assert (summary.manifest.blobs.count, summary.manifest.blobs.size) == (5, sum(map(len, yard.contents.values())))
    assert entries(folder) == {"manifest.json", "lock", "database", "blobs"}
    assert folder.stat().st_mode & 0o077 == 0
    assert_restored(yard, folder, tmp_path / "restored")


def test_a_blob_is_linked_and_none_of_its_bytes_copied(yard: Yard, folder: Path) -> None:
    sha256 = yard.upload("one", b"one")
    yard.back_up(folder)
    assert LocalBlobStore(folder / "blobs").path(sha256).samefile(yard.store.path(sha256))


@pytest.mark.parametrize("error", [errno.EXDEV, errno.EPERM, errno.EMLINK])
def test_where_links_are_impossible_blobs_are_copied_and_verified(
    yard: Yard, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def impossible(_source: Path, _target: Path) -> None:
        raise OSError(error, os.strerror(error))

    sha256 = yard.upload("flipped", b"flipped")
    yard.store.path(sha256).write_bytes(b"fl1pped")
    monkeypatch.setattr("modelyard.blobs.linking.os.link", impossible)
    summary = yard.back_up(folder)
    assert (summary.copied, summary.linked, summary.present) == (5, 0, 0)
    assert summary.copied_bytes == sum(map(len, yard.contents.values())) - len(b"flipped")
    assert summary.faults == summary.manifest.faults == (Copy(DAMAGED, sha256, 7),)
    monkeypatch.undo()
    assert sha256 not in blob_names(folder)
    assert put_back(folder, tmp_path / "restored").faults == (Copy(MISSING, sha256, 7),)


def test_any_other_fault_of_the_file_system_ends_it(yard: Yard, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_source: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("modelyard.blobs.linking.os.link", full)
    with pytest.raises(Exception, match="No space left"):
        yard.back_up(folder)
    assert "manifest.json" not in entries(folder)


def test_a_second_backup_brings_the_first_up_to_date(yard: Yard, folder: Path, tmp_path: Path) -> None:
    earlier = yard.back_up(folder).manifest
    gone, more = hashlib.sha256(yard.contents["f4"]).hexdigest(), yard.upload("more", b"more")
    package = yard.client.get(f"/projects/{yard.project}/packages").json()[0]["id"]
    listing = f"/projects/{yard.project}/packages/{package}/package_files"
    (file,) = (each for each in yard.client.get(listing).json() if each["file_name"] == "f4")
    yard.client.delete(f"{listing}/{file['id']}")
    del yard.contents["f4"]
    cut = LocalBlobStore(folder / "blobs").path(hashlib.sha256(yard.contents["f3"]).hexdigest())
    cut.unlink()
    cut.write_bytes(b"not all of it")
    summary = yard.back_up(folder)
    assert (summary.linked, summary.present, summary.removed) == (2, 3, 1)
    assert gone not in blob_names(folder)
    assert more in blob_names(folder)
    assert summary.manifest.database.name != earlier.database.name
    copies = {each.name for each in folder.iterdir()} - {"manifest.json", "lock", "blobs"}
    assert copies == {summary.manifest.database.name, summary.manifest.blobs.list.name}
    assert_restored(yard, folder, tmp_path / "restored")


def test_what_is_deleted_while_a_backup_runs_is_collected_after_it(
    yard: Yard, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    collected: list[list[str]] = []

    def delete_and_collect() -> None:
        yard.delete_all()
        collected.append(yard.garbage())

    summary = yard.back_up(folder, watch=first(delete_and_collect))
    assert collected == [[]]
    assert "while a backup runs" in "".join(capfd.readouterr())
    assert (summary.linked, summary.faults) == (5, ())
    assert len(yard.garbage()) == 5
    assert_restored(yard, folder, tmp_path / "restored")


def test_a_backup_waits_for_a_removal_and_a_removal_does_not_wait_for_a_backup(yard: Yard) -> None:
    engine, another = yard.database.engine, "another backup of this registry is running"
    with yard.database.writing() as registry, removing_blobs(registry.session.connection()):
        refuse(lambda: holding_blobs(engine, wait=0.05), CommandError, another)
    with holding_blobs(engine) as still_held, yard.database.writing() as registry:
        still_held()
        refuse(lambda: removing_blobs(registry.session.connection()), BlobsHeld, None)
        refuse(lambda: holding_blobs(engine, wait=0), CommandError, another)
    assert yard.garbage() == []


def test_the_hold_of_a_backup_that_is_killed_ends_with_it(yard: Yard) -> None:
    yard.delete_all()
    holder = (
        "import sys, time; from modelyard.registry.engine import make_engine;"
        "from modelyard.registry.upkeep.holding import holding_blobs\n"
        "with holding_blobs(make_engine(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    arguments = [sys.executable, "-c", holder, yard.live.settings.effective_database_url]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert yard.garbage() == []
        process.send_signal(signal.SIGKILL)
    with holding_blobs(yard.database.engine):  # waits until PostgreSQL has noticed
        pass
    assert len(yard.garbage()) == 5


@pytest.mark.skipif(not ON_POSTGRESQL, reason="a lock on a file cannot be lost")
def test_a_backup_whose_hold_is_lost_is_not_complete(yard: Yard, folder: Path) -> None:
    def lose() -> None:
        with yard.database.engine.begin() as connection:
            found = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            assert len(connection.execute(text(found)).all()) == 1

    with pytest.raises(CommandError, match="was lost"):
        yard.back_up(folder, watch=first(lose))
    assert "manifest.json" not in entries(folder)
    assert yard.back_up(folder).present == 5


def test_an_interrupted_backup_is_none_and_goes_on(yard: Yard, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        yard.back_up(folder, watch=stopping_after(2))
    with pytest.raises(CommandError, match=r"no complete backup: there is no manifest\.json"):
        put_back(folder, tmp_path / "restored")
    (folder / "blobs" / "incoming" / ("ab" * 16)).write_bytes(b"half a blob")
    summary = yard.back_up(folder)
    assert summary.present >= 2
    assert summary.present + summary.linked == 5
    assert list((folder / "blobs" / "incoming").iterdir()) == []
    assert len([each for each in folder.iterdir() if each.name.startswith("database-")]) == 1
    assert_restored(yard, folder, tmp_path / "restored")


def test_an_interrupted_backup_leaves_the_one_before_as_it_was(yard: Yard, folder: Path, tmp_path: Path) -> None:
    yard.back_up(folder)
    contents = dict(yard.contents)
    yard.delete_all()
    yard.client.post(f"/projects/{yard.project}/ml/mlflow/api/2.0/mlflow/runs/create", json={"experiment_id": "0"})
    yard.client.put(f"/projects/{yard.project}/packages/ml_models/candidate:1/files/f", content=b"after the first")
    with pytest.raises(KeyboardInterrupt):
        yard.back_up(folder, watch=stopping_after(0))
    yard.contents = contents
    assert_restored(yard, folder, tmp_path / "restored")


def test_what_the_registry_has_lost_is_noted_and_the_rest_is_restored(yard: Yard, folder: Path, tmp_path: Path) -> None:
    lost, short = (hashlib.sha256(yard.contents[name]).hexdigest() for name in ("f0", "f1"))
    yard.store.delete(lost)
    yard.store.path(short).write_bytes(b"short")
    summary = yard.back_up(folder)
    assert set(summary.faults) == {Copy(MISSING, lost, 900), Copy(DAMAGED, short, 5)}
    assert summary.manifest.faults == summary.faults
    restored = put_back(folder, tmp_path / "restored")
    assert {fault.sha256 for fault in restored.faults} == {lost, short}
    assert restored.linked == 3


def test_bytes_that_decayed_in_the_backup_are_not_restored(yard: Yard, folder: Path, tmp_path: Path) -> None:
    sha256 = hashlib.sha256(yard.contents["f0"]).hexdigest()
    yard.back_up(folder)
    path = LocalBlobStore(folder / "blobs").path(sha256)
    path.unlink()
    path.write_bytes(yard.contents["f0"].swapcase())
    for store in (LocalBlobStore(tmp_path / "linked" / "blobs"), MemoryBlobStore()):
        target = tmp_path / type(store).__name__
        restored = put_back(folder, target, store)
        assert restored.faults == (Copy(DAMAGED, sha256, 900),)
        assert store.stat(sha256) is None


def test_an_interrupted_restore_leaves_no_registry_and_goes_on(yard: Yard, folder: Path, tmp_path: Path) -> None:
    yard.back_up(folder)
    target = tmp_path / "restored"
    with pytest.raises(KeyboardInterrupt):
        put_back(folder, target, watch=stopping_after(3))
    snapshots_of(database_url(target, migrated=False)).refuse_unless_empty()
    (target / "modelyard.db.restoring").write_bytes(b"half a database")
    assert_restored(yard, folder, target)
    assert ON_POSTGRESQL or not (target / "modelyard.db.restoring").exists()


def test_a_restore_into_anything_but_nothing_is_refused(yard: Yard, folder: Path, tmp_path: Path) -> None:
    yard.back_up(folder)
    with pytest.raises(CommandError, match=r"exists already|not empty"):
        restore(snapshots_of(yard.live.settings.effective_database_url), MemoryBlobStore(), folder)
    store = MemoryBlobStore()
    other = put(store, b"somebody else's")
    with pytest.raises(CommandError, match=f"not empty: it holds {other}"):
        put_back(folder, tmp_path / "restored", store)
    snapshots_of(database_url(tmp_path / "restored", migrated=False)).refuse_unless_empty()


def _without(name: str) -> Callable[[Path], object]:
    return lambda folder: next(folder.glob(name)).unlink()


def _longer(name: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        path = next(folder.glob(name))
        path.write_bytes(path.read_bytes() + b"x")

    return change


def _manifest_with(**values: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        path = folder / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def _listing(line: str) -> Callable[[Path], None]:
    """A list whose own digest is right, as one has that was edited together with its manifest."""

    def change(backup: Path) -> None:
        manifest = json.loads((backup / "manifest.json").read_text())
        path = backup / manifest["blobs"]["list"]["name"]
        with path.open("a") as file:
            file.write(line)
        manifest["blobs"]["list"] |= {
            "size": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        (backup / "manifest.json").write_text(json.dumps(manifest))

    return change


OTHER_KIND = "sqlite" if ON_POSTGRESQL else "postgresql"


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_without("manifest.json"), "no complete backup"),
        (_longer("manifest.json"), "the manifest is damaged, or of a newer modelyard: JSON"),
        (_manifest_with(format=2), "the manifest is damaged, or of a newer modelyard: format"),
        (_manifest_with(database={"name": "../lock", "size": 0, "sha256": ""}), "lock is missing"),
        (_manifest_with(schema="9999"), "newer than this one"),
        (_manifest_with(database_kind=OTHER_KIND), "copy-database"),
        (_without("database-*"), r"the backup is damaged: database-.* is missing"),
        (_longer("database-*"), r"the backup is damaged: database-.* is not what it was"),
        (_longer("blobs-*"), r"the backup is damaged: blobs-.* is not what it was"),
        (_listing("0123 5\n"), r"the backup is damaged: line \d+ of blobs-.* is no digest and size"),
        (_listing(f"{'f' * 64} five\n"), r"the backup is damaged: line \d+ of blobs-.* is no digest and size"),
        (_listing(f"{'f' * 64} 5"), r"the backup is damaged: line \d+ of blobs-.* is no digest and size"),
        (_listing("\u00e4\n"), r"the backup is damaged: line \d+ of blobs-.* is no digest and size"),
    ],
    ids=[
        *("none", "garbled", "format", "escaping", "schema", "kind", "no-database", "database", "list"),
        *("no-digest", "no-size", "cut-off", "no-text"),
    ],
)
def test_a_backup_that_is_not_whole_is_refused(
    whole: Path, tmp_path: Path, damage: Callable[[Path], object], sentence: str
) -> None:
    shutil.copytree(whole, tmp_path / "backup")
    damage(tmp_path / "backup")
    with pytest.raises(CommandError, match=sentence):
        put_back(tmp_path / "backup", tmp_path / "restored")
    snapshots_of(database_url(tmp_path / "restored", migrated=False)).refuse_unless_empty()


def test_a_copy_of_a_backup_is_a_backup(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "copy", ignore=shutil.ignore_patterns("lock", "incoming"))
    assert put_back(tmp_path / "copy", tmp_path / "restored").faults == ()


def test_a_folder_is_one_backups_alone(yard: Yard, folder: Path, tmp_path: Path) -> None:
    with BackupFolder.writing(folder), pytest.raises(CommandError, match="in use"):
        yard.back_up(folder)
    yard.back_up(folder)
    with BackupFolder.reading(folder), BackupFolder.reading(folder), pytest.raises(CommandError, match="in use"):
        yard.back_up(folder)
    with pytest.raises(CommandError, match="is no backup: it holds "):
        yard.back_up(yard.live.settings.data_dir)
    with pytest.raises(CommandError, match="no complete backup"):
        put_back(tmp_path / "nowhere", tmp_path / "restored")


def test_an_older_backup_is_migrated(tmp_path: Path, folder: Path) -> None:
    url = database_url(tmp_path, migrated=False)
    database, store = Database(url), LocalBlobStore(tmp_path / "blobs")
    with changing(database.engine) as connection:
        command.upgrade(alembic_config(connection), "0001")
    sha256 = put(store, b"old")
    with changing(database.engine) as connection:
        for statement in (
            "INSERT INTO projects (name, path, namespace_path, path_key, description, visibility, last_experiment_iid,"
            " last_candidate_iid, created_at, updated_at) VALUES ('p', 'p', 'n', 'n/p', '', 'private', 1, 1, 0, 0)",
            "INSERT INTO packages (project_id, name, version, status, created_at, updated_at)"
            " VALUES (1, 'm', '1', 'default', 0, 0)",
            f"INSERT INTO blobs (sha256, size, created_at) VALUES ('{sha256}', 3, 0)",
            f"INSERT INTO package_files (package_id, name, sha256, size, created_at) VALUES (1, 'f', '{sha256}', 3, 0)",
        ):
            connection.execute(text(statement))
    assert back_up(database, snapshots_of(url), store, folder).manifest.schema == "0001"
    database.close()
    assert put_back(folder, tmp_path / "restored").faults == ()
    engine = make_engine(database_url(tmp_path / "restored", migrated=False))
    assert is_current(engine)
    engine.dispose()


def test_the_database_alone_is_restored_beside_blobs_that_are_there(yard: Yard, folder: Path, tmp_path: Path) -> None:
    summary = yard.back_up(folder, with_blobs=False)
    assert (summary.linked, summary.copied, summary.manifest.blobs.included) == (0, 0, False)
    assert entries(folder) == {"manifest.json", "lock", "database", "blobs"}
    lost, short = (hashlib.sha256(yard.contents[name]).hexdigest() for name in ("f0", "f1"))
    yard.store.delete(lost)
    yard.store.path(short).write_bytes(b"short")
    restored = put_back(folder, tmp_path / "restored", yard.store)
    assert set(restored.faults) == {Copy(MISSING, lost, 900), Copy(DAMAGED, short, 5)}
    assert restored.present == 3


def test_a_collector_leaves_what_backups_without_blobs_refer_to(yard: Yard, folder: Path, tmp_path: Path) -> None:
    yard.back_up(folder, with_blobs=False)
    between = yard.upload("between", b"between the two")
    yard.back_up(tmp_path / "other", with_blobs=False)
    after = yard.upload("after", b"after both")
    yard.delete_all()

    def garbage(*folders: Path) -> list[str]:
        with kept_by(folders) as kept:
            return [each.name for each in collect(yard.database, yard.store, grace=0, dry_run=False, kept=kept)]

    assert garbage(folder, tmp_path / "other") == [after]
    assert garbage(folder) == [between]
    del yard.contents["between"], yard.contents["after"]
    assert put_back(folder, tmp_path / "restored", yard.store).present == 5
    assert len(garbage()) == 5
