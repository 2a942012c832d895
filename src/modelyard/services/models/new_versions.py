"""Making versions of registered models, with their candidate and package: from a run, from files here, or empty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from modelyard.access.identity import Identity
from modelyard.errors import InvalidValue
from modelyard.registry.files.following import Followed
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Candidate, Model, ModelVersion, Package
from modelyard.services.files import following, packages
from modelyard.services.files.quota import limit_of, within
from modelyard.services.models import sources
from modelyard.services.models.logged_models import note_version
from modelyard.services.models.semver import SemanticVersion
from modelyard.services.models.uris import ReadSource
from modelyard.services.models.versions import VersionView, files_elsewhere, find_model, job_of, version_views
from modelyard.services.tracking.limits import MAX_DESCRIPTION, MAX_SOURCE, check_length, check_registry_tags
from modelyard.services.tracking.runs import active_run, add_candidate, new_run_id, random_name

VERSION_TAG = "gitlab.version"


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What a client says of a version to be made."""

    model: str
    description: str = ""
    source: str = ""
    run_id: str | None = None
    model_id: str | None = None  # the logged model that it is made from
    run_link: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


def create_version(
    registry: Registry,
    caller: Identity,
    project_id: int,
    new: NewVersion,
    read_source: ReadSource,
    project_quota: int = 0,
) -> VersionView:
    """Make a version with its candidate and package.

    The semantic version is the tag `gitlab.version`, or the next patch of the highest. With a run and no source but
    the run itself, the run is promoted: it becomes the version's candidate, and its files are the version's. Any other
    source on this server (`read_source` tells) lends its files, as does a run that was promoted before: the version
    points at the same blobs, and follows it (see `services.files.following`). The run of a source elsewhere may live
    there as well. What is lent counts towards the project's limit, `project_quota` bytes unless it has one of its own.
    Raises as `sources.resolve` does, and OverQuota.
    """
    check_length("Description", new.description, MAX_DESCRIPTION)
    check_length("Source", new.source, MAX_SOURCE)
    check_registry_tags(new.tags)
    model = find_model(registry, project_id, new.model)
    asked = sources.Asked(new.source, new.run_id, new.model_id)
    source = sources.resolve(registry, caller, project_id, asked, read_source)
    run = _run_to_promote(registry, project_id, new.run_id, source)
    if run is not None:
        version, message = _promote(registry, caller, model, new, source, run), ""
    else:
        version, message = _add_version_from(registry, caller, model, new, source, project_quota)
    origin = _note_origin(registry, caller, version)
    if version.logged_model_id is not None:
        note_version(registry, project_id, version.logged_model_id, model.name, version.id)
    facts: dict[str, object] = {"add": "ml_model_version", "model": model.name, "run_id": version.run_id}
    if source.owner is not None and source.owner.project_id != project_id:
        facts["source_project_id"] = source.owner.project_id
    registry.audit.note("ml_model_version_created", version, facts)
    if version.logged_model_id is not None:
        return replace(version_views(registry, [version])[0], message=message)
    return VersionView(version, model.name, None, dict(sorted(new.tags.items())), [], message, origin)


def _add_version(
    registry: Registry,
    caller: Identity,
    model: Model,
    new: NewVersion,
    source: sources.Source,
    run_id: str,
    followed: Followed,
) -> ModelVersion:
    semver = _semantic_version(registry, model, new.tags.get(VERSION_TAG))
    version = ModelVersion(
        project_id=model.project_id,
        model_id=model.id,
        version=semver.text,
        major=semver.major,
        minor=semver.minor,
        patch=semver.patch,
        prerelease=semver.prerelease,
        description=new.description,
        source=source.text,
        run_id=run_id,
        location=source.location if source.location != source.text else "",
        run_link=new.run_link,
        logged_model_id=source.owner.logged_model_id if source.owner else None,
        followed_candidate_id=followed.candidate_id,
        followed_model_id=followed.logged_model_id,
        followed_directory=followed.directory,
        user_id=caller.user_id,
    )
    registry.versions.add(version, new.tags)
    return version


def _note_origin(registry: Registry, caller: Identity, version: ModelVersion) -> Mapping[str, str] | None:
    """Keep which job makes a version, if it is one that its issuer has vouched for; see `services.identity.origins`."""
    if caller.job_project_id is None or caller.token_id is None:
        return None
    facts = registry.publishers.origin_of(caller.token_id)
    if facts is None:
        return None
    registry.versions.add_origin(version.id, facts)
    return job_of(facts)


def _semantic_version(registry: Registry, model: Model, wanted: str | None) -> SemanticVersion:
    if not wanted:
        highest = registry.versions.highest_number(model.id)
        return SemanticVersion.following(*highest) if highest else SemanticVersion.first()
    version = SemanticVersion.parse(wanted)
    if version is None:
        raise InvalidValue("Version must be semantic version")
    if registry.versions.by_semver(model.id, wanted) is not None:
        raise InvalidValue("Version has already been taken")
    return version


def _run_to_promote(
    registry: Registry, project_id: int, run_id: str | None, source: sources.Source
) -> Candidate | None:
    """The run that becomes the version: it alone is named, or it is also the source, and is no version yet."""
    if not run_id or (source.text and source.owner is None):
        return None
    if source.owner is None:
        alone = active_run(registry, project_id, run_id)
        if alone.model_version_id is not None:
            raise InvalidValue("Run has already a model version")
        return alone
    run = registry.runs.by_eid(project_id, run_id)
    if run is None or not source.is_run(run) or run.model_version_id is not None or run.deleted_at is not None:
        return None
    return run


def _promote(
    registry: Registry, caller: Identity, model: Model, new: NewVersion, source: sources.Source, run: Candidate
) -> ModelVersion:
    """A version that is the run, and has its files."""
    registry.versions.reserve(ModelVersion)
    version = _add_version(registry, caller, model, new, source, run.eid, Followed())
    run.model_version_id = version.id
    packages.promote(registry, run, version.id, caller)
    return version


def _add_version_from(
    registry: Registry, caller: Identity, model: Model, new: NewVersion, source: sources.Source, project_quota: int
) -> tuple[ModelVersion, str]:
    """A version with a candidate and a package of its own, which gets the files of the source; and what of it is less
    than was asked.
    """
    eid, owner = new_run_id(), source.owner
    registry.projects.expect_candidate(model.project_id, ModelVersion, Package)
    run_id = new.run_id or (owner.run_id if owner else "") or eid
    followed = following.choose(registry, owner, source.directory) if owner else Followed()
    version = _add_version(registry, caller, model, new, source, run_id, followed)
    candidate = Candidate(
        project_id=model.project_id,
        experiment_id=model.default_experiment_id,
        model_version_id=version.id,
        eid=eid,
        name=random_name(),
        start_time=0,
    )
    add_candidate(registry, caller, candidate, {})
    package = packages.add_for_version(registry, caller, version, model.name)
    if owner is not None and owner.package is not None:
        with within(registry, model.project_id, limit_of(registry.storage.limit(model.project_id), project_quota)):
            registry.packages.link_files(owner.package, source.directory, package)
    return version, _shortfall(source, followed, filled=owner is not None and registry.packages.has_files(package.id))


def _shortfall(source: sources.Source, followed: Followed, *, filled: bool) -> str:
    """What a version has not got that it was made for, in words."""
    if filled:
        return "" if followed != Followed() else following.TOO_MANY
    if source.location:
        return files_elsewhere(source.location)
    return "There are no files at the source yet" if source.owner is not None else ""
