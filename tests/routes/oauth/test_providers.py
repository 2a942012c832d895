"""Sign-on providers by the API: administrators list them, and a client's secret goes in and never out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.routes.oauth import ci
from tests.routes.oauth.conftest import Yard

PROVIDERS = "/sign_on_providers"
PROVIDER = {"name": "company", "issuer": "https://id.example.com", "client_id": "yard"}
SECRET = "the secret of the client"


def test_administrators_list_change_and_delete_providers(yard: Yard) -> None:
    made = yard.root.post(PROVIDERS, json=PROVIDER | {"client_secret": SECRET, "scopes": "email,groups"})
    assert made.status_code == 201, made.text
    told = made.json()
    place = f"{PROVIDERS}/{told['id']}"
    assert told == {
        "id": told["id"],
        "name": "company",
        "label": "company",
        "issuer": "https://id.example.com",
        "client_id": "yard",
        "has_secret": True,
        "scopes": ["openid", "email", "groups"],
        "provision": "off",
        "groups_claim": "groups",
        "callback_url": f"{ci.AUDIENCE}/users/auth/company/callback",
        "created_at": told["created_at"],
    }
    assert yard.root.get(PROVIDERS).json() == [told]
    assert yard.root.get(place).json() == told
    assert yard.root.get(f"{PROVIDERS}?page=2").json() == []
    change = {"label": "Example Inc.", "provision": "all", "groups_claim": "roles", "scopes": ["profile"]}
    changed = yard.root.put(place, json=change).json()
    assert changed == told | change | {"scopes": ["openid", "profile"]}
    assert yard.root.put(place, json={"client_secret": ""}).json() == changed | {"has_secret": False}
    assert yard.root.post(PROVIDERS, json=PROVIDER).status_code == 409
    events = yard.root.get("/audit_events", params={"per_page": 50}).text
    assert events.count("sign_on_provider_updated") == 5
    assert SECRET not in events
    assert yard.root.delete(place).status_code == 204
    for method in ("GET", "PUT", "DELETE"):
        assert yard.root.request(method, place, json={}).status_code == 404
    assert "https://id.example.com" not in yard.root.get("/issuers?per_page=100").text


def test_groups_are_given_and_taken_back(yard: Yard) -> None:
    place = f"{PROVIDERS}/{yard.root.post(PROVIDERS, json=PROVIDER | {'name': 'groups'}).json()['id']}"
    groups = f"{place}/groups"
    given = [
        {"name": "/staff"},
        {"name": "operators", "access_level": 60},
        {"name": "team", "path": "/vision/models/", "access_level": 20},
        {"name": "team", "path": "vision/models", "access_level": 30},
    ]
    answers = [yard.root.post(groups, json=each) for each in given]
    assert {each.status_code for each in answers} == {201}
    listed = yard.root.get(groups).json()
    assert [(each["name"], each["path"], each["access_level"]) for each in listed] == [
        ("operators", "", 60),
        ("staff", "", 0),
        ("team", "vision/models", 30),
    ]
    assert yard.root.delete(f"{groups}/{listed[1]['id']}").status_code == 204
    assert yard.root.delete(f"{groups}/{listed[1]['id']}").status_code == 404
    assert yard.root.get(groups).json() == [listed[0], listed[2]]
    for wrong, field in (
        ({"name": ""}, "group"),
        ({"name": "a\tb"}, "group"),
        ({"name": "g", "access_level": 30}, "access_level"),
        ({"name": "g", "path": "a//b", "access_level": 30}, "path"),
        ({"name": "g", "path": "a/b", "access_level": 60}, "access_level"),
    ):
        refused = yard.root.post(groups, json=wrong)
        assert (refused.status_code, list(refused.json()["message"])) == (400, [field])
    assert yard.root.delete(place).status_code == 204


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (PROVIDERS, PROVIDER | {"name": "at-once"}),
        ("/issuers", {"name": "at-once", "kind": "gitlab", "url": "https://at-once.example.com"}),
    ],
    ids=["provider", "issuer"],
)
def test_of_ten_who_list_the_same_at_once_one_does(yard: Yard, path: str, body: dict[str, str]) -> None:
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _number: yard.root.post(path, json=body), range(10)))
    made = [each.json()["id"] for each in answers if each.status_code == 201]
    assert sorted(each.status_code for each in answers) == [201, *[409] * 9]
    groups = f"{path}/{made[0]}/groups"
    if path == PROVIDERS:
        with ThreadPoolExecutor(10) as pool:
            given = list(pool.map(lambda _number: yard.root.post(groups, json={"name": "staff"}), range(10)))
        assert {(each.status_code, each.json()["id"]) for each in given} == {(201, given[0].json()["id"])}
    assert yard.root.delete(f"{path}/{made[0]}").status_code == 204


def test_nobody_else_sees_or_lists_a_provider(yard: Yard) -> None:
    new = {"name": "somebody", "scopes": ["api"], "access_level": 40}
    bot = yard.root.post(f"/projects/{yard.project()['id']}/access_tokens", json=new).json()["token"]
    with yard.server.client(bot) as client:
        answers = [
            client.get(PROVIDERS),
            client.post(PROVIDERS, json=PROVIDER),
            client.put(f"{PROVIDERS}/1", json={}),
            client.delete(f"{PROVIDERS}/1"),
            client.get(f"{PROVIDERS}/1/groups"),
            client.post(f"{PROVIDERS}/1/groups", json={"name": "g"}),
            client.delete(f"{PROVIDERS}/1/groups/1"),
        ]
    assert {each.status_code for each in answers} == {403}


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": "Not This"}, "name"),
        ({"issuer": "http://id.example.com"}, "url"),
        ({"issuer": "https://a..b"}, "url"),
        ({"client_id": ""}, "client_id"),
        ({"client_id": ci.AUDIENCE}, "client_id"),
        ({"client_secret": "a\nb"}, "client_secret"),
        ({"client_secret": "é"}, "client_secret"),
        ({"client_secret": "x" * 1025}, "client_secret"),
        ({"label": "a\tb"}, "label"),
        ({"label": "x" * 256}, "label"),
        ({"groups_claim": "a\nb"}, "groups_claim"),
        ({"scopes": ["a b"]}, "scopes"),
        ({"scopes": ['a"b']}, "scopes"),
        ({"scopes": ["é"]}, "scopes"),
        ({"algorithms": ["HS256"]}, "algorithms"),
        ({"jwks_uri": "https://user@id.example.com/keys"}, "jwks_uri"),
        ({"ca": "no certificate"}, "ca"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_provider_cannot_be_is_named(yard: Yard, changed: dict[str, Any], field: str) -> None:
    refused = yard.root.post(PROVIDERS, json=PROVIDER | {"name": "wrong"} | changed)
    assert refused.status_code == 400, refused.text
    assert list(refused.json()["message"]) == [field]
    assert yard.root.get(PROVIDERS).json() == []


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"label": "x" * 256}, "label"),
        ({"client_secret": "a\nb"}, "client_secret"),
        ({"scopes": ["a b"]}, "scopes"),
        ({"groups_claim": "a\nb"}, "groups_claim"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_provider_cannot_become_is_named(yard: Yard, changed: dict[str, Any], field: str) -> None:
    told = yard.root.post(PROVIDERS, json=PROVIDER | {"name": "kept"}).json()
    place = f"{PROVIDERS}/{told['id']}"
    refused = yard.root.put(place, json=changed)
    assert (refused.status_code, list(refused.json()["message"])) == (400, [field])
    assert yard.root.get(place).json() == told
    assert yard.root.delete(place).status_code == 204


def test_no_file_of_the_server_is_named_from_afar(yard: Yard) -> None:
    made = yard.root.post(PROVIDERS, json=PROVIDER | {"name": "afar", "secret_file": "/etc/passwd"})
    assert (made.status_code, made.json()["has_secret"]) == (201, False)
    assert yard.root.delete(f"{PROVIDERS}/{made.json()['id']}").status_code == 204
