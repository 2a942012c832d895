"""What goes wrong in the middle of an upload, in every protocol: a clear refusal, nothing visible, and a way on."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.conftest import Account
from tests.live import LiveServer
from tests.sessions import FACES, Parts, Sending

CONTENT = os.urandom(3000)

BY_EACH = pytest.mark.parametrize("face", FACES)


@pytest.fixture
def owner(make_user: Callable[..., Account]) -> Account:
    return make_user()


@pytest.fixture
def files(owner: Account, make_project: Callable[..., dict[str, Any]], make_version: Callable[..., int]) -> str:
    """Of a version in a project of the owner's."""
    project = make_project(owner)["id"]
    return f"/projects/{project}/packages/ml_models/{make_version(project)}/files"


def project_of(files: str) -> str:
    return "/".join(files.split("/")[:3])


def begun(face: type[Sending], client: httpx2.Client, files: str) -> Sending:
    """An upload of which one half is there."""
    sending = face(client, files, CONTENT)
    assert sending.first().is_success
    return sending


@BY_EACH
def test_a_version_that_is_deleted_is_404_and_nothing_goes_on(
    face: type[Sending], root: httpx2.Client, owner: Account, files: str
) -> None:
    sending = begun(face, owner.client, files)
    models = root.get(f"{project_of(files)}/ml/mlflow/api/2.0/mlflow/registered-models/search").json()
    (name,) = [each["name"] for each in models["registered_models"]]
    gone = root.request(
        "DELETE", f"{project_of(files)}/ml/mlflow/api/2.0/mlflow/registered-models/delete", json={"name": name}
    )
    assert gone.status_code == 200, gone.text
    for _ in range(2):
        refused = sending.last()
        assert refused.status_code == 404
        assert refused.json().get("message", "").startswith("404")


@BY_EACH
def test_a_project_that_is_deleted_is_404(face: type[Sending], root: httpx2.Client, owner: Account, files: str) -> None:
    sending = begun(face, owner.client, files)
    assert root.delete(project_of(files)).is_success
    refused = sending.last()
    assert refused.status_code == 404
    assert refused.json()["message"].startswith("404")


@BY_EACH
def test_a_token_that_is_revoked_is_401_and_another_of_the_same_user_goes_on(
    face: type[Sending],
    server: LiveServer,
    root: httpx2.Client,
    owner: Account,
    make_token: Callable[..., dict[str, Any]],
    files: str,
) -> None:
    token = make_token(owner.id)
    with server.client(token["token"]) as client:
        sending = begun(face, client, files)
        assert root.delete(f"/personal_access_tokens/{token['id']}").status_code == 204
        refused = sending.last()
        assert refused.status_code == 401
        assert refused.json()["error"] == "invalid_token"
        assert "revoked" in refused.json()["error_description"].lower()
    sending.client = owner.client
    assert not sending.is_there()
    if face is Parts:
        sending.begin()  # the URLs of parts have the right of the token that they were made by
        assert sending.first().is_success
    assert sending.last().is_success
    assert sending.is_there()


@BY_EACH
def test_whoever_may_no_longer_write_is_403_and_goes_on_when_he_may_again(
    face: type[Sending], root: httpx2.Client, make_user: Callable[..., Account], files: str
) -> None:
    writer, members = make_user(), f"{project_of(files)}/members"
    assert root.post(members, json={"user_id": writer.id, "access_level": 30}).status_code == 201
    sending = begun(face, writer.client, files)
    assert root.put(f"{members}/{writer.id}", json={"access_level": 20}).status_code == 200
    refused = sending.last()
    assert refused.status_code == 403
    assert refused.json()["message"].startswith("403")
    assert not sending.is_there()
    assert root.put(f"{members}/{writer.id}", json={"access_level": 30}).status_code == 200
    assert sending.last().is_success
    assert sending.is_there()


@BY_EACH
def test_a_quota_that_shrinks_is_403_and_a_larger_one_lets_it_go_on(
    face: type[Sending], root: httpx2.Client, owner: Account, files: str
) -> None:
    sending = begun(face, owner.client, files)
    assert root.put(project_of(files), json={"storage_limit": len(CONTENT) - 1}).status_code == 200
    refused = sending.last()
    assert refused.status_code == 403
    assert f"limit of {len(CONTENT) - 1} bytes" in refused.json()["message"]
    assert not sending.is_there()
    assert root.put(project_of(files), json={"storage_limit": len(CONTENT)}).status_code == 200
    assert sending.last().is_success
    assert sending.is_there()
