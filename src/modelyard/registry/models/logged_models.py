"""Logged models: what MLflow 3 makes of a model that a run logs, before anyone registers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, insert, select

from modelyard.clock import now
from modelyard.registry.base import Repository
from modelyard.registry.dialects import upsert
from modelyard.registry.search.conditions import conditions
from modelyard.registry.search.logged_models import Dataset, ModelOrder, measured_on, model_section
from modelyard.registry.search.pages import Cursor, read_page
from modelyard.registry.search.subjects import LOGGED_MODELS
from modelyard.registry.search.weights import Attached, hold_one
from modelyard.registry.tables import CandidateMetric, LoggedModel, LoggedModelParam, LoggedModelTag
from modelyard.terms.filters import Clause

# What a page of logged models shows with them; of the points of a metric that is the last alone.
SHOWN_TEXTS = (
    Attached(LoggedModelTag.logged_model_id, (LoggedModelTag.value,)),
    Attached(LoggedModelParam.logged_model_id, (LoggedModelParam.value,)),
)
ATTACHED = (*SHOWN_TEXTS, Attached(CandidateMetric.logged_model_id))


class LoggedModelRepository(Repository):
    """Logged models by their ids `m-…`, always within a project."""

    def by_eid(self, project_id: int, eid: str) -> LoggedModel | None:
        """The logged model of that id."""
        mine = (LoggedModel.project_id == project_id) & (LoggedModel.eid == eid)
        return self.session.scalar(select(LoggedModel).where(mine))

    def home_of(self, eid: str) -> int | None:
        """The id of the project of the logged model of that id, whichever it is."""
        return self.session.scalar(select(LoggedModel.project_id).where(LoggedModel.eid == eid))

    def by_id(self, logged_model_id: int) -> LoggedModel:
        """The logged model of that internal id, which is known to exist."""
        return self.session.get_one(LoggedModel, logged_model_id)

    def by_ids(self, logged_model_ids: Sequence[int]) -> dict[int, LoggedModel]:
        """Logged models by their internal ids."""
        return {model.id: model for model in self.entities(LoggedModel, logged_model_ids)}

    def add(self, model: LoggedModel) -> LoggedModel:
        """Insert a logged model."""
        self.session.add(model)
        self.session.flush()
        return model

    def delete(self, model: LoggedModel) -> None:
        """Remove a logged model with its package."""
        self.session.delete(model)
        self.session.flush()

    def search(
        self,
        experiment_ids: Sequence[int],
        clauses: Sequence[Clause],
        datasets: Sequence[Dataset],
        orders: Sequence[ModelOrder],
        cursor: Cursor,
        limit: int,
    ) -> tuple[list[LoggedModel], Cursor | None]:
        """A page of the logged models of experiments, newest first unless ordered otherwise.

        With `datasets`, names and perhaps digests, only models of which some metric was measured on one of them.
        """
        mine = [LoggedModel.experiment_id.in_(experiment_ids), *conditions(LOGGED_MODELS, clauses)]
        if datasets:
            mine.append(LoggedModel.id.in_(select(CandidateMetric.logged_model_id).where(measured_on(datasets))))
        page = read_page(self.session, [model_section(mine, orders)], cursor, limit, ATTACHED)
        return self.entities(LoggedModel, page.ids), page.following

    def tags(self, logged_model_ids: Sequence[int]) -> dict[int, dict[str, str]]:
        """The tags of logged models by their internal ids."""
        return self.values(LoggedModelTag.logged_model_id, LoggedModelTag.key, LoggedModelTag.value, logged_model_ids)

    def params(self, logged_model_ids: Sequence[int]) -> dict[int, dict[str, str]]:
        """The parameters of logged models by their internal ids."""
        return self.values(
            LoggedModelParam.logged_model_id, LoggedModelParam.key, LoggedModelParam.value, logged_model_ids
        )

    def set_tags(self, model: LoggedModel, tags: Mapping[str, str]) -> None:
        """Set tags, whether or not there are any of these keys."""
        if tags:
            statement = upsert(self.dialect, LoggedModelTag)
            new = {"value": statement.excluded.value}
            statement = statement.on_conflict_do_update(index_elements=["logged_model_id", "key"], set_=new)
            self.session.execute(statement, _rows(model, tags))
            hold_one(self.session, model.id, SHOWN_TEXTS, tags.values())
            model.updated_at = now()

    def delete_tag(self, model: LoggedModel, key: str) -> bool:
        """Remove a tag; whether there was one."""
        mine = (LoggedModelTag.logged_model_id == model.id) & (LoggedModelTag.key == key)
        return self.changed(delete(LoggedModelTag).where(mine))

    def add_params(self, model: LoggedModel, params: Mapping[str, str]) -> None:
        """Insert parameters that the model does not have yet."""
        if params:
            self.session.execute(insert(LoggedModelParam), _rows(model, params))
            hold_one(self.session, model.id, SHOWN_TEXTS, params.values())


def _rows(model: LoggedModel, values: Mapping[str, str]) -> list[dict[str, object]]:
    return [{"logged_model_id": model.id, "key": key, "value": value} for key, value in values.items()]
