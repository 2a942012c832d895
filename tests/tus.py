"""What tests send to the resumable uploads: tus 1.0.0, header by header."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import httpx2

VERSION = {"Tus-Resumable": "1.0.0"}
CHUNK_TYPE = "application/offset+octet-stream"


def metadata(**values: str) -> str:
    """`Upload-Metadata` of texts."""
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())


def uploads_of(files_url: str) -> str:
    """Where uploads to the version of those files are begun."""
    return files_url.removesuffix("/files") + "/uploads"


def create(client: httpx2.Client, files_url: str, length: int | None, path: str = "w.bin", **headers: str) -> Any:
    """The answer to a creation; headers with `_` for `-`."""
    told = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(uploads_of(files_url), headers=VERSION | told | {"Upload-Metadata": metadata(path=path)} | more)


def begun(client: httpx2.Client, files_url: str, length: int | None, path: str = "w.bin", **headers: str) -> str:
    """The URL of a new upload."""
    answer = create(client, files_url, length, path, **headers)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["Location"])


def patch(
    client: httpx2.Client, url: str, offset: int, content: bytes | Iterable[bytes], **headers: str
) -> httpx2.Response:
    """The answer to the next bytes."""
    told = {"Upload-Offset": str(offset), "Content-Type": CHUNK_TYPE}
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.patch(url, headers=VERSION | told | more, content=content)


def offset_of(client: httpx2.Client, url: str) -> int:
    """Where the upload is."""
    answer = client.head(url, headers=VERSION)
    assert answer.status_code == 200, answer.status_code
    return int(answer.headers["Upload-Offset"])


def checksum(algorithm: str, digest: bytes) -> str:
    """`Upload-Checksum`."""
    return f"{algorithm} {base64.b64encode(digest).decode()}"
