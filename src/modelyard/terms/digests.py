"""Digests of bytes by their algorithm, in the names that HTTP has for them (RFC 9530, RFC 3230)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

Digests = dict[str, bytes]  # by algorithm

# The algorithms that are held, with hashlib's name and the length in bytes.
ALGORITHMS = {"sha-256": ("sha256", 32), "sha-512": ("sha512", 64), "sha": ("sha1", 20), "md5": ("md5", 16)}


class DigestCheck:
    """Holds bytes that pass by against expected digests.

    SHA-256 is known to whoever stores the bytes and is not computed again, unless `own_sha256` asks for it.
    """

    def __init__(self, expected: Mapping[str, bytes], *, own_sha256: bool = False) -> None:
        self._expected = dict(expected)
        names = (ALGORITHMS[algorithm][0] for algorithm in expected if own_sha256 or algorithm != "sha-256")
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in names}

    @property
    def algorithms(self) -> frozenset[str]:
        """The hashes, by hashlib's names, that `update` must be fed for."""
        return frozenset(self._hashes)

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes."""
        for running in self._hashes.values():
            running.update(data)

    def matches(self, sha256_hex: str | None = None) -> bool:
        """Whether every expected digest is that of the bytes; true where none is expected."""
        return all(self._digest(name, sha256_hex) == value for name, value in self._expected.items())

    def _digest(self, algorithm: str, sha256_hex: str | None) -> bytes:
        running = self._hashes.get(ALGORITHMS[algorithm][0])
        return running.digest() if running else bytes.fromhex(sha256_hex or "")
