"""Where the files of a new version come from: the `source` that MLflow's clients give, read as a place in this project.

Anything that is no such place (another store's URI, a word, nothing) is kept as text and lends no files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from modelyard.errors import DoesNotExist, InvalidValue, ParameterError
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Candidate
from modelyard.services.owners import Owner, find_owner, of_candidate
from modelyard.wire.paths import OwnerKind, OwnerRef, parse_artifact_path, parse_file_name, parse_id

_LOGGED = re.compile(r"m-[0-9a-f]{32}")
_ARTIFACTS_API = "/mlflow-artifacts/artifacts/"
_FILE_API = re.compile(r"/packages/ml_models/([^/]+)/files/?(.*)")


@dataclass(frozen=True, slots=True)
class Source:
    """Whose files are meant and the directory that they lie in (empty: the top); no owner for a source elsewhere."""

    owner: Owner | None = None
    directory: str = ""
    named: bool = True  # whether the client named any source at all

    def is_run(self, run: Candidate) -> bool:
        """Whether the source is the run as a whole."""
        return self.owner is not None and self.owner.candidate_id == run.id and not self.directory

    @property
    def logged_model_id(self) -> int | None:
        """The logged model that the files are of."""
        return self.owner.logged_model_id if self.owner else None


def resolve(registry: Registry, project_id: int, source: str, model_id: str | None) -> Source:
    """What a source names. Raises DoesNotExist for a run, version or logged model that is not there."""
    scheme, _, rest = source.partition(":/")
    rest = rest.strip("/")
    if scheme == "models":
        return _model_source(registry, project_id, rest)
    if scheme == "runs":
        run_id, _, directory = rest.partition("/")
        run = registry.runs.by_eid(project_id, run_id)
        if run is None:
            raise DoesNotExist(f"Run with id={run_id} not found")
        return Source(of_candidate(registry, run), directory)
    if (place := _place(source)) is not None:
        return Source(find_owner(registry, project_id, place[0]), place[1])
    if model_id:
        return Source(find_owner(registry, project_id, OwnerRef(OwnerKind.LOGGED_MODEL, model_id)))
    return Source(named=bool(source))


def _model_source(registry: Registry, project_id: int, rest: str) -> Source:
    """`m-…` and a directory, or `name/version` with an id or a semantic version: what `models:/` URIs name."""
    head, _, tail = rest.partition("/")
    if _LOGGED.fullmatch(head):
        return Source(find_owner(registry, project_id, OwnerRef(OwnerKind.LOGGED_MODEL, head)), tail)
    name, _, version = rest.rpartition("/")
    model, versions = registry.models.by_name(project_id, name), registry.versions
    found = model and (versions.of_model(model.id, parse_id(version)) or versions.by_semver(model.id, version))
    if not found:
        raise DoesNotExist(f"Model version (name={name}, version={version}) not found")
    return Source(find_owner(registry, project_id, OwnerRef(OwnerKind.VERSION, found.id)))


def _place(source: str) -> tuple[OwnerRef, str] | None:
    """Owner and directory of an artifact URI, in any of the forms that a run's `artifact_uri` takes here."""
    scheme, _, rest = source.partition(":/")
    try:
        path = urlsplit(source).path
    except ValueError:  # brackets that are no address's: a word like any other
        return None
    match = _FILE_API.search(path)
    if scheme == "mlflow-artifacts":
        owner, directory = parse_artifact_path(rest.lstrip("/"))
    elif _ARTIFACTS_API in path:
        owner, directory = parse_artifact_path(path.partition(_ARTIFACTS_API)[2])
    elif scheme in {"http", "https"} and match:
        owner, directory = parse_artifact_path(f"{match[1]}/{match[2]}")
    else:
        return None
    directory = directory.strip("/")
    try:
        return owner, parse_file_name(directory) if directory else ""
    except ParameterError as error:
        raise InvalidValue(f"Invalid source: {error.body['error']}") from error
