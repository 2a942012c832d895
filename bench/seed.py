"""A registry as it looks after years: projects, versions, files and tokens, put into SQLite in bulk.

The first project has a tenth of all versions, the first version a hundredth of all files; the rest is spread evenly.
"""

from __future__ import annotations

import hashlib
import random
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.load.payload import SMALL
from bench.scale import Scale

Row = dict[str, object]

SAMPLED = 2000
BLOBS = 50
BIG_PROJECT_SHARE, BIG_VERSION_SHARE = 10, 100
DAY = 86_400_000  # milliseconds
NAMESPACE = "seeded"


@dataclass
class Seeded:
    """What was put in: the fullest project and package, and a random sample of (project id, version id, file name)."""

    project: int
    package: int
    files: list[tuple[int, int, str]] = field(default_factory=list)


def seed(data: Path, scale: Scale) -> Seeded:
    """Fill the migrated database and the blob store of a data folder on which no server runs."""
    database = sqlite3.connect(data / "modelyard.db", isolation_level=None)
    database.execute("PRAGMA synchronous=OFF")
    database.execute("PRAGMA cache_size=-262144")
    database.execute("BEGIN")
    filler = _Filler(database, scale)
    filler.fill(_write_blobs(data))
    database.execute("COMMIT")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return filler.seeded


class _Filler:
    """Inserts the rows of one database; ids count on from the largest that are there."""

    def __init__(self, database: sqlite3.Connection, scale: Scale) -> None:
        self._database, self._scale = database, scale
        self._now = time.time_ns() // 1_000_000
        self._random = random.Random(1)  # noqa: S311 - the same registry each time
        tables = ("users", "projects", "experiments", "models", "model_versions", "packages")
        self._first = {table: self._next_id(table) for table in tables}
        self.seeded = Seeded(self._first["projects"], self._first["packages"])

    def fill(self, blobs: Sequence[str]) -> None:
        """Insert everything; `blobs` are the digests that files point at."""
        created = [{"sha256": digest, "size": SMALL, "created_at": self._now} for digest in blobs]
        for table, rows in (
            ("blobs", created),
            ("users", self._users()),
            ("tokens", self._tokens()),
            ("projects", self._projects()),
            ("experiments", self._experiments()),
            ("models", self._models()),
            ("model_versions", self._versions()),
            ("packages", self._packages()),
            ("package_files", self._files(blobs)),
        ):
            _insert(self._database, table, rows)

    def _users(self) -> Iterator[Row]:
        about: Row = {"name": "Seeded", "state": "active", "admin": 0, "bot": 0, "created_at": self._now}
        yield about | {
            "id": self._first["users"],
            "username": NAMESPACE,
            "username_key": NAMESPACE,
            "email": "s@example.com",
        }

    def _tokens(self) -> Iterator[Row]:
        about: Row = {"user_id": self._first["users"], "kind": "personal", "name": "seeded", "description": ""}
        for index in range(self._scale.tokens):
            digest = hashlib.sha256(b"seeded %d" % index).hexdigest()
            yield about | {
                "digest": digest,
                "scopes": "api",
                "created_at": self._now,
                "expires_at": self._now + 90 * DAY,
            }

    def _projects(self) -> Iterator[Row]:
        about: Row = {"namespace_path": NAMESPACE, "description": "", "visibility": "private", "last_candidate_iid": 0}
        for index in range(self._scale.projects):
            path = f"project-{index}"
            names: Row = {"name": path, "path": path, "path_key": f"{NAMESPACE}/{path}", "last_experiment_iid": 1}
            yield about | names | self._made("projects", index)

    def _experiments(self) -> Iterator[Row]:
        for index in range(self._scale.projects):
            yield {"name": "[model]model", "iid": 1, "project_id": self._project(index)} | self._made(
                "experiments", index
            )

    def _models(self) -> Iterator[Row]:
        for index in range(self._scale.projects):
            owner: Row = {
                "project_id": self._project(index),
                "default_experiment_id": self._first["experiments"] + index,
            }
            yield {"name": "model", "description": ""} | owner | self._made("models", index)

    def _versions(self) -> Iterator[Row]:
        for index in range(self._scale.versions):
            owner: Row = {
                "project_id": self._project(self._owner(index)),
                "model_id": self._first["models"] + self._owner(index),
            }
            number: Row = {"version": f"{index + 1}.0.0", "major": index + 1, "minor": 0, "patch": 0}
            yield owner | number | self._made("model_versions", index) | EMPTY_VERSION

    def _packages(self) -> Iterator[Row]:
        for index in range(self._scale.versions):
            owner: Row = {
                "project_id": self._project(self._owner(index)),
                "model_version_id": self._first["model_versions"] + index,
            }
            yield (
                {"name": "model", "version": f"{index + 1}.0.0", "status": "default"}
                | owner
                | self._made("packages", index)
            )

    def _files(self, blobs: Sequence[str]) -> Iterator[Row]:
        big = self._scale.files // BIG_VERSION_SHARE
        for index in range(self._scale.files):
            version = 0 if index < big else index % self._scale.versions
            name = f"part-{index:07}/weights.bin"
            self._sample(index, version, name)
            yield {
                "package_id": self._first["packages"] + version,
                "name": name,
                "sha256": blobs[index % len(blobs)],
                "size": SMALL,
                "created_at": self._now,
            }

    def _sample(self, index: int, version: int, name: str) -> None:
        place = self._random.randrange(index + 1)
        chosen = (self._project(self._owner(version)), self._first["model_versions"] + version, name)
        if len(self.seeded.files) < SAMPLED:
            self.seeded.files.append(chosen)
        elif place < SAMPLED:
            self.seeded.files[place] = chosen

    def _owner(self, version: int) -> int:
        return 0 if version < self._scale.versions // BIG_PROJECT_SHARE else version % self._scale.projects

    def _project(self, index: int) -> int:
        return self._first["projects"] + index

    def _made(self, table: str, index: int) -> Row:
        moment = self._now - (self._scale.versions - index) * 1000
        return {"id": self._first[table] + index, "created_at": moment, "updated_at": moment}

    def _next_id(self, table: str) -> int:
        (largest,) = self._database.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()  # noqa: S608
        return int(largest) + 1


EMPTY_VERSION: Row = {"prerelease": "", "description": "", "source": "", "run_link": ""}


def _insert(database: sqlite3.Connection, table: str, rows: Iterable[Row]) -> None:
    iterator = iter(rows)
    first = next(iterator)
    names = ", ".join(first)
    statement = f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(first))})"  # noqa: S608 - names of ours
    database.execute(statement, tuple(first.values()))
    database.executemany(statement, (tuple(row.values()) for row in iterator))


def _write_blobs(data: Path) -> list[str]:
    digests = []
    for index in range(BLOBS):
        content = (b"%d " % index).ljust(SMALL, b"x")
        digest = hashlib.sha256(content).hexdigest()
        path = data / "blobs" / "sha256" / digest[:2] / digest[2:4] / digest
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        digests.append(digest)
    return digests
