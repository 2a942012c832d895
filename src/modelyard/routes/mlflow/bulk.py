"""What MLflow's own pages ask of many runs at once: histories of a metric, and which datasets there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, Field
from typing_extensions import TypedDict

from modelyard.errors import InvalidValue
from modelyard.registry.repository import Registry
from modelyard.routes.http.answers import Answer, answer
from modelyard.routes.http.params import LONG_BODY_BYTES, one_or_many, parameters
from modelyard.routes.mlflow import shapes
from modelyard.routes.mlflow.common import REST, Ids, InProject, mlflow_router
from modelyard.routes.mlflow.messages import Count, Id, Int64, Message
from modelyard.routes.mlflow.pages import Piece, page
from modelyard.routes.mlflow.records import DatasetSummary, FoundMetrics, Metric
from modelyard.services.tracking import comparing

router = mlflow_router("")

PAGES = "/ajax-api/2.0/mlflow"  # where MLflow's server has two of them alone
MAX_RUNS = 100
# Counted in MLflow's own words, but for what no URL has room for.
Runs = Annotated[list[Id], Field(fail_fast=True, max_length=10 * MAX_RUNS), BeforeValidator(one_or_many)]
MAX_POINTS = 25_000
MAX_SAMPLES = 2_500
MAX_EXPERIMENTS = 20


class Bulk(Message):
    """Which metric of which runs is read."""

    run_id: Runs
    metric_key: str
    max_results: Count = MAX_POINTS


class Interval(Message):
    """Which metric of which runs is sampled, and between which steps."""

    run_ids: Runs
    metric_key: str
    start_step: Int64 | None = None
    end_step: Int64 | None = None
    max_results: Count = MAX_SAMPLES

    @property
    def steps(self) -> tuple[int, int] | None:
        """The first and the last step that are asked for. Raises InvalidValue."""
        if self.start_step is None and self.end_step is None:
            return None
        if self.start_step is None or self.end_step is None:
            raise InvalidValue("If either start step or end step are specified, both must be specified.")
        if self.start_step > self.end_step:
            found = f"Found start_step={self.start_step} and end_step={self.end_step}."
            raise InvalidValue(f"end_step must be greater than start_step. {found}")
        return self.start_step, self.end_step


class DatasetSearch(Message):
    """Whose datasets are asked for."""

    experiment_ids: Ids


class MetricsOfRuns(TypedDict):
    """Points of a metric, run by run."""

    metrics: list[Metric]


class DatasetSummaries(TypedDict):
    """Datasets of experiments."""

    dataset_summaries: list[DatasetSummary]


@router.get(f"{PAGES}/metrics/get-history-bulk", include_in_schema=False)
@router.get(
    f"{REST}/metrics/get-history-bulk",
    summary="Show a metric's history in many runs",
)
async def get_history_bulk(project: InProject, wanted: Bulk = parameters(Bulk)) -> Answer[MetricsOfRuns]:
    """Run by run, each by time, then step; runs that are not there are left out."""
    _check_runs("GetMetricHistoryBulk", wanted.run_id)
    limit = min(wanted.max_results, MAX_POINTS)

    def found(registry: Registry, pid: int) -> MetricsOfRuns:
        points = comparing.histories(registry, pid, wanted.run_id, wanted.metric_key, limit)
        return {"metrics": [shapes.metric_of(run_id, value) for run_id, value in points]}

    return await project.show(found)


@router.get(f"{PAGES}/metrics/get-history-bulk-interval", include_in_schema=False)
@router.get(
    f"{REST}/metrics/get-history-bulk-interval",
    summary="Show samples of a metric's history in many runs",
)
async def get_history_bulk_interval(
    project: InProject, wanted: Interval = parameters(Interval)
) -> Answer[FoundMetrics]:
    """Spread evenly over the points of each run, the last one always among them; no run need be there."""
    _check_runs("GetMetricHistoryBulkInterval", wanted.run_ids)
    if not 1 <= wanted.max_results <= MAX_SAMPLES:
        raise InvalidValue(f"max_results must be between 1 and {MAX_SAMPLES}.")
    asked = _Sampling(wanted.run_ids, wanted.metric_key, wanted.steps, wanted.max_results)
    return await page(project, FoundMetrics, asked.read, None, MAX_RUNS * MAX_SAMPLES)


@router.post(f"{PAGES}/experiments/search-datasets", include_in_schema=False)
@router.post(
    f"{REST}/experiments/search-datasets",
    summary="Show the datasets of experiments",
)
async def search_datasets(
    project: InProject, wanted: DatasetSearch = parameters(DatasetSearch, most=LONG_BODY_BYTES)
) -> Answer[DatasetSummaries]:
    """What their runs took in, each once for everything that it was used for."""
    ids, request = wanted.experiment_ids, "SearchDatasets request"
    if not ids:
        raise InvalidValue(f"{request} must specify at least one experiment_id.")
    if len(ids) > MAX_EXPERIMENTS:
        most = f"more than {MAX_EXPERIMENTS} experiment_ids. Received {len(ids)} experiment_ids."
        raise InvalidValue(f"{request} cannot specify {most}")
    found = await project.search(lambda registry, pid: comparing.datasets(registry, pid, ids))
    return answer({"dataset_summaries": [shapes.dataset_summary(each) for each in found]})


@dataclass(frozen=True, slots=True)
class _Sampling:
    """Samples of several runs, one run after the other: the token is the number of the run that is next."""

    run_ids: list[str]
    name: str
    steps: tuple[int, int] | None
    count: int

    def read(self, registry: Registry, project_id: int, token: str | None, _limit: int) -> Piece:
        """The samples of one run."""
        position = int(token or 0)
        run_id = self.run_ids[position]
        values = comparing.samples(registry, project_id, run_id, self.name, self.steps, self.count)
        following = str(position + 1) if position + 1 < len(self.run_ids) else None
        return [shapes.metric_of(run_id, value) for value in values], following


def _check_runs(request: str, run_ids: list[str]) -> None:
    if not run_ids:
        raise InvalidValue(f"{request} request must specify at least one run_id.")
    if len(run_ids) > MAX_RUNS:
        found = f"Received {len(run_ids)} run_ids."
        raise InvalidValue(f"{request} request must specify at most {MAX_RUNS} run_ids. {found}")
