"""Sixteen clients on four server processes that want the same thing at the same moment."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.e2e.processes import replicas, together

CLIENTS = 16
REPLICAS = 4
ROUNDS = 4

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Race:
    """The clients, each on one of the servers. What they send at once is never answered with a fault of the server."""

    clients: list[httpx2.Client]

    def run(self, method: str, urls: list[str], **options: Any) -> list[httpx2.Response]:
        """Each client sends one request for each URL, together with the others; `{client}` stands for its number."""
        answers: list[httpx2.Response] = []
        barrier = threading.Barrier(CLIENTS)

        def send(number: int) -> None:
            for url in urls:
                barrier.wait(60)
                answers.append(self.clients[number].request(method, **_filled({"url": url, **options}, number)))

        together(send, CLIENTS)
        assert [a.text for a in answers if a.status_code >= 500] == []
        assert len(answers) == CLIENTS * len(urls)
        return answers


def _filled(value: Any, number: int) -> Any:
    """Options of a request, with the client's number wherever a text has `{client}`."""
    if isinstance(value, dict):
        return {key: _filled(each, number) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, number) for each in value]
    return value.replace("{client}", str(number)) if isinstance(value, str) else value


@pytest.fixture(scope="module")
def race(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Race]:
    # The database is not migrated: all replicas want to do that at once, and to make the administrator.
    with replicas(tmp_path_factory.mktemp("races"), REPLICAS) as servers, ExitStack() as stack:
        yield Race([stack.enter_context(servers[number % REPLICAS].client) for number in range(CLIENTS)])


@pytest.fixture
def client(race: Race) -> httpx2.Client:
    return race.clients[0]


@pytest.fixture
def project(client: httpx2.Client, request: pytest.FixtureRequest) -> str:
    name = f"p-{abs(hash(request.node.name))}"
    return f"/projects/{client.post('/projects', json={'name': name}).json()['id']}"


def statuses(answers: list[httpx2.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def mlflow(project: str, what: str) -> str:
    return f"{project}/ml/mlflow/api/2.0/mlflow/{what}"


def make_run(client: httpx2.Client, project: str) -> dict[str, Any]:
    answer = client.post(mlflow(project, "runs/create"), json={"experiment_id": "0"})
    return dict(answer.json()["run"]["info"])


def test_numbers_are_given_once_and_without_gaps(race: Race, client: httpx2.Client, project: str) -> None:
    made = race.run("POST", [mlflow(project, "experiments/create?name={client}")])
    assert sorted(int(answer.json()["experiment_id"]) for answer in made) == list(range(1, CLIENTS + 1))
    runs = race.run("POST", [mlflow(project, "runs/create")] * ROUNDS, json={"experiment_id": "0"})
    iids = sorted(int(run.json()["run"]["info"]["artifact_uri"].rpartition(":")[2]) for run in runs)
    assert iids == list(range(1, CLIENTS * ROUNDS + 1))
    client.post(mlflow(project, "registered-models/create"), json={"name": "m"})
    versions = race.run("POST", [mlflow(project, "model-versions/create")] * ROUNDS, json={"name": "m"})
    given = [version.json()["model_version"]["aliases"][0] for version in versions]
    assert sorted(given) == sorted(f"1.0.{i}" for i in range(CLIENTS * ROUNDS))


def test_a_name_is_given_once(race: Race, project: str) -> None:
    for what in ("experiments", "registered-models"):
        answers = race.run("POST", [mlflow(project, f"{what}/create")], json={"name": f"one-of-{what}"})
        assert statuses(answers) == {200: 1, 400: CLIENTS - 1}
        assert {a.json().get("error_code") for a in answers} == {None, "RESOURCE_ALREADY_EXISTS"}
    wanted = f"wanted-{project.rpartition('/')[2]}"
    assert statuses(race.run("POST", ["/projects"], json={"name": wanted})) == {201: 1, 400: CLIENTS - 1}
    user = {"username": wanted, "name": "x", "email": "x@example.com"}
    assert statuses(race.run("POST", ["/users"], json=user)) == {201: 1, 409: CLIENTS - 1}


def test_a_name_is_a_users_or_a_namespaces(race: Race, project: str) -> None:
    name = f"either-{project.rpartition('/')[2]}"
    both = {"username": name, "email": "x@example.com", "name": "p", "namespace_path": name}
    made = race.run("POST", ["/users", "/projects"], json=both)
    assert [a.json()["message"] for a in made if a.status_code not in (201, 400, 409)] == []
    assert statuses(made)[201] == 2  # the user first, and then a project in their namespace


def test_a_run_is_promoted_once(race: Race, client: httpx2.Client, project: str) -> None:
    client.post(mlflow(project, "registered-models/create"), json={"name": "m"})
    for _ in range(ROUNDS):
        run = make_run(client, project)
        url = f"{project}/packages/ml_models/candidate:{run['artifact_uri'].rpartition(':')[2]}/files/f"
        promote = threading.Thread(target=client.put, args=(url,), kwargs={"content": b"content"})
        promote.start()
        body = {"name": "m", "run_id": run["run_id"]}
        answers = race.run("POST", [mlflow(project, "model-versions/create")], json=body)
        promote.join()
        assert statuses(answers) == {200: 1, 400: CLIENTS - 1}
        version = next(a for a in answers if a.status_code == 200).json()["model_version"]["version"]
        assert client.get(url).content == b"content"
        assert client.get(f"{project}/packages/ml_models/{version}/files/f").content == b"content"


def test_one_version_is_in_production(race: Race, client: httpx2.Client, project: str) -> None:
    client.post(mlflow(project, "registered-models/create"), json={"name": "m"})
    for _ in range(CLIENTS):
        client.post(mlflow(project, "model-versions/create"), json={"name": "m"})
    move = {"name": "m", "version": "1.0.{client}", "stage": "Production", "archive_existing_versions": True}
    moved = race.run("POST", [mlflow(project, "model-versions/transition-stage")], json=move)
    assert statuses(moved) == {200: CLIENTS}
    shown = client.get(mlflow(project, "model-versions/search"), params={"filter": "name='m'"}).json()["model_versions"]
    assert Counter(v["current_stage"] for v in shown) == {"Production": 1, "Archived": CLIENTS - 1}


def test_uploads_of_one_name_are_all_kept_and_only_one_is_the_first(
    race: Race, client: httpx2.Client, project: str
) -> None:
    candidate = make_run(client, project)["artifact_uri"].rpartition("/")[2]
    files = f"{project}/packages/ml_models/{candidate}/files"
    names = [f"{files}/{i}" for i in range(ROUNDS)]
    assert statuses(race.run("PUT", names, content="of {client}")) == {201: CLIENTS * ROUNDS}
    package = client.get(f"{project}/packages").json()[0]["id"]
    kept = client.get(f"{project}/packages/{package}/package_files", params={"per_page": 100}).json()
    assert Counter(file["file_name"] for file in kept) == {str(i): CLIENTS for i in range(ROUNDS)}
    same = [f"{files}/same-{i}" for i in range(ROUNDS)]
    assert statuses(race.run("PUT", same, content="the same")) == {201: CLIENTS * ROUNDS}
    first = [f"{files}/first-{i}" for i in range(ROUNDS)]
    answers = race.run("PUT", first, content="of {client}", headers={"If-None-Match": "*"})
    assert statuses(answers) == {201: ROUNDS, 412: (CLIENTS - 1) * ROUNDS}
    kept = client.get(f"{project}/packages/{package}/package_files", params={"per_page": 100}).json()
    later = Counter(file["file_name"] for file in kept if not file["file_name"].isdigit())
    assert later == {f"{kind}-{i}": 1 for kind in ("same", "first") for i in range(ROUNDS)}


def test_all_that_is_logged_to_one_run_is_kept(race: Race, client: httpx2.Client, project: str) -> None:
    run = make_run(client, project)["run_id"]
    for step in range(ROUNDS):
        metrics = [{"key": key, "value": 1, "timestamp": "{client}", "step": step} for key in "abc"]
        batch = {"run_id": run, "metrics": metrics, "tags": [{"key": "t{client}", "value": "v"}]}
        assert statuses(race.run("POST", [mlflow(project, "runs/log-batch")], json=batch)) == {200: CLIENTS}
    history = client.get(mlflow(project, "metrics/get-history"), params={"run_id": run, "metric_key": "a"}).json()
    assert len(history["metrics"]) == CLIENTS * ROUNDS
    param = {"run_id": run, "key": "p", "value": "of {client}"}
    assert statuses(race.run("POST", [mlflow(project, "runs/log-parameter")], json=param)) == {
        200: 1,
        400: CLIENTS - 1,
    }


def test_an_owner_stays(race: Race, client: httpx2.Client, project: str) -> None:
    owners = []
    for i in range(CLIENTS):
        name = f"owner-{i}-{project.rpartition('/')[2]}"
        user = client.post("/users", json={"username": name, "name": name, "email": f"{name}@example.com"}).json()
        client.post(f"{project}/members", json={"user_id": user["id"], "access_level": 50})
        owners.append(str(user["id"]))
    me = str(client.get("/user").json()["id"])
    assert client.delete(f"{project}/members/{me}").status_code == 204
    answers: list[int] = []
    barrier = threading.Barrier(CLIENTS)

    def leave(number: int) -> None:
        barrier.wait(60)
        answers.append(race.clients[number].delete(f"{project}/members/{owners[number]}").status_code)

    together(leave, CLIENTS)
    assert Counter(answers) == {204: CLIENTS - 1, 400: 1}
