"""Commits are kept before they are told, and what cannot be kept can be told all the same."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from modelyard.access.identity import OPERATOR
from modelyard.errors import BadRequest, RevisionNotFound
from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Commit, Model, ModelVersion, Package, Project
from modelyard.services.hub import commits
from modelyard.services.hub.commits import Commits, Snapshot
from modelyard.services.tracking import experiments
from modelyard.terms.repositories import RepositoryId
from tests.databases import migrated_database

ASKED = RepositoryId("a", "m")
DIGEST = "0" * 64


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(migrated_database(tmp_path))
    with made.writing() as registry:
        _fill(registry)
    yield made
    made.close()


def _fill(registry: Registry) -> None:
    project = Project(name="m", path="m", namespace_path="a", path_key="a/m", visibility="private")
    registry.projects.add(project)
    experiments.add_default(registry, project.id)
    registry.session.refresh(project)
    model = Model(project_id=project.id, name="m", default_experiment_id=project.default_experiment_id)
    registry.session.add(model)
    registry.session.flush()
    version = ModelVersion(project_id=project.id, model_id=model.id, version="1.0.0", major=1, minor=0, patch=0)
    registry.session.add(version)
    registry.session.flush()
    package = Package(project_id=project.id, name="m", version="1.0.0", model_version_id=version.id)
    registry.session.add(package)
    registry.session.flush()
    registry.blobs.ensure(DIGEST, 1)
    registry.packages.add_file(package.id, "f", DIGEST, 1, None)


def look(database: Database, told: Commits, revision: str = "main") -> Snapshot:
    return database.read_now(lambda registry: told.snapshot(registry, OPERATOR, ASKED, revision))


def test_a_commit_can_be_come_back_to_once_it_is_kept(database: Database) -> None:
    told = Commits(database)
    snapshot = look(database, told)
    assert not snapshot.kept
    with pytest.raises(RevisionNotFound):
        look(database, told, snapshot.commit)
    asyncio.run(told.keep(snapshot))
    assert look(database, told).kept
    for process in (told, Commits(database)):
        assert look(database, process, snapshot.commit).manifest == snapshot.manifest
        assert look(database, process).commit == snapshot.commit


def test_a_commit_of_a_version_that_is_gone_by_then_is_not_kept(database: Database) -> None:
    told = Commits(database)
    snapshot = look(database, told)
    assert snapshot.version is not None
    with database.writing() as registry:
        version = registry.versions.of_model(snapshot.repository.model.id, snapshot.version.id)
        assert version is not None
        registry.versions.delete(version)
    asyncio.run(told.keep(snapshot))
    assert not database.read_now(lambda registry: registry.commits.is_kept(snapshot.commit))


@pytest.mark.parametrize(("code", "kept"), [(sqlite3.SQLITE_FULL, True), (sqlite3.SQLITE_IOERR, False)])
def test_without_room_a_commit_is_told_all_the_same(
    monkeypatch: pytest.MonkeyPatch, database: Database, code: int, kept: bool
) -> None:
    told = Commits(database)
    snapshot = look(database, told)
    failure = sqlite3.OperationalError("no room")
    failure.sqlite_errorcode = code

    async def full(_work: Any) -> None:
        raise OperationalError("INSERT", {}, failure)

    monkeypatch.setattr(database, "write", full)
    with capture_logs() as lines:
        if kept:
            asyncio.run(told.keep(snapshot))
            assert [line["event"] for line in lines] == ["commits not kept for want of room"]
        else:
            with pytest.raises(OperationalError):
                asyncio.run(told.keep(snapshot))


def test_a_commit_that_was_dropped_is_made_and_kept_again(database: Database) -> None:
    told = Commits(database)
    asyncio.run(told.keep(look(database, told)))
    kept = look(database, told)
    with database.writing() as registry:
        registry.session.query(Commit).delete()
    forgetful = Commits(database)
    forgetful._oids.put((kept.version.id if kept.version else 0, _stamp(database, kept)), kept.commit)
    again = look(database, forgetful)
    assert (again.commit, again.kept) == (kept.commit, False)


def _stamp(database: Database, snapshot: Snapshot) -> Any:
    version = snapshot.version
    assert version is not None
    return database.read_now(lambda registry: registry.commits.stamp(version.id))


def test_a_version_of_too_many_files_is_refused(monkeypatch: pytest.MonkeyPatch, database: Database) -> None:
    monkeypatch.setattr(commits, "MAX_FILES", 0)
    with pytest.raises(BadRequest, match="more than 0 files"):
        look(database, Commits(database))


def test_a_version_without_a_package_has_no_files(database: Database) -> None:
    with database.writing() as registry:
        registry.session.query(Package).delete()
    snapshot = look(database, Commits(database))
    assert list(snapshot.manifest.entries()) == []
