"""GitLab's jobs: the id of the project counts, and where the job runs; neither names nor `sub` do."""

from __future__ import annotations

import pytest

from tests.conftest import MLFLOW
from tests.routes.oauth import ci
from tests.routes.oauth.conftest import Yard


def test_a_push_to_a_protected_branch_gets_a_token_that_writes_in_its_project_only(yard: Yard) -> None:
    trusting, other = yard.trusting(), yard.project()
    answer = trusting.exchange()
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told.pop("access_token").startswith("myd_")
    assert told == {
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": "api",
    }
    with yard.as_job(answer.json()["access_token"]) as job:
        model = job.post(f"/projects/{trusting.id}/{MLFLOW}/registered-models/create", json={"name": "m"})
        assert model.status_code == 200, model.text
        assert job.get(f"/projects/{other['id']}").status_code in {403, 404}
        elsewhere = job.post(f"/projects/{other['id']}/{MLFLOW}/registered-models/create", json={"name": "m"})
        assert elsewhere.status_code in {403, 404}


def test_a_ref_that_is_not_protected_is_refused_unless_that_is_allowed(yard: Yard) -> None:
    assert yard.trusting().refused(ref_protected="false") == "ref_protected: expected 'true', got 'false'"
    assert yard.trusting().refused(ref_protected=None) == "ref_protected: expected 'true', got nothing"
    assert yard.trusting(ref_protected=False).exchange(ref_protected="false").status_code == 200


def test_a_fork_s_merge_request_is_refused_whichever_of_the_ids_is_the_fork_s(yard: Yard) -> None:
    trusting = yard.trusting()
    bound = trusting.publisher["claims"]["project_id"]
    merging = {"pipeline_source": "merge_request_event", "ref": "main"}
    for source in ({}, merging):
        assert f"expected '99', got '{bound}'" in trusting.refused(project_id="99", **source)
        assert f"expected '{bound}', got '99'" in trusting.refused(job_project_id="99", **source)
    # As GitLab once told it: the parent's ids throughout.
    assert "pipeline_source" in trusting.refused(**merging)


def test_a_fork_s_branch_of_the_same_name_with_the_parent_s_configuration_is_refused(yard: Yard) -> None:
    trusting = yard.trusting()
    said = trusting.refused(project_id="99", job_project_id="99")
    assert said == "No project trusts project_id '99' of this issuer"


@pytest.mark.parametrize("event", ["merge_request_event", "external_pull_request_event"])
def test_merge_requests_are_refused_unless_they_are_allowed(yard: Yard, event: str) -> None:
    assert yard.trusting().refused(pipeline_source=event).startswith("pipeline_source: ")
    assert yard.trusting(events=[event]).exchange(pipeline_source=event).status_code == 200
    assert yard.trusting().refused(pipeline_source=None).startswith("pipeline_source: ")


def test_a_project_of_the_same_path_and_another_id_is_refused_and_the_same_id_under_a_new_path_is_not(
    yard: Yard,
) -> None:
    trusting = yard.trusting()
    assert trusting.exchange().status_code == 200
    assert "No project trusts" in trusting.refused(project_id="98", job_project_id="98", project_path="grp/prj")
    assert trusting.exchange(project_path="new/name").status_code == 200
    (told,) = yard.root.get(f"/projects/{trusting.id}/trusted_publishers").json()
    assert told["source"] == "new/name"


def test_jobs_of_versions_that_do_not_tell_where_they_run_are_taken(yard: Yard) -> None:
    assert yard.trusting().exchange(job_project_id=None, job_project_path=None).status_code == 200


@pytest.mark.parametrize(
    ("bound", "taken", "refused"),
    [
        ("main", {"ref": "main"}, {"ref": "next", "ref_path": "refs/heads/next"}),
        ("main", {"ref": "main", "ref_path": None}, {"ref": "main", "ref_type": "tag", "ref_path": "refs/tags/main"}),
        ("refs/tags/v*", {"ref": "v1", "ref_type": "tag", "ref_path": "refs/tags/v1"}, {"ref": "v1", "ref_path": None}),
        ("release/*", {"ref_path": "refs/heads/release/2"}, {"ref_path": "refs/heads/releases"}),
    ],
)
def test_a_ref_is_a_branch_or_a_tag_by_its_whole_name_or_by_its_beginning(
    yard: Yard, bound: str, taken: dict[str, str], refused: dict[str, str]
) -> None:
    trusting = yard.trusting(ref=bound)
    assert trusting.exchange(**taken).status_code == 200
    assert trusting.refused(**refused).startswith("ref: expected ")


def test_an_environment_that_is_bound_must_be_the_job_s_in_that_very_case(yard: Yard) -> None:
    trusting = yard.trusting(environment="Production")
    assert trusting.exchange(environment="Production").status_code == 200
    for other in ("production", "staging", None):
        assert trusting.refused(environment=other).startswith("environment: expected 'Production'")


def test_further_claims_must_be_as_they_are_bound(yard: Yard) -> None:
    uri = "gitlab.example.com/grp/prj//.gitlab-ci.yml"
    trusting = yard.trusting(claims={"runner_id": "3", "ci_config_ref_uri": uri})
    assert trusting.exchange().status_code == 200
    assert trusting.refused(runner_id=4) == "runner_id: expected '3', got '4'"
    assert "ci_config_ref_uri" in trusting.refused(ci_config_ref_uri=None)


def test_a_token_that_signs_a_person_in_is_none_of_a_job(yard: Yard) -> None:
    trusting = yard.trusting()
    assert trusting.refused(nonce="n").startswith("nonce: ")
    person = trusting.issuer.claims(sub="5", aud=ci.AUDIENCE, email="ada@example.com")
    assert yard.refused(trusting.issuer.sign(person)).startswith("project_id: ")
    assert yard.refused(trusting.issuer.sign(person | {"project_id": "42"})).startswith("job_id: ")
