"""What one can run as it stands: to take a version, or to make the first model, by each of the APIs. `$TOKEN` stands
for a token, which no page has.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from shlex import quote as shell

from modelyard.registry.files.folders import Node
from modelyard.registry.tables import Issuer, Model, ModelVersion
from modelyard.routes.pages.frame import InProject
from modelyard.routes.pages.links import Links
from modelyard.services.identity.kinds import Kind
from modelyard.terms.paths import API, MINT_TOKEN, MLFLOW
from modelyard.terms.repositories import RepositoryId

Snippets = list[tuple[str, str]]  # names with texts


def tracking_uri(links: Links, project: InProject) -> str:
    """Where MLflow's clients find a project."""
    return f"{links.base}{API}/projects/{project.id}{MLFLOW}"


@dataclass(frozen=True, slots=True)
class Used:
    """A version that is to be used, with a file of it and the id by which Hugging Face's clients know its model."""

    project: InProject
    model: Model
    version: ModelVersion
    file: Node | None
    repository: RepositoryId | None


def use(links: Links, used: Used) -> Snippets:
    """How to take a version, by each API that has a name for it."""
    made = [("mlflow", _mlflow(links, used)), ("GitLab CI", _ci(links, used))]
    if used.repository is not None:
        made.insert(0, ("hf", _hf(links, used, used.repository)))
    if used.file is not None:
        made.insert(0, ("curl", _curl(links, used, used.file)))
    return made


def begin(links: Links, project: InProject) -> Snippets:
    """How to make the first model of a project."""
    uri = tracking_uri(links, project)
    return [
        (
            "mlflow",
            f"""export MLFLOW_TRACKING_URI={shell(uri)}
export MLFLOW_TRACKING_TOKEN="$TOKEN"
python - <<'END'
from mlflow import MlflowClient

client = MlflowClient()
client.create_registered_model("my-model")
version = client.create_model_version("my-model", source="")
print(version.version)
END""",
        ),
        (
            "curl",
            f"""curl --fail-with-body -H "PRIVATE-TOKEN: $TOKEN" --json '{{"name": "my-model"}}' \\
  {shell(f"{uri}/api/2.0/mlflow/registered-models/create")}
curl --fail-with-body -H "PRIVATE-TOKEN: $TOKEN" --json '{{"name": "my-model"}}' \\
  {shell(f"{uri}/api/2.0/mlflow/model-versions/create")}""",
        ),
    ]


def first_run(links: Links, project: InProject, experiment: str) -> Snippets:
    """How to log the first run of an experiment."""
    uri = tracking_uri(links, project)
    return [
        (
            "mlflow",
            f"""export MLFLOW_TRACKING_URI={shell(uri)}
export MLFLOW_TRACKING_TOKEN="$TOKEN"
python - <<'END'
import mlflow

mlflow.set_experiment({json.dumps(experiment)})
with mlflow.start_run():
    mlflow.log_param("lr", 0.1)
    for step in range(10):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
END""",
        )
    ]


def upload(links: Links, project: InProject, version_id: int) -> Snippets:
    """How to put a file into a version."""
    url = links.file_api(project.id, version_id, "model.safetensors")
    command = f'curl --fail-with-body -H "PRIVATE-TOKEN: $TOKEN" -T model.safetensors \\\n  {shell(url)}'
    return [("curl", command)]


def publish(links: Links, project: InProject, issuer: Issuer) -> Snippets:
    """How a job of an issuer uploads a version with nothing but its id token."""
    script = f"""set -eu
api={shell(f"{links.base}{API}/projects/{project.id}")}
field() {{ python3 -c "import json, sys; print(json.load(sys.stdin)$1)"; }}
job_token=$(curl --fail --silent --json "{{\\"token\\": \\"$YARD_ID\\"}}" \\
  {shell(f"{links.base}{MINT_TOKEN}")} | field "['token']")
call() {{ curl --fail --silent --header "JOB-TOKEN: $job_token" "$@"; }}
call --json '{{"name": "my-model"}}' "$api{MLFLOW}/api/2.0/mlflow/registered-models/create" > model.json || true
version=$(call --json '{{"name": "my-model"}}' "$api{MLFLOW}/api/2.0/mlflow/model-versions/create" \\
  | field "['model_version']['version']")
call --upload-file model.bin "$api/packages/ml_models/$version/files/model.bin"
echo "version $version\""""
    return [_JOBS[issuer.kind](issuer.audience), ("publish.sh", script)]


def _gitlab_job(audience: str) -> tuple[str, str]:
    return (
        ".gitlab-ci.yml",
        f"""publish:
  id_tokens:
    YARD_ID: {{aud: {json.dumps(audience)}}}
  script:
    - sh publish.sh""",
    )


def _github_job(audience: str) -> tuple[str, str]:
    return (
        "GitHub workflow",
        f"""jobs:
  publish:
    runs-on: ubuntu-latest
    permissions: {{id-token: write, contents: read}}
    steps:
      - uses: actions/checkout@v4
      - run: |
          export YARD_ID=$(curl --fail --silent --get \\
            --header "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" \\
            --data-urlencode {shell(f"audience={audience}")} "$ACTIONS_ID_TOKEN_REQUEST_URL" \\
            | python3 -c "import json, sys; print(json.load(sys.stdin)['value'])")
          sh publish.sh""",
    )


def _pod(audience: str) -> tuple[str, str]:
    return (
        "Pod",
        f"""spec:
  containers:
    - name: train
      command: [sh, -c, "YARD_ID=$(cat /var/run/secrets/yard/token) sh publish.sh"]
      volumeMounts: [{{name: yard, mountPath: /var/run/secrets/yard}}]
  volumes:
    - name: yard
      projected:
        sources:
          - serviceAccountToken: {{audience: {json.dumps(audience)}, path: token}}""",
    )


def _other_job(audience: str) -> tuple[str, str]:
    return "Job", f"# YARD_ID is the id token that the CI gives the job for the audience {audience}\nsh publish.sh"


_JOBS: dict[str, Callable[[str], tuple[str, str]]] = {
    Kind.GITLAB: _gitlab_job,
    Kind.GITHUB: _github_job,
    Kind.KUBERNETES: _pod,
    Kind.GENERIC: _other_job,
}


def _curl(links: Links, used: Used, file: Node) -> str:
    name = file.name.rpartition("/")[2]
    url = links.file_api(used.project.id, used.version.id, file.name)
    return f'curl --fail --location -H "PRIVATE-TOKEN: $TOKEN" -o {shell(f"./{name}")} \\\n  {shell(url)}'


def _mlflow(links: Links, used: Used) -> str:
    source = f"models:/{used.model.name}/{used.version.id}"
    return f"""export MLFLOW_TRACKING_URI={shell(tracking_uri(links, used.project))}
export MLFLOW_TRACKING_TOKEN="$TOKEN"
mlflow artifacts download --artifact-uri {shell(source)} --dst-path ."""


def _hf(links: Links, used: Used, repository: RepositoryId) -> str:
    target = shell(f"./{repository.name}-{used.version.version}")
    return f"""export HF_ENDPOINT={shell(links.base)}
export HF_TOKEN="$TOKEN"
hf download {shell(str(repository))} --revision {shell(used.version.version)} --local-dir {target}"""


def _ci(links: Links, used: Used) -> str:
    source = f"models:/{used.model.name}/{used.version.id}"
    return f"""download:
  image: python:3
  variables:
    MLFLOW_TRACKING_URI: {_yaml(tracking_uri(links, used.project))}
  script:
    - pip install mlflow
    - export MLFLOW_TRACKING_TOKEN="$TOKEN" # a masked variable of the project
    - {_yaml(f"mlflow artifacts download --artifact-uri {shell(source)} --dst-path .")}"""


def _yaml(text: str) -> str:
    """A text in single quotes, as YAML has it."""
    return "'" + text.replace("'", "''") + "'"
