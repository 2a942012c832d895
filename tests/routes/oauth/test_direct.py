"""Credentials of others where an administrator has opted in: id tokens as they are, and a GitLab's CI_JOB_TOKEN."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx2
import pytest
from sqlalchemy import select, update

from modelyard.access.tokens import digest_of
from modelyard.clock import now
from modelyard.registry.tables import Token
from tests.conftest import MLFLOW
from tests.issuers import FakeIssuer, running_issuer, say
from tests.routes.oauth import ci
from tests.routes.oauth.conftest import Trusting, Yard

CI_JOB_TOKEN = "glcbt-64_abcdefghijklmnopqrst"


@contextmanager
def opted_in(yard: Yard, kind: str = "kubernetes", **fields: Any) -> Iterator[tuple[Trusting, dict[str, Any]]]:
    with running_issuer() as issuer:
        listed = yard.list_issuer(issuer, kind, **fields)
        try:
            yield yard.trusting(kind, issuer, **({"ref_protected": False} if kind == "gitlab" else {})), listed
        finally:
            yard.root.delete(f"/issuers/{listed['id']}")


def sent(yard: Yard, trusting: Trusting, method: str = "GET", **headers: str) -> httpx2.Response:
    path = f"/api/v4/projects/{trusting.id}/packages"
    return yard.web.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})


def over(yard: Yard, token: str) -> None:
    """Let the verdict on a credential have been given long ago, for this worker and all others."""
    yard.server.app._front.app.app.app.app.foreign._direct._verdicts.clear()  # type: ignore[attr-defined]
    with yard.server.app.state.database.writing() as registry:
        ended = update(Token).where(Token.digest == digest_of(token)).values(expires_at=now() - 1)
        registry.session.execute(ended)


def test_an_id_token_is_no_credential_unless_that_is_opted_in(yard: Yard) -> None:
    trusting = yard.trusting("kubernetes")
    token = trusting.issuer.sign(trusting.claims())
    assert sent(yard, trusting, Authorization=f"Bearer {token}").status_code == 401
    assert yard.exchange(token).status_code == 200


def test_an_id_token_is_a_credential_in_every_header_where_that_is_opted_in(yard: Yard) -> None:
    with opted_in(yard, direct=True) as (trusting, _listed):
        token = trusting.issuer.sign(trusting.claims())
        basic = base64.b64encode(f"any:{token}".encode()).decode()
        for header in (
            {"Authorization": f"Bearer {token}"},
            {"Authorization": f"Basic {basic}"},
            {"PRIVATE_TOKEN": token},
            {"JOB_TOKEN": token},
        ):
            assert sent(yard, trusting, **header).status_code == 200, header
        with yard.server.app.state.database.reading() as registry:
            mine = select(Token).where(Token.project_id == trusting.id)
            assert len(list(registry.session.scalars(mine))) == 1
        writer = httpx2.Client(base_url=yard.server.api, headers={"Authorization": f"Bearer {token}"})
        with writer:
            path = f"/projects/{trusting.id}/{MLFLOW}/registered-models/create"
            assert writer.post(path, json={"name": "m"}).status_code == 200
            assert writer.get(f"/projects/{trusting.id}/trusted_publishers").status_code == 403
            assert writer.get(f"/projects/{yard.project()['id']}").status_code in {403, 404}


def test_a_credential_of_others_is_looked_at_again_after_a_minute(yard: Yard) -> None:
    with opted_in(yard, direct=True) as (trusting, _listed):
        token = trusting.issuer.sign(trusting.claims())
        assert sent(yard, trusting, Authorization=f"Bearer {token}").status_code == 200
        over(yard, token)
        assert sent(yard, trusting, Authorization=f"Bearer {token}").status_code == 200
        events = yard.root.get(f"/projects/{trusting.id}/audit_events").json()
        assert [event["event_name"] for event in events].count("id_token_exchanged") == 1
        short = trusting.issuer.sign(trusting.claims(exp=now() // 1000 - 20))
        assert sent(yard, trusting, Authorization=f"Bearer {short}").status_code == 200
        late = trusting.issuer.sign(trusting.claims(exp=now() // 1000 - 40))
        for _ in range(3):
            assert sent(yard, trusting, Authorization=f"Bearer {late}").status_code == 401
        events = yard.root.get("/audit_events?created_after=2020-01-01T00:00:00Z").json()
        refused = [event for event in events if event["event_name"] == "id_token_refused"]
        assert len([event for event in refused if event["details"]["reason"] == "expired"]) == 1


def test_what_is_opened_to_a_credential_of_others_is_closed_at_the_next_request(yard: Yard) -> None:
    for end in ("publisher", "direct", "token", "issuer"):
        with opted_in(yard, direct=True) as (trusting, listed):
            token = trusting.issuer.sign(trusting.claims())
            assert sent(yard, trusting, Authorization=f"Bearer {token}").status_code == 200
            if end == "publisher":
                path = f"/projects/{trusting.id}/trusted_publishers/{trusting.publisher['id']}"
                assert yard.root.delete(path).status_code == 204
            elif end == "direct":
                assert yard.root.put(f"/issuers/{listed['id']}", json={"direct": False}).status_code == 200
            elif end == "token":
                (told,) = yard.root.get(f"/projects/{trusting.id}/job_tokens").json()
                assert yard.root.delete(f"/projects/{trusting.id}/job_tokens/{told['id']}").status_code == 204
            else:
                assert yard.root.delete(f"/issuers/{listed['id']}").status_code == 204
            assert sent(yard, trusting, Authorization=f"Bearer {token}").status_code == 401, end
            over(yard, token)
            assert sent(yard, trusting, Authorization=f"Bearer {token}").status_code == 401, end


def test_a_publisher_that_is_trusted_again_lets_the_same_credential_in_again(yard: Yard) -> None:
    with opted_in(yard, direct=True) as (trusting, _listed):
        token = trusting.issuer.sign(trusting.claims())
        assert sent(yard, trusting, Authorization=f"Bearer {token}").status_code == 200
        publishers = f"/projects/{trusting.id}/trusted_publishers"
        yard.root.delete(f"{publishers}/{trusting.publisher['id']}")
        yard.trust(trusting.id, trusting.issuer.url, trusting.publisher["claims"])
        over(yard, token)
        assert sent(yard, trusting, Authorization=f"Bearer {token}").status_code == 200


def test_an_issuer_that_cannot_be_asked_is_told_as_such(yard: Yard) -> None:
    with opted_in(yard, direct=True) as (trusting, _listed):
        trusting.issuer.answers["/keys"] = say({}, 500)
        token = trusting.issuer.sign(trusting.claims())
        answer = sent(yard, trusting, Authorization=f"Bearer {token}")
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)


def test_direct_use_and_single_use_exclude_each_other(yard: Yard) -> None:
    body = {"name": "both", "kind": "github", "url": "https://ci.example.org", "direct": True, "single": True}
    answer = yard.root.post("/issuers", json=body)
    assert (answer.status_code, list(answer.json()["message"])) == (400, ["single"])


# CI_JOB_TOKEN


class GitLab:
    """Tells of one running job, as GitLab's API does."""

    def __init__(self, issuer: FakeIssuer) -> None:
        self.asked: list[str | None] = []
        self.job: dict[str, Any] = {
            "id": 2002,
            "status": "running",
            "ref": "main",
            "tag": False,
            "web_url": f"{issuer.url}/grp/prj/-/jobs/2002",
            "commit": {"id": ci.SHA},
            "user": {"username": "ada"},
            "pipeline": {"id": 1001, "project_id": 42, "source": "push", "ref": "main"},
        }
        issuer.answers["/api/v4/job"] = self.answer

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        token = handler.headers.get("JOB-TOKEN")
        self.asked.append(token)
        if token != CI_JOB_TOKEN:
            say({"message": "401 Unauthorized"}, 401)(handler)
        else:
            say(self.job)(handler)


@contextmanager
def gitlab(yard: Yard) -> Iterator[tuple[Trusting, GitLab]]:
    with opted_in(yard, "gitlab", job_tokens=True) as (trusting, _listed):
        fake = GitLab(trusting.issuer)
        fake.job["pipeline"]["project_id"] = int(trusting.publisher["claims"]["project_id"])
        yield trusting, fake
        over(yard, CI_JOB_TOKEN)


def test_a_job_uploads_with_nothing_but_gitlab_s_own_curl_line(yard: Yard) -> None:
    with gitlab(yard) as (trusting, fake):
        made = yard.root.post(f"/projects/{trusting.id}/{MLFLOW}/registered-models/create", json={"name": "m"})
        assert made.status_code == 200
        version = yard.root.post(f"/projects/{trusting.id}/{MLFLOW}/model-versions/create", json={"name": "m"})
        number = version.json()["model_version"]["version"]
        url = f"/api/v4/projects/{trusting.id}/packages/ml_models/{number}/files/model.bin"
        put = yard.web.put(url, headers={"JOB-TOKEN": CI_JOB_TOKEN}, content=b"weights")
        assert put.status_code == 201, put.text
        assert yard.web.get(url, headers={"JOB-TOKEN": CI_JOB_TOKEN}).content == b"weights"
        assert fake.asked == [CI_JOB_TOKEN]


def test_a_job_token_is_asked_for_again_after_a_minute_and_ends_with_its_job(yard: Yard) -> None:
    with gitlab(yard) as (trusting, fake):
        assert sent(yard, trusting, JOB_TOKEN=CI_JOB_TOKEN).status_code == 200
        fake.job["status"] = "success"
        assert sent(yard, trusting, JOB_TOKEN=CI_JOB_TOKEN).status_code == 200
        over(yard, CI_JOB_TOKEN)
        assert sent(yard, trusting, JOB_TOKEN=CI_JOB_TOKEN).status_code == 401
        assert len(fake.asked) == 2


@pytest.mark.parametrize(
    "changed",
    [
        {"pipeline": {"project_id": 41, "source": "push"}},
        {"pipeline": {"project_id": None, "source": "merge_request_event"}},
        {"status": "pending"},
    ],
    ids=str,
)
def test_jobs_that_no_project_trusts_are_refused(yard: Yard, changed: dict[str, Any]) -> None:
    with gitlab(yard) as (trusting, fake):
        bound = fake.job["pipeline"]["project_id"]
        fake.job |= changed
        if fake.job["pipeline"]["project_id"] is None:
            fake.job["pipeline"]["project_id"] = bound
        assert sent(yard, trusting, JOB_TOKEN=CI_JOB_TOKEN).status_code == 401


def test_a_publisher_that_asks_for_protected_refs_is_not_met_by_a_job_token(yard: Yard) -> None:
    with gitlab(yard) as (trusting, _fake):
        publishers = f"/projects/{trusting.id}/trusted_publishers"
        yard.root.delete(f"{publishers}/{trusting.publisher['id']}")
        yard.trust(trusting.id, trusting.issuer.url, trusting.publisher["claims"])
        assert sent(yard, trusting, JOB_TOKEN=CI_JOB_TOKEN).status_code == 401


def test_gitlab_is_asked_for_job_tokens_alone_and_never_for_ours(yard: Yard) -> None:
    with gitlab(yard) as (trusting, fake):
        own = trusting.token()
        assert sent(yard, trusting, JOB_TOKEN=own).status_code == 200
        for header in (
            {"PRIVATE_TOKEN": CI_JOB_TOKEN},
            {"Authorization": f"Bearer {CI_JOB_TOKEN}"},
            {"JOB_TOKEN": "short"},
        ):
            assert sent(yard, trusting, **header).status_code == 401
        assert fake.asked == []
        assert sent(yard, trusting, JOB_TOKEN="glcbt-of-nobody-at-all").status_code == 401
        assert sent(yard, trusting, JOB_TOKEN="glcbt-of-nobody-at-all").status_code == 401
        assert fake.asked == ["glcbt-of-nobody-at-all"]


@pytest.mark.parametrize(
    "answer", [say({}, 500), say([]), say(b"<html>"), say({"id": 1}), say(b"", 302, Location="https://example.com")]
)
def test_a_gitlab_that_gives_no_answer_is_told_as_such(yard: Yard, answer: Any) -> None:
    with gitlab(yard) as (trusting, _fake):
        trusting.issuer.answers["/api/v4/job"] = answer
        assert sent(yard, trusting, JOB_TOKEN=CI_JOB_TOKEN).status_code == 503


def test_one_gitlab_alone_is_asked(yard: Yard) -> None:
    with gitlab(yard):
        body = {"name": "second", "kind": "gitlab", "url": "https://gitlab.example.org", "job_tokens": True}
        assert yard.root.post("/issuers", json=body).status_code == 409
    body = {"name": "other", "kind": "github", "url": "https://github.example.org", "job_tokens": True}
    assert list(yard.root.post("/issuers", json=body).json()["message"]) == ["job_tokens"]
