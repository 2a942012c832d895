"""MLflow's registered models."""

from __future__ import annotations

from pydantic import BaseModel, Field

from modelyard.routes.mlflow import shapes
from modelyard.routes.mlflow.common import InProject, Tag, mlflow_router, tags_by_key
from modelyard.routes.params import documented, parameters
from modelyard.services.models import create_model

router = mlflow_router("registered-models")


class NewModel(BaseModel):
    """Parameters of a model to be registered."""

    name: str
    description: str | None = None
    tags: list[Tag] = Field(default_factory=list)


@router.post("/create", summary="Register a model", openapi_extra=documented(NewModel))
async def create(project: InProject, new: NewModel = parameters(NewModel)) -> shapes.Shape:
    """Make the model, and the experiment of its candidates."""
    tags = tags_by_key(new.tags)
    description = new.description or ""
    model = await project.write(
        lambda registry, caller, pid: create_model(registry, caller, pid, new.name, description, tags)
    )
    return {"registered_model": shapes.registered_model(model, tags)}
