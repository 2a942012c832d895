"""MLflow's experiments."""

from __future__ import annotations

from pydantic import BaseModel, Field

from modelyard.routes.mlflow.common import InProject, Tag, mlflow_router, tags_by_key
from modelyard.routes.params import documented, parameters
from modelyard.services.experiments import create_experiment

router = mlflow_router("experiments")


class NewExperiment(BaseModel):
    """Parameters of an experiment to be made."""

    name: str
    tags: list[Tag] = Field(default_factory=list)


@router.post("/create", summary="Create an experiment", openapi_extra=documented(NewExperiment))
async def create(project: InProject, new: NewExperiment = parameters(NewExperiment)) -> dict[str, str]:
    """The answer's id counts within the project."""
    tags = tags_by_key(new.tags)
    experiment = await project.write(
        lambda registry, caller, pid: create_experiment(registry, caller, pid, new.name, tags)
    )
    return {"experiment_id": str(experiment.iid)}
