"""MLflow's runs, which are GitLab's candidates."""

from __future__ import annotations

from typing import Annotated

from fastapi import Request
from pydantic import BaseModel, BeforeValidator, Field

from modelyard.routes.mlflow import shapes
from modelyard.routes.mlflow.common import InProject, Tag, mlflow_router, tags_by_key
from modelyard.routes.params import documented, parameters
from modelyard.services.experiments import NewRun, create_run

router = mlflow_router("runs")

MAX_TIME = 2**63 - 1


class CreateRun(BaseModel):
    """Parameters of a run that begins."""

    experiment_id: Annotated[str, BeforeValidator(str)]
    run_name: str | None = None
    start_time: int = Field(0, ge=0, le=MAX_TIME, description="Milliseconds since 1970.")
    tags: list[Tag] = Field(default_factory=list)


@router.post("/create", summary="Begin a run", openapi_extra=documented(CreateRun))
async def create(request: Request, project: InProject, new: CreateRun = parameters(CreateRun)) -> shapes.Shape:
    """The run is the candidate whose iid `artifact_uri` names."""
    tags = tags_by_key(new.tags)
    wanted = NewRun(new.experiment_id, new.run_name, new.start_time, tags)
    candidate, experiment = await project.write(lambda registry, caller, pid: create_run(registry, caller, pid, wanted))
    return {"run": shapes.run(request, candidate, experiment, tags)}
