"""Forgeries of id tokens: nothing is granted, and before a signature has held nothing is said."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from joserfc.errors import SecurityWarning

from tests.issuers import KEY, OTHER_KEY, Answer, FakeIssuer, rsa_key, running_issuer, say
from tests.routes.oauth import ci
from tests.routes.oauth.conftest import Trusting, Yard

NOTHING = "invalid token"


@pytest.fixture(scope="module")
def trusting(yard: Yard) -> Trusting:
    return yard.trusting("kubernetes")  # whose tokens may be presented again


def encoded(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed_raw(header: object, payload: object) -> str:
    """A token of any bytes, with a signature that holds."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415 - joserfc's own
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    signing = f"{encoded(header)}.{encoded(payload)}"
    signature = KEY.get_op_key("sign").sign(signing.encode(), PKCS1v15(), SHA256())
    return f"{signing}.{encoded(signature)}"


HEADER = {"alg": "RS256", "kid": "key-1", "typ": "JWT"}
Forge = Callable[[Trusting], str]


def unsigned(algorithm: str) -> Forge:
    return lambda t: f"{encoded(HEADER | {'alg': algorithm})}.{encoded(t.claims())}."


def by_public_key(trusting: Trusting) -> str:
    """HS256 with the public key as the secret, which is known to all."""
    signing = f"{encoded(HEADER | {'alg': 'HS256'})}.{encoded(trusting.claims())}"
    digest = hmac.digest(KEY.as_pem(private=False), signing.encode(), hashlib.sha256)
    return f"{signing}.{encoded(digest)}"


def with_header(**changed: Any) -> Forge:
    told = {name: value for name, value in (HEADER | changed).items() if value is not None}
    return lambda t: signed_raw(told, t.claims())


def payload(of: Callable[[bytes], bytes]) -> Forge:
    return lambda t: signed_raw(HEADER, of(json.dumps(t.claims()).encode()))


def by_another_key(trusting: Trusting) -> str:
    return trusting.issuer.sign(trusting.claims(), OTHER_KEY, kid="key-1")


def with_its_own_key(name: str) -> Forge:
    """Signed by a key that the token brings along."""

    def forge(trusting: Trusting) -> str:
        key = OTHER_KEY.as_dict(private=False)
        told = {"jwk": key, "jku": f"{trusting.issuer.url}/keys", "x5u": "https://example.com/x", "x5c": ["AAAA"]}
        return trusting.issuer.sign(trusting.claims(), OTHER_KEY, kid="key-1", **{name: told[name]})

    return forge


BEFORE: dict[str, Forge] = {
    "none": unsigned("none"),
    "None": unsigned("None"),
    "nOnE": unsigned("nOnE"),
    "no signature": lambda t: f"{encoded(HEADER)}.{encoded(t.claims())}.",
    "HS256 by the public key": by_public_key,
    "an algorithm that is not listed": with_header(alg="PS256"),
    "no algorithm": with_header(alg=None),
    "an algorithm that is no text": with_header(alg=["RS256"]),
    "another key": by_another_key,
    "jwk": with_its_own_key("jwk"),
    "jku": with_its_own_key("jku"),
    "x5u": with_its_own_key("x5u"),
    "x5c": with_its_own_key("x5c"),
    "crit": with_header(crit=["exp"]),
    "crit that is empty": with_header(crit=[]),
    "b64": with_header(b64=False),
    "zip": with_header(zip="DEF"),
    "no kid": with_header(kid=None),
    "an empty kid": with_header(kid=""),
    "a kid that is no text": with_header(kid=1),
    "an unknown kid": with_header(kid="unknown"),
    "a kid that is a path": with_header(kid="../../etc/passwd"),
    "typ of an access token": with_header(typ="at+jwt"),
    "typ of a logout token": with_header(typ="logout+jwt"),
    "a header twice": lambda t: signed_raw(b'{"alg":"RS256","kid":"unknown","kid":"key-1"}', t.claims()),
    "a claim twice": payload(lambda raw: raw[:-1] + b', "aud": ["https://yard.example.com"]}'),
    "a nested claim twice": payload(lambda raw: raw[:-1] + b', "x": {"a": 1, "a": 2}}'),
    "NaN": payload(lambda raw: raw[:-1] + b', "x": NaN}'),
    "infinity": payload(lambda raw: raw[:-1] + b', "x": -Infinity}'),
    "a NUL": payload(lambda raw: raw[:-1] + b', "x": "\\u0000"}'),
    "half of a pair": payload(lambda raw: raw[:-1] + b', "x": "\\ud800"}'),
    "bad UTF-8": payload(lambda raw: raw[:-1] + b', "x": "\xff"}'),
    "nested deep": payload(lambda raw: raw[:-1] + b', "x": ' + b"[" * 9000 + b"]" * 9000 + b"}"),
    "nested less deep": payload(lambda raw: raw[:-1] + b', "x": ' + b"[" * 1000 + b"]" * 1000 + b"}"),
    "a number of many digits": payload(lambda raw: raw[:-1] + b', "x": ' + b"9" * 5000 + b"}"),
    "a list": lambda _t: signed_raw(HEADER, ["iss"]),
    "no JSON": lambda _t: signed_raw(HEADER, b"iss"),
    "nothing": lambda _t: signed_raw(HEADER, b""),
    "an iss that is no text": lambda t: signed_raw(HEADER, t.claims() | {"iss": [t.issuer.url]}),
    "padded": lambda t: t.issuer.sign(t.claims()) + "=",
    "a padded part": lambda t: t.issuer.sign(t.claims()).replace(".", "=.", 1),
    "of four parts": lambda t: t.issuer.sign(t.claims()) + ".e30",
    "of five parts": lambda t: t.issuer.sign(t.claims()) + "..",
    "of two parts": lambda t: t.issuer.sign(t.claims()).rpartition(".")[0],
    "with a space": lambda t: " " + t.issuer.sign(t.claims()),
    "with a line end": lambda t: t.issuer.sign(t.claims()) + "\n",
    "in plain base64": lambda t: t.issuer.sign(t.claims()).replace(".", "/.", 1),
    "no ASCII": lambda t: t.issuer.sign(t.claims()) + "é",
    "longer than 32 KiB": payload(lambda raw: raw[:-1] + b', "x": "' + b"x" * 25_000 + b'"}'),
    "no token": lambda _t: "x",
}


@pytest.mark.parametrize("forge", BEFORE.values(), ids=BEFORE.keys())
def test_what_is_not_signed_as_it_must_be_is_refused_without_a_word(trusting: Trusting, forge: Forge) -> None:
    assert trusting.yard.refused(forge(trusting)) == NOTHING
    assert trusting.exchange().status_code == 200  # the same, but for the forgery


def test_places_of_keys_in_a_header_are_never_looked_at(trusting: Trusting) -> None:
    with running_issuer() as stranger:
        for name in ("jku", "x5u"):
            told = HEADER | {name: f"{stranger.url}/keys"}
            assert trusting.yard.exchange(signed_raw(told, trusting.claims())).status_code == 200
            forged = trusting.issuer.sign(trusting.claims(), OTHER_KEY, kid="key-1", **{name: f"{stranger.url}/keys"})
            assert trusting.yard.refused(forged) == NOTHING
        assert stranger.asked == []


def test_an_issuer_is_known_by_its_url_byte_for_byte_and_nothing_is_fetched_for_others(trusting: Trusting) -> None:
    url = trusting.issuer.url
    with running_issuer() as stranger:
        for other in (stranger.url, f"{url}/", url.upper(), url.replace("127.0.0.1", "localhost"), f"{url}/."):
            assert trusting.refused(iss=other) == NOTHING
        assert stranger.asked == []


AUDIENCES = [
    [ci.AUDIENCE, "https://other.example.com"],
    [ci.AUDIENCE, ci.AUDIENCE],
    f"{ci.AUDIENCE}/",
    "https://YARD.example.com",
    "https://other.example.com",
    "yard.example.com",
    [],
    [[ci.AUDIENCE]],
    {ci.AUDIENCE: 1},
    None,
    1,
]


@pytest.mark.parametrize("audience", AUDIENCES, ids=str)
def test_a_token_must_be_for_this_server_alone(trusting: Trusting, audience: object) -> None:
    assert trusting.refused(aud=audience).startswith(f"aud: expected '{ci.AUDIENCE}', got ")


@pytest.mark.parametrize("audience", [ci.AUDIENCE, [ci.AUDIENCE]], ids=str)
def test_an_audience_is_a_text_or_a_list_of_one(trusting: Trusting, audience: object) -> None:
    assert trusting.exchange(aud=audience).status_code == 200


@pytest.mark.parametrize("value", ["soon", "9999999999", True, None, [9999999999], -1, 1e300, {}], ids=str)
@pytest.mark.parametrize("name", ["exp", "iat"])
def test_moments_must_be_there_and_be_numbers(trusting: Trusting, name: str, value: object) -> None:
    assert trusting.refused(**{name: value}).startswith(f"{name}: ")


@pytest.mark.parametrize("value", ["soon", True, [1], -1], ids=str)
def test_nbf_may_be_left_out_but_not_be_anything(trusting: Trusting, value: object) -> None:
    assert trusting.refused(nbf=value).startswith("nbf: ")
    assert trusting.exchange(nbf=None).status_code == 200


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"exp": -20}, None),
        ({"exp": -40}, "exp: the token ended "),
        ({"iat": 20, "nbf": 20}, None),
        ({"iat": 40, "nbf": -5}, "iat: the token begins in "),
        ({"nbf": 40}, "nbf: the token begins in "),
        ({"exp": 86_300}, None),
        ({"exp": 86_500}, "exp: the token lives for more than 86400 seconds"),
        ({"iat": -86_000, "nbf": -86_000, "exp": 600}, "exp: the token lives for more than "),
        ({"exp": 300.5}, None),
    ],
)
def test_clocks_may_differ_by_half_a_minute(trusting: Trusting, changed: dict[str, float], said: str | None) -> None:
    now = int(time.time())
    claims = trusting.claims(**{name: now + offset for name, offset in changed.items()})
    answer = trusting.yard.exchange(trusting.issuer.sign(claims))
    assert answer.status_code == (200 if said is None else 400), answer.text
    assert said is None or answer.json()["error_description"].startswith(said)


@pytest.mark.parametrize("subject", [None, "", 1, ["a"], "x" * 1025])
def test_a_subject_must_be_there(trusting: Trusting, subject: object) -> None:
    assert trusting.refused(sub=subject).startswith("sub: ")


def test_what_is_told_of_a_claim_is_short(trusting: Trusting) -> None:
    assert len(trusting.refused(aud="x" * 5000)) < 600


def test_a_token_with_all_groups_of_a_person_is_taken(trusting: Trusting) -> None:
    assert trusting.exchange(groups_direct=[f"group/{number:030}" for number in range(200)]).status_code == 200


@pytest.mark.parametrize("token", [None, "", 1, ["a", "b"], {"a": 1}], ids=str)
def test_a_token_must_be_one_text(yard: Yard, token: object) -> None:
    answer = yard.exchange(token)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_weak_keys_and_keys_for_something_else_sign_nothing(yard: Yard) -> None:
    with running_issuer() as issuer, warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # of the library that signs
        good, small = rsa_key("good"), rsa_key("small", 1024)
        issuer.keys = [good, small]
        project = yard.project()
        yard.list_issuer(issuer)
        yard.trust(project["id"], issuer.url, {"project_id": "42"})
        issuer.answers["/keys"] = _keys_of(issuer, {"other use": {"use": "enc"}, "other alg": {"alg": "RS512"}})
        assert yard.exchange(issuer.sign(ci.gitlab(issuer), good)).status_code == 200
        assert yard.refused(issuer.sign(ci.gitlab(issuer), small)) == NOTHING
        for name in ("other use", "other alg", "private"):
            assert yard.refused(issuer.sign(ci.gitlab(issuer), good, kid=name)) == NOTHING


def _keys_of(issuer: FakeIssuer, changed: dict[str, dict[str, str]]) -> Answer:
    good = issuer.keys[0]
    public = good.as_dict(private=False)
    more = [public | change | {"kid": name} for name, change in changed.items()]
    return say(
        {"keys": [*issuer.jwks()["keys"], *more, good.as_dict(private=True) | {"kid": "private"}, 7, {"kid": 1}]}
    )
