"""What a commit does, as its lines say: each is a JSON object with a key and a value."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

from modelyard.blobs.store import is_digest
from modelyard.errors import BadRequest
from modelyard.services.hub.writing import check_name
from modelyard.terms.repositories import MAIN

MAX_INLINE_BYTES = 2 * 1024 * 1024  # of a file in a line; clients are told to send those of 64 KiB so
MAX_TITLE = 1_000  # characters
MAX_MESSAGE = 10_000
MAX_SIZE = 2**63 - 1

Put = Callable[[bytes], str]  # makes bytes durable; the answer is their SHA-256


@dataclass(frozen=True, slots=True)
class Header:
    """What a commit is called, and what it is held against."""

    title: str
    message: str
    parent: str | None


@dataclass(frozen=True, slots=True)
class Add:
    """A file of bytes that are in the store; `size` is None where the digest alone was told."""

    name: str
    sha256: str
    size: int | None
    inline: bool  # whether its bytes came with the commit


@dataclass(frozen=True, slots=True)
class Delete:
    """A file, or a folder with all that is in it, that is to go."""

    name: str
    folder: bool


@dataclass(frozen=True, slots=True)
class Copy:
    """A file that is to have the bytes of another one of the repository."""

    name: str
    source: str
    revision: str | None  # None: as it is before the commit


Operation: TypeAlias = Add | Delete | Copy


@dataclass(slots=True)
class Received:
    """All lines of a commit."""

    header: Header | None = None
    operations: list[Operation] = field(default_factory=list)

    def digest(self, *also: object) -> str:
        """By what a commit that is sent again is known."""
        running = hashlib.sha256(repr((self.header, *also)).encode())
        for operation in self.operations:
            running.update(repr(operation).encode() + b"\n")
        return running.hexdigest()


def parse_line(line: bytes | memoryview, put: Put) -> Header | Operation:
    """One line of a commit. Raises BadRequest."""
    try:
        parsed = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadRequest.plain("A line of the commit is not JSON: it was cut, perhaps") from error
    if not isinstance(parsed, dict) or not isinstance(parsed.get("value"), dict):
        raise BadRequest.plain("Each line of a commit is an object with 'key' and 'value'")
    value: Mapping[str, Any] = parsed["value"]
    reader = _READERS.get(parsed["key"]) if isinstance(parsed.get("key"), str) else None
    if reader is None:
        raise BadRequest.plain(f"'{str(parsed.get('key'))[:100]}' is nothing that a commit can do here")
    return reader(value, put)


def _header(value: Mapping[str, Any], _put: Put) -> Header:
    title, message = _text(value, "summary", MAX_TITLE, ""), _text(value, "description", MAX_MESSAGE, "")
    parent = value.get("parentCommit")
    return Header(title, message, _text(value, "parentCommit", 100) if parent is not None else None)


def _file(value: Mapping[str, Any], put: Put) -> Add:
    name = _name(value, "path")
    if value.get("encoding", "base64") != "base64":
        raise BadRequest.plain(f"{name}: the encoding of a file in a commit is base64")
    content = value.get("content")
    try:
        decoded = base64.b64decode(content if isinstance(content, str) else "?", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest.plain(f"{name}: the content is not base64") from error
    if len(decoded) > MAX_INLINE_BYTES:
        raise BadRequest.plain(f"{name}: a file of more than {MAX_INLINE_BYTES} bytes is to be sent by LFS or xet")
    return Add(name, put(decoded), len(decoded), inline=True)


def _lfs_file(value: Mapping[str, Any], _put: Put) -> Add:
    name, oid, size = _name(value, "path"), value.get("oid"), value.get("size")
    if value.get("algo", "sha256") != "sha256" or not isinstance(oid, str) or not is_digest(oid):
        raise BadRequest.plain(f"{name}: 'oid' is to be a SHA-256 in lower-case hexadecimal digits")
    if size is not None and not (type(size) is int and 0 <= size <= MAX_SIZE):
        raise BadRequest.plain(f"{name}: 'size' is to be a number of bytes")
    return Add(name, oid, size, inline=False)


def _deleted_file(value: Mapping[str, Any], _put: Put) -> Delete:
    return Delete(_name(value, "path"), folder=False)


def _deleted_folder(value: Mapping[str, Any], _put: Put) -> Delete:
    path = value.get("path")
    return Delete(_name({"path": path.rstrip("/") if isinstance(path, str) else path}, "path"), folder=True)


def _copy(value: Mapping[str, Any], _put: Put) -> Copy:
    revision = value.get("srcRevision")
    told = _text(value, "srcRevision", 255, MAIN) if revision is not None else None
    return Copy(_name(value, "path"), _name(value, "srcPath"), told)


def _name(value: Mapping[str, Any], key: str) -> str:
    name = value.get(key)
    if not isinstance(name, str):
        raise BadRequest.plain(f"'{key}' is missing in a line of the commit")
    check_name(name)
    return name


def _text(value: Mapping[str, Any], key: str, most: int, default: str | None = None) -> str:
    text = value.get(key, default)
    if not isinstance(text, str) or "\0" in text:
        raise BadRequest.plain(f"'{key}' is to be a text")
    if len(text) > most:
        raise BadRequest.plain(f"'{key}' has more than {most} characters")
    return text


_READERS: Mapping[str, Callable[[Mapping[str, Any], Put], Header | Operation]] = {
    "header": _header,
    "file": _file,
    "lfsFile": _lfs_file,
    "deletedFile": _deleted_file,
    "deletedFolder": _deleted_folder,
    "copyFile": _copy,
}


def joined(parts: Sequence[Sequence[Header | Operation]], most: int) -> Received:
    """All lines of a commit in their order. Raises BadRequest unless the header is the first one, and the only."""
    received = Received()
    for item in (item for part in parts for item in part):
        if isinstance(item, Header):
            if received.header is not None or received.operations:
                raise BadRequest.plain("The header of a commit is its first line, and the only one")
            received.header = item
        elif received.header is None:
            raise BadRequest.plain("The first line of a commit is its header")
        else:
            received.operations.append(item)
    if received.header is None:
        raise BadRequest.plain("The commit is empty: not even its header has come")
    if len(received.operations) > most:
        raise BadRequest.plain(f"A commit changes {most} files at most")
    return received
