"""The files of a commit as a tree of folders."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from modelyard.services.hub.commits import Snapshot
from modelyard.services.hub.manifests import COMMIT_DIGITS, Entry


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of a commit, with an id that no other folder of any commit has."""

    name: str
    oid: str


Node = Entry | Folder


def nodes_in(snapshot: Snapshot, folder: str, *, recursive: bool) -> Iterator[Node]:
    """What lies in a folder (empty: the top), directly or at any depth, each folder before what is first in it."""
    prefix, seen = f"{folder}/" if folder else "", set[str]()
    for entry in snapshot.manifest.entries():
        if not entry.name.startswith(prefix):
            continue
        below = entry.name[len(prefix) :].split("/")
        for depth in range(1, len(below) if recursive else min(len(below), 2)):
            name = prefix + "/".join(below[:depth])
            if name not in seen:
                seen.add(name)
                yield folder_of(snapshot, name)
        if recursive or len(below) == 1:
            yield entry


def find_nodes(snapshot: Snapshot, names: Sequence[str]) -> Iterator[Node]:
    """The files and folders of those names, in that order; what is not there is left out."""
    for name in names:
        path = name.strip("/")
        if (entry := snapshot.manifest.find(path)) is not None:
            yield entry
        elif path and snapshot.manifest.has_folder(path):
            yield folder_of(snapshot, path)


def folder_of(snapshot: Snapshot, name: str) -> Folder:
    """A folder that is there."""
    return Folder(name, hashlib.sha256(f"folder {snapshot.commit}/{name}".encode()).hexdigest()[:COMMIT_DIGITS])
