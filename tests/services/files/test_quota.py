"""The bytes that a project may have: counted through every way in which files come and go, and never exceeded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from modelyard.registry.repository import Registry
from modelyard.services.files.quota import OverQuota, within
from modelyard.services.upkeep.checking import check_counts
from tests.live import LiveServer, running
from tests.projects import Project
from tests.raw import exchange, put_head, read_answer

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running(tmp_path_factory.mktemp("quota"), project_quota=MIB, max_file_size=64 * MIB) as live:
        yield live


@pytest.fixture(scope="module")
def client(live: LiveServer) -> Iterator[httpx2.Client]:
    with live.client(live.root_token) as client:
        yield client


_serial = iter(range(1000))


@pytest.fixture
def new(live: LiveServer, client: httpx2.Client) -> Callable[[int | None], Project]:
    return lambda limit: Project(live, client, f"quota-{next(_serial)}", limit)


def refusal(limit: int) -> tuple[int, dict[str, str]]:
    return 403, {"message": f"403 Forbidden - The project's storage limit of {limit} bytes would be exceeded"}


def outcome(answer: httpx2.Response) -> tuple[int, dict[str, str]]:
    return answer.status_code, answer.json()


def test_an_upload_over_the_limit_is_refused_by_its_length_and_by_authorize(
    new: Callable[[int | None], Project],
) -> None:
    project = new(1000)
    version = project.version(project.model("m"))
    assert project.put(version, "a", bytes(600)).status_code == 201
    url = f"{project.files(version)}/b"
    for size, expected in ((400, 200), (401, 403)):
        assert project.client.put(f"{url}/authorize", params={"size": size}).status_code == expected
    assert outcome(project.client.put(f"{url}/authorize", params={"size": 401})) == refusal(1000)
    head = put_head(project.server, url, "Content-Length: 401", "Expect: 100-continue")
    answer = exchange(project.server, head)  # before the body was asked for
    assert (answer.status, answer.json()) == refusal(1000)
    assert project.client.get(url).status_code == 404
    assert project.put(version, "b", bytes(400)).status_code == 201
    assert project.put(version, "empty", b"").status_code == 201
    assert project.used() == 1000


def test_a_stream_over_the_limit_is_stopped_where_it_passes_it(new: Callable[[int | None], Project]) -> None:
    project = new(1000)
    url = f"{project.files(project.version(project.model('m')))}/f"
    with project.server.connect() as connection:
        connection.sendall(put_head(project.server, url, "Transfer-Encoding: chunked") + b"1000\r\n" + bytes(1001))
        answer = read_answer(connection)  # though more of the body is to come
    assert (answer.status, answer.json()) == refusal(1000)
    form = project.client.put(url, files={"file": ("f", bytes(1001))})
    assert outcome(form) == refusal(1000)
    assert project.used() == 0


def test_the_default_holds_for_whom_no_limit_was_set(new: Callable[[int | None], Project]) -> None:
    project = new(None)
    version = project.version(project.model("m"))
    assert outcome(project.put(version, "f", bytes(MIB + 1))) == refusal(MIB)
    project.limit(0)
    assert project.put(version, "f", bytes(MIB + 1)).status_code == 201
    project.limit(-1)
    assert outcome(project.put(version, "g", b"x")) == refusal(MIB)
    project.limit(2 * MIB)
    assert project.put(version, "g", b"x").status_code == 201


def test_the_same_bytes_again_are_welcome_in_a_full_project(new: Callable[[int | None], Project]) -> None:
    project = new(1000)
    version = project.version(project.model("m"))
    assert project.put(version, "f", b"1" * 1000).status_code == 201
    assert project.put(version, "f", b"1" * 1000).status_code == 201
    assert outcome(project.put(version, "f", b"2" * 1000)) == refusal(1000)
    project.limit(10)  # what is there stays, and may be read
    assert project.put(version, "f", b"1" * 1000).status_code == 201
    assert project.client.get(f"{project.files(version)}/f").content == b"1" * 1000


def test_mlflow_is_refused_as_well(new: Callable[[int | None], Project]) -> None:
    project = new(1000)
    run_id, owner = project.run()
    artifacts = f"/projects/{project.id}/ml/mlflow/api/2.0/mlflow-artifacts/artifacts/{owner}"
    assert project.client.put(f"{artifacts}/d/f", content=bytes(600)).status_code == 200
    refused = project.client.put(f"{artifacts}/d/g", content=bytes(401))
    assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")
    model = project.model("m")
    body = {"name": model, "source": f"runs:/{run_id}/d"}
    lent = project.client.post(f"{project.mlflow}/model-versions/create", json=body)
    assert (lent.status_code, lent.json()["message"]) == (403, refusal(1000)[1]["message"])
    assert project.used() == 600
    promoted = project.version(model, run_id=run_id)  # the same files under another id
    assert project.used() == 600
    project.limit(1200)
    project.version(model, source=f"models:/{model}/{promoted}")
    assert project.used() == 1200


def test_of_many_at_once_none_passes_the_limit(new: Callable[[int | None], Project]) -> None:
    project = new(100_000)
    version = project.version(project.model("m"))
    statuses: list[int] = []
    barrier = threading.Barrier(16)

    def upload(i: int) -> None:
        with project.server.client(project.server.root_token) as client:
            barrier.wait()
            answer = client.put(f"{project.files(version)}/{i}", content=bytes([i]) * 9_000)
            statuses.append(answer.status_code)

    threads = [threading.Thread(target=upload, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] * 11 + [403] * 5
    assert project.used() == 99_000


def test_who_adds_waits_for_who_has_added_and_not_committed(new: Callable[[int | None], Project]) -> None:
    project = new(1000)
    project.put(project.version(project.model("m")), "f", bytes(400))
    (package,) = project.packages()
    database, added, tried = project.server.app.state.database, threading.Event(), threading.Event()
    outcomes: list[str] = []

    def add(name: str, hold: threading.Event | None) -> None:
        def work(registry: Registry) -> None:
            registry.blobs.ensure(name * 64, 400)
            with within(registry, project.id, 1000):
                registry.packages.add_file(package, name, name * 64, 400, None)
            if hold is not None:
                added.set()
                hold.wait(0.5)

        try:
            database.write_now(work)
            outcomes.append(name)
        except OverQuota:
            outcomes.append(f"not {name}")
        tried.set()

    first = threading.Thread(target=add, args=("a", tried))
    first.start()
    assert added.wait(10)
    add("b", None)
    first.join()
    assert sorted(outcomes) == ["a", "not b"]
    assert project.used() == 800


def test_check_tells_a_count_that_is_wrong(tmp_path: Path) -> None:
    with running(tmp_path) as server, server.client(server.root_token) as client:
        project = Project(server, client, "p")
        project.put(project.version(project.model("m")), "f", bytes(100))
        database = server.app.state.database
        assert check_counts(database) == []
        database.write_now(lambda registry: registry.session.execute(text("UPDATE project_storage SET size = 99")))
        (found,) = check_counts(database)
        assert str(found) == "storage\troot/p\t99 bytes counted, 100 bytes there"


def test_limits_are_for_administrators_and_statistics_for_reporters(
    root: httpx2.Client,
    make_user: Callable[..., Any],
    make_project: Callable[..., dict[str, Any]],
    anonymous: httpx2.Client,
) -> None:
    owner, guest = make_user(), make_user()
    project = make_project(owner, visibility="public")["id"]
    root.post(f"/projects/{project}/members", json={"user_id": guest.id, "access_level": 10})
    assert owner.client.put(f"/projects/{project}", json={"storage_limit": 5}).status_code == 403
    changed = root.put(f"/projects/{project}", json={"storage_limit": 5})
    assert (changed.status_code, changed.json()["storage_limit"]) == (200, 5)
    for size in (-2, 2**63, "much"):
        refused = root.put(f"/projects/{project}", json={"storage_limit": size})
        assert (refused.status_code, refused.json()) == (400, {"error": "storage_limit is invalid"})
    assert "storage_limit" not in owner.client.get(f"/projects/{project}").json()
    asked = {"statistics": "true", "search": f"project-{project}"}
    for client, told in ((root, True), (owner.client, True), (guest.client, False), (anonymous, False)):
        assert ("statistics" in client.get(f"/projects/{project}", params=asked).json()) is told
        assert "statistics" not in client.get(f"/projects/{project}").json()
        listed = [
            each for each in client.get("/projects", params={"statistics": "true"}).json() if each["id"] == project
        ]
        assert ["statistics" in each for each in listed] == [told]
