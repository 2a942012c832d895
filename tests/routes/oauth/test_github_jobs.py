"""GitHub's jobs: the ids of repository and owner count, and the event; neither names nor `sub` do."""

from __future__ import annotations

import pytest

from tests.routes.oauth.conftest import Yard


@pytest.mark.parametrize(
    "sub",
    [
        "repo:Octo/Models:ref:refs/heads/main",
        "repo:Octo@65/Models@74:ref:refs/heads/main",
        "repository_owner_id:65:repository_id:74",
        "repo:Octo/Models:environment:a%3Ab",
    ],
)
def test_every_form_of_sub_mints(yard: Yard, sub: str) -> None:
    assert yard.trusting("github").exchange(sub=sub).status_code == 200


BY_ANYBODY = [
    "check_run",
    "check_suite",
    "fork",
    "gollum",
    "issue_comment",
    "issues",
    "pull_request",
    "pull_request_review",
    "pull_request_target",
    "status",
    "watch",
    "workflow_run",
    None,
]


@pytest.mark.parametrize("event", BY_ANYBODY)
def test_events_that_others_than_those_who_may_write_cause_are_refused(yard: Yard, event: str | None) -> None:
    assert yard.trusting("github").refused(event_name=event).startswith("event_name: ")


@pytest.mark.parametrize("event", ["push", "release", "schedule", "workflow_dispatch", "repository_dispatch"])
def test_events_that_those_who_may_write_cause_mint(yard: Yard, event: str) -> None:
    assert yard.trusting("github").exchange(event_name=event).status_code == 200


def test_names_are_of_any_case_and_may_change_but_ids_may_not(yard: Yard) -> None:
    trusting = yard.trusting("github")
    assert trusting.exchange(repository="octo/MODELS", repository_owner="octo").status_code == 200
    assert trusting.exchange(repository="New/Name", repository_owner="New").status_code == 200
    assert "No project trusts" in trusting.refused(repository_owner_id="66")
    assert "No project trusts" in trusting.refused(repository_id="75")
    for name in ("repository_id", "repository_owner_id"):
        assert trusting.refused(**{name: None}).startswith(f"{name}: ")


def test_an_environment_that_is_bound_is_the_job_s_in_any_case(yard: Yard) -> None:
    trusting = yard.trusting("github", environment="Production")
    assert trusting.exchange(environment="production").status_code == 200
    for other in ("staging", None):
        assert trusting.refused(environment=other).startswith("environment: ")


def test_the_workflow_that_calls_and_the_one_that_is_called_are_told_apart(yard: Yard) -> None:
    caller, called = "octo/models/.github/workflows/release.yml", "Octo/Shared/.github/workflows/publish.yml"
    assert yard.trusting("github", claims={"workflow_ref": caller}).exchange().status_code == 200
    assert yard.trusting("github", claims={"job_workflow_ref": called}).exchange().status_code == 200
    assert yard.trusting("github", claims={"job_workflow_ref": f"{called}@refs/tags/v1"}).exchange().status_code == 200
    for name, other in (
        ("workflow_ref", called),
        ("job_workflow_ref", caller),
        ("job_workflow_ref", f"{called}@refs/tags/v2"),
        ("workflow_ref", caller.upper()),
    ):
        assert yard.trusting("github", claims={name: other}).refused().startswith(f"{name}: expected ")


def test_a_ref_that_is_not_protected_is_refused(yard: Yard) -> None:
    assert yard.trusting("github").refused(ref_protected="false").startswith("ref_protected: ")


def test_the_most_specific_publisher_of_a_project_wins(yard: Yard) -> None:
    trusting = yard.trusting("github", access_level=20)
    claims, url = trusting.publisher["claims"], trusting.issuer.url
    specific = yard.trust(trusting.id, url, claims, environment="production", access_level=30, expires_in=900)
    told = trusting.exchange(environment="production").json()
    assert told["expires_in"] == 900
    assert trusting.exchange(environment="staging").json()["expires_in"] == 3600
    listed = {each["id"]: each for each in yard.root.get(f"/projects/{trusting.id}/trusted_publishers").json()}
    assert listed[specific["id"]]["last_used_at"] is not None


def test_a_job_that_several_projects_trust_alike_says_which_one_it_means(yard: Yard) -> None:
    trusting, second = yard.trusting("github"), yard.project()
    yard.trust(second["id"], trusting.issuer.url, trusting.publisher["claims"])
    assert "name one of them as resource" in trusting.refused()
    for resource in (
        str(second["id"]),
        second["path_with_namespace"].upper(),
        f"https://yard.example.com/{second['path_with_namespace']}",
    ):
        answer = yard.exchange(trusting.issuer.sign(trusting.claims()), resource=resource)
        assert answer.status_code == 200, answer.text
        with yard.as_job(answer.json()["access_token"]) as job:
            assert job.get(f"/projects/{second['id']}").status_code == 200
