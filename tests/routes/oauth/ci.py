"""What the CI systems say of a job, claim by claim, as their documentation has it."""

from __future__ import annotations

from typing import Any

from tests.issuers import FakeIssuer

AUDIENCE = "https://yard.example.com"  # the server's external URL
SHA = "2c26b46b68ffc68ff99b453c1d30413413422d70"


def gitlab(issuer: FakeIssuer, **changed: Any) -> dict[str, Any]:
    """A job of a push to a protected branch."""
    told: dict[str, Any] = {
        "aud": AUDIENCE,
        "sub": "project_path:grp/prj:ref_type:branch:ref:main",
        "project_id": "42",
        "project_path": "grp/prj",
        "namespace_id": "7",
        "namespace_path": "grp",
        "job_project_id": "42",
        "job_project_path": "grp/prj",
        "ref": "main",
        "ref_type": "branch",
        "ref_path": "refs/heads/main",
        "ref_protected": "true",
        "pipeline_source": "push",
        "pipeline_id": "1001",
        "job_id": "2002",
        "sha": SHA,
        "user_id": "5",
        "user_login": "ada",
        "user_email": None,
        "runner_id": 3,
        "runner_environment": "gitlab-hosted",
        "ci_config_ref_uri": "gitlab.example.com/grp/prj//.gitlab-ci.yml@refs/heads/main",
    }
    return issuer.claims(**(told | changed))


def github(issuer: FakeIssuer, **changed: Any) -> dict[str, Any]:
    """A job of a push to a protected branch."""
    told: dict[str, Any] = {
        "aud": AUDIENCE,
        "sub": "repo:Octo/Models:ref:refs/heads/main",
        "repository": "Octo/Models",
        "repository_id": "74",
        "repository_owner": "Octo",
        "repository_owner_id": "65",
        "repository_visibility": "private",
        "ref": "refs/heads/main",
        "ref_type": "branch",
        "ref_protected": "true",
        "sha": SHA,
        "event_name": "push",
        "actor": "octocat",
        "actor_id": "12",
        "workflow": "release",
        "workflow_ref": "Octo/Models/.github/workflows/release.yml@refs/heads/main",
        "job_workflow_ref": "Octo/Shared/.github/workflows/publish.yml@refs/tags/v1",
        "run_id": "3003",
        "run_attempt": "2",
        "runner_environment": "github-hosted",
    }
    return issuer.claims(**(told | changed))


def pod(issuer: FakeIssuer, **changed: Any) -> dict[str, Any]:
    """A pod's projected token."""
    told: dict[str, Any] = {
        "aud": [AUDIENCE],
        "sub": "system:serviceaccount:ml:trainer",
        "kubernetes.io": {
            "namespace": "ml",
            "serviceaccount": {"name": "trainer", "uid": "uid-1"},
            "pod": {"name": "train-0", "uid": "uid-2"},
            "warnafter": 1_800_000_000,
        },
    }
    return issuer.claims(**(told | changed))


def other(issuer: FakeIssuer, **changed: Any) -> dict[str, Any]:
    """A job of some other CI."""
    told: dict[str, Any] = {
        "aud": AUDIENCE,
        "sub": "organization:o:pipeline:p",
        "pipeline_slug": "p",
        "build_number": 9,
    }
    return issuer.claims(**(told | changed))
