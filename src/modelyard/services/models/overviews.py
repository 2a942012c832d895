"""Models and versions as pages tell of them: with what is in them, and by their ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelyard.errors import NotFound
from modelyard.registry.files.folders import Content
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Candidate, CandidateDataset, Experiment, Model, ModelVersion
from modelyard.services.models.measured import measured
from modelyard.services.models.registered import ModelView, search_models
from modelyard.services.models.versions import VersionView, search_versions, version_views
from modelyard.services.tracking.experiments import Search
from modelyard.services.tracking.run_columns import Cell, Column, read_cells, usual_columns

NO_CONTENT = Content()
MAX_SIBLINGS = 10
MAX_ELSEWHERE = 20
MAX_COLUMNS = 6  # of runs from elsewhere


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model in a list."""

    view: ModelView
    latest: ModelVersion | None  # the highest
    versions: int
    content: Content  # of the latest


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version in a list, with the last values of its metrics, and the run that they were logged to."""

    view: VersionView
    content: Content
    metrics: Mapping[str, float | None]  # None: NaN
    run: Candidate | None  # None: it is none of this project


@dataclass(frozen=True, slots=True)
class VersionDetails:
    """A version with what is in it, where the files of older versions of a name do not count."""

    view: VersionView
    model: Model
    candidate: Candidate
    content: Content
    before: ModelVersion | None  # the version that was made before
    after: ModelVersion | None


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a version comes from."""

    run: Candidate | None = None  # None: it is none of this project
    experiment: Experiment | None = None  # the run's
    datasets: Sequence[CandidateDataset] = ()  # that the run took in
    siblings: Sequence[VersionView] = ()  # other versions of the same run


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Runs of other experiments that are versions of a model, with some of what was logged to them."""

    columns: Sequence[Column]
    rows: Sequence[tuple[Candidate, Experiment, ModelVersion, Sequence[Cell]]]
    more: bool


def model_by_id(registry: Registry, project_id: int, model_id: int) -> Model:
    """A project's model of that id. Raises NotFound."""
    model = registry.models.by_ids([model_id]).get(model_id)
    if model is None or model.project_id != project_id:
        raise NotFound("Model")
    return model


def version_by_id(registry: Registry, project_id: int, model_id: int, version_id: int) -> tuple[Model, ModelVersion]:
    """A model of a project and a version of it, by their ids. Raises NotFound."""
    model = model_by_id(registry, project_id, model_id)
    version = registry.versions.of_model(model.id, version_id)
    if version is None:
        raise NotFound("Version")
    return model, version


def model_rows(registry: Registry, project_id: int, search: Search) -> tuple[list[ModelRow], str | None]:
    """A page of models and the token of the next. Raises InvalidValue."""
    views, following = search_models(registry, project_id, search)
    ids = [view.model.id for view in views]
    counts, highest = registry.overview.versions_of(ids), registry.overview.highest_of(ids)
    contents = registry.overview.contents([version.id for version in highest.values()])

    def row(view: ModelView) -> ModelRow:
        latest = highest.get(view.model.id)
        content = contents.get(latest.id, NO_CONTENT) if latest else NO_CONTENT
        return ModelRow(view, latest, counts.get(view.model.id, 0), content)

    return [row(view) for view in views], following


def version_rows(
    registry: Registry, project_id: int, model: Model, limit: int, token: str | None
) -> tuple[list[VersionRow], str | None]:
    """A page of a model's versions, the last made first, and the token of the next. Raises InvalidValue."""
    quoted = model.name.replace("'", "''")
    search = Search(f"name = '{quoted}'", ["version_number DESC"], limit=limit, page_token=token)
    views, following = search_versions(registry, project_id, search)
    ids = [view.version.id for view in views]
    contents, logged = registry.overview.contents(ids), measured(registry, project_id, [view.version for view in views])

    def row(view: VersionView) -> VersionRow:
        content, told = contents.get(view.version.id, NO_CONTENT), logged[view.version.id]
        return VersionRow(view, content, {name: value for name, value, _at, _step in told.metrics}, told.run)

    return [row(view) for view in views], following


def newest_versions(registry: Registry, project_ids: Sequence[int], limit: int) -> list[VersionView]:
    """The versions of some projects that were made last."""
    return version_views(registry, registry.overview.newest_versions(project_ids, limit))


def version_details(
    registry: Registry, model: Model, version: ModelVersion, content: Content | None = None
) -> VersionDetails:
    """A version with all that a page tells of it; `content` where that is known."""
    candidate = registry.runs.of_versions([version.id])[version.id]
    before, after = registry.overview.neighbours(version)
    return VersionDetails(
        version_views(registry, [version])[0],
        model,
        candidate,
        content or registry.overview.contents([version.id]).get(version.id, NO_CONTENT),
        before,
        after,
    )


def lineage(registry: Registry, version: ModelVersion, candidate: Candidate) -> Lineage:
    """Where a version comes from: its candidate is the run itself, or was made for a version of another run."""
    own = version.run_id in {"", candidate.eid}
    run = candidate if own else registry.runs.by_eid(version.project_id, version.run_id)
    if run is None:
        return Lineage()
    datasets = registry.run_data.datasets([run.id]).get(run.id, [])
    siblings = registry.overview.of_run(version.project_id, run.eid, version.id, MAX_SIBLINGS)
    views = version_views(registry, siblings) if siblings else []
    return Lineage(run, registry.experiments.of(run), datasets, views)


def runs_elsewhere(registry: Registry, model: Model) -> Elsewhere | None:
    """The runs of the newest versions of a model that are not of its own experiment; None where there are none."""
    found = registry.overview.runs_elsewhere(model, MAX_ELSEWHERE + 1)
    if not found:
        return None
    shown = found[:MAX_ELSEWHERE]
    ids = list(dict.fromkeys(run.id for run, _experiment, _version in shown))
    columns = usual_columns(registry, ids)[:MAX_COLUMNS]
    cells = read_cells(registry, ids, columns)
    rows = [(run, experiment, version, cells[run.id]) for run, experiment, version in shown]
    return Elsewhere(columns, rows, len(found) > len(shown))
