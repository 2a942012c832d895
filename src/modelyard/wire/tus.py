"""Headers of tus 1.0.0 (https://tus.io/protocols/resumable-upload), as texts and what they mean."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from email.utils import formatdate

from modelyard.terms import digests

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,checksum,termination,expiration,creation-defer-length"
CHUNK_TYPE = "application/offset+octet-stream"
# Its names of algorithms, and HTTP's of the same.
ALGORITHMS = {"sha1": "sha", "sha256": "sha-256", "sha512": "sha-512", "md5": "md5"}
MAX_METADATA = 4096  # characters of the header
MAX_INT64 = 2**63 - 1

UID = re.compile(r"[0-9a-f]{32}")
_NUMBER = re.compile(r"[0-9]{1,19}")
_KEY = re.compile(r"[!-+\--~]{1,255}")  # printable ASCII without blanks and commas


class MalformedHeader(ValueError):
    """A header that cannot be read, in a sentence that names it."""


def number(headers: Mapping[str, str], name: str) -> int | None:
    """The bytes that a header such as `Upload-Offset` tells; None without it. Raises MalformedHeader."""
    text = headers.get(name.lower())
    if text is None:
        return None
    if not _NUMBER.fullmatch(text) or int(text) > MAX_INT64:
        raise MalformedHeader(f"{name} is not a number of bytes")
    return int(text)


def length(headers: Mapping[str, str]) -> int | None:
    """The length that a creation tells, None where it is to be told later. Raises MalformedHeader."""
    told, deferred = number(headers, "Upload-Length"), headers.get("upload-defer-length")
    if deferred not in {None, "1"}:
        raise MalformedHeader("Upload-Defer-Length is not 1")
    if (told is None) == (deferred is None):
        raise MalformedHeader("Either Upload-Length or Upload-Defer-Length is needed")
    return told


def metadata(header: str | None) -> dict[str, str]:
    """The values of `Upload-Metadata` by key. Raises MalformedHeader, also for a key that comes twice."""
    values: dict[str, str] = {}
    if header is None or not header.strip():
        return values
    if len(header) > MAX_METADATA:
        raise MalformedHeader(f"Upload-Metadata has more than {MAX_METADATA} characters")
    for pair in header.split(","):
        key, _, encoded = pair.strip(" ").partition(" ")
        if not _KEY.fullmatch(key) or key in values:
            raise MalformedHeader("Upload-Metadata has a key that is none, or twice")
        try:
            values[key] = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError) as error:
            raise MalformedHeader("Upload-Metadata has a value that is not base64 of a text") from error
    return values


def checksum(header: str | None) -> dict[str, bytes]:
    """The digest of a body by HTTP's name of its algorithm. Raises MalformedHeader, also for an unknown algorithm."""
    if header is None:
        return {}
    name, _, encoded = header.strip().partition(" ")
    if name not in ALGORITHMS:
        raise MalformedHeader("Upload-Checksum has an algorithm that is not known")
    algorithm = ALGORITHMS[name]
    try:
        digest = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedHeader("Upload-Checksum has a value that is not base64") from error
    if len(digest) != digests.ALGORITHMS[algorithm][1]:
        raise MalformedHeader(f"Upload-Checksum has a value that is no {name}")
    return {algorithm: digest}


def date(milliseconds: int) -> str:
    """A moment as `Upload-Expires` has it (RFC 9110 section 5.6.7)."""
    return formatdate(milliseconds / 1000, usegmt=True)
