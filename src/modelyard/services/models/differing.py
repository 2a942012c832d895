"""What two versions of a model differ in: files by their digests, parameters, metrics, and the lines of their cards."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelyard.errors import BadRequest
from modelyard.registry.hub.commits import CurrentFile
from modelyard.registry.repository import Registry
from modelyard.registry.tables import ModelVersion
from modelyard.services.models.measured import measured

MAX_FILES = 100_000  # of each version


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that is not the same in both versions; `before` and `after` are digest and bytes, None: not there."""

    kind: str  # added, removed, changed or renamed
    name: str
    before: tuple[str, int] | None
    after: tuple[str, int] | None
    was: str = ""  # the name before, of one that was renamed


@dataclass(frozen=True, slots=True)
class ValueChange:
    """A parameter or metric that is not the same in both; None: it is not there."""

    key: str
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class Difference:
    """What is not the same in two versions; `same_files`: how many files are."""

    files: Sequence[FileChange]
    same_files: int
    params: Sequence[ValueChange]
    metrics: Sequence[ValueChange]
    card: Sequence[tuple[str, str]]  # lines, each after `+`, `-`, ` ` or `@`


def difference(registry: Registry, before: ModelVersion, after: ModelVersion) -> Difference:
    """What two versions of one model differ in. Raises BadRequest for more files than are compared."""
    files, same = file_changes(_files(registry, before), _files(registry, after))
    logged = measured(registry, before.project_id, [before, after])
    old, new = logged[before.id], logged[after.id]
    metrics = [{name: value for name, value, *_rest in each.metrics} for each in (old, new)]
    return Difference(
        files,
        same,
        _changes(old.params, new.params),
        _changes(metrics[0], metrics[1]),
        _lines(before.description, after.description),
    )


def file_changes(before: Sequence[CurrentFile], after: Sequence[CurrentFile]) -> tuple[list[FileChange], int]:
    """What became of files, by name, and how many stayed as they were. The same bytes by another name were renamed."""
    old, new = ({name: (sha256, size) for name, sha256, size in files} for files in (before, after))
    gone: dict[str, list[str]] = defaultdict(list)
    for name in sorted(old.keys() - new.keys(), reverse=True):
        gone[old[name][0]].append(name)
    changes, same = [], 0
    for name, content in new.items():
        if name not in old:
            was = gone[content[0]].pop() if gone.get(content[0]) else ""
            kind = "renamed" if was else "added"
            changes.append(FileChange(kind, name, old.get(was), content, was))
        elif old[name][0] != content[0]:
            changes.append(FileChange("changed", name, old[name], content))
        else:
            same += 1
    changes += [FileChange("removed", name, old[name], None) for names in gone.values() for name in names]
    return sorted(changes, key=lambda change: change.name), same


def _files(registry: Registry, version: ModelVersion) -> list[CurrentFile]:
    package = registry.packages.of_version(version.id)
    found = registry.commits.files(package.id, MAX_FILES + 1) if package else []
    if len(found) > MAX_FILES:
        raise BadRequest(f"Version {version.version} has more than {MAX_FILES} files, which are not compared")
    return found


def _changes(before: Mapping[str, object], after: Mapping[str, object]) -> list[ValueChange]:
    keys = sorted(before.keys() | after.keys())
    return [
        ValueChange(key, before.get(key), after.get(key))
        for key in keys
        if (key in before) != (key in after) or before.get(key) != after.get(key)
    ]


def _lines(before: str, after: str) -> list[tuple[str, str]]:
    compared = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3)
    told = [line for line in compared if not line.startswith(("---", "+++"))]
    return [(line[:1], line[1:] if line[:1] in "+- " else line) for line in told]
