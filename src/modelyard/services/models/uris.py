"""What the URIs say by which MLflow's clients name files, before anybody looks whether it is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from modelyard.terms.paths import OwnerRef, ProjectRef

ARTIFACTS, RUNS, MODELS = "mlflow-artifacts", "runs", "models"


@dataclass(frozen=True, slots=True)
class RunUri:
    """`runs:/<run id>/<directory>`."""

    run_id: str
    directory: str


@dataclass(frozen=True, slots=True)
class ModelUri:
    """`models:/<name>/<version>`, where an id, a semantic version, a stage or `latest` names the version, or
    `models:/<name>@<alias>`.
    """

    name: str
    version: str = ""
    alias: str = ""
    directory: str = ""  # MLflow has no URIs of directories in a version


@dataclass(frozen=True, slots=True)
class Place:
    """A directory among the files of a version, a candidate or a logged model."""

    owner: OwnerRef
    directory: str
    project: ProjectRef | None = None  # None: the URI does not say
    readable: bool = True  # whether MLflow's clients can list and download by the URI; see `paths.artifact_uri`


@dataclass(frozen=True, slots=True)
class LoggedModelUri(Place):
    """`models:/m-…/<directory>`."""


SourceUri = RunUri | ModelUri | Place

ReadSource = Callable[[str], SourceUri | None]
"""What a version's source names on this server; None for what lies elsewhere, and for what is no URI.

Raises InvalidValue for a path that no file can have, and where another registry is named, as MLflow does.
"""


def is_elsewhere(text: str) -> bool:
    """Whether a source is a place that only the client can reach: another store's URI, or a path."""
    scheme, _, rest = text.partition(":")
    if scheme.lower() == ARTIFACTS:
        return rest.startswith("//") and not rest.startswith("///")
    return scheme.lower() not in {RUNS, MODELS} and ("/" in text or "\\" in text)
