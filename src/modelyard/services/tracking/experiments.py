"""Experiments: groups of runs, within a project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from modelyard.access.identity import Identity
from modelyard.clock import now
from modelyard.errors import AlreadyExists, BadRequest, DoesNotExist, InvalidValue
from modelyard.registry.repository import Registry
from modelyard.registry.search.pages import decode_token, encode_token
from modelyard.registry.search.runs import View
from modelyard.registry.tables import Experiment
from modelyard.registry.tracking.experiments import DEFAULT_NAME
from modelyard.services.tracking.limits import MAX_EXPERIMENT_NAME, check_tags
from modelyard.terms.filters import Clause, parse_filter, parse_orders
from modelyard.terms.paths import NOBODY, parse_id

# MLflow's clients start runs in experiment 0 when nobody named one. GitLab has none, and fails.
DEFAULT_ID = 0
MOST_RUNS = 1_000  # of an experiment, as far as a list counts them
MAX_COMPARISONS = 100_000  # of clauses with experiments


@dataclass(frozen=True, slots=True)
class ExperimentView:
    """An experiment with its tags."""

    experiment: Experiment
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Search:
    """What every search of MLflow's takes."""

    filter: str | None = None
    order_by: Sequence[str] = field(default_factory=list)
    view: View = View.ACTIVE_ONLY
    limit: int = 200
    page_token: str | None = None

    @property
    def identity(self) -> tuple[object, ...]:
        """All that a page token belongs to."""
        return self.filter, tuple(self.order_by), self.view


def create_experiment(
    registry: Registry, caller: Identity, project_id: int, name: str, tags: Mapping[str, str]
) -> Experiment:
    """Make an experiment. Raises AlreadyExists, and InvalidValue for a name that is blank or too long."""
    _check_name(name)
    check_tags(tags)
    _check_free(registry, project_id, name)
    return add_experiment(registry, caller, project_id, name, tags)


def add_experiment(
    registry: Registry, caller: Identity, project_id: int, name: str, tags: Mapping[str, str]
) -> Experiment:
    """Make an experiment with the next iid of its project; its name must be free."""
    iid = registry.projects.next_experiment_iid(project_id)
    experiment = Experiment(project_id=project_id, iid=iid, name=name, user_id=caller.user_id)
    return registry.experiments.add(experiment, tags)


def add_default(registry: Registry, project_id: int) -> Experiment:
    """Make a project's default experiment, which stays that whatever becomes of it."""
    experiment = registry.experiments.add(Experiment(project_id=project_id, iid=DEFAULT_ID, name=DEFAULT_NAME), {})
    registry.projects.keep_default_experiment(project_id, experiment.id)
    return experiment


def find_experiment(registry: Registry, project_id: int, experiment_id: str) -> Experiment:
    """The experiment of that id, deleted or not. Raises DoesNotExist."""
    experiment = _find(registry, project_id, experiment_id)
    if experiment is None:
        raise DoesNotExist(f"No experiment with id {experiment_id} exists")
    return experiment


def active_experiment(registry: Registry, project_id: int, experiment_id: str) -> Experiment:
    """The experiment of that id to write into. Raises DoesNotExist."""
    experiment = _find(registry, project_id, experiment_id)
    if experiment is None and parse_id(experiment_id) == DEFAULT_ID:
        return add_default(registry, project_id)  # an older version, still running beside, made the project
    if experiment is None:
        raise DoesNotExist(f"No experiment with id {experiment_id} exists")
    if experiment.deleted_at is not None:
        raise DoesNotExist(f"The experiment with id {experiment_id} is deleted")
    return experiment


def searched_experiments(registry: Registry, project_id: int, experiment_ids: Sequence[str]) -> list[int]:
    """The internal ids of the experiments that a search names; as in MLflow, unknown ones among them have no runs.

    Raises DoesNotExist where all of them are unknown, or one is no id.
    """
    if not experiment_ids:
        raise DoesNotExist("No experiment is named")
    iids = [parse_id(each) for each in experiment_ids]
    found = {experiment.id for experiment in registry.experiments.by_iids(project_id, list(set(iids)))}
    if DEFAULT_ID in iids and (default := registry.experiments.default(project_id)):
        found.add(default.id)
    if NOBODY in iids or not found:
        wrong = experiment_ids[iids.index(NOBODY) if NOBODY in iids else 0]
        raise DoesNotExist(f"No experiment with id {wrong} exists")
    return sorted(found)


def check_extent(experiment_ids: Sequence[str], clauses: Sequence[Clause]) -> None:
    """Let searches pass of which the database can hold filter and experiments. Raises InvalidValue."""
    if len(experiment_ids) * len(clauses) > MAX_COMPARISONS:
        most = MAX_COMPARISONS // len(clauses)
        raise InvalidValue(f"A filter of {len(clauses)} clauses can be asked of at most {most} experiments at a time")


def get_experiment(registry: Registry, project_id: int, experiment_id: str) -> ExperimentView:
    """An experiment with its tags. Raises DoesNotExist."""
    return _view(registry, find_experiment(registry, project_id, experiment_id))


def get_by_name(registry: Registry, project_id: int, name: str) -> ExperimentView:
    """The experiment of exactly that name. Raises DoesNotExist."""
    experiment = registry.experiments.by_name(project_id, name)
    if experiment is None:
        raise DoesNotExist(f"No experiment named '{name}' exists")
    return _view(registry, experiment)


def list_experiments(
    registry: Registry, project_id: int, page_token: str | None, limit: int
) -> tuple[list[ExperimentView], str | None]:
    """A page of every experiment that is not deleted, and the token of the next. Raises InvalidValue."""
    cursor = decode_token(page_token, "all experiments", project_id)
    found, following = registry.experiments.all_active(project_id, cursor, limit)
    return _views(registry, found), encode_token(following, "all experiments", project_id)


def search_experiments(registry: Registry, project_id: int, search: Search) -> tuple[list[ExperimentView], str | None]:
    """A page of experiments and the token of the next. Raises InvalidValue."""
    cursor = decode_token(search.page_token, "experiments", project_id, search.identity)
    clauses, orders = parse_filter(search.filter), parse_orders(search.order_by)
    found, following = registry.experiments.search(project_id, search.view, clauses, orders, cursor, search.limit)
    return _views(registry, found), encode_token(following, "experiments", project_id, search.identity)


def count_runs(registry: Registry, views: Sequence[ExperimentView]) -> dict[int, int]:
    """How many runs that are not deleted experiments have, by internal id; MOST_RUNS for that many or more."""
    return registry.experiments.count_runs([view.experiment.id for view in views], MOST_RUNS)


def rename_experiment(registry: Registry, project_id: int, experiment_id: str, name: str) -> None:
    """Give an experiment another name. Raises DoesNotExist, AlreadyExists, InvalidValue, BadRequest for a model's."""
    experiment = _own_experiment(registry, project_id, experiment_id, "rename")
    if name != experiment.name:
        _check_name(name)
        _check_free(registry, project_id, name)
        experiment.name = name


def delete_experiment(registry: Registry, project_id: int, experiment_id: str) -> None:
    """Mark an experiment and its runs as deleted. Raises DoesNotExist, BadRequest for a model's."""
    experiment = _own_experiment(registry, project_id, experiment_id, "delete")
    if experiment.deleted_at is not None:
        raise DoesNotExist(f"The experiment with id {experiment_id} is deleted already")
    registry.experiments.mark_deleted(experiment, now())


def restore_experiment(registry: Registry, project_id: int, experiment_id: str) -> None:
    """Take a deletion back, of the experiment and of the runs that went with it. Raises DoesNotExist."""
    experiment = find_experiment(registry, project_id, experiment_id)
    if experiment.deleted_at is None:
        raise DoesNotExist(f"The experiment with id {experiment_id} is not deleted")
    registry.experiments.mark_deleted(experiment, None)


def set_tag(registry: Registry, project_id: int, experiment_id: str, key: str, value: str) -> None:
    """Set a tag of an experiment. Raises DoesNotExist, InvalidValue."""
    check_tags({key: value})
    registry.experiments.set_tag(_to_change(registry, project_id, experiment_id), key, value)


def delete_tag(registry: Registry, project_id: int, experiment_id: str, key: str) -> None:
    """Remove a tag of an experiment. Raises DoesNotExist."""
    if not registry.experiments.delete_tag(_to_change(registry, project_id, experiment_id), key):
        raise DoesNotExist(f"No tag with key '{key}' exists")


def _find(registry: Registry, project_id: int, experiment_id: str) -> Experiment | None:
    iid = parse_id(experiment_id)
    return (
        registry.experiments.default(project_id) if iid == DEFAULT_ID else registry.experiments.by_iid(project_id, iid)
    )


def _to_change(registry: Registry, project_id: int, experiment_id: str) -> Experiment:
    experiment = find_experiment(registry, project_id, experiment_id)
    if experiment.deleted_at is not None:
        raise InvalidValue(f"The experiment with id {experiment_id} must be active to be changed")
    return experiment


def _own_experiment(registry: Registry, project_id: int, experiment_id: str, verb: str) -> Experiment:
    experiment = find_experiment(registry, project_id, experiment_id)
    if registry.experiments.model_of(experiment.id) is not None:
        raise BadRequest.plain(f"Cannot {verb} an experiment associated to a model")
    return experiment


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > MAX_EXPERIMENT_NAME:
        raise InvalidValue(f"Experiment name must have 1 to {MAX_EXPERIMENT_NAME} characters")


def _check_free(registry: Registry, project_id: int, name: str) -> None:
    existing = registry.experiments.by_name(project_id, name)
    if existing is not None:
        state = (
            "exists in deleted state; restore it or choose another name" if existing.deleted_at else "already exists"
        )
        raise AlreadyExists(f"Experiment '{name}' {state}")


def _view(registry: Registry, experiment: Experiment) -> ExperimentView:
    return _views(registry, [experiment])[0]


def _views(registry: Registry, experiments: Sequence[Experiment]) -> list[ExperimentView]:
    tags = registry.experiments.tags([experiment.id for experiment in experiments])
    return [ExperimentView(experiment, tags.get(experiment.id, {})) for experiment in experiments]
