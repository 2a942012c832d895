"""What is logged to runs beside metrics: tags, parameters, datasets and models. Texts past the session's entities."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Insert, bindparam, delete, insert, select

from modelyard.registry.asking import Row
from modelyard.registry.base import Question, Repository, asked_values, values_by_owner
from modelyard.registry.dialects import upsert
from modelyard.registry.search.runs import RUN_ATTACHED
from modelyard.registry.search.weights import hold_one
from modelyard.registry.statements import built_once
from modelyard.registry.tables import (
    Candidate,
    CandidateDataset,
    CandidateModel,
    CandidateParam,
    CandidateTag,
    Experiment,
    LoggedModel,
    head_of,
)


@dataclass(frozen=True, slots=True)
class ModelLink:
    """A logged model that a run took in or brought forth."""

    model_id: str  # m-…
    output: bool
    step: int


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """A dataset that runs of an experiment took in, and what for."""

    experiment_iid: int
    name: str
    digest: str
    context: str | None


class RunData(NamedTuple):
    """What hangs on runs, by their ids; nothing for those that have none."""

    tags: Mapping[int, Mapping[str, str]]
    params: Mapping[int, Mapping[str, str]]
    datasets: Mapping[int, Sequence[CandidateDataset]]
    models: Mapping[int, Sequence[ModelLink]]


class RunDataRepository(Repository):
    """Reads for many runs at once, by their ids; writes for one run."""

    def tags(self, candidate_ids: Sequence[int]) -> dict[int, dict[str, str]]:
        """The tags of runs."""
        return self.values(*_TAG, candidate_ids)

    def params(self, candidate_ids: Sequence[int]) -> dict[int, dict[str, str]]:
        """The parameters of runs."""
        return self.values(*_PARAM, candidate_ids)

    def all_of(self, candidate_ids: Sequence[int], *beside: Question) -> tuple[RunData, list[list[Row]]]:
        """All that is here of runs, and in the same trip the rows of what is asked `beside` it."""
        asked = {"ids": candidate_ids}
        tags, params, datasets, models, *others = self.gathered(
            *(asked_values(*_TAG, candidate_ids), asked_values(*_PARAM, candidate_ids)),
            *((_DATASETS, asked), (_MODELS, asked), *beside),
        )
        data = RunData(values_by_owner(tags), values_by_owner(params), _datasets(datasets), _links(models))
        return data, others

    def dataset_summaries(self, experiment_ids: Sequence[int], limit: int) -> list[DatasetSummary]:
        """The datasets that runs of experiments used."""
        shown = (Experiment.iid, CandidateDataset.name, CandidateDataset.digest, CandidateDataset.context)
        statement = select(*shown).select_from(CandidateDataset)
        statement = statement.join(Candidate, Candidate.id == CandidateDataset.candidate_id)
        statement = statement.join(Experiment, Experiment.id == Candidate.experiment_id)
        mine = statement.where(Candidate.experiment_id.in_(experiment_ids)).distinct().order_by(*shown).limit(limit)
        return [DatasetSummary(*row) for row in self.tuples(mine)]

    def datasets(self, candidate_ids: Sequence[int]) -> dict[int, list[CandidateDataset]]:
        """The datasets that runs used, in the order in which they were logged."""
        return _datasets(self.tuples(_DATASETS, {"ids": candidate_ids}))

    def models(self, candidate_ids: Sequence[int]) -> dict[int, list[ModelLink]]:
        """The logged models that runs took in or brought forth."""
        return _links(self.tuples(_MODELS, {"ids": candidate_ids}))

    def set_tags(self, candidate: Candidate, tags: Mapping[str, str]) -> None:
        """Set tags, whether or not there are any of these keys."""
        if tags:
            self.write_rows(_set_tags(self.dialect), _rows(candidate, tags))
            hold_one(self.session, candidate.id, RUN_ATTACHED, tags.values())

    def delete_tag(self, candidate: Candidate, key: str) -> bool:
        """Remove a tag; whether there was one."""
        mine = (CandidateTag.candidate_id == candidate.id) & (CandidateTag.key == key)
        return self.changed(delete(CandidateTag).where(mine))

    def params_named(self, candidate: Candidate, keys: Sequence[str]) -> dict[str, str]:
        """Those of the parameters that a run has."""
        mine = (CandidateParam.candidate_id == candidate.id) & CandidateParam.key.in_(keys)
        rows = self.session.execute(select(CandidateParam.key, CandidateParam.value).where(mine))
        return {row.key: row.value for row in rows}

    def add_params(self, candidate: Candidate, params: Mapping[str, str]) -> None:
        """Insert parameters that the run does not have yet."""
        if params:
            self.write_rows(insert(CandidateParam), _rows(candidate, params))
            hold_one(self.session, candidate.id, RUN_ATTACHED, params.values())

    def add_datasets(self, candidate: Candidate, datasets: Sequence[CandidateDataset]) -> None:
        """Note datasets after those that a run has; one of these stays as it was first logged, as in MLflow."""
        columns = (CandidateDataset.name, CandidateDataset.digest, CandidateDataset.place)
        rows = self.tuples(select(*columns).where(CandidateDataset.candidate_id == candidate.id))
        texts: list[str] = []
        known, last = {row[:2] for row in rows}, max((row[2] for row in rows), default=0)
        for dataset in datasets:
            key = (dataset.name, dataset.digest)
            if key not in known:
                known.add(key)
                last += 1
                dataset.place = last
                self.session.add(dataset)
                texts += [dataset.source, dataset.schema or "", dataset.profile or "", dataset.tags]
        self.session.flush()
        hold_one(self.session, candidate.id, RUN_ATTACHED, texts)

    def link_model(self, candidate: Candidate, logged_model_id: int, step: int, *, output: bool) -> None:
        """Note that a run took in or brought forth a logged model."""
        link = CandidateModel(candidate_id=candidate.id, logged_model_id=logged_model_id, output=output, step=step)
        self.session.merge(link)
        self.session.flush()


_TAG = (CandidateTag.candidate_id, CandidateTag.key, CandidateTag.value)
_PARAM = (CandidateParam.candidate_id, CandidateParam.key, CandidateParam.value)
_DATASET_COLUMNS = tuple(CandidateDataset.__mapper__.column_attrs.keys())
_DATASETS = (
    select(*(getattr(CandidateDataset, name) for name in _DATASET_COLUMNS))
    .where(CandidateDataset.candidate_id.in_(bindparam("ids", expanding=True)))
    .order_by(CandidateDataset.place, CandidateDataset.name, CandidateDataset.digest)  # older ones have no place
)
_MODELS = (
    select(CandidateModel.candidate_id, LoggedModel.eid, CandidateModel.output, CandidateModel.step)
    .join(LoggedModel, LoggedModel.id == CandidateModel.logged_model_id)
    .where(CandidateModel.candidate_id.in_(bindparam("ids", expanding=True)))
    .order_by(LoggedModel.id)
)


def _datasets(rows: Iterable[Row]) -> dict[int, list[CandidateDataset]]:
    found: dict[int, list[CandidateDataset]] = defaultdict(list)
    for row in rows:
        dataset = CandidateDataset(**dict(zip(_DATASET_COLUMNS, row, strict=True)))
        found[dataset.candidate_id].append(dataset)
    return found


def _links(rows: Iterable[Row]) -> dict[int, list[ModelLink]]:
    found: dict[int, list[ModelLink]] = defaultdict(list)
    for owner, model_id, output, step in rows:
        found[owner].append(ModelLink(model_id, bool(output), step))
    return found


@built_once
def _set_tags(dialect: str) -> Insert:
    statement = upsert(dialect, CandidateTag)
    new = {"value": statement.excluded.value, "head": statement.excluded.head}
    return statement.on_conflict_do_update(index_elements=["candidate_id", "key"], set_=new)


def _rows(candidate: Candidate, values: Mapping[str, str]) -> list[dict[str, object]]:
    owner = {"candidate_id": candidate.id, "experiment_id": candidate.experiment_id}
    return [owner | {"key": key, "value": value, "head": head_of(value)} for key, value in values.items()]
