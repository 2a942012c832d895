"""Digest headers (RFC 9530)."""

from __future__ import annotations

import base64
import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.wire.digests import DigestCheck, MalformedDigest, etag_of, format_repr_digest, parse_digest_field

CONTENT = b'{"hello": "world"}\n'


def field(algorithm: str, value: bytes) -> str:
    return f"{algorithm}=:{base64.b64encode(value).decode()}:"


SHA256, SHA512 = hashlib.sha256(CONTENT).digest(), hashlib.sha512(CONTENT).digest()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, {}),
        ("", {}),
        (field("sha-256", SHA256), {"sha-256": SHA256}),
        (f"{field('sha-256', SHA256)}, {field('sha-512', SHA512)}", {"sha-256": SHA256, "sha-512": SHA512}),
        (f"{field('sha-256', SHA512[:32])},{field('sha-256', SHA256)}", {"sha-256": SHA256}),
        (f"{field('md5', b'x')}, {field('sha-256', SHA256)};a=1", {"sha-256": SHA256}),
        (field("unixsum", b"x"), {}),
    ],
)
def test_known_digests_are_read_and_others_left_out(header: str | None, expected: dict[str, bytes]) -> None:
    assert parse_digest_field(header) == expected


@pytest.mark.parametrize(
    "header",
    ["sha-256", "sha-256=abc", "sha-256=:###:", "sha-256=:abc:", field("sha-256", b"short"), "=::", ",", "SHA-256=::"],
)
def test_a_malformed_field_is_refused(header: str) -> None:
    with pytest.raises(MalformedDigest):
        parse_digest_field(header)


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    with contextlib.suppress(MalformedDigest):
        assert set(parse_digest_field(text)) <= {"sha-256", "sha-512"}


def test_what_is_sent_can_be_read_again() -> None:
    assert parse_digest_field(format_repr_digest(SHA256.hex())) == {"sha-256": SHA256}
    assert etag_of("ab") == '"ab"'


def test_sha256_is_taken_from_whoever_knows_it() -> None:
    check = DigestCheck({"sha-256": SHA256})
    assert check.algorithms == frozenset()
    assert check.matches(SHA256.hex())
    assert not check.matches("00" * 32)


def test_other_digests_are_computed_from_the_bytes() -> None:
    check = DigestCheck({"sha-256": SHA256, "sha-512": SHA512})
    assert check.algorithms == {"sha512"}
    check.update(CONTENT[:5])
    assert not check.matches(SHA256.hex())
    check.update(memoryview(CONTENT)[5:])
    assert check.matches(SHA256.hex())
    assert not check.matches("00" * 32)


def test_a_check_can_stand_alone() -> None:
    check = DigestCheck({"sha-256": SHA256}, own_sha256=True)
    check.update(CONTENT)
    assert check.matches()


def test_nothing_expected_always_matches() -> None:
    assert DigestCheck({}).matches()
