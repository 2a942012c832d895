"""The exchange: RFC 8693 and PyPI's shape; each id token once, one project, and ends at the next request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from modelyard.clock import now
from modelyard.registry.tables import Token
from tests.commands import unmeasured
from tests.conftest import MLFLOW
from tests.issuers import running_issuer
from tests.live import running
from tests.routes.oauth import ci
from tests.routes.oauth.conftest import GRANT, ID_TOKEN, Trusting, Yard
from tests.waiting import within_one_minute


def form(token: str, **changed: str | list[str] | None) -> dict[str, Any]:
    told = {"grant_type": GRANT, "subject_token_type": ID_TOKEN, "subject_token": token} | changed
    return {name: value for name, value in told.items() if value is not None}


def fresh(trusting: Trusting) -> str:
    return trusting.issuer.sign(trusting.claims())


# Replay


def test_an_id_token_is_exchanged_once(yard: Yard) -> None:
    trusting = yard.trusting()
    token = fresh(trusting)
    assert yard.exchange(token).status_code == 200
    assert yard.refused(token) == "jti: the token has been used already"
    # Not by its bytes: the same token can be written in several ways.
    claims = trusting.claims(jti="one")
    assert yard.exchange(trusting.issuer.sign(claims)).status_code == 200
    assert yard.refused(trusting.issuer.sign(claims | {"extra": 1})) == "jti: the token has been used already"


def test_of_twenty_exchanges_of_one_token_at_once_one_wins(yard: Yard) -> None:
    trusting = yard.trusting()
    token = fresh(trusting)
    with ThreadPoolExecutor(20) as pool:
        statuses = sorted(each.status_code for each in pool.map(lambda _: yard.exchange(token), range(20)))
    assert statuses == [200] + [400] * 19
    tokens = yard.root.get(f"/projects/{trusting.id}/job_tokens").json()
    assert len(tokens) == 1


def test_a_refusal_uses_nothing_up(yard: Yard) -> None:
    trusting = yard.trusting()
    token = fresh(trusting)
    assert yard.refused(token, resource="no/project").startswith("resource: ")
    assert yard.exchange(token, scope="admin").json()["error"] == "invalid_scope"
    assert yard.exchange(token).status_code == 200


def test_ids_of_two_issuers_tokens_do_not_collide(yard: Yard) -> None:
    assert yard.trusting("gitlab").exchange(jti="the same").status_code == 200
    assert yard.trusting("github").exchange(jti="the same").status_code == 200


@pytest.mark.parametrize("jti", [None, "", "x" * 256, ["a"]])
def test_a_token_that_can_be_used_once_must_have_an_id(yard: Yard, jti: object) -> None:
    assert yard.trusting().refused(jti=jti).startswith("jti: ")


# RFC 8693


def test_a_form_does_as_well_as_json_and_nobody_keeps_the_answer(yard: Yard) -> None:
    trusting = yard.trusting()
    answer = yard.web.post("/oauth/token", data=form(fresh(trusting), resource=trusting.path, scope="read_api"))
    assert answer.status_code == 200, answer.text
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    assert answer.json()["scope"] == "read_api"
    with yard.as_job(answer.json()["access_token"]) as job:
        assert job.get(f"/projects/{trusting.id}").status_code == 200
        refused = job.post(f"/projects/{trusting.id}/{MLFLOW}/registered-models/create", json={"name": "m"})
        assert refused.status_code == 403


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"grant_type": None}, "invalid_request"),
    ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
    ({"subject_token": None}, "invalid_request"),
    ({"subject_token_type": None}, "invalid_request"),
    ({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
    ({"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"),
    ({"scope": "api sudo"}, "invalid_scope"),
    ({"scope": " "}, "invalid_scope"),
    ({"resource": "x" * 1025}, "invalid_target"),
    ({"resource": "https://elsewhere.example.com/a/b"}, "invalid_target"),
    ({"resource": "datasets/a/b"}, "invalid_target"),
]


@pytest.mark.parametrize(("changed", "code"), INVALID, ids=str)
def test_requests_that_are_none_of_the_exchange_are_refused_by_oauth_s_codes(
    yard: Yard, changed: dict[str, Any], code: str
) -> None:
    body = form(fresh(yard.trusting()), **changed)
    for answer in (yard.web.post("/oauth/token", json=body), yard.web.post("/oauth/token", data=body)):
        assert (answer.status_code, answer.json()["error"]) == (400, code), answer.text
        assert set(answer.json()) == {"error", "error_description"}
        assert answer.headers["cache-control"] == "no-store"


def test_a_parameter_that_comes_twice_is_refused(yard: Yard) -> None:
    token = fresh(yard.trusting())
    answer = yard.web.post("/oauth/token", data=form(token) | {"subject_token": [token, token]})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert yard.exchange(token).status_code == 200


@pytest.mark.parametrize("path", ["/oauth/token", "/-/oidc/mint-token"])
@pytest.mark.parametrize(
    ("content", "status"),
    [(b"{", 400), (b"[1]", 400), (b'"x"', 400), (b"\xff", 400), (b"x" * 70_000, 413), (b"{}", 400), (b"", 400)],
    ids=["half", "list", "text", "no UTF-8", "large", "empty", "nothing"],
)
def test_bodies_that_are_no_request_are_refused_in_the_shape_that_was_asked(
    yard: Yard, path: str, content: bytes, status: int
) -> None:
    answer = yard.web.post(path, content=content, headers={"Content-Type": "application/json"})
    if path == "/oauth/token":
        assert (answer.status_code, answer.json()["error"]) == (status, "invalid_request")
    else:
        assert answer.status_code == (422 if status == 400 else status)
        assert answer.json()["errors"][0]["code"] == "invalid-payload"


def test_a_token_in_the_query_is_not_looked_at(yard: Yard) -> None:
    answer = yard.web.post("/oauth/token", params=form(fresh(yard.trusting())))
    assert answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize("path", ["/oauth/token", "/-/oidc/mint-token"])
def test_other_methods_are_told_which_one_there_is(yard: Yard, path: str) -> None:
    answer = yard.web.get(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_project_that_does_not_trust_the_job_is_not_told_from_one_that_is_not_there(yard: Yard) -> None:
    trusting, other = yard.trusting(), yard.trusting("github")
    token = fresh(trusting)
    absent = yard.exchange(token, resource="no/such-project")
    present = yard.exchange(token, resource=other.path)
    assert absent.json() == present.json() == yard.exchange(token, resource=str(other.id)).json()
    assert (absent.status_code, absent.json()["error"]) == (400, "invalid_target")


# PyPI's shape


def test_what_is_given_is_what_the_document_tells(yard: Yard) -> None:
    schemas = yard.web.get("/openapi.json", timeout=60).json()["components"]["schemas"]
    trusting = yard.trusting()
    answers = {
        "Exchanged": yard.exchange(fresh(trusting)),
        "Minted": yard.web.post("/-/oidc/mint-token", json={"token": fresh(trusting)}),
        "NotMinted": yard.web.post("/-/oidc/mint-token", json={"token": "x"}),
        "OAuthRefusal": yard.exchange("x"),
        "Audience": yard.web.get("/-/oidc/audience"),
    }
    for name, answer in answers.items():
        assert set(answer.json()) == set(schemas[name]["required"]), answer.text
    metadata = yard.web.get("/.well-known/oauth-authorization-server").json()
    assert set(metadata) == set(schemas["ServerMetadata"]["properties"])


def test_pypi_s_shape(yard: Yard) -> None:
    assert yard.web.get("/-/oidc/audience").json() == {"audience": ci.AUDIENCE}
    trusting = yard.trusting()
    token = fresh(trusting)
    answer = yard.web.post("/-/oidc/mint-token", json={"token": token})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["success"], set(told)) == (True, {"success", "token", "expires"})
    assert 3500 < told["expires"] - now() / 1000 < 3700
    with yard.as_job(told["token"]) as job:
        assert job.get(f"/projects/{trusting.id}").status_code == 200
    for presented, code in (
        (token, "invalid-reuse-token"),
        ("x", "invalid-token"),
        (trusting.issuer.sign(trusting.claims(ref_protected="false")), "invalid-token"),
        (trusting.issuer.sign(trusting.claims(project_id="1", job_project_id="1")), "invalid-publisher"),
        (7, "invalid-payload"),
    ):
        refused = yard.web.post("/-/oidc/mint-token", json={"token": presented})
        assert refused.status_code == 422
        assert refused.json()["message"] == "Token request failed"
        assert [each["code"] for each in refused.json()["errors"]] == [code]


# What a token opens, and when it ends


def works(yard: Yard, trusting: Trusting, token: str) -> int:
    with yard.as_job(token) as job:
        return job.get(f"/projects/{trusting.id}/packages").status_code


def test_a_token_lives_for_as_long_as_its_publisher_says(yard: Yard) -> None:
    trusting = yard.trusting(expires_in=900)
    assert trusting.exchange().json()["expires_in"] == 900
    (told,) = yard.root.get(f"/projects/{trusting.id}/job_tokens").json()
    token = trusting.token()
    assert works(yard, trusting, token) == 200
    with yard.server.app.state.database.writing() as registry:
        over = update(Token).where(Token.project_id == trusting.id).values(expires_at=now() - 1)
        registry.session.execute(over)
    assert works(yard, trusting, token) == 401
    assert told["scopes"] == ["api"]


def test_a_token_ends_with_its_publisher(yard: Yard) -> None:
    trusting = yard.trusting()
    token, other = trusting.token(), yard.trusting()
    kept = other.token()
    assert works(yard, trusting, token) == 200
    deleted = yard.root.delete(f"/projects/{trusting.id}/trusted_publishers/{trusting.publisher['id']}")
    assert deleted.status_code == 204
    assert works(yard, trusting, token) == 401
    assert works(yard, other, kept) == 200
    assert "No project trusts" in trusting.refused()
    assert yard.root.get(f"/projects/{trusting.id}/members").json()[1:] == []


def test_a_token_ends_with_its_project(yard: Yard) -> None:
    trusting = yard.trusting()
    token = trusting.token()
    assert yard.root.delete(f"/projects/{trusting.id}").is_success
    assert works(yard, trusting, token) == 401


@pytest.mark.parametrize("change", [None, {"jobs": False}])
def test_a_token_ends_with_its_issuer(yard: Yard, change: dict[str, bool] | None) -> None:
    with running_issuer() as issuer:
        made = yard.list_issuer(issuer)
        trusting = yard.trusting(issuer=issuer)
        token = trusting.token()
        assert works(yard, trusting, token) == 200
        url = f"/issuers/{made['id']}"
        answer = yard.root.put(url, json=change) if change else yard.root.delete(url)
        assert answer.is_success
        assert works(yard, trusting, token) == 401
        assert trusting.refused() == "invalid token"


def test_an_issuer_goes_also_where_somebody_took_its_bot_out_of_a_project(yard: Yard) -> None:
    with running_issuer() as issuer:
        made = yard.list_issuer(issuer)
        trusting = yard.trusting(issuer=issuer)
        members = f"/projects/{trusting.id}/members"
        (bot,) = yard.root.get(members).json()[1:]
        assert yard.root.delete(f"{members}/{bot['id']}").status_code == 204
        assert yard.root.delete(f"/issuers/{made['id']}").status_code == 204
        assert yard.root.get(f"/projects/{trusting.id}/trusted_publishers").json() == []


def test_a_token_manages_nothing(yard: Yard) -> None:
    trusting = yard.trusting()
    publishers = f"/projects/{trusting.id}/trusted_publishers"
    with yard.as_job(trusting.token()) as job:
        new = {"issuer": "gitlab", "claims": {"project_id": "1"}}
        for answer in (
            job.get(publishers),
            job.post(publishers, json=new),
            job.delete(f"{publishers}/{trusting.publisher['id']}"),
            job.post(f"/projects/{trusting.id}/job_tokens"),
            job.post(f"/projects/{trusting.id}/access_tokens", json={"name": "n", "scopes": ["api"]}),
            job.post(f"/projects/{trusting.id}/members", json={"user_id": 1, "access_level": 30}),
            job.delete(f"/projects/{trusting.id}"),
            job.get("/issuers"),
        ):
            assert answer.status_code == 403, answer.text


def test_a_reporter_s_job_reads_only(yard: Yard) -> None:
    trusting = yard.trusting(access_level=20)
    with yard.as_job(trusting.token()) as job:
        assert job.get(f"/projects/{trusting.id}/packages").status_code == 200
        model = job.post(f"/projects/{trusting.id}/{MLFLOW}/registered-models/create", json={"name": "m"})
        assert model.status_code == 403


# Everything is told


def test_both_outcomes_are_in_the_audit_trail_and_no_token_is_anywhere(
    yard: Yard, capfd: pytest.CaptureFixture[str]
) -> None:
    trusting = yard.trusting()
    refused = trusting.issuer.sign(trusting.claims(ref_protected="false", jti="j-refused"))
    used = trusting.issuer.sign(trusting.claims(jti="j-used"))
    assert "ref_protected" in yard.refused(refused)
    secret = yard.exchange(used).json()["access_token"]
    events = yard.root.get(f"/projects/{trusting.id}/audit_events").json()
    by_name = {event["event_name"]: event["details"] for event in events}
    issued, denied = by_name["id_token_exchanged"], by_name["id_token_refused"]
    job = {
        "issuer": trusting.issuer.url,
        "subject": "project_path:grp/prj:ref_type:branch:ref:main",
        "project": "grp/prj",
        "ref": "refs/heads/main",
        "commit": ci.SHA,
        "job": "2002",
        "actor": "ada",
        "url": f"{trusting.issuer.url}/grp/prj/-/jobs/2002",
    }
    assert issued["claims_of_job"] == denied["claims_of_job"] == job
    assert (issued["jti"], denied["jti"]) == ("j-used", "j-refused")
    assert denied["reason"] == "claim"
    assert issued["ip_address"] == denied["ip_address"] == "127.0.0.1"
    assert {"trusted_publisher_created", "job_token_created"} <= set(by_name)
    captured = capfd.readouterr()
    written = json.dumps(events) + captured.out + captured.err
    for each in (refused, used, secret, refused.rpartition(".")[2], used.rpartition(".")[2]):
        assert each not in written


def test_what_nobody_has_signed_fills_no_audit_trail(yard: Yard) -> None:
    before = yard.root.get("/audit_events").headers["x-total"]
    trusting_nobody = yard.issuers["gitlab"]
    token = trusting_nobody.sign(ci.gitlab(trusting_nobody))
    assert yard.refused(token[:-8] + "AAAAAAAA") == "invalid token"
    assert yard.root.get("/audit_events").headers["x-total"] == before


def test_outcomes_are_counted(yard: Yard) -> None:
    def counted(kind: str, outcome: str) -> float:
        found = yard.server.app.state.metrics._exchanges.labels(kind, outcome)
        return float(found._value.get())

    before = counted("gitlab", "issued"), counted("gitlab", "claim"), counted("unknown", "malformed")
    trusting = yard.trusting()
    trusting.token()
    trusting.refused(ref_protected="false")
    yard.refused("x")
    after = counted("gitlab", "issued"), counted("gitlab", "claim"), counted("unknown", "malformed")
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1, 1]


def test_wrong_tokens_of_one_address_are_slowed_and_right_ones_pass(
    tmp_path: Path,
) -> None:
    settings: dict[str, Any] = {"loopback_issuers": True, "external_url": ci.AUDIENCE, "rate_limit_failed_logins": 3}
    with (
        running_issuer() as issuer,
        running(tmp_path, **settings) as server,
        server.client(server.root_token) as root,
        httpx2.Client(base_url=server.url, timeout=30) as web,
    ):
        yard = Yard(server, root, web, {})
        yard.list_issuer(issuer)
        trusting = yard.trusting(issuer=issuer)
        within_one_minute(10)
        statuses = [yard.exchange(f"wrong-{number}").status_code for number in range(5)]
        assert statuses == [400, 400, 400, 429, 429]
        assert [yard.exchange("wrong-0").status_code for _ in range(4)] == [400, 400, 429, 429]
        refused = yard.exchange("wrong")
        assert int(refused.headers["retry-after"]) >= 1
        assert set(refused.json()) == {"error", "error_description"}
        shaped = web.post("/-/oidc/mint-token", json={"token": "wrong"})
        assert (shaped.status_code, shaped.json()["errors"][0]["code"]) == (429, "slow-down")
        assert trusting.exchange().status_code == 200


def test_without_an_issuer_there_is_nothing(server: Any, root: httpx2.Client, make_project: Callable[..., Any]) -> None:
    assert root.get("/issuers").json() == []
    with httpx2.Client(base_url=server.url) as web:
        exchange = web.post("/oauth/token", data={"grant_type": GRANT})
        assert (exchange.status_code, exchange.json()) == (404, {"error": "404 Not Found"})
        for path in ("/-/oidc/mint-token", "/-/oidc/audience", "/oauth/other", "/-/oidc/"):
            for method in ("GET", "POST"):
                answer = web.request(method, path)
                assert (answer.status_code, answer.json()) == (404, {"error": "404 Not Found"}), path
    publishers = f"/projects/{make_project()['id']}/trusted_publishers"
    assert root.get(publishers).status_code == 404
    assert root.post(publishers, json={"issuer": "x", "claims": {"sub": "x"}}).status_code == 404


@pytest.mark.once
def test_nothing_of_it_is_imported_before_somebody_asks_for_it(tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from tests.live import running

OF_IT = ("modelyard.services.identity", "modelyard.routes.oauth", "modelyard.routes.gitlab.issuers", "jwt")

def imported():
    return sorted(name for name in sys.modules if name.startswith(OF_IT) or "trusted_publishers" in name)

with running(Path({str(tmp_path)!r})) as live, live.client(live.root_token) as root:
    print(imported(), file=sys.stderr)
    project = root.post("/projects", json={{"name": "p"}}).json()["id"]
    file = f"/projects/{{project}}/packages/ml_models/candidate:1/files/f"
    root.post(f"/projects/{{project}}/ml/mlflow/api/2.0/mlflow/runs/create", json={{"experiment_id": "0"}})
    assert root.put(file, content=b"x").status_code == 201
    assert root.get(file).content == b"x"
    print(imported(), file=sys.stderr)
    assert root.get("/issuers").json() == []
    print("modelyard.routes.gitlab.issuers" in imported(), file=sys.stderr)
"""
    command, environment = [sys.executable, "-c", program], unmeasured(os.environ)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == ["[]", "[]", "True"]


def test_what_is_imported_late_answers_other_methods_and_paths_as_the_rest(yard: Yard, root: httpx2.Client) -> None:
    for client in (yard.root, root):
        refused = client.patch("/issuers")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, POST")
        assert client.head("/issuers").status_code == 200
        for path in ("/issuers/1/2", "/projects/1/trusted_publishers/1/2"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()) == (404, {"error": "404 Not Found"})
