"""What the API's answers tell, taken apart: what has another shape is another server's, which is told as such."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from modelyard_client.http.transport import Answer, understood
from modelyard_client.results import RemoteFile, Version

SHA256_BYTES = 32


class FileRow(NamedTuple):
    """A file, and the id by which the API knows it."""

    id: int
    file: RemoteFile


def list_of(answer: Answer) -> list[dict[str, Any]]:
    """The rows of a list. Raises Refused, as all of these do."""
    rows = answer.json()
    with understood():
        return [dict(row) for row in rows]


def count_of(answer: Answer, name: str) -> int:
    """What a header tells; 0 without it."""
    with understood():
        return int(answer.headers.get(name) or 0)


def digest_of(headers: Mapping[str, str]) -> str | None:
    """The SHA-256 that `Repr-Digest` tells, in hex; None without it."""
    told = headers.get("Repr-Digest", "").partition("sha-256=:")[2].partition(":")[0]
    with understood():
        return _sha256(base64.b64decode(told).hex()) if told else None


def ids_of(rows: Iterable[dict[str, Any]], name: str) -> list[int]:
    """The ids of packages of a name, or of all where that is empty."""
    with understood():
        return [int(row["id"]) for row in rows if row["name"] == name or not name]


def files_of(rows: Iterable[dict[str, Any]]) -> list[FileRow]:
    """The files of a package, in the order in which they were made."""
    with understood():
        return sorted(FileRow(int(row["id"]), _file(row)) for row in rows)


def version_of(fields: dict[str, Any]) -> Version:
    """A model's version, whose semantic one is told as GitLab does. For use in a block that `understood` guards."""
    semantic = next(iter(fields.get("aliases") or [fields["version"]]))
    return Version(str(semantic), str(fields["version"]))


def _file(row: dict[str, Any]) -> RemoteFile:
    return RemoteFile(unquote(row["file_name"], errors="strict"), int(row["size"]), _sha256(row["file_sha256"]))


def _sha256(text: str) -> str:
    """Raises ValueError and TypeError for what is none."""
    if len(bytes.fromhex(text)) != SHA256_BYTES:
        raise ValueError(text)
    return text
