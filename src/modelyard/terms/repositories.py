"""Repositories, as Hugging Face's clients name what is a model of a project here, and their revisions.

`namespace/project` is the project's primary model, `namespace__project/model` any model: every `/` of the project's
path is `__` there. Nothing is kept of it. A path with which that cannot be undone has no such name, so that no two
models share one: neither can anybody take another's by a path that is made for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

MAX_PART = 96  # characters
SEPARATOR = "__"
MAIN = "main"  # the revision that is the newest version
# First parts that mean something else to the clients, or lead to another part of the server.
RESERVED = frozenset({"api", "buckets", "datasets", "docs", "kernels", "models", "oauth", "spaces", "v2"})

# huggingface_hub's `validate_repo_id`.
PART = "^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$"
_PART = re.compile(PART)
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class RepositoryId:
    """`namespace/name`, each part within the clients' rule."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @classmethod
    def of(cls, namespace: str, name: str) -> Self | None:
        """The id of two parts; None where the clients would refuse it, or mean something else."""
        return cls(namespace, name) if _is_allowed(namespace, name) else None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The id that is written `namespace/name`; None for anything else."""
        namespace, slash, name = text.partition("/")
        return cls.of(namespace, name) if slash else None

    @property
    def primary_of(self) -> str | None:
        """The path of the project whose primary model is meant; None where a model is named."""
        return None if SEPARATOR in self.namespace else str(self)

    @property
    def project(self) -> str:
        """The path of the project in which the model of that name is meant, where `primary_of` is None."""
        return self.namespace.replace(SEPARATOR, "/")


def short_id(project_path: str) -> RepositoryId | None:
    """The id of the primary model of a project; None for one that has none."""
    found = RepositoryId.parse(project_path)
    return found if found is not None and found.primary_of is not None else None


def long_id(project_path: str, model: str) -> RepositoryId | None:
    """The id of any model of a project; None for one that has none."""
    found = RepositoryId.of(project_path.replace("/", SEPARATOR), model)
    return found if found is not None and found.project == project_path else None


def is_commit(revision: str) -> bool:
    """Whether a revision is what the clients take for a commit, and so for something that never changes."""
    return _COMMIT.fullmatch(revision) is not None


def _is_allowed(namespace: str, name: str) -> bool:
    if namespace.lower() in RESERVED or name.endswith(".git"):
        return False
    return all(
        len(part) <= MAX_PART and _PART.fullmatch(part) and "--" not in part and ".." not in part
        for part in (namespace, name)
    )
