"""The OpenAPI document is complete and true: schemathesis asks a live server what it says that one may ask.

MODELYARD_FUZZ is the number of random examples for each operation; without it, only boundary values and sequences of
calls are tried, on PostgreSQL those that the document allows: what it does not allow is refused before any database is
asked, and was on SQLite. MODELYARD_FUZZ_SEED replays a run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from modelyard.terms.paths import MINT_TOKEN, OAUTH
from tests.databases import ON_POSTGRESQL
from tests.e2e.processes import ServerProcess, serving
from tests.live import LiveServer

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
EXAMPLES = int(os.environ.get("MODELYARD_FUZZ", "0"))
SEED = os.environ.get("MODELYARD_FUZZ_SEED", "20261125")
PHASES = ("--phases=examples,coverage,fuzzing,stateful", f"--max-examples={EXAMPLES}")
QUICK = ("--phases=examples,coverage,stateful", f"--mode={'positive' if ON_POSTGRESQL else 'all'}")
UNLIMITED = {"MODELYARD_RATE_LIMIT_ANONYMOUS": "0", "MODELYARD_RATE_LIMIT_FAILED_LOGINS": "0"}
METHODS = {"get", "put", "post", "delete", "patch", "head", "options"}


@pytest.fixture
def process(tmp_path: Path) -> Iterator[ServerProcess]:
    with serving(tmp_path, environment=UNLIMITED) as server:
        with server.client as root:
            _fill(root)
        yield server


def _fill(root: httpx2.Client) -> None:
    """Give the first project one of everything, so that not everything is 404."""
    project = f"/projects/{root.post('/projects', json={'name': 'p'}).json()['id']}"
    mlflow = f"{project}/ml/mlflow/api/2.0/mlflow"
    root.post(f"{mlflow}/registered-models/create", json={"name": "m"})
    made = root.post(f"{mlflow}/model-versions/create", json={"name": "m"}).json()
    experiment = root.post(f"{mlflow}/experiments/create", json={"name": "e"}).json()
    root.post(f"{mlflow}/runs/create", json=experiment)
    root.post(f"{mlflow}/logged-models", json=experiment | {"name": "l"})
    files = f"{project}/packages/ml_models/{made['model_version']['version']}/files"
    assert root.put(f"{files}/f", content=b"content").status_code == 201
    issuer = {"name": "ci", "kind": "generic", "url": "https://ci.example.com", "audience": "yard"}
    assert root.post("/issuers", json=issuer).status_code == 201


@pytest.mark.slow
@pytest.mark.timeout(300 + 60 * EXAMPLES)
def test_the_server_does_what_its_document_says(process: ServerProcess, tmp_path: Path) -> None:
    token = (process.folder / "data" / "root-token").read_text().strip()
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        f"--config-file={HERE / 'schemathesis.toml'}",
        "run",
        f"http://127.0.0.1:{process.port}/openapi.json",
        f"--header=Authorization: Bearer {token}",
        f"--seed={SEED}",
        "--generation-database=none",
        "--no-color",
        *(PHASES if EXAMPLES else QUICK),
    ]
    # It looks for a proxy among all variables before each request, and keeps for later runs what characters there are.
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
    environment |= {"HYPOTHESIS_STORAGE_DIRECTORY": str(ROOT / ".hypothesis")}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    answers = statuses(process.folder / "server.log")
    # Was it let in? Its own token must not be lost among credentials that it makes up, or ended by what it does.
    assert answers[401] < 0.1 * answers.total(), answers
    assert "Traceback" not in (process.folder / "server.log").read_text()


def statuses(log: Path) -> Counter[int]:
    """How often each was answered."""
    lines = (json.loads(line) for line in log.read_text().splitlines() if line.startswith("{"))
    return Counter(line["status"] for line in lines if line["event"] == "request")


@pytest.fixture
def document(server: LiveServer) -> dict[str, Any]:
    return dict(httpx2.get(f"{server.url}/openapi.json", timeout=60).json())


def test_every_refusal_and_every_answer_is_described(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert method in METHODS
            responses = operation["responses"]
            assert ("422" in responses) == (path == MINT_TOKEN), (method, path)  # it is PyPI's, and else FastAPI's
            if path.startswith("/api/v4"):
                assert {"401", "403", "503"} <= set(responses), (method, path)
            for parameter in operation.get("parameters", ()):
                assert parameter["schema"], (method, path)


def test_references_lead_somewhere(document: dict[str, Any]) -> None:
    def references(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            yield from ([value["$ref"]] if isinstance(value.get("$ref"), str) else ())
            for item in value.values():
                yield from references(item)
        elif isinstance(value, list):
            for item in value:
                yield from references(item)

    found = set(references(document))
    assert found
    for reference in found:
        _, _, kind, name = reference.split("/")
        assert name in document["components"][kind], reference


def test_only_what_serves_strangers_says_so(server: LiveServer, document: dict[str, Any]) -> None:
    """Whatever else is wrong with a request is said first (400); past that, a stranger gets a 401 or an answer. Of
    OAuth, whose strangers have no token yet, 400 is an answer.
    """
    said, served = set(), set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if {} in operation.get("security", [{}]):
                said.add((method, path))
            url = server.url + path.replace("{", "").replace("}", "")
            answer = httpx2.request(method, url)
            if answer.status_code not in {400, 401} or (answer.status_code == 400 and path.startswith(OAUTH)):
                served.add((method, path))
    assert said == served
