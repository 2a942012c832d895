"""The keys of an issuer: kept, renewed, and kept on while it is away; and from where they are never fetched."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from modelyard.services.identity import fetching
from modelyard.services.identity.discovery import discover
from modelyard.services.identity.fetching import FetchFailed, Reach, fetch_json, refuse_url
from modelyard.services.identity.keys import Keys, KeySource, read_keys
from modelyard.services.identity.refusals import NoKeys
from tests.issuers import DISCOVERY, JWKS, KEY, OTHER_KEY, Answer, FakeIssuer, running_issuer, say
from tests.routes.oauth import ci
from tests.routes.oauth.conftest import Yard

HERE = Reach(loopback=True)
DAY = 86_400


@pytest.fixture
def issuer() -> Iterator[FakeIssuer]:
    with running_issuer() as found:
        yield found


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Looking:
    """Looks for keys at moments of its own."""

    def __init__(self, issuer: FakeIssuer, **source: Any) -> None:
        self.clock = Clock()
        self.keys = Keys(self.clock)
        self.source = KeySource(issuer.url, ("RS256",), reach=HERE, **source)
        self.issuer = issuer

    def has(self, key_id: str, after: float = 0) -> bool:
        self.clock.now += after
        return asyncio.run(self.keys.find(self.source, key_id, "RS256")) is not None

    @property
    def fetched(self) -> int:
        return self.issuer.asked.count(JWKS)


def test_keys_are_fetched_once_in_ten_minutes(issuer: FakeIssuer) -> None:
    looking = Looking(issuer)
    assert all(looking.has("key-1") for _ in range(5))
    assert looking.has("key-1", 599)
    assert looking.fetched == 1
    assert looking.has("key-1", 2)
    assert looking.fetched == 2


def test_a_key_that_is_not_known_is_looked_for_once_a_minute(issuer: FakeIssuer) -> None:
    looking = Looking(issuer)
    assert looking.has("key-1")
    assert not any(looking.has(f"unknown-{number}") for number in range(5))
    assert looking.fetched == 2
    assert not looking.has("unknown", 61)
    assert looking.fetched == 3


def test_a_new_key_works_within_a_minute_and_one_that_was_removed_stops(issuer: FakeIssuer) -> None:
    looking = Looking(issuer)
    assert looking.has("key-1")
    issuer.keys = [OTHER_KEY]
    assert looking.has("key-2")
    assert not looking.has("key-1")


def test_many_who_ask_at_once_fetch_once(issuer: FakeIssuer) -> None:
    looking = Looking(issuer)

    async def ask() -> None:
        found = await asyncio.gather(*(looking.keys.find(looking.source, "key-1", "RS256") for _ in range(20)))
        assert all(found)

    asyncio.run(ask())
    assert looking.fetched == 1


def slow(handler: BaseHTTPRequestHandler) -> None:
    """Sends a byte, and then another, for longer than anybody waits."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)


def silent(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.close()


ELSEWHERE = "https://example.com/keys"
BROKEN: dict[str, Answer] = {
    "empty": say({"keys": []}),
    "without a usable key": say({"keys": [{"kty": "oct", "kid": "key-1", "k": "AAAA"}]}),
    "of too many keys": say({"keys": [KEY.as_dict(private=False)] * 101}),
    "a list": say([]),
    "no JSON": say(b"<html>"),
    "nested deep": say(b"[" * 100_000),
    "huge": say(b" " * (256 * 1024) + json.dumps({"keys": [KEY.as_dict(private=False)]}).encode()),
    "an error": say({"keys": [KEY.as_dict(private=False)]}, 500),
    "gone": say({}, 404),
    "elsewhere": say(b"", 302, Location=ELSEWHERE),
    "elsewhere on the same host": say(b"", 307, Location=JWKS + "2"),
    "shorter than told": say(b"{}", 200, **{"Content-Length": "500"}),
    "no answer": silent,
    "slow": slow,
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_set_of_keys_leaves_those_that_are_there_for_a_day(
    issuer: FakeIssuer, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "SECONDS", 0.5)
    looking = Looking(issuer)
    assert looking.has("key-1")
    issuer.answers |= {JWKS: answer, JWKS + "2": say(issuer.jwks())}
    assert looking.has("key-1", 601)
    assert not looking.has("key-2")
    assert looking.has("key-1", DAY - 700)
    asked = looking.fetched
    with pytest.raises(NoKeys):
        looking.has("key-1", 200)
    assert looking.fetched == asked + 1
    with pytest.raises(NoKeys):
        looking.has("key-1", 1)
    assert looking.fetched == asked + 1  # who was away a second ago is not asked again
    del issuer.answers[JWKS]
    assert looking.has("key-1", 11)


def test_keys_of_an_issuer_change_and_outlast_it_for_whoever_exchanges(yard: Yard) -> None:
    """As `Keys` alone is held to above, but by the server, over sockets, with its clock set forward."""
    with running_issuer() as issuer:
        listed = yard.list_issuer(issuer)
        trusting = yard.trusting("gitlab", issuer)
        assert trusting.exchange().status_code == 200
        keys, begun = yard.server.app.state.issuers_keys, time.monotonic
        ahead = 0.0

        def sign_by(key: RSAKey) -> int:
            return yard.exchange(issuer.sign(trusting.claims(), key)).status_code

        keys._clock = lambda: begun() + ahead
        try:
            issuer.keys = [OTHER_KEY]
            assert (sign_by(OTHER_KEY), sign_by(KEY)) == (200, 400)  # looked for at once
            issuer.keys = [KEY]
            assert (sign_by(KEY), sign_by(OTHER_KEY)) == (400, 200)  # not again within a minute
            ahead += 61
            assert (sign_by(KEY), sign_by(OTHER_KEY)) == (200, 400)
            for broken in (say({"keys": []}), say(b"", 302, Location=ELSEWHERE), say({}, 500)):
                issuer.answers[JWKS] = broken
                ahead += 700
                assert (sign_by(KEY), sign_by(OTHER_KEY)) == (200, 400)
            ahead += DAY
            away = yard.exchange(issuer.sign(trusting.claims()))
            assert (away.status_code, away.json()["error"]) == (503, "temporarily_unavailable")
            assert int(away.headers["retry-after"]) > 0
            issuer.answers.clear()
            ahead += 61
            assert sign_by(KEY) == 200
        finally:
            keys._clock = begun
            yard.root.delete(f"/issuers/{listed['id']}")


def test_an_issuer_that_is_away_from_the_beginning_is_told_as_such(yard: Yard) -> None:
    with running_issuer() as issuer:
        project = yard.project()
        yard.list_issuer(issuer)
        yard.trust(project["id"], issuer.url, {"project_id": "42"})
        issuer.answers[JWKS] = say({}, 500)
        token = issuer.sign(ci.gitlab(issuer))
        answer = yard.exchange(token)
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert answer.headers["retry-after"] == "10"
        shaped = yard.web.post("/-/oidc/mint-token", json={"token": token})
        assert (shaped.status_code, shaped.json()["errors"][0]["code"]) == (503, "temporarily-unavailable")
        assert yard.web.get("/-/readiness").status_code == 200


def test_keys_that_are_listed_with_the_issuer_are_never_fetched(yard: Yard) -> None:
    with running_issuer() as issuer:
        project = yard.project()
        made = yard.list_issuer(issuer, jwks=issuer.jwks())
        yard.trust(project["id"], issuer.url, {"project_id": "42"})
        assert yard.exchange(issuer.sign(ci.gitlab(issuer))).status_code == 200
        assert yard.refused(issuer.sign(ci.gitlab(issuer), OTHER_KEY)) == "invalid token"
        # … and others that are put in their place count from the next token on.
        issuer.keys = [OTHER_KEY]
        changed = yard.root.put(f"/issuers/{made['id']}", json={"jwks": issuer.jwks()})
        assert changed.status_code == 200, changed.text
        assert yard.exchange(issuer.sign(ci.gitlab(issuer), OTHER_KEY)).status_code == 200
        assert yard.refused(issuer.sign(ci.gitlab(issuer), KEY)) == "invalid token"
        assert issuer.asked == []


def test_keys_may_be_where_they_are_listed_to_be(issuer: FakeIssuer) -> None:
    with running_issuer() as host:
        looking = Looking(issuer, jwks_uri=host.url + JWKS)
        assert looking.has("key-1")
        assert (issuer.asked, host.asked) == ([], [JWKS])


def test_discovery_must_be_of_the_issuer_and_lead_to_keys_on_its_host(issuer: FakeIssuer) -> None:
    with running_issuer() as host:
        for changed in (
            {"issuer": issuer.url + "/"},
            {"issuer": None},
            {"jwks_uri": None},
            {"jwks_uri": 1},
            {"jwks_uri": host.url + JWKS},
            {"jwks_uri": "http://169.254.169.254/latest/meta-data"},
            {"jwks_uri": "https://169.254.169.254/latest/meta-data"},
            {"jwks_uri": "file:///etc/passwd"},
            {"jwks_uri": "https://user@127.0.0.1/keys"},
        ):
            issuer.document = changed
            with pytest.raises(FetchFailed):
                discover(issuer.url, "", "", HERE)
        assert host.asked == []
        issuer.document = {"jwks_uri": host.url + JWKS}
        assert discover(issuer.url, host.url + JWKS, "", HERE).jwks_uri == host.url + JWKS
    assert set(issuer.asked) == {DISCOVERY}


IMPOSSIBLE_HOSTS = [
    "https://a..b",
    "https://.example.com",
    "https://example.com..",
    f"https://{'a' * 64}.example.com",
    f"https://{'.'.join(['a' * 63] * 4)}",
    "https://-a.example.com",
    "https://a-.example.com",
    "https://a%20b.example.com",
    "https://a*b.example.com",
    "https://a,b",
    "https://2130706433",
    "https://127.1",
    "https://0x7f.1",
    "https://1.2.3.4.5",
    "https://256.1.1.1",
    "https://example.0x7f",
    "https://[fe80::1%25eth0]",
]


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "https://user:secret@example.com",
        "https://example.com/?x=1",
        "https://example.com/#x",
        "https://",
        "https://example.com:0",
        "https://exämple.com",
        "https://example.com/a b",
        "https://example.com\\@127.0.0.1",
        "https://[::1",
        "ftp://example.com",
        "//example.com",
        "",
        *IMPOSSIBLE_HOSTS,
    ],
)
def test_urls_that_nothing_is_fetched_from(url: str) -> None:
    assert refuse_url(url, HERE)


@pytest.mark.parametrize(
    "host",
    [
        "gitlab",
        "GitLab.Example.com",
        "a-b.example.com:8443",
        "my_service.internal",
        "example.com.",
        "192.0.2.1",
        "[2001:db8::1]",
        "1password.com",
        "xn--exmple-cua.com",
        f"{'a' * 63}.example.com",
    ],
)
def test_hosts_that_there_can_be(host: str) -> None:
    assert refuse_url(f"https://{host}/path", HERE) is None


def test_this_machine_is_asked_by_http_for_trials_only() -> None:
    assert refuse_url("http://127.0.0.1:8000", HERE) is None
    assert refuse_url("http://localhost", HERE) is None
    assert refuse_url("http://127.0.0.1:8000", Reach(private=True))
    assert refuse_url("http://10.0.0.1", HERE)


METADATA = [
    "169.254.169.254",
    "fe80::1",
    "::ffff:169.254.169.254",
    "fd00:ec2::254",
    "100.100.100.200",
    "64:ff9b::a9fe:a9fe",
]
NEVER = [*METADATA, "0.0.0.0", "::", "224.0.0.1", "240.0.0.1", "2002:a9fe:a9fe::1"]
PRIVATE = ["10.0.0.1", "192.168.1.1", "172.16.0.1", "fd12::1", "::ffff:10.0.0.1", "100.64.0.1"]


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Has every name be at an address; the answer tells which addresses are connected to."""

    def at(address: str) -> list[str]:
        connected: list[str] = []

        def connect(target: tuple[str, int], _timeout: float) -> socket.socket:
            connected.append(target[0])
            raise OSError("refused")

        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        monkeypatch.setattr(fetching, "_resolved", lambda _host, port: [(family, 1, 6, "", (address, port))])
        monkeypatch.setattr(fetching, "_opened", connect)
        return connected

    return at


@pytest.mark.parametrize("reach", [Reach(), Reach(private=True), HERE], ids=str)
@pytest.mark.parametrize("address", NEVER)
def test_addresses_that_are_never_connected_to(
    resolved: Callable[[str], list[str]], address: str, reach: Reach
) -> None:
    connected = resolved(address)
    with pytest.raises(FetchFailed, match="at no address that may be asked"):
        fetch_json("https://issuer.example.com/keys", reach)
    assert connected == []


@pytest.mark.parametrize("address", [*PRIVATE, "127.0.0.1", "::1"])
def test_private_addresses_are_connected_to_where_the_issuer_is_listed_as_private(
    resolved: Callable[[str], list[str]], address: str
) -> None:
    connected = resolved(address)
    with pytest.raises(FetchFailed, match="at no address"):
        fetch_json("https://issuer.example.com/keys", Reach())
    assert connected == []
    with pytest.raises(FetchFailed, match="refused"):
        fetch_json("https://issuer.example.com/keys", Reach(private=True))
    assert connected == [address]


@pytest.mark.parametrize("address", [*METADATA, "127.0.0.2", "10.0.0.1"])
def test_a_name_that_leads_inside_when_it_is_resolved_is_never_connected_to(
    yard: Yard, resolved: Callable[[str], list[str]], address: str
) -> None:
    name = re.sub(r"\W", "-", address).strip("-")
    rebound = FakeIssuer(f"https://rebound-{name}.example.com")
    listed = yard.list_issuer(rebound)
    connected = resolved(address)
    answer = yard.exchange(rebound.sign(ci.gitlab(rebound)))
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert address not in answer.text
    assert connected == ([address] if address == "127.0.0.2" else [])  # this server is one for trials
    yard.root.delete(f"/issuers/{listed['id']}")


def test_public_addresses_are_connected_to(resolved: Callable[[str], list[str]]) -> None:
    connected = resolved("8.8.8.8")
    with pytest.raises(FetchFailed, match="refused"):
        fetch_json("https://issuer.example.com/keys", Reach())
    assert connected == ["8.8.8.8"]


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "PS256", "EdDSA"])
def test_other_algorithms_verify_where_they_are_listed(yard: Yard, algorithm: str) -> None:
    made: dict[str, Callable[[], Any]] = {
        "ES256": lambda: ECKey.generate_key("P-256", {"kid": "k"}),
        "ES384": lambda: ECKey.generate_key("P-384", {"kid": "k"}),
        "PS256": lambda: RSAKey.generate_key(2048, {"kid": "k"}),
        "EdDSA": lambda: OKPKey.generate_key("Ed25519", {"kid": "k"}),
    }
    with running_issuer() as issuer:
        issuer.keys = [made[algorithm]()]
        issuer.answers[JWKS] = say({"keys": [each.as_dict(private=False, alg=None) for each in issuer.keys]})
        project = yard.project()
        yard.list_issuer(issuer, algorithms=[algorithm])
        yard.trust(project["id"], issuer.url, {"project_id": "42"})
        answer = yard.exchange(issuer.sign(ci.gitlab(issuer), alg=algorithm))
        assert answer.status_code == 200, answer.text


def test_a_curve_is_for_its_own_algorithm() -> None:
    key = ECKey.generate_key("P-256", {"kid": "k"}).as_dict(private=False)
    assert set(read_keys({"keys": [key]}, ("RS256", "ES256", "ES384"))) == {("k", "ES256")}
    for wrong in ({"crv": "P-384"}, {"x": "AAAA"}, {"x": 1}, {"y": None}):
        with pytest.raises(ValueError, match="no key that fits"):
            read_keys({"keys": [key | wrong]}, ("ES256", "ES384"))
