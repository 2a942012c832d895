"""Kubernetes's service accounts, and jobs of any other CI."""

from __future__ import annotations

from typing import Any

import pytest

from tests.routes.oauth import ci
from tests.routes.oauth.conftest import Yard


def told(namespace: str, name: str = "trainer", uid: str = "uid-1") -> dict[str, Any]:
    account = {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}}
    return {"sub": f"system:serviceaccount:{namespace}:{name}", "kubernetes.io": account}


def test_a_service_account_mints_as_often_as_it_likes_with_the_same_token(yard: Yard) -> None:
    trusting = yard.trusting("kubernetes")
    token = trusting.issuer.sign(trusting.claims())
    assert [yard.exchange(token).status_code for _ in range(3)] == [200, 200, 200]


def test_another_namespace_name_or_uid_is_refused(yard: Yard) -> None:
    trusting = yard.trusting("kubernetes", claims={"service_account_uid": "uid-1"})
    namespace = trusting.publisher["claims"]["namespace"]
    assert trusting.exchange(**told(namespace)).status_code == 200
    assert "No project trusts" in trusting.refused(**told("elsewhere"))
    assert "No project trusts" in trusting.refused(**told(namespace, "other"))
    assert trusting.refused(**told(namespace, uid="uid-9")) == "service_account_uid: expected 'uid-1', got 'uid-9'"


@pytest.mark.parametrize(
    "claim", [None, {}, {"namespace": "ml"}, "ml", {"namespace": 1, "serviceaccount": {"name": "t"}}]
)
def test_a_token_of_no_service_account_is_refused(yard: Yard, claim: object) -> None:
    assert "kubernetes.io" in (said := yard.trusting("kubernetes").refused(**{"kubernetes.io": claim})) or "sub" in said


def test_a_subject_that_is_not_the_service_account_s_is_refused(yard: Yard) -> None:
    trusting = yard.trusting("kubernetes")
    assert trusting.refused(sub="system:serviceaccount:other:trainer").startswith("sub: ")


def test_any_other_job_is_trusted_by_its_subject_its_claims_or_both(yard: Yard) -> None:
    by_subject = yard.trusting("generic")
    assert by_subject.exchange().status_code == 200
    assert by_subject.refused(sub="someone else").startswith("No project trusts sub ")
    project = yard.project()
    issuer = yard.issuers["generic"]
    yard.trust(project["id"], issuer.url, {"https://ci/claims/id": "17", "shared": "true"})
    token = {"https://ci/claims/id": 17, "shared": True, "sub": "any"}
    assert yard.exchange(issuer.sign(ci.other(issuer, **token))).status_code == 200
    for other in (
        {"shared": False},
        {"shared": None},
        {"https://ci/claims/id": ["17"]},
        {"https://ci/claims/id": 17.0},
    ):
        assert ": expected " in yard.refused(issuer.sign(ci.other(issuer, **(token | other))))


def test_equal_ids_of_two_issuers_never_cross(yard: Yard) -> None:
    trusting = yard.trusting("generic", claims={"sub": "one and the same"})
    other = yard.issuers["kubernetes"]
    token = other.sign(ci.other(other, sub="one and the same"))
    assert "kubernetes.io" in yard.refused(token)
    assert trusting.exchange().status_code == 200
