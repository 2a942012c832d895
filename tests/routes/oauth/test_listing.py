"""Who lists issuers and publishers, and what none of them can be."""

from __future__ import annotations

import itertools
import re
from typing import Any

import httpx2
import pytest

from tests.conftest import MLFLOW
from tests.issuers import KEY
from tests.routes.oauth import ci
from tests.routes.oauth.conftest import Yard

_serial = itertools.count(1)
ISSUER = {"kind": "gitlab", "url": "https://gitlab.example.com"}


def member(yard: Yard, project: int, level: int) -> httpx2.Client:
    name = f"person-{next(_serial)}"
    user = yard.root.post("/users", json={"username": name, "email": f"{name}@example.com"}).json()["id"]
    body = {"name": "t", "scopes": ["api"]}
    token = yard.root.post(f"/users/{user}/personal_access_tokens", json=body).json()["token"]
    if level:
        assert yard.root.post(f"/projects/{project}/members", json={"user_id": user, "access_level": level}).is_success
    return yard.server.client(token)


def test_administrators_list_issuers_and_nobody_else(yard: Yard) -> None:
    made = yard.root.post("/issuers", json=ISSUER | {"name": "listed", "private": True})
    assert made.status_code == 201, made.text
    told = made.json()
    assert (told["audience"], told["algorithms"], told["single"]) == (ci.AUDIENCE, ["RS256"], True)
    url = f"/issuers/{told['id']}"
    assert yard.root.get(url).json() == told
    assert told in yard.root.get("/issuers", params={"per_page": 100}).json()
    changed = yard.root.put(url, json={"algorithms": "ES256,RS256", "name": "renamed"}).json()
    assert (changed["algorithms"], changed["name"], changed["private"]) == (["ES256", "RS256"], "renamed", True)
    with member(yard, yard.project()["id"], 50) as person:
        answers = [
            person.get("/issuers"),
            person.post("/issuers", json=ISSUER),
            person.get(url),
            person.put(url, json={}),
        ]
        assert {each.status_code for each in [*answers, person.delete(url)]} == {403}
    assert yard.root.post("/issuers", json=ISSUER | {"name": "again"}).status_code == 409
    assert yard.root.delete(url).status_code == 204
    assert yard.root.get(url).status_code == 404


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": "Not This"}, "name"),
        ({"url": "http://gitlab.example.com"}, "url"),
        ({"url": "https://user:secret@gitlab.example.com"}, "url"),
        ({"url": "https://gitlab.example.com?x=1"}, "url"),
        ({"url": "https://gitlab.example.com/" + "x" * 2048}, "url"),
        ({"url": "https://a..b"}, "url"),
        ({"url": f"https://{'a' * 64}.example.com"}, "url"),
        ({"url": "https://2130706433"}, "url"),
        ({"jwks_uri": "https://-a.example.com/keys"}, "jwks_uri"),
        ({"audience": "a\nb"}, "audience"),
        ({"algorithms": ["HS256"]}, "algorithms"),
        ({"algorithms": ["none"]}, "algorithms"),
        ({"algorithms": []}, "algorithms"),
        ({"jwks": "{"}, "jwks"),
        ({"jwks": {"keys": []}}, "jwks"),
        ({"jwks": {"keys": [KEY.as_dict(private=True)]}}, "jwks"),
        ({"jwks_uri": "http://169.254.169.254/keys"}, "jwks_uri"),
        ({"jwks_uri": "https://x.example.com", "jwks": {"keys": [KEY.as_dict(private=False)]}}, "jwks_uri"),
        ({"ca": "no certificate"}, "ca"),
        ({"ca": "Ý"}, "ca"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),  # keys are others in each process
)
def test_what_an_issuer_cannot_be_is_named(yard: Yard, changed: dict[str, Any], field: str) -> None:
    answer = yard.root.post("/issuers", json=ISSUER | {"name": "bad"} | changed)
    assert answer.status_code == 400, answer.text
    assert list(answer.json()["message"]) == [field]
    existing = yard.root.get("/issuers").json()[0]
    if field not in {"url", "name"}:
        unchanged = yard.root.put(f"/issuers/{existing['id']}", json=changed)
        assert unchanged.status_code == 400
    assert yard.root.get(f"/issuers/{existing['id']}").json() == existing


def test_an_audience_never_depends_on_what_a_request_says(root: httpx2.Client) -> None:
    answer = root.post("/issuers", json=ISSUER | {"name": "x"})
    assert (answer.status_code, list(answer.json()["message"])) == (400, ["audience"])


def test_maintainers_trust_publishers_up_to_their_own_role(yard: Yard) -> None:
    project = yard.project()["id"]
    publishers = f"/projects/{project}/trusted_publishers"
    body = {"issuer": "gitlab", "claims": {"project_id": 991}, "access_level": 30}
    with (
        member(yard, project, 40) as maintainer,
        member(yard, project, 30) as developer,
        member(yard, project, 0) as nobody,
    ):
        made = maintainer.post(publishers, json=body)
        assert made.status_code == 201, made.text
        told = made.json()
        assert (told["claims"], told["ref_protected"], told["kind"]) == ({"project_id": "991"}, True, "gitlab")
        assert told["issuer"] == yard.issuers["gitlab"].url
        assert maintainer.get(publishers).json() == [told]
        for other, status in ((developer, 403), (nobody, 404)):
            answers = [
                other.get(publishers),
                other.post(publishers, json=body),
                other.delete(f"{publishers}/{told['id']}"),
            ]
            assert {each.status_code for each in answers} == {status}
        above = maintainer.post(publishers, json=body | {"access_level": 50})
        assert above.status_code == 403
        most = maintainer.post(publishers, json=body | {"access_level": 40})
        assert (most.status_code, list(most.json()["message"])) == (400, ["access_level"])
        assert maintainer.post(publishers, json=body).status_code == 409
        assert maintainer.delete(f"{publishers}/{told['id']}").status_code == 204
        assert maintainer.delete(f"{publishers}/{told['id']}").status_code == 404


def test_a_project_s_own_token_trusts_nobody_and_no_project_ends_another_s_publisher(yard: Yard) -> None:
    trusting, other = yard.trusting(), yard.trusting()
    new = {"name": "bot", "scopes": ["api"], "access_level": 40}
    bot = yard.root.post(f"/projects/{trusting.id}/access_tokens", json=new).json()["token"]
    with yard.server.client(bot) as client:
        body = {"issuer": "gitlab", "claims": {"project_id": "5"}}
        assert client.post(f"/projects/{trusting.id}/trusted_publishers", json=body).status_code == 403
    path = f"/projects/{trusting.id}/trusted_publishers/{other.publisher['id']}"
    assert yard.root.delete(path).status_code == 404


GITLAB, POD = (
    {"issuer": "gitlab", "claims": {"project_id": "5"}},
    {"issuer": "kubernetes", "claims": {"namespace": "n"}},
)
GITHUB = {"issuer": "github", "claims": {"repository_id": "5", "repository_owner_id": "6"}}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (GITLAB | {"claims": {}}, "claims"),
        (GITLAB | {"claims": {"project_path": "a/b"}}, "claims"),
        (GITLAB | {"claims": {"project_id": "a"}}, "claims"),
        (GITLAB | {"claims": {"project_id": "5", "user_login": "ada"}}, "claims"),
        (GITLAB | {"claims": {"project_id": "5", "ref": "main"}}, "claims"),
        (GITLAB | {"claims": {"project_id": "x" * 300}}, "claims"),
        (GITHUB | {"claims": {"repository_id": "5"}}, "claims"),
        (POD, "claims"),
        (POD | {"claims": {"namespace": "n", "service_account": "s"}, "ref": "main"}, "ref"),
        (POD | {"claims": {"namespace": "n", "service_account": "s"}, "ref_protected": True}, "ref_protected"),
        (POD | {"claims": {"namespace": "n", "service_account": "s"}, "events": ["x"]}, "events"),
        ({"issuer": "generic", "claims": {}}, "claims"),
        ({"issuer": "generic", "claims": {"aud": ci.AUDIENCE}}, "claims"),
        ({"issuer": "generic", "claims": {str(n): "x" for n in range(21)}}, "claims"),
        ({"issuer": "generic", "claims": {"sub": "a\nb"}}, "claims"),
        (GITLAB | {"ref": "a*b"}, "ref"),
        (GITLAB | {"ref": "**"}, "ref"),
        (GITLAB | {"ref": "v*", "ref_protected": False}, "ref"),
        (GITLAB | {"ref": "a\tb"}, "ref"),
        (GITLAB | {"events": ["push"]}, "events"),
        (GITLAB | {"expires_in": 899}, "expires_in"),
        (GITLAB | {"expires_in": 43_201}, "expires_in"),
    ],
    ids=str,
)
def test_what_cannot_be_trusted_is_named(yard: Yard, body: dict[str, Any], field: str) -> None:
    publishers = f"/projects/{yard.project()['id']}/trusted_publishers"
    answer = yard.root.post(publishers, json=body)
    assert answer.status_code == 400, answer.text
    assert list(answer.json()["message"]) == [field]
    assert yard.root.get(publishers).json() == []


@pytest.mark.parametrize("claims", ["{", "x", ["a"], {"project_id": ["5"]}, {"project_id": None}, 7])
def test_claims_are_texts_by_names(yard: Yard, claims: object) -> None:
    body = {"issuer": "gitlab", "claims": claims}
    answer = yard.root.post(f"/projects/{yard.project()['id']}/trusted_publishers", json=body)
    assert (answer.status_code, answer.json()) == (400, {"error": "claims is invalid"})


def test_a_form_has_claims_as_json(yard: Yard) -> None:
    data = {"issuer": "gitlab", "claims": '{"project_id": 77}', "ref": "main"}
    answer = yard.root.post(f"/projects/{yard.project()['id']}/trusted_publishers", data=data)
    assert (answer.status_code, answer.json()["ref"]) == (201, "refs/heads/main")


def test_issuers_that_are_not_listed_or_not_for_jobs_are_trusted_by_nobody(yard: Yard) -> None:
    publishers = f"/projects/{yard.project()['id']}/trusted_publishers"
    new = {"name": "people", "kind": "generic", "url": "https://sso.example.com", "jobs": False}
    issuer = yard.root.post("/issuers", json=new).json()
    for name in ("nobody", "people", "https://sso.example.com"):
        answer = yard.root.post(publishers, json={"issuer": name, "claims": {"sub": "x"}})
        assert (answer.status_code, answer.json()["message"]) == (404, "404 Issuer Not Found")
    assert yard.root.delete(f"/issuers/{issuer['id']}").status_code == 204


def test_a_version_that_a_job_makes_shows_where_it_comes_from(yard: Yard) -> None:
    trusting = yard.trusting(access_level=30)
    with yard.as_job(trusting.token()) as job:
        base = f"/projects/{trusting.id}/{MLFLOW}"
        job.post(f"{base}/registered-models/create", json={"name": "m"})
        told = job.post(f"{base}/model-versions/create", json={"name": "m"}).json()["model_version"]
    made = told["version"]
    by_hand = yard.root.post(f"{base}/model-versions/create", json={"name": "m"}).json()["model_version"]["version"]
    yard.root.delete(f"/projects/{trusting.id}/trusted_publishers/{trusting.publisher['id']}")
    assert told["origin"] == {
        "issuer": trusting.issuer.url,
        "subject": "project_path:grp/prj:ref_type:branch:ref:main",
        "project": "grp/prj",
        "ref": "refs/heads/main",
        "commit": ci.SHA,
        "job": "2002",
        "actor": "ada",
        "url": f"{trusting.issuer.url}/grp/prj/-/jobs/2002",
    }
    tag = {"name": "m", "version": made, "key": "origin", "value": "forged"}
    assert yard.root.post(f"{base}/model-versions/set-tag", json=tag).status_code == 200
    shown = yard.root.get(f"{base}/model-versions/get", params={"name": "m", "version": made}).json()
    assert shown["model_version"]["origin"] == told["origin"]
    found = yard.root.get(f"{base}/model-versions/search").json()["model_versions"]
    assert [each.get("origin") for each in found if each["version"] in {made, by_hand}].count(None) == 1
    with httpx2.Client(base_url=yard.server.url, headers=yard.root.headers, follow_redirects=True) as web:
        (number,) = set(re.findall(r"/-/ml/models/(\d+)", web.get(f"/{trusting.path}/-/ml/models").text))
        page = web.get(f"/{trusting.path}/-/ml/models/{number}/versions/{made}").text
        other = web.get(f"/{trusting.path}/-/ml/models/{number}/versions/{by_hand}").text
    assert f'<a href="{trusting.issuer.url}/grp/prj/-/jobs/2002" rel="noreferrer">job 2002</a> of grp/prj' in page
    assert ci.SHA in page
    assert "refs/heads/main" in page
    assert ci.SHA not in other


def test_issuers_and_publishers_are_bounded(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    project = yard.project()["id"]
    monkeypatch.setattr("modelyard.services.identity.issuers.MAX_ISSUERS", 0)
    assert (
        yard.root.post("/issuers", json=ISSUER | {"name": "one-too-many", "url": "https://more.example"}).status_code
        == 409
    )
    monkeypatch.setattr("modelyard.services.identity.publishers.MAX_PUBLISHERS", 0)
    body = {"issuer": yard.issuers["gitlab"].url, "claims": {"project_id": "987654"}}
    assert yard.root.post(f"/projects/{project}/trusted_publishers", json=body).status_code == 409
