"""Several files in one transaction, as `Recorder.admit` and `record` leave room for: all are there, or none."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from modelyard.errors import PreconditionFailed
from modelyard.registry.engine import Database
from modelyard.registry.files.locations import StoredFile
from modelyard.registry.repository import Registry
from modelyard.services.files.locating import Address, FileRequest, find
from modelyard.services.files.quota import OverQuota
from modelyard.services.files.recording import Arrival, Content, record
from modelyard.terms.paths import OwnerKind, OwnerRef
from tests.databases import ON_POSTGRESQL
from tests.live import LiveServer
from tests.projects import Project
from tests.registry.test_trips import trips

NAMES = ("a", "b", "c")


def keep_all(project: Project, version: str, names: Iterable[str]) -> list[StoredFile]:
    """Record files of ten bytes, named as their content begins, in one transaction."""
    server, files = project.server, project.server.app.state.files
    arrivals = [_arrival(server, project.id, int(version), name) for name in names]

    def work(registry: Registry) -> list[StoredFile]:
        for sha256 in sorted(arrival.content.sha256 for arrival in arrivals):
            registry.locks.blob(sha256)
        admitted = [files.recorder.admit(registry, arrival) for arrival in arrivals]
        with files.quota.within(registry, admitted[0].location):
            return [record(registry, each) for each in admitted]

    return asyncio.run(server.app.state.database.write(work))


def _arrival(server: LiveServer, project_id: int, version_id: int, name: str) -> Arrival:
    bytes_ = name.encode().ljust(10)

    def publish() -> None:
        with server.app.state.store.begin() as writer:
            writer.write([bytes_])
            writer.publish()

    def none_there(current: StoredFile | None) -> None:
        if current is not None:
            raise PreconditionFailed

    address = Address(project_id, OwnerRef(OwnerKind.VERSION, version_id), name)
    content = Content(hashlib.sha256(bytes_).hexdigest(), len(bytes_), publish)
    return Arrival(FileRequest.by(server.root_token, address), content, none_there, None)


@pytest.fixture
def project(server: LiveServer, root: httpx2.Client, request: pytest.FixtureRequest) -> Project:
    return Project(server, root, f"recording-{abs(hash(request.node.name))}", 35)


def shown(project: Project, version: str) -> dict[str, bytes]:
    answers = {name: project.client.get(f"{project.files(version)}/{name}") for name in NAMES}
    return {name: answer.content for name, answer in answers.items() if answer.status_code == 200}


def test_several_files_are_recorded_together(project: Project) -> None:
    version = project.version(project.model("m"))
    assert [file.name for file in keep_all(project, version, NAMES)] == list(NAMES)
    assert shown(project, version) == {name: name.encode().ljust(10) for name in NAMES}
    assert project.used() == 30


def test_one_that_is_refused_keeps_all_of_them_out(project: Project) -> None:
    version = project.version(project.model("m"))
    assert project.put(version, "c", b"other").status_code == 201
    with pytest.raises(PreconditionFailed):
        keep_all(project, version, NAMES)
    assert shown(project, version) == {"c": b"other"}


def test_together_they_are_held_against_the_quota(project: Project) -> None:
    version = project.version(project.model("m"))
    assert project.put(version, "other", b"six  6").status_code == 201
    with pytest.raises(OverQuota):
        keep_all(project, version, NAMES)
    assert shown(project, version) == {}
    assert len(keep_all(project, version, "ab")) == 2


@pytest.mark.skipif(not ON_POSTGRESQL, reason="it is about PostgreSQL")
def test_a_file_takes_one_trip_to_look_and_one_to_record_it(
    server: LiveServer, root: httpx2.Client, tmp_path: Path
) -> None:
    project = Project(server, root, "trips-of-a-file", None)
    version = project.version(project.model("m"))
    assert project.put(version, "first", b"makes the package").status_code == 201
    recorder, quota = server.app.state.files.recorder, server.app.state.files.quota
    database = Database(server.app.state.database.engine.url.render_as_string(hide_password=False))
    made: list[StoredFile] = []

    def run() -> None:
        arrival = _arrival(server, project.id, int(version), f"file {len(made)}")
        seen = database.read_now(lambda registry: find(registry, arrival.request).location)

        def work(registry: Registry) -> StoredFile:
            registry.locks.blob(arrival.content.sha256, at_once=False)
            admitted = recorder.admit(registry, replace(arrival, seen=seen))
            with quota.within(registry, admitted.location):
                return record(registry, admitted)

        made.append(database.write_now(work))

    # What was seen before, and its end; BEGIN, locks, the id and the question; the rows and COMMIT.
    assert trips(database, tmp_path, run) == 5
    database.close()
    assert [file.id for file in made] == sorted(file.id for file in made)
    assert project.client.get(f"{project.files(version)}/file%201").content == b"file 1".ljust(10)
