"""Commits, objects and xorbs as Hugging Face's clients send them, made by hand."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
import lz4.frame


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def line(key: str, **value: object) -> bytes:
    return json.dumps({"key": key, "value": value}).encode()


def header(summary: str = "a commit", **value: object) -> bytes:
    return line("header", summary=summary, description="", **value)


def file(path: str, content: bytes) -> bytes:
    return line("file", path=path, encoding="base64", content=base64.b64encode(content).decode())


def lfs_file(path: str, content: bytes, **value: object) -> bytes:
    return line("lfsFile", path=path, algo="sha256", oid=sha256(content), **{"size": len(content), **value})


def post(client: httpx2.Client, repo: str, lines: Iterable[bytes], revision: str = "main") -> httpx2.Response:
    path = f"/api/models/{repo}/commit/{quote(revision, safe='')}"
    return client.post(path, content=b"\n".join(lines), headers={"Content-Type": "application/x-ndjson"})


def commit(client: httpx2.Client, repo: str, *operations: bytes, revision: str = "main", **head: object) -> str:
    """Make a commit that is taken; the answer is its id."""
    answer = post(client, repo, [header(**head), *operations], revision)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    return str(answer.json()["commitOid"])


def files(client: httpx2.Client, repo: str, revision: str = "main") -> dict[str, str]:
    """The digests of all files, by name."""
    answer = client.get(f"/api/models/{repo}/revision/{quote(revision, safe='')}?blobs=true")
    assert answer.status_code == 200, answer.text
    return {each["rfilename"]: each["lfs"]["sha256"] for each in answer.json()["siblings"]}


def digests(**contents: bytes) -> dict[str, str]:
    return {name: sha256(content) for name, content in contents.items()}


def batch(client: httpx2.Client, repo: str, *contents: bytes, **body: object) -> httpx2.Response:
    objects = [{"oid": sha256(each), "size": len(each)} for each in contents]
    told = {"operation": "upload", "transfers": ["basic", "multipart"], "objects": objects, "hash_algo": "sha256"}
    return client.post(f"/{repo}.git/info/lfs/objects/batch", json=told | body)


def offered(client: httpx2.Client, repo: str, content: bytes) -> dict[str, Any]:
    """The action by which an object is to be sent."""
    answer = batch(client, repo, content)
    assert answer.status_code == 200, answer.text
    (shown,) = answer.json()["objects"]
    action: dict[str, Any] = shown["actions"]["upload"]
    return action


def send_object(client: httpx2.Client, stranger: httpx2.Client, repo: str, content: bytes) -> None:
    answer = stranger.put(offered(client, repo, content)["href"], content=content)
    assert answer.status_code == 200, answer.text


class Cas:
    """Where xorbs and shards are sent, with the token for it."""

    def __init__(self, client: httpx2.Client, stranger: httpx2.Client, repo: str, revision: str = "main") -> None:
        answer = client.get(f"/api/models/{repo}/xet-write-token/{revision}")
        assert answer.status_code == 200, answer.text
        self.told = answer.json()
        self.path = urlsplit(self.told["casUrl"]).path
        self.headers = {"Authorization": f"Bearer {self.told['accessToken']}"}
        self._client = stranger

    def xorb(self, name: bytes, content: bytes) -> httpx2.Response:
        path = f"{self.path}/v1/xorbs/default/{hash_text(name)}"
        return self._client.post(path, content=content, headers=self.headers)

    def chunk(self, hash_: bytes) -> httpx2.Response:
        path = f"{self.path}/v1/chunks/default/{hash_text(hash_)}"
        return self._client.get(path, headers=self.headers)

    def shard(self, content: bytes | Iterable[bytes], path: str = "v1/shards") -> httpx2.Response:
        return self._client.post(f"{self.path}/{path}", content=content, headers=self.headers)


def hash_text(raw: bytes) -> str:
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", raw))


def of_text(text: str) -> bytes:
    """The bytes that are written so."""
    return struct.pack("<4Q", *(int(text[at : at + 16], 16) for at in range(0, 64, 16)))


def chunk(content: bytes, scheme: int = 0, *, size: int | None = None, packed: bytes | None = None) -> bytes:
    """A chunk of a xorb, which may lie about what is in it."""
    if packed is None:
        grouped = b"".join(content[group::4] for group in range(4))
        packed = content if scheme == 0 else lz4.frame.compress(content if scheme == 1 else grouped)
    told = len(content) if size is None else size
    return b"\0" + len(packed).to_bytes(3, "little") + bytes([scheme]) + told.to_bytes(3, "little") + packed


END = b"\xff" * 32 + bytes(16)
NO_XORBS: Mapping[bytes, Sequence[bytes]] = {}
Parts = Sequence[tuple[bytes, int, int, int]]  # xorb, first chunk, end, bytes


def shard(
    *of: tuple[str, Parts], flags: int = (1 << 31) | (1 << 30), xorbs: Mapping[bytes, Sequence[bytes]] = NO_XORBS
) -> bytes:
    """A shard of files, each by its SHA-256 and its parts; `xorbs`: the hashes of the chunks of each."""
    records = [bytes(48)]
    for digest, parts in of:
        records.append(struct.pack("<32sII8x", bytes(32), flags, len(parts)))
        records += [struct.pack("<32sIIII", xorb, 0, size, first, end) for xorb, first, end, size in parts]
        records += [bytes(48)] * (len(parts) if flags & (1 << 31) else 0)
        records += [of_text(digest) + bytes(16)] * bool(flags & (1 << 30))
    records.append(END)
    for xorb, hashes in xorbs.items():
        records.append(struct.pack("<32sIIII", xorb, 0, len(hashes), 0, 0))
        records += [hash_ + bytes(16) for hash_ in hashes]
    return b"".join([*records, *([END] if xorbs else []), b"what follows is not needed"])
