"""Digests in headers (RFC 9530): what a client announces is verified, what is served is stated."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping

# Algorithms of RFC 9530 that are still safe, with hashlib's name and the length in bytes.
ALGORITHMS = {"sha-256": ("sha256", 32), "sha-512": ("sha512", 64)}

# A member of a structured-field dictionary with a byte sequence as value (RFC 8941 sections 3.2, 3.3.5).
_MEMBER = re.compile(r"([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):(?:[ ]*;[ ]*[^,]*)?")


class MalformedDigest(ValueError):
    """A digest header that cannot be read."""


def parse_digest_field(header: str | None) -> dict[str, bytes]:
    """The digests of `Content-Digest` or `Repr-Digest` by algorithm, `{"sha-256": b"…"}`; unknown ones are left out.

    Raises MalformedDigest for anything but a dictionary of byte sequences, and for a digest of the wrong length.
    """
    digests: dict[str, bytes] = {}
    for member in header.split(",") if header else ():
        match = _MEMBER.fullmatch(member.strip(" \t"))
        if match is None:
            raise MalformedDigest("The digest header is malformed")
        algorithm, value = match[1], _decode(match[2])
        if algorithm in ALGORITHMS:
            if len(value) != ALGORITHMS[algorithm][1]:
                raise MalformedDigest(f"The {algorithm} digest has the wrong length")
            digests[algorithm] = value
    return digests


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise MalformedDigest("The digest header is malformed") from error


def format_repr_digest(sha256_hex: str) -> str:
    """The `Repr-Digest` header for a SHA-256."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256_hex)).decode()}:"


def etag_of(sha256_hex: str) -> str:
    """The strong entity tag of content with that SHA-256."""
    return f'"{sha256_hex}"'


class DigestCheck:
    """Holds bytes that pass by against expected digests.

    SHA-256 is known to whoever stores the bytes and is not computed again, unless `own_sha256` asks for it.
    """

    def __init__(self, expected: Mapping[str, bytes], *, own_sha256: bool = False) -> None:
        self._expected = dict(expected)
        names = (ALGORITHMS[algorithm][0] for algorithm in expected if own_sha256 or algorithm != "sha-256")
        self._hashes = {name: hashlib.new(name) for name in names}

    @property
    def algorithms(self) -> frozenset[str]:
        """The hashes, by hashlib's names, that `update` must be fed for."""
        return frozenset(self._hashes)

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        for running in self._hashes.values():
            running.update(data)

    def matches(self, sha256_hex: str | None = None) -> bool:
        """Whether every expected digest is that of the bytes; true where none is expected."""
        return all(self._digest(name, sha256_hex) == value for name, value in self._expected.items())

    def _digest(self, algorithm: str, sha256_hex: str | None) -> bytes:
        running = self._hashes.get(ALGORITHMS[algorithm][0])
        return running.digest() if running else bytes.fromhex(sha256_hex or "")
