"""Sign-on providers on the administrators' page: a form, what groups give, and a secret that no page shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

import httpx2
import pytest

from tests.live import LiveServer, running
from tests.routes.pages.conftest import AS_BROWSER, SignIn

PROVIDERS = "/admin/sign_on_providers"
NEW = {"name": "company", "issuer": "https://id.example.com", "client_id": "yard", "label": "Example Inc."}
SECRET = "the secret of the client"
EVIL = {"Origin": "https://evil.example.com", "Sec-Fetch-Site": "cross-site"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running(tmp_path_factory.mktemp("providers"), loopback_issuers=True) as server:
        yield server


@pytest.fixture
def root(server: LiveServer) -> Iterator[httpx2.Client]:
    with server.client(server.root_token) as client:
        yield client
        for each in client.get("/sign_on_providers").json():
            assert client.delete(f"/sign_on_providers/{each['id']}").status_code == 204


def test_an_administrator_lists_a_provider_gives_its_groups_roles_and_deletes_it(
    admin: httpx2.Client, root: httpx2.Client, server: LiveServer
) -> None:
    assert "There is no provider yet" in admin.get(PROVIDERS).text
    assert f'<a href="{PROVIDERS}">Single sign-on</a>' in admin.get("/admin").text
    made = admin.post(PROVIDERS, data=NEW | {"client_secret": SECRET, "provision": "groups", "groups_claim": "roles"})
    assert (made.status_code, made.headers["location"]) == (303, PROVIDERS)
    text = admin.get(PROVIDERS).text
    assert "People can sign in at company now" in text
    assert f"<code>{server.url}/users/auth/company/callback</code>" in text
    assert ("with a secret" in text, SECRET in text) == (True, False)
    (told,) = root.get("/sign_on_providers").json()
    assert (told["label"], told["provision"], told["groups_claim"]) == ("Example Inc.", "groups", "roles")
    place = f"{PROVIDERS}/{told['id']}"
    for group, path, level in (("staff", "", "0"), ("team", "vision/models", "30"), ("operators", "", "60")):
        given = admin.post(f"{place}/groups", data={"group": group, "path": path, "access_level": level})
        assert (given.status_code, given.headers["location"]) == (303, PROVIDERS)
    shown = re.findall(r'<span class="tag" dir="auto">([^<]*)</span>', admin.get(PROVIDERS).text)
    assert shown == ["operators: Administrator", "staff: Come in", "team: Developer in vision/models"]
    groups = root.get(f"/sign_on_providers/{told['id']}/groups").json()
    taken = f"{place}/groups/{groups[0]['id']}/delete"
    assert admin.post(taken).status_code == 303
    assert admin.post(taken).status_code == 404
    assert root.get(f"/sign_on_providers/{told['id']}/groups").json() == groups[1:]
    refused = admin.post(f"{place}/delete", data={"name": "other"})
    assert (refused.status_code, "Name is not the provider&#39;s" in refused.text) == (400, True)
    assert admin.post(f"{place}/delete", data={"name": "company"}).status_code == 303
    assert "Nobody signs in at company any more" in admin.get(PROVIDERS).text
    assert root.get("/sign_on_providers").json() == []
    assert admin.post(f"{place}/delete", data={"name": "company"}).status_code == 404


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "Not This"}, "Name must be lower case"),
        ({"issuer": "http://id.example.com"}, "must begin with https://"),
        ({"issuer": "https://a..b"}, "must name a host"),
        ({"client_id": ""}, "must be there"),
        ({"client_secret": "é"}, "must be printable ASCII"),
        ({"provision": "some"}, "Provision does not have a valid value"),
        ({"label": '<script>alert(1)</script>"' + "x" * 255}, "must be printable, of at most"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_provider_that_cannot_be_is_refused_beside_what_was_typed(
    admin: httpx2.Client, root: httpx2.Client, changed: dict[str, str], said: str
) -> None:
    typed = NEW | {"client_secret": SECRET} | changed
    answer = admin.post(PROVIDERS, data=typed)
    assert answer.status_code == 400, answer.text[-500:]
    shown = unescape(answer.text)
    assert said in shown
    for name in ("name", "issuer", "client_id", "label"):
        assert f'value="{typed[name]}"' in shown
    assert SECRET not in shown
    assert "<script>alert" not in answer.text
    assert "no-store" in answer.headers["cache-control"]
    assert root.get("/sign_on_providers").json() == []


def test_what_a_group_cannot_give_is_told(admin: httpx2.Client, root: httpx2.Client) -> None:
    provider = root.post("/sign_on_providers", json=NEW).json()["id"]
    for wrong, said in (
        ({"group": "", "access_level": "0"}, "Group must be"),
        ({"group": "g", "access_level": "30"}, "Access level must be"),
        ({"group": "g", "access_level": "many"}, "Access level must be"),
        ({"group": "g", "path": "a//b", "access_level": "30"}, "Path must be"),
    ):
        answer = admin.post(f"{PROVIDERS}/{provider}/groups", data=wrong)
        assert (answer.status_code, said in answer.text) == (400, True), wrong
    assert admin.post(f"{PROVIDERS}/999/groups", data={"group": "g", "access_level": "0"}).status_code == 404
    assert root.get(f"/sign_on_providers/{provider}/groups").json() == []


def test_providers_are_administrators_alone(
    admin: httpx2.Client, sign_in: SignIn, server: LiveServer, root: httpx2.Client
) -> None:
    provider = root.post("/sign_on_providers", json=NEW).json()["id"]
    new = {"name": "t", "scopes": ["read_api"]}
    user = root.post("/users", json={"username": "somebody", "email": "s@example.com"}).json()["id"]
    person = root.post(f"/users/{user}/personal_access_tokens", json=new | {"scopes": ["api"]}).json()["token"]
    other, reader = sign_in(person), sign_in(root.post("/users/1/personal_access_tokens", json=new).json()["token"])
    paths = [PROVIDERS, *(f"{PROVIDERS}/{provider}/{path}" for path in ("delete", "groups", "groups/1/delete"))]
    with httpx2.Client(base_url=server.url, headers=AS_BROWSER, timeout=30) as stranger:
        assert stranger.get(PROVIDERS).headers["location"].startswith("/users/sign_in?return_to=")
        assert {stranger.post(path, data=NEW).status_code for path in paths} == {401}
    assert {each.status_code for each in [other.get(PROVIDERS), *(other.post(p, data=NEW) for p in paths)]} == {403}
    seen = reader.get(PROVIDERS).text
    assert ("company" in seen, "New provider" in seen, "Delete provider" in seen) == (True, False, False)
    assert {reader.post(path, data=NEW).status_code for path in paths} == {403}
    assert {admin.post(path, data=NEW, headers=EVIL).status_code for path in paths} == {403}
    assert [each["id"] for each in root.get("/sign_on_providers").json()] == [provider]
