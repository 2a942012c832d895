"""MLflow's model versions."""

from __future__ import annotations

from pydantic import BaseModel, Field

from modelyard.routes.mlflow import shapes
from modelyard.routes.mlflow.common import InProject, Tag, mlflow_router, tags_by_key
from modelyard.routes.params import documented, parameters
from modelyard.services.models import NewVersion, create_version

router = mlflow_router("model-versions")


class CreateVersion(BaseModel):
    """Parameters of a version to be made; the tag `gitlab.version` names its semantic version."""

    name: str
    description: str | None = None
    source: str | None = None
    run_id: str | None = Field(None, description="A run to promote; its files are then found under both ids.")
    run_link: str | None = None
    tags: list[Tag] = Field(default_factory=list)


@router.post("/create", summary="Create a model version", openapi_extra=documented(CreateVersion))
async def create(project: InProject, new: CreateVersion = parameters(CreateVersion)) -> shapes.Shape:
    """The answer's `version` is the id that the file API takes."""
    tags = tags_by_key(new.tags)
    wanted = NewVersion(new.name, new.description or "", new.source or "", new.run_id, new.run_link or "", tags)
    model, version, candidate = await project.write(
        lambda registry, caller, pid: create_version(registry, caller, pid, wanted)
    )
    return {"model_version": shapes.model_version(model, version, candidate, tags)}
