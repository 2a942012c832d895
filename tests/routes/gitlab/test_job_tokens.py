"""Job tokens end with what they were made with, and are listed and revoked by their makers, owners and themselves."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from modelyard.clock import now
from modelyard.registry.tables import Token
from tests.conftest import MLFLOW, Account
from tests.live import LiveServer

REVOKED = {"error": "invalid_token", "error_description": "Token was revoked. You have to re-authorize from the user."}
NOT_FOUND = {"message": "404 Not Found"}


@pytest.fixture
def owner(make_user: Callable[..., Account]) -> Account:
    return make_user()


@pytest.fixture
def project(owner: Account, make_project: Callable[..., dict[str, Any]]) -> int:
    return int(make_project(owner)["id"])


@pytest.fixture
def jobs(project: int) -> str:
    return f"/projects/{project}/job_tokens"


@pytest.fixture
def file_url(project: int, root: httpx2.Client, make_version: Callable[..., int]) -> str:
    url = f"/projects/{project}/packages/ml_models/{make_version(project)}/files/f"
    assert root.put(url, content=b"content").status_code == 201
    return url


@pytest.fixture
def member(owner: Account, project: int, make_user: Callable[..., Account]) -> Callable[[int], Account]:
    def make(level: int) -> Account:
        person = make_user()
        body = {"user_id": person.id, "access_level": level}
        assert owner.client.post(f"/projects/{project}/members", json=body).status_code == 201
        return person

    return make


def made(client: httpx2.Client, jobs: str, **body: Any) -> dict[str, Any]:
    answer = client.post(jobs, json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def ids(answer: httpx2.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()]


def change(server: LiveServer, token_id: int, **values: int) -> None:
    with server.app.state.database.writing() as registry:
        token = registry.session.get(Token, token_id)
        for name, value in values.items():
            setattr(token, name, value)


def own_id(client: httpx2.Client) -> int:
    return int(client.get("/personal_access_tokens/self").json()["id"])


def revoke(root: httpx2.Client, person: Account, _server: LiveServer) -> None:
    assert root.delete(f"/personal_access_tokens/{own_id(person.client)}").status_code == 204


def revoke_itself(_root: httpx2.Client, person: Account, _server: LiveServer) -> None:
    assert person.client.delete("/personal_access_tokens/self").status_code == 204


def rotate(_root: httpx2.Client, person: Account, _server: LiveServer) -> None:
    assert person.client.post("/personal_access_tokens/self/rotate").status_code == 200


def expire(_root: httpx2.Client, person: Account, server: LiveServer) -> None:
    change(server, own_id(person.client), expires_at=now())


def block(root: httpx2.Client, person: Account, _server: LiveServer) -> None:
    assert root.post(f"/users/{person.id}/block").status_code == 201


def delete(root: httpx2.Client, person: Account, _server: LiveServer) -> None:
    assert root.delete(f"/users/{person.id}").status_code == 204


@pytest.mark.parametrize(
    ("end", "status"),
    [(revoke, 401), (revoke_itself, 401), (rotate, 401), (expire, 401), (block, 403), (delete, 401)],
)
def test_a_job_token_ends_with_its_maker_from_the_next_request_on(
    root: httpx2.Client,
    server: LiveServer,
    member: Callable[[int], Account],
    project: int,
    jobs: str,
    file_url: str,
    end: Callable[[httpx2.Client, Account, LiveServer], None],
    status: int,
) -> None:
    """On the direct way of files, on that of MLflow and on FastAPI's; what was remembered of it counts no more."""
    person = member(30)
    job = {"JOB-TOKEN": made(person.client, jobs)["token"]}

    def statuses() -> list[int]:
        with server.client() as bare:
            return [
                bare.get(file_url, headers=job).status_code,
                bare.put(file_url, content=b"content", headers=job).status_code,
                bare.put(f"{file_url}/authorize", headers=job).status_code,
                bare.get(f"/projects/{project}/{MLFLOW}/experiments/get?experiment_id=0", headers=job).status_code,
                bare.get(f"/projects/{project}", headers=job).status_code,
            ]

    for _ in range(2):
        assert statuses() == [200, 201, 200, 200, 200]
    end(root, person, server)
    assert statuses() == [status] * 5


def test_a_revoked_maker_is_told_as_a_revoked_token(
    root: httpx2.Client, member: Callable[[int], Account], jobs: str, client_for: Callable[[str], httpx2.Client]
) -> None:
    person = member(30)
    job = client_for(made(person.client, jobs)["token"])
    root.delete(f"/personal_access_tokens/{own_id(person.client)}")
    assert job.get(jobs.removesuffix("/job_tokens")).json() == REVOKED


def test_job_tokens_of_other_tokens_of_the_same_user_go_on(
    root: httpx2.Client,
    member: Callable[[int], Account],
    make_token: Callable[..., dict[str, Any]],
    client_for: Callable[[str], httpx2.Client],
    jobs: str,
) -> None:
    person = member(30)
    other = client_for(make_token(person.id)["token"])
    ended, kept = (client_for(made(client, jobs)["token"]) for client in (person.client, other))
    revoke_itself(root, person, None)  # type: ignore[arg-type]
    assert [client.get(f"{jobs}/self").status_code for client in (ended, kept)] == [401, 200]


def test_job_tokens_of_a_projects_token_end_with_it(
    owner: Account, project: int, jobs: str, file_url: str, client_for: Callable[[str], httpx2.Client]
) -> None:
    body = {"name": "ci", "scopes": ["api"], "access_level": 30}
    token = owner.client.post(f"/projects/{project}/access_tokens", json=body).json()
    bot = client_for(token["token"])
    one = client_for(made(bot, jobs)["token"])
    assert one.get(file_url).status_code == 200
    fresh = bot.post(f"/projects/{project}/access_tokens/self/rotate").json()
    assert one.get(file_url).json() == REVOKED
    two = client_for(made(client_for(fresh["token"]), jobs)["token"])
    assert two.get(file_url).status_code == 200
    assert owner.client.delete(f"/projects/{project}/access_tokens/{fresh['id']}").status_code == 204
    assert two.get(file_url).json() == REVOKED


def test_a_job_token_never_lives_longer_than_its_maker(
    member: Callable[[int], Account],
    make_token: Callable[..., dict[str, Any]],
    client_for: Callable[[str], httpx2.Client],
    server: LiveServer,
    jobs: str,
) -> None:
    token = make_token(member(30).id, expires_at=f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}")
    maker, soon = client_for(token["token"]), now() + 600_000
    change(server, token["id"], expires_at=soon)
    job = made(maker, jobs, expires_in=86_400)
    assert datetime.fromisoformat(job["expires_at"]).timestamp() * 1000 == soon
    assert maker.get(f"{jobs}/{job['id']}").json()["expires_at"] == job["expires_at"]
    before = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    assert ids(maker.get(jobs, params={"expires_before": before})) == [job["id"]]
    short = made(maker, jobs, expires_in=60)
    assert short["expires_at"] < job["expires_at"]


def test_a_job_token_of_an_older_version_has_no_maker_and_goes_on(
    owner: Account, server: LiveServer, jobs: str, client_for: Callable[[str], httpx2.Client]
) -> None:
    job = made(owner.client, jobs)
    with server.app.state.database.writing() as registry:
        registry.session.get(Token, job["id"]).maker_id = None
    assert client_for(job["token"]).get(f"{jobs}/self").json()["maker_id"] is None
    (listed,) = owner.client.get(jobs).json()
    assert (listed["active"], listed["expires_at"]) == (True, job["expires_at"])


def test_owners_and_administrators_see_all_and_others_their_own(
    root: httpx2.Client, owner: Account, member: Callable[[int], Account], jobs: str, make_user: Callable[..., Account]
) -> None:
    reporter, maintainer = member(20), member(40)
    theirs, kept, mine = (made(each.client, jobs) for each in (reporter, maintainer, owner))
    secret = theirs.pop("token")
    assert secret.startswith("myd_")
    assert theirs["user_id"] == reporter.id
    assert theirs["maker_id"] == own_id(reporter.client)
    for everything in (owner.client, root):
        assert ids(everything.get(jobs)) == [mine["id"], kept["id"], theirs["id"]]
        assert everything.get(f"{jobs}/{theirs['id']}").json() == theirs
    assert reporter.client.get(jobs).json() == [theirs]
    assert reporter.client.get(f"{jobs}/{theirs['id']}").json() == theirs
    assert ids(maintainer.client.get(jobs)) == [kept["id"]]
    for answer in (
        maintainer.client.get(f"{jobs}/{theirs['id']}"),
        maintainer.client.delete(f"{jobs}/{theirs['id']}"),
        reporter.client.delete(f"{jobs}/{mine['id']}"),
        owner.client.get(f"{jobs}/{theirs['maker_id']}"),
        owner.client.delete(f"{jobs}/{theirs['maker_id']}"),
        owner.client.get(f"{jobs}/self"),
        owner.client.delete(f"{jobs}/self"),
        owner.client.delete(f"{jobs}/{2**63}"),
        owner.client.get(f"{jobs}/x"),
    ):
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    assert make_user().client.get(jobs).json() == {"message": "404 Project Not Found"}
    assert owner.client.get(f"{jobs}/{kept['id']}").json()["active"] is True


@pytest.mark.parametrize("who", ["maker", "owner", "administrator", "itself", "itself, as any token"])
def test_a_job_token_is_revoked_by(
    root: httpx2.Client,
    owner: Account,
    member: Callable[[int], Account],
    client_for: Callable[[str], httpx2.Client],
    jobs: str,
    file_url: str,
    who: str,
) -> None:
    person = member(30)
    token = made(person.client, jobs)
    job = client_for(token["token"])
    assert [job.get(file_url).status_code for _ in range(2)] == [200, 200]
    by_id = f"{jobs}/{token['id']}"
    client, url = {
        "maker": (person.client, by_id),
        "owner": (owner.client, by_id),
        "administrator": (root, by_id),
        "itself": (job, f"{jobs}/self"),
        "itself, as any token": (job, "/personal_access_tokens/self"),
    }[who]
    assert client.delete(url).status_code == 204
    assert (job.get(file_url).status_code, job.get(file_url).json()) == (401, REVOKED)
    assert job.delete(f"{jobs}/self").json() == REVOKED
    assert owner.client.delete(by_id).status_code == 204  # it has ended
    shown = owner.client.get(by_id).json()
    assert (shown["revoked"], shown["active"]) == (True, False)
    events = root.get(f"{jobs.removesuffix('/job_tokens')}/audit_events").json()
    assert [each["event_name"] for each in events].count("job_token_revoked") == 1


def test_a_job_token_sees_and_ends_no_other(
    owner: Account, jobs: str, client_for: Callable[[str], httpx2.Client], make_project: Callable[..., dict[str, Any]]
) -> None:
    token, other = made(owner.client, jobs), made(owner.client, jobs)
    job, elsewhere = client_for(token["token"]), f"/projects/{make_project(owner)['id']}/job_tokens"
    assert job.get(f"{jobs}/self").json()["id"] == job.get(f"{jobs}/{token['id']}").json()["id"] == token["id"]
    for method, url, status in (
        ("GET", jobs, 403),
        ("POST", jobs, 403),
        ("GET", f"{jobs}/{other['id']}", 404),
        ("DELETE", f"{jobs}/{other['id']}", 404),
        ("DELETE", f"{jobs}/{token['maker_id']}", 404),
        ("DELETE", f"/personal_access_tokens/{token['maker_id']}", 403),
        ("GET", f"{elsewhere}/self", 403),
        ("DELETE", f"{elsewhere}/self", 403),
    ):
        assert job.request(method, url).status_code == status, (method, url)
    assert owner.client.get(f"{jobs}/{other['id']}").json()["active"] is True


def test_a_token_that_only_reads_lists_job_tokens_and_revokes_none(
    owner: Account, make_token: Callable[..., dict[str, Any]], client_for: Callable[[str], httpx2.Client], jobs: str
) -> None:
    token, reader = made(owner.client, jobs), client_for(make_token(owner.id, ("read_api",))["token"])
    assert ids(reader.get(jobs)) == [token["id"]]
    for refused in (reader.delete(f"{jobs}/{token['id']}"), reader.post(jobs)):
        assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")


def test_what_ended_with_its_maker_is_listed_as_ended(
    root: httpx2.Client, owner: Account, member: Callable[[int], Account], server: LiveServer, jobs: str
) -> None:
    revoked, expired = member(30), member(30)
    gone, late, kept = (made(each.client, jobs)["id"] for each in (revoked, expired, owner))
    revoke(root, revoked, server)
    expire(root, expired, server)
    for query, expected in (
        ({}, [kept, late, gone]),
        ({"state": "active"}, [kept]),
        ({"state": "inactive"}, [late, gone]),
        ({"revoked": True}, [gone]),
        ({"revoked": False}, [kept, late]),
        ({"sort": "expires_asc"}, [late, gone, kept]),
        ({"per_page": 1, "page": 2}, [late]),
    ):
        assert ids(owner.client.get(jobs, params=query)) == expected, query
    shown = {each["id"]: (each["revoked"], each["active"]) for each in owner.client.get(jobs).json()}
    assert shown == {kept: (False, True), late: (False, False), gone: (True, False)}


def test_no_job_token_outlives_a_revocation_at_the_same_moment(
    root: httpx2.Client, member: Callable[[int], Account], server: LiveServer, jobs: str
) -> None:
    person = member(30)
    token_id = own_id(person.client)

    def make(_number: int) -> str | None:
        with server.client(person.token) as client:
            secret: str | None = client.post(jobs).json().get("token")
            return secret

    with ThreadPoolExecutor(6) as threads:
        makes = [threads.submit(make, number) for number in range(12)]
        assert root.delete(f"/personal_access_tokens/{token_id}").status_code == 204
        secrets = [secret for each in makes if (secret := each.result())]
    for secret in secrets:
        with server.client(secret) as job:
            assert job.get(f"{jobs}/self").status_code == 401
