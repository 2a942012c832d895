"""Backups of a server under load, some of them killed, and what a restored server has."""

from __future__ import annotations

import hashlib
import json
import os
import random
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from modelyard.blobs.open import open_store
from modelyard.blobs.store import BlobStore
from modelyard.registry.engine import Database
from modelyard.services.upkeep.collecting import collect
from modelyard.settings import Settings
from tests.commands import Command, environment_of, finished
from tests.databases import ON_POSTGRESQL, database_url
from tests.e2e.processes import ServerProcess, new_version, serving
from tests.s3 import BUCKET, S3Server

UPLOADERS = 3
SIZES = (0, 1, 1024, 100_000, 3_000_000)  # the largest goes to a bucket in one part, as the others do
KILLS = 3

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Place:
    """Where a registry lies: a folder, and variables that name its database and its blobs."""

    folder: Path
    variables: Mapping[str, str]

    @property
    def environment(self) -> dict[str, str]:
        quiet = {"MODELYARD_GC_GRACE": "0", "MODELYARD_LOG_LEVEL": "warning"}
        return environment_of(self.folder, {**quiet, **self.variables})

    @contextmanager
    def opened(self) -> Iterator[tuple[Database, BlobStore]]:
        """Its database and its blobs, within this process."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.variables.items():
                patch.setenv(name, value)
            settings = Settings(_env_file=None, data_dir=self.folder / "data")  # type: ignore[call-arg]
            store = open_store(settings)
        database = Database(settings.effective_database_url)
        try:
            yield database, store
        finally:
            database.close()

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return finished(arguments, cwd=self.folder, env=self.environment)

    def command(self, *arguments: str | Path) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def killed(self, *arguments: str | Path, after: float) -> None:
        """Run a command that is killed in the midst of it, or a moment after its end."""
        with Command(arguments, cwd=self.folder, env=self.environment) as process:
            time.sleep(after)
            process.send_signal(signal.SIGKILL)


@dataclass
class Load:
    """Clients that upload, replace and delete, and a collector without any grace, until it is stopped."""

    server: ServerProcess
    files: str
    place: Place
    acknowledged: dict[str, bytes] = field(default_factory=dict)  # files that nobody touches any more
    failures: list[BaseException] = field(default_factory=list)
    collected: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        workers = [(self._upload, number) for number in range(UPLOADERS)]
        tasks = [*((self._repeat, each) for each in workers), (self._gc, ())]
        threads = [threading.Thread(target=self._guarded, args=each) for each in tasks]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stopped.set()
            for thread in threads:
                thread.join()
        assert self.failures == []

    def _guarded(self, work: Callable[..., None], arguments: tuple[object, ...]) -> None:
        try:
            work(*arguments)
        except BaseException as error:
            self.failures.append(error)

    def _repeat(self, work: Callable[[httpx2.Client, str], None], number: int) -> None:
        with self.server.client as client:
            turn = 0
            while not self.stopped.is_set():
                work(client, f"{number}-{turn}")
                turn += 1

    def _upload(self, client: httpx2.Client, turn: str) -> None:
        """One file that stays, one that is replaced and one that is deleted; some contents come again and again."""
        name, content = f"kept-{turn}", os.urandom(random.choice(SIZES))
        for other in (f"again-{turn[0]}", f"doomed-{turn[0]}"):
            assert client.put(f"{self.files}/{other}", content=b"%d" % random.randrange(20)).status_code == 201
        assert client.put(f"{self.files}/{name}", content=content).status_code == 201
        self.acknowledged[name] = content
        project = f"/projects/{self.files.split('/')[2]}/packages"
        (package,) = client.get(project).json()
        listing = f"{project}/{package['id']}/package_files"
        for file in client.get(listing, params={"per_page": 100, "sort": "desc"}).json():
            if file["file_name"] in (f"doomed-{turn[0]}", f"again-{turn[0]}"):
                client.delete(f"{listing}/{file['id']}")

    def _gc(self) -> None:
        with self.place.opened() as (database, store):
            while not self.stopped.is_set():
                self.collected += len(list(collect(database, store, grace=0, dry_run=False)))


@pytest.fixture
def places(request: pytest.FixtureRequest, tmp_path: Path) -> list[Place]:
    """A registry that is to be, and an empty one of the same kind: SQLite and a folder, or PostgreSQL and a bucket."""
    found = []
    for name in ("original", "restored"):
        variables = {}
        if ON_POSTGRESQL:
            moto: S3Server = request.getfixturevalue("moto")
            variables = {
                **moto.environment,
                "MODELYARD_S3_ADDRESSING": "path",
                "MODELYARD_DATABASE_URL": database_url(tmp_path / name / "data", migrated=False),
                "MODELYARD_BLOB_URL": f"s3://{BUCKET}/{secrets.token_hex(8)}",
            }
        (tmp_path / name).mkdir()
        found.append(Place(tmp_path / name, variables))
    return found


def test_a_backup_under_load_restores_every_file_of_before_and_no_broken_one(
    places: list[Place], tmp_path: Path
) -> None:
    original, restored = places
    backup = tmp_path / "backup"
    with serving(original.folder, environment=original.environment) as server, server.client as client:
        load = Load(server, new_version(client), original)
        with load.running():
            for number in range(KILLS):
                original.killed("backup", backup, after=0.5 + number * 0.4)
            before = dict(load.acknowledged)
            first = json.loads(original.command("backup", backup, "--json"))
            more = dict(load.acknowledged)
            second = json.loads(original.command("backup", backup, "--json"))
        token = (original.folder / "data" / "root-token").read_text().strip()
    assert len(before) < len(more)
    assert first["faults"] == second["faults"] == []
    assert first["manifest"]["blobs"]["count"] == sum(first[each] for each in ("linked", "copied", "present"))
    assert second["present"] >= len(set(before.values())) > 0
    assert second["linked"] + second["copied"] > 0
    assert load.collected > 0

    restored.killed("restore", backup, after=random.uniform(0.5, 1.5))
    again = restored.run("restore", backup)
    assert again.returncode == 0 or "exists already" in again.stderr or "not empty" in again.stderr, again.stderr
    assert restored.command("check", "--read") == ""
    (restored.folder / "data").mkdir(exist_ok=True)
    (restored.folder / "data" / "root-token").write_text(token)
    with serving(restored.folder, environment=restored.environment) as server, server.client as client:
        for name, content in more.items():
            answer = client.get(f"{load.files}/{name}")
            assert (answer.status_code, answer.content) == (200, content), name
        assert_whole(client, load.files)


def assert_whole(client: httpx2.Client, files: str) -> None:
    """Every file that is listed can be had, in the bytes that it is listed with."""
    project = f"/projects/{files.split('/')[2]}/packages"
    (package,) = client.get(project).json()
    page, seen = 1, 0
    while listed := client.get(f"{project}/{package['id']}/package_files", params={"page": page}).json():
        page += 1
        seen += len(listed)
        for file in listed:
            name = file["file_name"]
            answer = client.get(f"{files}/{name}")
            assert answer.status_code == 200, name
            if name.startswith("kept-"):  # of others, the newest of several is served
                assert hashlib.sha256(answer.content).hexdigest() == file["file_sha256"], name
    assert seen > 0
