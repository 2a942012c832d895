"""Credentials: making tokens and reading them from headers."""

from __future__ import annotations

import base64

import pytest

from modelyard.access.token_format import is_well_formed as has_right_tail
from modelyard.access.tokens import digest_of, new_token, read_credential
from modelyard.errors import Unauthorized
from tests.tokens import is_well_formed


def basic(text: str) -> bytes:
    return b"Basic " + base64.b64encode(text.encode())


def test_tokens_are_recognisable_and_differ() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(is_well_formed(token) and len(token) == 53 for token in tokens)


@pytest.mark.parametrize("damage", [lambda t: t[:-1], lambda t: "x" + t[1:], lambda t: t[:10] + "!" + t[11:]])
def test_a_damaged_token_fails_its_checksum(damage: object) -> None:
    assert callable(damage)
    assert not is_well_formed(damage(new_token()))


def test_tokens_are_kept_as_sha256() -> None:
    assert digest_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"private-token", b"secret"),
        (b"job-token", b" secret "),
        (b"authorization", b"Bearer secret"),
        (b"authorization", b"bearer  secret"),
        (b"authorization", b"secret"),
        (b"authorization", b"Token secret"),
        (b"authorization", basic("anyone:secret")),
        (b"authorization", basic(":secret")),
    ],
)
def test_a_token_is_found_wherever_gitlabs_clients_put_it(name: bytes, value: bytes) -> None:
    assert read_credential([(b"accept", b"*/*"), (name, value)]) == "secret"


def test_without_a_credential_the_request_is_anonymous() -> None:
    assert read_credential([(b"accept", b"*/*"), (b"cookie", b"token=x")]) is None


def test_the_same_token_twice_is_one_credential() -> None:
    assert read_credential([(b"private-token", b"secret"), (b"authorization", b"Bearer secret")]) == "secret"


@pytest.mark.parametrize(
    "headers",
    [
        [(b"authorization", b"")],
        [(b"authorization", b"Basic !!!")],
        [(b"authorization", b"Basic /w==")],
        [(b"private-token", b"one"), (b"authorization", b"Bearer two")],
    ],
    ids=["empty", "no-base64", "no-utf8", "two-tokens"],
)
def test_a_credential_that_cannot_be_read_is_refused(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(Unauthorized):
        read_credential(headers)


def test_a_tail_is_right_for_one_secret_alone() -> None:
    token = new_token()
    assert has_right_tail(token)
    for at in range(4, len(token)):
        for other in "0zA!é":
            damaged = token[:at] + other + token[at + 1 :]
            assert has_right_tail(damaged) == (damaged == token)
    assert has_right_tail("whatever-an-operator-chose")
    assert not any(has_right_tail(token[:length]) for length in range(4, len(token)))


@pytest.mark.parametrize(
    ("name", "before"),
    [(b"private-token", ""), (b"job-token", ""), (b"authorization", "Bearer "), (b"authorization", "")],
)
def test_a_token_of_ours_with_a_wrong_tail_is_refused_before_anybody_looks_it_up(name: bytes, before: str) -> None:
    token = new_token()
    assert read_credential([(name, f"{before}{token}".encode())]) == token
    wrong = token[:-1] + ("0" if token[-1] != "0" else "1")
    for value in (f"{before}{wrong}".encode(), f"{before}{token[:-1]}".encode(), f"{before}myd_unknown".encode()):
        with pytest.raises(Unauthorized):
            read_credential([(name, value)])
    with pytest.raises(Unauthorized):
        read_credential([(b"authorization", basic(f"anyone:{wrong}"))])


def test_a_token_may_be_written_with_the_prefix_that_llama_cpp_takes_for_one() -> None:
    token = new_token()
    assert read_credential([(b"authorization", f"Bearer hf_{token.removeprefix('myd_')}".encode())]) == token
    for other in ("hf_", "hf_abc", f"hf_{token.removeprefix('myd_')[:-1]}"):
        assert read_credential([(b"authorization", f"Bearer {other}".encode())]) == other
