"""Single sign-on: who comes back is who was sent, from whom it was sent to, once; and is somebody by issuer and subject
alone.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx2
import pytest
from sqlalchemy import select, update

from modelyard.access.identity import OPERATOR
from modelyard.clock import now
from modelyard.errors import Conflict
from modelyard.registry.tables import Issuer, SignOnState, UserIdentity
from modelyard.services.identity import provider_groups, providers, relying, sign_on, states, user_identities
from modelyard.services.identity.issuers import IssuerFields, Terms
from modelyard.services.identity.provider_groups import ADMIN, ENTRY
from modelyard.services.identity.providers import NewProvider, Provision
from tests.fake_provider import CLIENT, SECRET, FakeProvider, asked_in, running_fake_provider
from tests.issuers import OTHER_KEY
from tests.live import LiveServer, running
from tests.routes.pages.conftest import AS_BROWSER
from tests.waiting import within_one_minute

ROOT = "root"  # the administrator's name
COOKIE = "modelyard_session"
PLACE = "/users/auth/company"


@dataclass
class House:
    """A server with one provider, and the provider itself."""

    live: LiveServer
    provider: FakeProvider
    root: httpx2.Client
    secret_file: str

    def browser(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.live.url, headers=AS_BROWSER, timeout=30)

    def write(self, work: Callable[..., Any]) -> Any:
        return self.live.app.state.database.write_now(work)

    def list_provider(self, name: str = "company", provision: Provision = Provision.ALL, **more: Any) -> None:
        new = NewProvider(name, self.provider.url, CLIENT, secret_file=self.secret_file, provision=provision, **more)
        self.write(lambda registry: providers.create(registry, OPERATOR, new, Terms(None, loopback=True)))

    def give(self, group: str, path: str = "", level: int = ENTRY) -> None:
        self.write(lambda registry: provider_groups.give(registry, OPERATOR, "company", group, path, level))

    def sent(self, browser: httpx2.Client, **query: str) -> dict[str, str]:
        """Begin a sign-in; what the browser is sent to the provider with."""
        answer = browser.get(PLACE, params=query)
        assert answer.status_code == 303, answer.text
        assert answer.headers["location"].startswith(f"{self.provider.url}/authorize?")
        return asked_in(answer.headers["location"])

    def back(self, browser: httpx2.Client, asked: dict[str, str], **query: Any) -> httpx2.Response:
        told = {"code": query.pop("code", None), "state": asked["state"], "iss": self.provider.url} | query
        return browser.get(f"{PLACE}/callback", params={k: v for k, v in told.items() if v is not None})

    def sign_in(self, browser: httpx2.Client, **claims: Any) -> httpx2.Response:
        """All of it, as a person whom the provider says to have these claims."""
        asked = self.sent(browser)
        return self.back(browser, asked, code=self.provider.code(asked, **claims))

    def events(self, name: str) -> list[dict[str, Any]]:
        found = self.root.get("/audit_events", params={"per_page": 100}).json()
        return [each for each in found if each["event_name"] == name]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("sign-on")
    secret = folder / "secret"
    secret.write_text(f"{SECRET}\n")
    with (
        running_fake_provider() as provider,
        running(folder / "data", loopback_issuers=True) as live,
        live.client(live.root_token) as root,
    ):
        yield House(live, provider, root, str(secret))


@pytest.fixture
def house(place: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """With a provider that makes accounts for all; what a test leaves there is taken away."""
    monkeypatch.setattr("modelyard.routes.pages.sign_on.MAX_A_MINUTE", 100_000)
    place.list_provider()
    yield place
    place.provider.document, place.provider.userinfo, place.provider.down = {}, {}, False
    place.provider.public, place.provider.given = False, None
    place.provider.faults.clear()
    for name in ("company", "other"):
        if place.live.app.state.database.read_now(lambda registry, name=name: registry.sign_on.by_name(name)):
            place.write(lambda registry, name=name: providers.delete(registry, OPERATOR, name))
    place.write(lambda registry: [registry.session.delete(each) for each in registry.session.scalars(select(Issuer))])
    place.write(
        lambda registry: [registry.session.delete(each) for each in registry.session.scalars(select(UserIdentity))]
    )
    if hasattr(place.live.app.state, "relying"):
        del place.live.app.state.relying  # with what it keeps


def name_of(browser: httpx2.Client) -> str | None:
    found = re.search(r"Signed in as <strong>([^<]+)</strong>", browser.get("/").text)
    return found[1] if found else None


def told(answer: httpx2.Response) -> str:
    found = re.search(r'<p class="error"[^>]*>([^<]*)</p>', answer.text)
    return found[1] if found else ""


def test_without_a_provider_nothing_answers_but_404(server: LiveServer) -> None:
    with httpx2.Client(base_url=server.url, headers=AS_BROWSER, timeout=30) as browser:
        for path in (PLACE, f"{PLACE}/callback", f"{PLACE}/callback?code=x&state=y"):
            assert browser.get(path).status_code == 404
        assert browser.post(PLACE).status_code == 404
        assert "/users/auth" not in browser.get("/users/sign_in").text


def test_somebody_new_is_sent_with_pkce_state_and_nonce_and_gets_an_account(house: House) -> None:
    with house.browser() as browser:
        assert f'href="{PLACE}?return_to=%2F"' in browser.get("/users/sign_in").text
        begun = browser.get(PLACE, params={"return_to": "/dashboard/projects"})
        cookie = begun.headers["set-cookie"]
        assert re.fullmatch(r"modelyard_login=[\w-]{43}; Path=/; Max-Age=600; SameSite=Lax; HttpOnly", cookie)
        asked = asked_in(begun.headers["location"])
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
        assert (asked["code_challenge_method"], len(asked["code_challenge"])) == ("S256", 43)
        assert asked["scope"] == "openid profile email"
        assert asked["redirect_uri"] == f"{house.live.url}{PLACE}/callback"
        assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
        assert browser.cookies["modelyard_login"] not in begun.headers["location"]
        code = house.provider.code(asked, preferred_username="Ada", name="Ada L.", email="ada@example.com")
        answer = house.back(browser, asked, code=code)
        assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/projects")
        session = answer.headers["set-cookie"]
        assert re.fullmatch(r"modelyard_session=myd_\w{49}; Path=/; HttpOnly; SameSite=Lax", session)
        assert name_of(browser) == "ada"
        user = house.root.get("/users", params={"username": "ada"}).json()[0]
        assert (user["name"], user["email"], user["is_admin"]) == ("Ada L.", "ada@example.com", False)
        (event,) = house.events("user_identity_created")
        assert (event["details"]["issuer"], event["details"]["sub"]) == (house.provider.url, "subject-1")
        assert house.provider.faults == []


def test_over_https_the_cookie_of_a_sign_in_is_of_this_host_alone(house: House) -> None:
    with house.browser() as browser:
        begun = browser.get(PLACE, headers={"X-Forwarded-Proto": "https"})
        name, _, rest = begun.headers["set-cookie"].partition("=")
        assert name == "__Host-modelyard_login"
        assert rest.partition("; ")[2] == "Path=/; Max-Age=600; SameSite=Lax; HttpOnly; Secure"


def stale(house: House) -> None:
    house.write(lambda registry: registry.session.execute(update(SignOnState).values(expires_at=now() - 1)))


@pytest.mark.parametrize("wrong", ["unknown", "missing", "used", "out of time", "of another browser", "no cookie"])
def test_a_state_that_is_not_this_browser_s_not_in_time_or_used_is_refused(house: House, wrong: str) -> None:
    with house.browser() as browser, house.browser() as other:
        asked = house.sent(browser)
        code = house.provider.code(asked)
        coming = browser
        if wrong == "unknown":
            answer = house.back(browser, asked, code=code, state="x" * 43)
        elif wrong == "missing":
            answer = house.back(browser, asked, code=code, state=None)
        elif wrong == "used":
            house.back(browser, asked, code=code)
            browser.cookies.delete(COOKIE)
            answer = house.back(browser, asked, code=house.provider.code(asked))
        elif wrong == "out of time":
            stale(house)
            answer = house.back(browser, asked, code=code)
        elif wrong == "of another browser":
            house.sent(other)  # which has a cookie of its own
            coming, answer = other, house.back(other, asked, code=code)
        else:
            coming, answer = other, house.back(other, asked, code=code)
        assert (answer.status_code, "set-cookie" in answer.headers) == (400, False)
        assert "Begin it again" in told(answer)
        assert name_of(coming) is None
        if wrong == "of another browser":  # and who has begun it can still finish it
            assert house.back(browser, asked, code=code).status_code == 303


def test_two_browsers_whose_answers_are_swapped_are_both_refused(house: House) -> None:
    with house.browser() as one, house.browser() as two:
        first, second = house.sent(one), house.sent(two)
        codes = house.provider.code(first, sub="one"), house.provider.code(second, sub="two")
        assert house.back(one, second, code=codes[1]).status_code == 400
        assert house.back(two, first, code=codes[0]).status_code == 400
        # Nor does the code of another sign-in fit, whose verifier and nonce are others.
        assert house.back(one, first, code=codes[1]).status_code == 403
        assert name_of(one) is None


def test_ten_answers_of_one_state_at_once_begin_one_session(house: House) -> None:
    with house.browser() as browser:
        asked = house.sent(browser)
        query = {"code": house.provider.code(asked), "state": asked["state"], "iss": house.provider.url}
        headers = AS_BROWSER | {"Cookie": f"modelyard_login={browser.cookies['modelyard_login']}"}
        url = f"{house.live.url}{PLACE}/callback"
        with ThreadPoolExecutor(10) as pool:
            answers = pool.map(lambda _number: httpx2.get(url, params=query, headers=headers, timeout=60), range(10))
            assert sorted(answer.status_code for answer in answers) == [303] + [400] * 9


def test_two_tabs_of_one_browser_both_come_in(house: House) -> None:
    with house.browser() as browser:
        first, second = house.sent(browser), house.sent(browser)
        assert house.back(browser, first, code=house.provider.code(first)).status_code == 303
        assert house.back(browser, second, code=house.provider.code(second)).status_code == 303


class In(int):
    """Seconds from the time of the test on."""


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"nonce": 5}, "nonce"),
        ({"aud": "another-client"}, "aud: expected &#39;modelyard&#39;, got &#39;another-client&#39;"),
        ({"aud": None}, "aud"),
        ({"aud": []}, "aud"),
        ({"aud": [CLIENT, "another"]}, "azp"),
        ({"aud": [CLIENT, "another"], "azp": "another"}, "azp"),
        ({"azp": "another"}, "azp"),
        ({"exp": In(-40)}, "exp"),
        ({"exp": None}, "exp"),
        ({"exp": "9999999999"}, "exp"),
        ({"iat": In(300), "exp": In(600)}, "iat"),
        ({"sub": None}, "sub"),
        ({"sub": ""}, "sub"),
        ({"iss": "https://elsewhere.example"}, "invalid token"),
    ],
)
def test_an_id_token_that_is_not_for_this_sign_in_is_refused_and_the_trail_is_told(
    house: House, claims: dict[str, Any], expected: str
) -> None:
    begun = int(time.time())
    told_claims = {name: begun + value if isinstance(value, In) else value for name, value in claims.items()}
    with house.browser() as browser:
        answer = house.sign_in(browser, **told_claims)
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
        assert expected in told(answer)
        assert name_of(browser) is None
        event = house.events("sign_on_refused")[0]
        assert (event["entity_type"], event["details"]["target_details"]) == ("SignOnProvider", "company")
        assert event["details"]["reason"]


@pytest.mark.parametrize("claims", [{"aud": [CLIENT]}, {"aud": [CLIENT, "another"], "azp": CLIENT}, {"azp": CLIENT}])
def test_an_audience_may_be_a_list_that_says_that_we_are_meant(house: House, claims: dict[str, Any]) -> None:
    with house.browser() as browser:
        assert house.sign_in(browser, **claims).status_code == 303


def test_a_token_that_another_key_signed_is_refused_without_a_word_of_what_it_says(house: House) -> None:
    with house.browser() as browser:
        asked = house.sent(browser)
        claims = house.provider.issuer.claims(sub="s", aud="other", nonce=asked["nonce"])
        code = house.provider.code(asked)
        forged = house.provider.issuer.sign(claims, OTHER_KEY, kid="key-1")
        house.provider.codes[code] = (asked, forged)
        answer = house.back(browser, asked, code=code)
        assert answer.status_code == 403
        assert told(answer).endswith("its answer was refused: invalid token")


@pytest.mark.parametrize("iss", ["https://elsewhere.example", None, "{url}/"])
def test_an_answer_of_another_provider_is_refused_by_its_iss_parameter(house: House, iss: str | None) -> None:
    with house.browser() as browser:
        asked = house.sent(browser)
        named = iss.replace("{url}", house.provider.url) if iss else None
        assert house.back(browser, asked, code=house.provider.code(asked), iss=named).status_code == 403


def test_a_provider_that_sends_no_iss_parameter_is_believed_unless_it_sends_a_wrong_one(house: House) -> None:
    house.provider.document = {"authorization_response_iss_parameter_supported": None}
    with house.browser() as browser:
        asked = house.sent(browser)
        assert house.back(browser, asked, code=house.provider.code(asked), iss=None).status_code == 303
        asked = house.sent(browser)
        assert house.back(browser, asked, code=house.provider.code(asked), iss="https://x.example").status_code == 403


@pytest.mark.parametrize("error", ["access_denied", "<script>alert(1)</script>", "x" * 5000])
def test_what_a_provider_refuses_is_told_in_its_word_alone(house: House, error: str) -> None:
    with house.browser() as browser:
        answer = house.back(browser, house.sent(browser), error=error, error_description="<b>call-me-now</b>")
        assert answer.status_code == 403
        assert ("access_denied" in told(answer)) == (error == "access_denied")
        assert "<script>alert" not in answer.text
        assert "call-me-now" not in answer.text


def test_a_code_that_the_provider_does_not_know_is_refused(house: House) -> None:
    with house.browser() as browser:
        answer = house.back(browser, house.sent(browser), code="made-up")
        assert (answer.status_code, "does not know the code" in told(answer)) == (403, True)
        assert house.back(browser, house.sent(browser)).status_code == 403  # nor none


@pytest.mark.parametrize(
    "target", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:x", "/\tx", "/" + "x" * 3000]
)
def test_nobody_is_led_to_another_host_after_a_sign_in(house: House, target: str) -> None:
    with house.browser() as browser:
        asked = house.sent(browser, return_to=target)
        answer = house.back(browser, asked, code=house.provider.code(asked))
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_only_who_follows_a_link_begins_and_finishes_a_sign_in(house: House) -> None:
    with house.browser() as browser:
        for headers in ({"Sec-Purpose": "prefetch"}, {}):
            method = "GET" if headers else "HEAD"
            looked = browser.request(method, PLACE, headers=headers)
            assert (looked.status_code, "set-cookie" in looked.headers) == (200, False)
        asked = house.sent(browser)
        code = house.provider.code(asked)
        query = {"code": code, "state": asked["state"], "iss": house.provider.url}
        ahead = browser.get(f"{PLACE}/callback", params=query, headers={"Sec-Purpose": "prefetch"})
        assert (ahead.status_code, "set-cookie" in ahead.headers) == (200, False)
        assert house.back(browser, asked, code=code).status_code == 303


def test_a_provider_that_is_away_is_a_clear_503_and_tokens_sign_in_all_the_same(house: House) -> None:
    house.provider.down = True
    with house.browser() as browser:
        answer = browser.get(PLACE)
        assert (answer.status_code, "cannot be asked at the moment" in told(answer)) == (503, True)
        assert browser.post("/users/sign_in", data={"token": house.live.root_token}).status_code == 303


@pytest.mark.parametrize(
    "document",
    [
        {"authorization_endpoint": None},
        {"authorization_endpoint": "http://evil.example/authorize"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"issuer": "https://elsewhere.example"},
        {"jwks_uri": "https://elsewhere.example/keys"},
    ],
)
def test_a_provider_that_tells_nonsense_of_itself_is_not_used(house: House, document: dict[str, Any]) -> None:
    house.provider.document = document
    with house.browser() as browser:
        assert browser.get(PLACE).status_code == 503


def test_a_secret_that_cannot_be_read_is_told_to_the_operator_alone(house: House) -> None:
    path = Path(house.secret_file)
    try:
        path.rename(path.with_suffix(".away"))
        with house.browser() as browser:
            answer = house.sign_in(browser)
            assert (answer.status_code, house.secret_file in answer.text) == (503, False)
    finally:
        path.with_suffix(".away").rename(path)


@pytest.mark.parametrize(
    ("given", "status"),
    [({"access_token": "x"}, 403), ({"id_token": 5}, 403), (b"<html>", 503), ([], 403)],
)
def test_a_provider_that_gives_no_id_token_for_a_code_lets_nobody_in(house: House, given: Any, status: int) -> None:
    house.provider.given = given
    with house.browser() as browser:
        assert house.sign_in(browser).status_code == status
        assert name_of(browser) is None


def test_a_provider_without_a_place_for_codes_lets_nobody_in(house: House) -> None:
    house.provider.document = {"token_endpoint": None}
    with house.browser() as browser:
        assert house.sign_in(browser).status_code == 503


def test_a_provider_needs_no_userinfo(house: House) -> None:
    house.provider.document = {"userinfo_endpoint": None}
    with house.browser() as browser:
        assert house.sign_in(browser, sub="without", preferred_username="without-userinfo").status_code == 303
        assert name_of(browser) == "without-userinfo"


def test_a_client_without_a_secret_sends_none(house: House) -> None:
    house.provider.public = True
    house.write(lambda registry: providers.delete(registry, OPERATOR, "company"))
    new = NewProvider("company", house.provider.url, CLIENT, provision=Provision.ALL)
    house.write(lambda registry: providers.create(registry, OPERATOR, new, Terms(None, loopback=True)))
    with house.browser() as browser:
        assert house.sign_in(browser, sub="public").status_code == 303


def test_what_is_kept_of_providers_is_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relying, "MAX_KEPT", 1)
    with running_fake_provider() as another, house.browser() as browser:
        new = NewProvider("other", another.url, CLIENT, secret_file=house.secret_file, provision=Provision.ALL)
        house.write(lambda registry: providers.create(registry, OPERATOR, new, Terms(None, loopback=True)))
        for _ in range(2):
            assert browser.get(PLACE).status_code == 303
            assert browser.get("/users/auth/other").status_code == 303
        assert another.asked == 2  # each time anew, as the other had taken its place


def test_a_provider_that_takes_the_secret_in_the_form_alone_gets_it_there(house: House) -> None:
    house.provider.document = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    with house.browser() as browser:
        assert house.sign_in(browser).status_code == 303


def test_endpoints_may_have_queries_but_nothing_that_would_end_a_header(house: House) -> None:
    url = house.provider.url
    house.provider.document = {
        "authorization_endpoint": f"{url}/authorize?policy=p",
        "token_endpoint": f"{url}/token?policy=p",
        "userinfo_endpoint": f"{url}/me?policy=p",
    }
    with house.browser() as browser:
        assert house.sent(browser)["policy"] == "p"
        assert house.sign_in(browser, sub="by-query").status_code == 303
    for odd in ("policy=p\r\nX: y", "policy=p q", "policy=p#f", "policy=\u00e9"):
        house.provider.document = {"authorization_endpoint": f"{url}/authorize?{odd}"}
        del house.live.app.state.relying
        with house.browser() as browser:
            assert browser.get(PLACE).status_code == 503


def test_a_provider_that_was_listed_by_the_api_signs_in_with_the_secret_that_was_sent_there(house: House) -> None:
    house.write(lambda registry: providers.delete(registry, OPERATOR, "company"))
    new = {"name": "company", "issuer": house.provider.url, "client_id": CLIENT, "provision": "groups"}
    made = house.root.post("/sign_on_providers", json=new | {"client_secret": SECRET})
    assert made.status_code == 201, made.text
    provider = f"/sign_on_providers/{made.json()['id']}"
    staff = house.root.post(f"{provider}/groups", json={"name": "staff"})
    assert staff.status_code == 201, staff.text
    with house.browser() as browser:
        assert house.sign_in(browser, groups=["others"]).status_code == 403
        assert house.sign_in(browser, groups=["staff"]).status_code == 303
    assert house.root.put(provider, json={"client_secret": "another"}).status_code == 200
    with house.browser() as browser:
        assert house.sign_in(browser, groups=["staff"]).status_code == 403
    assert house.provider.faults == ["client"]


def test_the_audience_of_jobs_and_what_the_server_is_called_at_sign_in_are_kept_apart(house: House) -> None:
    issuer = house.root.get("/issuers").json()[0]
    assert (issuer["jobs"], issuer["audience"]) == (False, CLIENT)
    refused = house.root.put(f"/issuers/{issuer['id']}", json={"jobs": True})
    assert (refused.status_code, list(refused.json()["message"])) == (400, ["audience"])
    changed = house.root.put(f"/issuers/{issuer['id']}", json={"jobs": True, "audience": "https://yard.example.com"})
    assert changed.status_code == 200
    new = {"name": "other", "issuer": house.provider.url, "client_id": "https://yard.example.com"}
    refused = house.root.post("/sign_on_providers", json=new)
    assert (refused.status_code, list(refused.json()["message"])) == (400, ["client_id"])


def test_what_the_id_token_leaves_out_comes_from_userinfo_of_the_same_person(house: House) -> None:
    house.provider.userinfo = {"sub": "subject-1", "preferred_username": "from-userinfo", "aud": "ignored"}
    with house.browser() as browser:
        assert house.sign_in(browser).status_code == 303
        assert name_of(browser) == "from-userinfo"
    house.provider.userinfo = {"sub": "somebody-else", "groups": ["admins"]}
    with house.browser() as browser:
        assert house.sign_in(browser).status_code == 403


def test_a_known_name_or_e_mail_address_takes_over_nothing(house: House) -> None:
    with house.browser() as browser:
        claims = {"preferred_username": ROOT, "email": "admin@example.com", "email_verified": True}
        assert house.sign_in(browser, **claims).status_code == 303
        assert name_of(browser) == f"{ROOT}-2"
        assert browser.get("/admin").status_code == 403


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"preferred_username": "Grace.Hopper@example.com"}, "grace.hopper"),
        ({"preferred_username": "../../etc"}, "etc"),
        ({"preferred_username": "admin"}, "admin-1"),
        ({"preferred_username": "12345", "email": "number@example.com"}, "number"),
        ({"preferred_username": "\u00dcml\u00e4ut"}, "umlaut"),
        ({"preferred_username": "\u6f22\u5b57", "name": "Kanji"}, "kanji"),
        ({"preferred_username": "x" * 900}, "x" * 200),
        ({"preferred_username": 5, "name": ["x"], "email": {}}, r"user(-\d+)?"),
        ({}, r"user-\d+"),
    ],
)
def test_user_names_are_made_of_claims(house: House, claims: dict[str, Any], expected: str) -> None:
    with house.browser() as browser:
        assert house.sign_in(browser, sub=f"name {expected[:20]}", **claims).status_code == 303
        assert re.fullmatch(expected, name_of(browser) or "")


def test_a_name_that_many_have_gets_an_end_by_chance(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_on, "MAX_NUMBER", 1)
    with house.browser() as browser:
        house.sign_in(browser, sub="first of many", preferred_username="many-have-it")
        house.sign_in(browser, sub="second of many", preferred_username="many-have-it")
        assert re.fullmatch(r"many-have-it-[0-9a-f]{8}", name_of(browser) or "")


def test_a_name_does_not_take_over_a_namespace(house: House) -> None:
    made = house.root.post("/projects", json={"name": "p", "namespace_path": "ml-team"})
    assert made.status_code == 201, made.text
    with house.browser() as browser:
        house.sign_in(browser, sub="squatter", preferred_username="ml-team")
        assert name_of(browser) == "ml-team-2"
        assert browser.get("/ml-team/p").status_code == 404


def test_a_new_name_or_e_mail_address_keeps_the_account(house: House) -> None:
    with house.browser() as browser:
        house.sign_in(browser, sub="keeps", preferred_username="before", email="before@example.com", name="B")
        house.sign_in(browser, sub="keeps", preferred_username="after", email="after@example.com", name="A")
        assert name_of(browser) == "before"
        user = house.root.get("/users", params={"username": "before"}).json()[0]
        assert (user["email"], user["name"]) == ("after@example.com", "A")


def test_the_same_subject_of_another_issuer_is_somebody_else(house: House) -> None:
    with running_fake_provider() as another:
        secret = house.secret_file
        new = NewProvider("other", another.url, CLIENT, secret_file=secret, provision=Provision.ALL)
        house.write(lambda registry: providers.create(registry, OPERATOR, new, Terms(None, loopback=True)))
        with house.browser() as one, house.browser() as two:
            house.sign_in(one, sub="same", preferred_username="of-company")
            begun = two.get("/users/auth/other")
            asked = asked_in(begun.headers["location"])
            query = {"state": asked["state"], "iss": another.url}
            # Neither at the other's callback, nor with the other's code.
            assert two.get(f"{PLACE}/callback", params=query | {"code": another.code(asked)}).status_code == 400
            code = another.code(asked, sub="same", preferred_username="of-other")
            assert two.get("/users/auth/other/callback", params=query | {"code": code}).status_code == 303
            assert (name_of(one), name_of(two)) == ("of-company", "of-other")
            shown = two.get("/users/sign_in").text
            assert "Sign in with company" in shown
            assert "Sign in with other" in shown


def relisted(house: House, provision: Provision, **more: Any) -> None:
    house.write(lambda registry: providers.delete(registry, OPERATOR, "company"))
    house.list_provider(provision=provision, **more)


def test_without_provisioning_only_who_is_linked_comes_in(house: House) -> None:
    relisted(house, Provision.OFF)
    with house.browser() as browser:
        refused = house.sign_in(browser, sub="stranger", preferred_username="stranger")
        assert (refused.status_code, "no account here for you" in told(refused)) == (403, True)
        assert house.root.get("/users", params={"username": "stranger"}).json() == []
        house.write(lambda registry: user_identities.link(registry, OPERATOR, "company", ROOT, "the-operator"))
        assert house.sign_in(browser, sub="the-operator", name="Another").status_code == 303
        assert name_of(browser) == ROOT
        assert house.root.get("/user").json()["name"] == "Administrator"  # which is not the provider's to say
        house.write(lambda registry: user_identities.unlink(registry, OPERATOR, "company", "the-operator"))
        assert house.sign_in(browser, sub="the-operator").status_code == 403


def test_by_groups_who_is_in_one_comes_in_and_who_leaves_it_is_out_with_all_that_it_gave(house: House) -> None:
    relisted(house, Provision.GROUPS)
    project = house.root.post("/projects", json={"name": "p", "namespace_path": "by-groups"}).json()["id"]
    house.give("staff", "by-groups", 30)
    with house.browser() as browser, house.browser() as again:
        assert house.sign_in(browser, sub="left", groups=["others"]).status_code == 403
        for _ in range(2):
            assert house.sign_in(browser, sub="left", preferred_username="leaver", groups=["staff"]).status_code == 303
        assert browser.get("/by-groups/p").status_code == 200
        assert house.sign_in(again, sub="left", groups=["others"]).status_code == 403
        members = house.root.get(f"/projects/{project}/members").json()
        assert [each["username"] for each in members if each["username"] == "leaver"] == []
        assert name_of(browser) is None  # the session that was there has ended, too


def test_a_person_sees_only_the_projects_of_their_groups_and_roles_follow_each_sign_in(house: House) -> None:
    for namespace in ("team-a", "team-b"):
        for name in ("p", "q"):
            house.root.post("/projects", json={"name": name, "namespace_path": namespace})
    house.give("a", "team-a", 30)
    house.give("a-leads", "team-a/p", 40)
    house.give("b", "team-b", 20)

    def role(path: str) -> int | None:
        found = house.root.get(f"/projects/{path.replace('/', '%2F')}/members").json()
        levels = [each["access_level"] for each in found if each["username"] == "grouped"]
        return levels[0] if levels else None

    with house.browser() as browser:
        house.sign_in(browser, sub="grouped", preferred_username="grouped", groups=["/a", "a-leads", "unknown"])
        assert [role(path) for path in ("team-a/p", "team-a/q", "team-b/p")] == [40, 30, None]
        shown = browser.get("/dashboard/projects").text
        assert ("team-a/p" in shown, "team-a/q" in shown, "team-b/p" in shown) == (True, True, False)
        assert browser.get("/team-b/p").status_code == 404
        house.sign_in(browser, sub="grouped", groups="b")  # a text is a list of one
        assert [role(path) for path in ("team-a/p", "team-a/q", "team-b/p")] == [None, None, 20]
        assert browser.get("/team-a/p").status_code == 404
        ended = {(e["details"]["entity_path"], e["details"]["as"]) for e in house.events("member_destroyed")}
        assert {("team-a/p", "Maintainer"), ("team-a/q", "Developer")} <= ended
        house.give("b-leads", "team-b/p", 40)
        house.sign_in(browser, sub="grouped", groups=["b", "b-leads"])
        assert role("team-b/p") == 40
        (changed,) = (e for e in house.events("member_updated") if e["details"]["entity_path"] == "team-b/p")
        assert (changed["details"]["from"], changed["details"]["to"]) == ("Reporter", "Maintainer")
        house.sign_in(browser, sub="grouped")
        assert role("team-b/p") is None


def test_groups_touch_nothing_that_somebody_here_gave(house: House) -> None:
    made = house.root.post("/projects", json={"name": "p", "namespace_path": "by-hand"}).json()
    members = f"/projects/{made['id']}/members"
    house.give("g", "by-hand", 20)
    with house.browser() as browser:
        house.sign_in(browser, sub="hand", preferred_username="handmade")
        user = house.root.get("/users", params={"username": "handmade"}).json()[0]["id"]
        house.root.post(members, json={"user_id": user, "access_level": 40})
        for groups in (["g"], []):
            house.sign_in(browser, sub="hand", groups=groups)
            assert house.root.get(f"{members}/{user}").json()["access_level"] == 40
        house.root.delete(f"{members}/{user}")
        house.sign_in(browser, sub="hand", groups=["g"])
        assert house.root.get(f"{members}/{user}").json()["access_level"] == 20
        house.root.put(f"{members}/{user}", json={"access_level": 30})  # from now on it is as somebody here said
        for groups in (["g"], []):
            house.sign_in(browser, sub="hand", groups=groups)
            assert house.root.get(f"{members}/{user}").json()["access_level"] == 30


def test_too_many_groups_to_be_told_are_not_no_groups(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    made = house.root.post("/projects", json={"name": "p", "namespace_path": "many"}).json()
    house.give("g", "many", 20)
    with house.browser() as browser:
        house.sign_in(browser, sub="many", preferred_username="in-many", groups=["g"])
        user = house.root.get("/users", params={"username": "in-many"}).json()[0]["id"]
        overage = {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://x.example"}}}
        for claims in (overage, {"hasgroups": True}):
            assert house.sign_in(browser, sub="many", **claims).status_code == 303
            assert house.root.get(f"/projects/{made['id']}/members/{user}").status_code == 200
    capfd.readouterr()


@pytest.mark.parametrize(
    ("claim", "claims"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["g"]}}),
        ("https://x.example/groups", {"https://x.example/groups": ["g"]}),
        ("groups_direct", {"groups_direct": ["g", 5, None]}),
    ],
)
def test_groups_may_be_anywhere_in_the_claims(house: House, claim: str, claims: dict[str, Any]) -> None:
    relisted(house, Provision.GROUPS, groups_claim=claim)
    house.give("g")
    with house.browser() as browser:
        assert house.sign_in(browser, sub=claim, **claims).status_code == 303
        assert house.sign_in(browser, sub=f"{claim} not", groups=["g"]).status_code == 403


def test_a_group_makes_administrators_and_the_last_one_stays(house: House) -> None:
    house.give("ops", level=ADMIN)
    with house.browser() as browser:
        house.sign_in(browser, sub="ops", preferred_username="operator-by-group", groups=["ops"])
        assert browser.get("/admin").status_code == 200
        with house.live.app.state.database.writing() as registry:
            registry.users.by_username(ROOT).admin = False
        try:
            house.sign_in(browser, sub="ops", groups=[])
            assert browser.get("/admin").status_code == 200
        finally:
            with house.live.app.state.database.writing() as registry:
                registry.users.by_username(ROOT).admin = True
        house.sign_in(browser, sub="ops", groups=[])
        assert browser.get("/admin").status_code == 403


def test_an_administrator_by_hand_stays_one_without_the_group(house: House) -> None:
    house.give("ops", level=ADMIN)
    with house.browser() as browser:
        house.sign_in(browser, sub="hand-admin", preferred_username="admin-by-hand")
        user = house.root.get("/users", params={"username": "admin-by-hand"}).json()[0]["id"]
        house.root.put(f"/users/{user}", json={"admin": True})
        for groups in (["ops"], []):
            house.sign_in(browser, sub="hand-admin", groups=groups)
            assert browser.get("/admin").status_code == 200


def test_block_and_removal_end_a_session_at_its_next_request_and_keep_its_user_out(house: House) -> None:
    with house.browser() as browser:
        house.sign_in(browser, sub="blocked", preferred_username="to-be-blocked")
        user = house.root.get("/users", params={"username": "to-be-blocked"}).json()[0]["id"]
        assert house.root.post(f"/users/{user}/block").status_code == 201
        assert name_of(browser) is None
        refused = house.sign_in(browser, sub="blocked")
        assert (refused.status_code, "blocked" in told(refused)) == (403, True)
        assert house.root.delete(f"/users/{user}").status_code == 204
        assert house.sign_in(browser, sub="blocked", preferred_username="again").status_code == 303
        assert name_of(browser) == "again"  # somebody new, with nothing of who was removed


def test_a_new_session_takes_the_place_of_the_old_one(house: House) -> None:
    with house.browser() as browser:
        house.sign_in(browser)
        old = browser.cookies[COOKIE]
        house.sign_in(browser)
        assert browser.cookies[COOKIE] != old
        for path in ("/api/v4/user", "/"):
            shown = httpx2.get(f"{house.live.url}{path}", headers={"Cookie": f"{COOKIE}={old}"})
            assert shown.status_code == 401 or "Signed in as" not in shown.text


def test_signing_out_ends_the_session_here_first_and_leads_to_the_provider(house: House) -> None:
    with house.browser() as browser:
        house.sign_in(browser)
        secret = browser.cookies[COOKIE]
        answer = browser.post("/users/sign_out")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        assert f"{COOKIE}=;" in answer.headers["set-cookie"]
        url = re.findall(r'content="0;url=([^"]+)"', answer.text)[0].replace("&amp;", "&")
        assert url.startswith(f"{house.provider.url}/logout?")
        asked = asked_in(url)
        assert (asked["client_id"], asked["post_logout_redirect_uri"]) == (CLIENT, f"{house.live.url}/")
        assert asked["id_token_hint"].count(".") == 2
        browser.cookies.set(COOKIE, secret)
        assert name_of(browser) is None


@pytest.mark.parametrize("document", [{"end_session_endpoint": None}, {"end_session_endpoint": "javascript:x"}])
def test_where_a_provider_cannot_sign_out_one_is_signed_out_here(house: House, document: dict[str, Any]) -> None:
    house.provider.document = document
    with house.browser() as browser:
        house.sign_in(browser)
        assert browser.post("/users/sign_out").headers["location"] == "/"


def test_signing_out_does_not_wait_for_a_provider_that_is_away(house: House) -> None:
    with house.browser() as browser:
        house.sign_in(browser)
        house.provider.down = True
        del house.live.app.state.relying
        assert browser.post("/users/sign_out").status_code == 303
        assert name_of(browser) is None


def test_a_provider_that_is_listed_no_more_ends_its_sessions_and_roles(house: House) -> None:
    made = house.root.post("/projects", json={"name": "p", "namespace_path": "unlisted"}).json()
    house.give("g", "unlisted", 30)
    with house.browser() as browser:
        house.sign_in(browser, sub="unlisted", preferred_username="unlisted-person", groups=["g"])
        user = house.root.get("/users", params={"username": "unlisted-person"}).json()[0]["id"]
        house.write(lambda registry: providers.delete(registry, OPERATOR, "company"))
        assert name_of(browser) is None
        assert house.root.get(f"/projects/{made['id']}/members/{user}").status_code == 404
        assert browser.get(PLACE).status_code == 404


def test_an_issuer_at_which_people_sign_in_is_not_deleted_before_its_provider(house: House) -> None:
    (issuer,) = house.root.get("/issuers").json()
    refused = house.root.delete(f"/issuers/{issuer['id']}")
    assert (refused.status_code, "People sign in at this issuer" in refused.text) == (409, True)
    house.write(lambda registry: providers.delete(registry, OPERATOR, "company"))
    assert house.root.get("/issuers").json() == []


def test_an_account_is_linked_from_its_own_session_alone(house: House) -> None:
    relisted(house, Provision.OFF)
    with house.browser() as browser, house.browser() as stranger:
        assert stranger.post(PLACE).status_code == 401
        browser.post("/users/sign_in", data={"token": house.live.root_token})
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
            assert browser.post(PLACE, headers=headers).status_code == 403

        def led() -> dict[str, str]:
            answer = browser.post(PLACE)
            assert answer.status_code == 200
            return asked_in(re.findall(r'content="0;url=([^"]+)"', answer.text)[0].replace("&amp;", "&"))

        assert "Link your account at company" in browser.get("/-/user_settings/profile").text
        asked = led()
        linked = house.back(browser, asked, code=house.provider.code(asked, sub="linked"))
        assert (linked.status_code, unquote(linked.headers["location"])) == (303, "/-/user_settings/profile")
        assert "company signs you in." in browser.get("/-/user_settings/profile").text
        asked = led()  # once more, which changes nothing
        assert house.back(browser, asked, code=house.provider.code(asked, sub="linked")).status_code == 303
        assert house.sign_in(stranger, sub="linked").status_code == 303
        assert name_of(stranger) == ROOT
        # It is somebody's now: no other session gets it.
        made = house.root.post("/users", json={"username": "linker", "name": "l", "email": "l@example.com"}).json()
        token = house.root.post(f"/users/{made['id']}/personal_access_tokens", json={"name": "t", "scopes": ["api"]})
        browser.post("/users/sign_in", data={"token": token.json()["token"]})
        asked = led()
        refused = house.back(browser, asked, code=house.provider.code(asked, sub="linked"))
        assert (refused.status_code, "another account" in told(refused)) == (403, True)
        # Nor is one linked to an account whose session has ended meanwhile.
        asked = led()
        browser.post("/users/sign_out")
        assert house.back(browser, asked, code=house.provider.code(asked, sub="new")).status_code == 403


def test_who_comes_in_and_who_does_not_is_counted_by_way(house: House) -> None:
    def counted(way: str, outcome: str) -> float:
        text = httpx2.get(f"{house.live.url}/metrics").text
        sample = f'modelyard_sign_ins_total{{outcome="{outcome}",way="{way}"}}'
        return next(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(sample))

    before = {key: counted(*key) for key in product(("provider", "token", "password"), ("accepted", "refused"))}
    with house.browser() as browser:
        assert house.sign_in(browser).status_code == 303
        assert house.sign_in(browser, nonce="another").status_code == 403
        assert browser.post("/users/sign_in", data={"token": house.live.root_token}).status_code == 303
        assert browser.post("/users/sign_in", data={"token": "wrong"}).status_code == 401
        assert browser.post("/users/sign_in", data={"username": ROOT, "password": "x"}).status_code == 401
    after = {key: counted(*key) - value for key, value in before.items()}
    assert after == dict.fromkeys(before, 1) | {("password", "accepted"): 0}


def test_odd_parameters_are_none(house: House) -> None:
    with house.browser() as browser:
        for query in ("state[]=x&code=y", "state=x&state=y&iss[]=z", "state=%00&code=%ff", "return_to[]=/x"):
            assert browser.get(f"{PLACE}/callback?{query}").status_code == 400, query
        begun = browser.get(PLACE, headers={"Cookie": "modelyard_login=weak"})
        assert re.match(r"modelyard_login=[\w-]{43};", begun.headers["set-cookie"])


def test_a_provider_that_fails_is_not_asked_again_by_each_stranger(house: House) -> None:
    house.provider.down = True
    with house.browser() as browser:
        before = house.provider.asked
        assert [browser.get(PLACE).status_code for _ in range(4)] == [503] * 4
        assert house.provider.asked == before + 1


def test_sign_ins_on_their_way_are_bounded_by_address_and_in_all(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with house.browser() as browser:
        monkeypatch.setattr(states, "MAX_WAITING", 0)
        assert browser.get(PLACE).status_code == 429
        monkeypatch.undo()
        monkeypatch.setattr("modelyard.routes.pages.sign_on.THROTTLE", "throttle_of_this_test")
        monkeypatch.setattr("modelyard.routes.pages.sign_on.MAX_A_MINUTE", 2)
        within_one_minute(5)
        answers = [browser.get(PLACE) for _ in range(3)]
        assert [each.status_code for each in answers] == [303, 303, 429]
        assert "retry-after" in answers[-1].headers


def test_no_url_is_made_of_what_a_request_says(tmp_path: Path) -> None:
    with running_fake_provider() as provider, running(tmp_path) as live:
        new = NewProvider("company", provider.url, CLIENT, provision=Provision.ALL)
        database = live.app.state.database
        terms = Terms("https://yard.example.com", loopback=True)
        database.write_now(lambda registry: providers.create(registry, OPERATOR, new, terms))
        unset = httpx2.get(f"{live.url}{PLACE}", headers=AS_BROWSER)
        assert (unset.status_code, "MODELYARD_EXTERNAL_URL is not set" in unset.text) == (503, True)
        live.app.state.settings = live.settings.model_copy(
            update={"external_url": "https://yard.example.com/base", "loopback_issuers": True}
        )
        answer = httpx2.get(f"{live.url}{PLACE}", headers=AS_BROWSER | {"Host": "evil.example"})
        assert asked_in(answer.headers["location"])["redirect_uri"] == f"https://yard.example.com/base{PLACE}/callback"


def test_nothing_secret_of_a_sign_in_reaches_the_database_or_the_audit_trail(house: House) -> None:
    with house.browser() as browser:
        asked = house.sent(browser)
        secret = browser.cookies["modelyard_login"]
        with house.live.app.state.database.reading() as registry:
            kept = [
                (each.digest, each.browser, each.return_to) for each in registry.session.scalars(select(SignOnState))
            ]
        assert asked["state"] not in str(kept)
        assert secret not in str(kept)
        house.back(browser, asked, code=house.provider.code(asked))
        events = json.dumps(house.root.get("/audit_events", params={"per_page": 100}).json())
        assert browser.cookies[COOKIE] not in events
        assert SECRET not in events


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": "Upper"}, "name"),
        ({"issuer": "http://provider.example"}, "url"),
        ({"issuer": "https://user@provider.example"}, "url"),
        ({"client_id": ""}, "client_id"),
        ({"label": "a\nb"}, "label"),
        ({"secret_file": "relative"}, "secret_file"),
        ({"scopes": ("\u00e4",)}, "scopes"),
        ({"groups_claim": "x" * 300}, "groups_claim"),
        ({"fields": IssuerFields(algorithms=("HS256",))}, "algorithms"),
    ],
)
def test_a_provider_that_cannot_be_is_refused_by_field(place: House, changed: dict[str, Any], field: str) -> None:
    from modelyard.errors import InvalidFields  # noqa: PLC0415

    fields: dict[str, Any] = {"name": "wrong", "issuer": "https://provider.example", "client_id": "c"} | changed
    terms = Terms("https://yard.example.com")
    with pytest.raises(InvalidFields) as refused:
        place.write(lambda registry: providers.create(registry, OPERATOR, NewProvider(**fields), terms))
    assert field in str(refused.value.body)


def test_providers_and_what_their_groups_give_are_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "MAX_PROVIDERS", 1)
    with pytest.raises(Conflict, match="1 providers"):
        house.list_provider("other")
    monkeypatch.setattr(provider_groups, "MAX_GROUPS", 1)
    house.give("one")
    with pytest.raises(Conflict, match="1 groups"):
        house.give("two")
    house.give("one", level=ADMIN)  # the same, which gives something else now


def test_an_issuer_of_two_providers_stays_until_neither_is_listed(house: House) -> None:
    house.list_provider("other")
    house.write(lambda registry: providers.delete(registry, OPERATOR, "other"))
    with house.browser() as browser:
        assert house.sign_in(browser, sub="of two").status_code == 303
    house.write(lambda registry: providers.delete(registry, OPERATOR, "company"))
    assert house.root.get("/issuers").json() == []
