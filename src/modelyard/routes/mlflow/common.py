"""What MLflow's endpoints share: the prefix, tags, and the caller's project."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel

from modelyard.access.identity import Identity
from modelyard.access.policy import Action
from modelyard.registry.repository import Registry
from modelyard.routes.call import ApiCall
from modelyard.services.authentication import open_project
from modelyard.services.experiments import invalid
from modelyard.wire.paths import ProjectRef, parse_project

T = TypeVar("T")

PREFIX = "/api/v4/projects/{project}/ml/mlflow/api/2.0/mlflow"

Work = Callable[[Registry, Identity, int], T]  # with the project's id


class Tag(BaseModel):
    """A key with a value."""

    key: str
    value: str = ""


def mlflow_router(resource: str) -> APIRouter:
    """A router for one of MLflow's resources."""
    return APIRouter(prefix=f"{PREFIX}/{resource}", tags=["mlflow"])


def tags_by_key(tags: list[Tag]) -> dict[str, str]:
    """Tags as a mapping; raises MLflowError for a key that is given twice."""
    mapping = {tag.key: tag.value for tag in tags}
    if len(mapping) < len(tags):
        raise invalid("Tag keys must be unique")
    return mapping


class ProjectCall:
    """Runs a service within the project of the path."""

    def __init__(self, call: ApiCall, ref: ProjectRef) -> None:
        self._call = call
        self._ref = ref

    async def write(self, work: Work[T]) -> T:
        """What `work` changes, for callers who may write in the project."""

        def within(registry: Registry, caller: Identity) -> T:
            project, _facts = open_project(registry, caller, self._ref, Action.WRITE)
            return work(registry, caller, project.id)

        return await self._call.write(within)


async def _project_call(call: ApiCall, project: Annotated[str, Path(description="Project id or path.")]) -> ProjectCall:
    return ProjectCall(call, parse_project(project))


InProject = Annotated[ProjectCall, Depends(_project_call)]
