"""Models of all projects that somebody sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, or_, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from modelyard.access.identity import Identity
from modelyard.access.policy import ProjectFacts
from modelyard.registry.base import MAX_INT64, Repository, contains
from modelyard.registry.people.projects import below, seen_by
from modelyard.registry.tables import Member, Model, Project

ORDERS: dict[str, InstrumentedAttribute[int]] = {"createdAt": Model.created_at, "lastModified": Model.updated_at}


@dataclass(frozen=True, slots=True)
class ModelFilter:
    """How a list of models is narrowed and ordered."""

    search: str = ""  # in the model's name, or its project's path
    author: str = ""  # the path of a namespace or of a project in which they lie
    order: str = "createdAt"
    descending: bool = True


@dataclass(frozen=True, slots=True)
class Listed:
    """A model, and its project as the caller sees it."""

    model: Model
    project: ProjectFacts

    def place(self, order: str) -> tuple[int, int]:
        """Where the model stands in an order."""
        return int(getattr(self.model, ORDERS[order].key)), self.model.id


class SeenModelRepository(Repository):
    """Models of all projects that somebody sees."""

    def seen(
        self, identity: Identity, narrowed: ModelFilter, after: tuple[int, int] | None, limit: int
    ) -> list[Listed]:
        """The models that come after a place, at most `limit`."""
        column = ORDERS[narrowed.order]
        statement = seen_by(identity).join(Model, Model.project_id == Project.id)
        if narrowed.search:
            pattern = contains(narrowed.search)
            texts = (Model.name, Project.path_key)
            statement = statement.where(or_(*(text.ilike(pattern, escape="\\") for text in texts)))
        if narrowed.author:
            author = narrowed.author.lower()
            statement = statement.where(or_(Project.path_key == author, below(author)))
        if after is not None:
            place = tuple_(column, Model.id)
            bound = tuple(min(number, MAX_INT64) for number in after)
            statement = statement.where(place < bound if narrowed.descending else place > bound)
        orders = (column.desc(), Model.id.desc()) if narrowed.descending else (column, Model.id)
        columns = statement.with_only_columns(Model, Project, Member.access_level)
        rows = self.session.execute(columns.order_by(*orders).limit(limit))
        return [_listed(row) for row in rows]


def _listed(row: Row[*tuple[Any, ...]]) -> Listed:
    model, project, role = row
    return Listed(model, ProjectFacts(project.id, project.full_path, project.visibility, role))
