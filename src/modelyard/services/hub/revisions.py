"""Which version a revision names."""

from __future__ import annotations

from modelyard.errors import RevisionNotFound
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Model, ModelVersion
from modelyard.services.models.semver import SemanticVersion
from modelyard.terms.repositories import MAIN


def find_version(registry: Registry, model: Model, revision: str) -> ModelVersion | None:
    """The version that a revision names which is no commit: `main`, the newest, or a semantic version, also with a
    `v` before it, or an alias. None for `main` of a model without versions.

    Raises RevisionNotFound.
    """
    if revision == MAIN:
        return registry.versions.latest(model.id)
    version = parse_version(revision)
    if version is not None:
        found = registry.versions.by_semver(model.id, version.text)
    else:
        found = registry.versions.by_alias(model.id, revision) if "\0" not in revision else None
    if found is None:
        raise RevisionNotFound(revision)
    return found


def parse_version(revision: str) -> SemanticVersion | None:
    """The semantic version that a revision writes, also with a `v` before it."""
    return SemanticVersion.parse(revision.removeprefix("v"))
