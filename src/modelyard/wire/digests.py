"""Digests in headers: what a client announces is verified, what is served is stated.

RFC 9530 says how, RFC 3230 and RFC 1864 how older clients do, and Artifactory's clients have headers of their own.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping

from modelyard.terms.digests import ALGORITHMS, Digests

CHECKSUM_HEADERS = {f"x-checksum-{hash_name}": name for name, (hash_name, _length) in ALGORITHMS.items()}  # in hex
DEPRECATED = frozenset({"sha", "md5"})  # no help against people, but they tell a damaged file all the same
CHECKSUM_HEADER = "x-checksum"  # of the algorithm that has its length, says Artifactory
_BY_HEX_DIGITS = {2 * length: name for name, (_hash_name, length) in ALGORITHMS.items()}
ANNOUNCING = frozenset({"repr-digest", "digest", "content-digest", "content-md5", CHECKSUM_HEADER, *CHECKSUM_HEADERS})
_IDENTITY = "id-"  # RFC 5843 section 2: of the file without its content coding, and none is taken here

# A member of a structured-field dictionary with a byte sequence as value (RFC 8941 sections 3.2, 3.3.5).
_MEMBER = re.compile(r"([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):(?:[ ]*;[ ]*[^,]*)?")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})*")
# A member of `Want-Digest` that asks for SHA-256 (RFC 3230 section 4.3.1); with q=0 it does not.
_WANTED = re.compile(r"[ \t]*sha-256[ \t]*(?:;[ \t]*q=(?!0*\.?0*[ \t]*$)[0-9.]+)?[ \t]*", re.IGNORECASE)


class MalformedDigest(ValueError):
    """A digest header that cannot be read."""


def announced_digests(headers: Mapping[str, str]) -> tuple[Digests, Digests]:
    """What a request says of the file that it carries, and of its body; names in `headers` are in lower case.

    Of the file speak `Repr-Digest`, `Digest` (RFC 3230) and `X-Checksum-…`, of the body `Content-Digest` and
    `Content-MD5` (RFC 1864). Raises MalformedDigest, also for two that cannot both be true.
    """
    if ANNOUNCING.isdisjoint(headers):
        return {}, {}
    checksums = [_checked(a, _from_hex(headers[name])) for name, a in CHECKSUM_HEADERS.items() if name in headers]
    checksums += [_of_any(headers[CHECKSUM_HEADER])] if CHECKSUM_HEADER in headers else []
    md5 = [_checked("md5", _decoded(headers["content-md5"]))] if "content-md5" in headers else []
    file = [parse_digest_field(headers.get("repr-digest")), parse_digest(headers.get("digest")), *checksums]
    body = [parse_digest_field(headers.get("content-digest")), *md5]
    return united(file), united(body)


def parse_digest_field(header: str | None) -> Digests:
    """The digests of `Content-Digest` or `Repr-Digest` by algorithm, `{"sha-256": b"…"}`; unknown ones are left out.

    Raises MalformedDigest for anything but a dictionary of byte sequences, and for a digest of the wrong length. One of
    a deprecated algorithm may be ignored (RFC 9530 section 5), and is where it has the wrong length.
    """
    digests: Digests = {}
    for member in header.split(",") if header else ():
        match = _MEMBER.fullmatch(member.strip(" \t"))
        if match is None:
            raise MalformedDigest("The digest header is malformed")
        algorithm, value = match[1], _decoded(match[2])
        if algorithm not in DEPRECATED or len(value) == ALGORITHMS[algorithm][1]:
            digests |= _checked(algorithm, value)
    return digests


def parse_digest(header: str | None) -> Digests:
    """The digests of RFC 3230's `Digest`, `SHA-256=<base64>,MD5=<base64>`; unknown algorithms are left out.

    Raises MalformedDigest for anything but such a list, and for a digest of the wrong length.
    """
    digests = []
    for member in header.split(",") if header else ():
        name, equals, value = member.strip(" \t").partition("=")
        if not equals or not name:
            raise MalformedDigest("The digest header is malformed")
        algorithm = name.lower().removeprefix(_IDENTITY)
        digests += [_checked(algorithm, _decoded(value))] if algorithm in ALGORITHMS else []
    return united(digests)


def united(several: Iterable[Digests]) -> Digests:
    """All that several headers say. Raises MalformedDigest where they contradict each other."""
    together: Digests = {}
    for digests in several:
        for algorithm, value in digests.items():
            if together.setdefault(algorithm, value) != value:
                raise MalformedDigest(f"The {algorithm} digests contradict each other")
    return together


def answered_digests(headers: Mapping[str, str], sha256_hex: str) -> dict[str, str]:
    """`Digest`, where a request's `Want-Digest` names SHA-256 and does not exclude it (RFC 3230 section 4.3.1)."""
    wanted = headers.get("want-digest")
    if wanted is None or not any(map(_WANTED.fullmatch, wanted.split(","))):
        return {}
    return {"Digest": f"sha-256={_base64(sha256_hex)}"}


def _checked(algorithm: str, value: bytes) -> Digests:
    """The digest by its algorithm, if that is known."""
    if algorithm not in ALGORITHMS:
        return {}
    if len(value) != ALGORITHMS[algorithm][1]:
        raise MalformedDigest(f"The {algorithm} digest has the wrong length")
    return {algorithm: value}


def _of_any(hex_digits: str) -> Digests:
    if len(hex_digits) not in _BY_HEX_DIGITS:
        raise MalformedDigest("The checksum has the wrong length")
    return {_BY_HEX_DIGITS[len(hex_digits)]: _from_hex(hex_digits)}


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise MalformedDigest("The digest header is malformed") from error


def _from_hex(text: str) -> bytes:
    if not _HEX.fullmatch(text):
        raise MalformedDigest("The digest header is malformed")
    return bytes.fromhex(text)


def _base64(sha256_hex: str) -> str:
    return base64.b64encode(bytes.fromhex(sha256_hex)).decode()


def format_repr_digest(sha256_hex: str) -> str:
    """The `Repr-Digest` header for a SHA-256."""
    return f"sha-256=:{_base64(sha256_hex)}:"


def etag_of(sha256_hex: str) -> str:
    """The strong entity tag of content with that SHA-256."""
    return f'"{sha256_hex}"'
