"""Where the files of a new version come from: the `source` that MLflow's clients give.

It lends files where it names a place on this server: in this project, or in another one that the caller may read.
Anything else (another store's URI, a path, a word, nothing) is kept as text and lends no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from modelyard.access.identity import Identity
from modelyard.errors import DoesNotExist, InvalidValue, ProjectNotFound
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Candidate, Model, ModelVersion
from modelyard.services.files.owners import Owner, find_owner, of_candidate, of_logged_model, of_version
from modelyard.services.models.names import LATEST
from modelyard.services.models.semver import SemanticVersion
from modelyard.services.models.stages import Stage
from modelyard.services.models.uris import (
    LoggedModelUri,
    ModelUri,
    Place,
    ReadSource,
    RunUri,
    SourceUri,
    is_elsewhere,
)
from modelyard.services.people.authentication import see_project
from modelyard.terms.paths import CANDIDATE, LOGGED_MODELS_ROOT, NOBODY, OwnerKind, ProjectRef, artifact_uri, parse_id


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client says of where a version comes from."""

    source: str = ""
    run_id: str | None = None  # the run that it belongs to
    model_id: str | None = None  # the logged model that it is made from


@dataclass(frozen=True, slots=True)
class Source:
    """Whose files are meant and the directory that they lie in (empty: the top); no owner for a source elsewhere."""

    text: str  # as the version is to keep it
    owner: Owner | None = None
    directory: str = ""
    location: str = ""  # where the files lie that are not on this server

    def is_run(self, run: Candidate) -> bool:
        """Whether the source is the run as a whole."""
        return self.owner is not None and self.owner.candidate_id == run.id and not self.directory


def resolve(registry: Registry, caller: Identity, project_id: int, asked: Asked, read: ReadSource) -> Source:
    """What a source names.

    Raises DoesNotExist for what is not there or not for the caller to see, Forbidden for a job token in another
    project, and InvalidValue for a run or logged model that the source does not belong to: MLflow's clients name the
    one that they took it from, and elsewhere the same URI may mean other files.
    """
    finder = _Finder(registry, caller, project_id)
    named = read(asked.source)
    if named is None:
        location = asked.source if is_elsewhere(asked.source) else ""
        return Source(asked.source, finder.logged_model(asked.model_id) if asked.model_id else None, location=location)
    text, owner = finder.find(named, asked)
    _require_lineage(owner, asked, finder, by_run=not isinstance(named, LoggedModelUri))
    return Source(text, owner, named.directory, _inherited(registry, owner, named.directory))


def location_of(registry: Registry, version: ModelVersion) -> str:
    """Where the files of a version lie that are not on this server: at its source, or where those of the version lay
    that it was copied from. Empty once files were uploaded to it: these win.
    """
    package = registry.packages.of_version(version.id)
    if package is not None and registry.packages.has_files(package.id):
        return ""
    return version.location or (version.source if is_elsewhere(version.source) else "")


def locations_of(registry: Registry, versions: Sequence[ModelVersion]) -> dict[int, str]:
    """Where the files of versions lie that are not on this server, as `location_of`, by the ids of those versions.

    What follows files here, at a source that names this server by its address, waits for them.
    """

    def told(version: ModelVersion) -> str:
        follows = version.followed_candidate_id is not None or version.followed_model_id is not None
        return version.location or (version.source if not follows and is_elsewhere(version.source) else "")

    places = {version.id: place for version in versions if (place := told(version))}
    filled = registry.packages.filled(list(places)) if places else set()
    return {version_id: place for version_id, place in places.items() if version_id not in filled}


def _inherited(registry: Registry, owner: Owner, directory: str) -> str:
    """Where the files in a directory lie of a version whose files are not on this server."""
    version = registry.versions.by_id(owner.project_id, owner.version_id) if owner.version_id is not None else None
    location = location_of(registry, version) if version is not None else ""
    return f"{location.rstrip('/')}/{directory}" if location and directory else location


@dataclass(frozen=True, slots=True)
class _Finder:
    """Looks up whose files a URI means, for a caller who acts in a project."""

    registry: Registry
    caller: Identity
    project_id: int

    def find(self, named: SourceUri, asked: Asked) -> tuple[str, Owner]:
        """The URI as it is to be kept, and whose files it means."""
        if isinstance(named, RunUri):
            return asked.source, self.run(named.run_id)
        if isinstance(named, ModelUri):
            return self.version(named, asked)
        if isinstance(named, LoggedModelUri):
            return asked.source, self.logged_model(str(named.owner.key))
        return self.place(named, asked)

    def run(self, run_id: str) -> Owner:
        """The run of that id."""
        home = self._seen(self.registry.runs.home_of(run_id))
        run = self.registry.runs.by_eid(home, run_id) if home is not None else None
        if run is None:
            raise DoesNotExist(f"Run with id={run_id} not found")
        return of_candidate(self.registry, run)

    def logged_model(self, model_id: str) -> Owner:
        """The logged model of that id."""
        home = self._seen(self.registry.logged_models.home_of(model_id))
        model = self.registry.logged_models.by_eid(home, model_id) if home is not None else None
        if model is None:
            raise DoesNotExist(f"Logged model with id '{model_id}' not found")
        return of_logged_model(self.registry, model)

    def version(self, uri: ModelUri, asked: Asked) -> tuple[str, Owner]:
        """The version of a `models:/` URI. What may name another one tomorrow, or does so in another project, is kept
        as what names that version alone.
        """
        model = self.registry.models.by_name(self.project_id, uri.name)
        version = (model and self._version_of(model, uri)) or self._version_elsewhere(uri)
        if version is None:
            raise DoesNotExist(f"Model version (name={uri.name}, version={uri.version or uri.alias}) not found")
        text = asked.source
        if version.project_id != self.project_id:
            text = artifact_uri(version.project_id, version.id)
        elif uri.version not in {str(version.id), version.version}:
            text = f"models:/{uri.name}/{version.id}"
        return text, of_version(self.registry, version)

    def place(self, place: Place, asked: Asked) -> tuple[str, Owner]:
        """The owner of the files at an artifact URI. One that clients cannot read, or that means other files below the
        tracking URI of this project, is kept as one that tells the project.
        """
        home = self._home(place, asked)
        try:
            owner = find_owner(self.registry, home, place.owner)
        except DoesNotExist as error:
            raise (_foreign(asked, "run_id") if asked.run_id else error) from error
        kept = place.readable and (place.project is not None or home == self.project_id)
        return asked.source if kept else _with_project(home, place), owner

    def _home(self, place: Place, asked: Asked) -> int:
        """The id of the project where a place lies: the one that it names, that of what has its id in all projects, or
        for candidates, which count in each, that of the run.
        """
        if place.project is not None:
            return self._see(place.project)
        key = place.owner.key
        if place.owner.kind is OwnerKind.VERSION:
            return self._seen(self.registry.versions.home_of(int(key))) or self.project_id
        if place.owner.kind is OwnerKind.LOGGED_MODEL:
            return self._seen(self.registry.logged_models.home_of(str(key))) or self.project_id
        if not asked.run_id:
            return self.project_id
        home = self._seen(self.registry.runs.home_of(asked.run_id))
        if home is None:
            raise _foreign(asked, "run_id")
        return home

    def _version_of(self, model: Model, uri: ModelUri) -> ModelVersion | None:
        """A version of a model of this project."""
        versions = self.registry.versions
        if uri.alias.lower() == LATEST:
            return versions.latest(model.id)
        if not uri.version:
            return versions.by_alias(model.id, uri.alias) or versions.by_semver(model.id, uri.alias)
        if parse_id(uri.version) != NOBODY:
            return versions.of_model(model.id, parse_id(uri.version))
        if SemanticVersion.parse(uri.version):
            return versions.by_semver(model.id, uri.version)
        latest = versions.latest_of_stages([model.id])
        if uri.version.lower() == LATEST:  # as MLflow's clients read it
            return max(latest, key=lambda version: version.id, default=None)
        stage = Stage.of(uri.version)
        return next((version for version in latest if version.stage == stage), None)

    def _version_elsewhere(self, uri: ModelUri) -> ModelVersion | None:
        """A version of another project; only its id names it there, as names of models count in each project."""
        version_id = parse_id(uri.version)
        home = self._seen(self.registry.versions.home_of(version_id))
        version = self.registry.versions.by_id(home, version_id) if home is not None else None
        if version is None:
            return None
        return version if self.registry.models.by_ids([version.model_id])[version.model_id].name == uri.name else None

    def _see(self, ref: ProjectRef) -> int:
        try:
            return see_project(self.registry, self.caller, ref)
        except ProjectNotFound as error:
            raise DoesNotExist(f"No project {ref} exists, or none that you may read") from error

    def _seen(self, home: int | None) -> int | None:
        """The id of a project if the caller may read it, else None."""
        if home is None or home == self.project_id:
            return home
        try:
            return see_project(self.registry, self.caller, home)
        except ProjectNotFound:
            return None


def _require_lineage(owner: Owner, asked: Asked, finder: _Finder, *, by_run: bool) -> None:
    """Hold the owner against the run and the logged model that the source is said to belong to, as MLflow does."""
    if by_run and asked.run_id and asked.run_id not in owner.run_ids:
        raise _foreign(asked, "run_id")
    if asked.model_id and owner.logged_model_id != finder.logged_model(asked.model_id).logged_model_id:
        raise _foreign(asked, "model_id")


_ROOTS = {OwnerKind.CANDIDATE: CANDIDATE, OwnerKind.LOGGED_MODEL: f"{LOGGED_MODELS_ROOT}/", OwnerKind.VERSION: ""}


def _with_project(project_id: int, place: Place) -> str:
    """The URI by which MLflow's clients can read what lies at a place, below any project's tracking URI."""
    owner = f"{_ROOTS[place.owner.kind]}{place.owner.key}"
    return artifact_uri(project_id, owner) + (f"/{quote(place.directory)}" if place.directory else "")


def _foreign(asked: Asked, parameter: str) -> InvalidValue:
    return InvalidValue(
        f"Invalid model version source: '{asked.source}'. {parameter} must name what the source belongs to here"
    )
