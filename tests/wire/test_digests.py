"""Digest headers (RFC 9530)."""

from __future__ import annotations

import base64
import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.terms.digests import ALGORITHMS, DigestCheck
from modelyard.wire.digests import (
    MalformedDigest,
    announced_digests,
    answered_digests,
    etag_of,
    format_repr_digest,
    parse_digest,
    parse_digest_field,
)

CONTENT = b'{"hello": "world"}\n'


def field(algorithm: str, value: bytes) -> str:
    return f"{algorithm}=:{base64.b64encode(value).decode()}:"


SHA256, SHA512 = hashlib.sha256(CONTENT).digest(), hashlib.sha512(CONTENT).digest()
SHA1, MD5 = hashlib.sha1(CONTENT).digest(), hashlib.md5(CONTENT).digest()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, {}),
        ("", {}),
        (field("sha-256", SHA256), {"sha-256": SHA256}),
        (f"{field('sha-256', SHA256)}, {field('sha-512', SHA512)}", {"sha-256": SHA256, "sha-512": SHA512}),
        (f"{field('sha-256', SHA512[:32])},{field('sha-256', SHA256)}", {"sha-256": SHA256}),
        (f"{field('md5', b'x')}, {field('sha-256', SHA256)};a=1", {"sha-256": SHA256}),
        (f"{field('md5', MD5)}, {field('sha', SHA1)}", {"md5": MD5, "sha": SHA1}),
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
        assert set(parse_digest_field(text)) <= set(ALGORITHMS)
    with contextlib.suppress(MalformedDigest):
        assert set(parse_digest(text)) <= set(ALGORITHMS)
    assert set(answered_digests({"want-digest": text}, SHA256.hex())) <= {"Digest"}


def base64_of(value: bytes) -> str:
    return base64.b64encode(value).decode()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, {}),
        ("", {}),
        (f"sha-256={base64_of(SHA256)}", {"sha-256": SHA256}),
        (f"SHA={base64_of(SHA1)},MD5={base64_of(MD5)}", {"sha": SHA1, "md5": MD5}),
        (f"Sha-512={base64_of(SHA512)} ,\tsha-256={base64_of(SHA256)}", {"sha-512": SHA512, "sha-256": SHA256}),
        (f"UNIXsum=30637, adler32=03da0195, crc32c=x=, md5={base64_of(MD5)}", {"md5": MD5}),
        (f"md5={base64_of(MD5)}, md5={base64_of(MD5)}", {"md5": MD5}),
        (f"id-sha-256={base64_of(SHA256)},ID-SHA-512={base64_of(SHA512)}", {"sha-256": SHA256, "sha-512": SHA512}),
    ],
)
def test_the_older_header_is_read(header: str | None, expected: dict[str, bytes]) -> None:
    assert parse_digest(header) == expected


@pytest.mark.parametrize(
    "header",
    [
        "sha-256",
        "sha-256=",
        f"sha-256={SHA256.hex()}",
        f"sha-256={base64_of(SHA1)}",
        f"md5={base64_of(MD5)[:-2]}",
        f"md5=:{base64_of(MD5)}:",
        f"md5={base64_of(MD5)};q=1",
        f"={base64_of(MD5)}",
        f"md5={base64_of(MD5)}, md5={base64_of(SHA1[:16])}",
        ",",
    ],
)
def test_an_older_header_that_is_malformed_is_refused(header: str) -> None:
    with pytest.raises(MalformedDigest):
        parse_digest(header)


def test_a_request_may_say_the_same_in_every_header() -> None:
    headers = {
        "repr-digest": field("sha-256", SHA256),
        "digest": f"sha-256={base64_of(SHA256)}",
        "x-checksum-sha256": SHA256.hex().upper(),
        "x-checksum-sha512": SHA512.hex(),
        "x-checksum-sha1": SHA1.hex(),
        "x-checksum-md5": MD5.hex(),
        "x-checksum": SHA512.hex().upper(),
        "content-digest": f"{field('sha-256', SHA256)}, {field('md5', MD5)}",
        "content-md5": base64_of(MD5),
    }
    file, body = announced_digests(headers)
    assert file == {"sha-256": SHA256, "sha-512": SHA512, "sha": SHA1, "md5": MD5}
    assert body == {"sha-256": SHA256, "md5": MD5}
    assert announced_digests({}) == ({}, {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-checksum-sha256", ""),
        ("x-checksum-sha256", SHA256.hex()[:-1]),
        ("x-checksum-sha256", SHA1.hex()),
        ("x-checksum-sha256", base64_of(SHA256)),
        ("x-checksum-sha1", f"{SHA1.hex()}, {SHA1.hex()}"),
        ("x-checksum-md5", "g" * 32),
        ("x-checksum", ""),
        ("x-checksum", SHA256.hex()[1:]),
        ("x-checksum", "g" * 64),
        ("content-md5", ""),
        ("content-md5", MD5.hex()),
        ("content-md5", base64_of(SHA1)),
        ("content-md5", f"{base64_of(MD5)}, {base64_of(MD5)}"),
    ],
)
def test_a_checksum_that_cannot_be_read_is_refused(name: str, value: str) -> None:
    with pytest.raises(MalformedDigest):
        announced_digests({name: value})


def test_digests_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(MalformedDigest, match="contradict"):
        announced_digests({"repr-digest": field("sha", SHA1), "x-checksum-sha1": "0" * 40})
    with pytest.raises(MalformedDigest, match="contradict"):
        announced_digests({"content-digest": field("md5", MD5), "content-md5": base64_of(SHA1[:16])})


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("sha-256", True),
        ("SHA-256;q=1, SHA;q=0.1", True),
        ("SHA-512;q=1, SHA-256; q=0.5 , SHA;q=0.1", True),
        ("md5;q=0.3,sha-256;q=1.000", True),
        ("sha-256;q=0", False),
        ("sha-256;q=0.000", False),
        ("md5, sha", False),
        ("sha-2560", False),
        ("", False),
        ("sha-256=1", False),
    ],
)
def test_the_older_question_is_answered_where_it_names_sha256(wanted: str, given: bool) -> None:
    answer = answered_digests({"want-digest": wanted}, SHA256.hex())
    assert answer == ({"Digest": f"sha-256={base64_of(SHA256)}"} if given else {})
    assert parse_digest(answer.get("Digest")) == ({"sha-256": SHA256} if given else {})


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


def test_the_digests_of_older_clients_are_computed_too() -> None:
    check = DigestCheck({"md5": MD5, "sha": SHA1})
    check.update(CONTENT)
    assert check.matches(SHA256.hex())
    assert not DigestCheck({"md5": MD5}).matches(SHA256.hex())


def test_a_check_can_stand_alone() -> None:
    check = DigestCheck({"sha-256": SHA256}, own_sha256=True)
    check.update(CONTENT)
    assert check.matches()


def test_nothing_expected_always_matches() -> None:
    assert DigestCheck({}).matches()
