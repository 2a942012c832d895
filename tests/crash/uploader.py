"""One client of the crash driver: it uploads, replaces, deletes and reads until it is stopped or the server is gone."""

from __future__ import annotations

import hashlib
import random
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import httpx2

from tests.crash.contents import Content, Contents
from tests.crash.ledger import Files, Ledger, deleted, uploaded

NAMES = 5
MAX_FILES = 12
BOUNDARY = "----the-boundary-of-a-form"
ANSWERS = {"put": 201, "delete": 204}


@dataclass(frozen=True)
class StoredFile:
    """A file as the API lists it."""

    id: int
    name: str
    sha256: str


class AwayError(Exception):
    """The database is away: what was asked for may have been done or not."""


class Uploader:
    """A client with a project and a version of its own, so that it alone decides what is in there."""

    def __init__(self, client: httpx2.Client, number: int, contents: Contents) -> None:
        self.number = number
        self.ledger = Ledger()
        self.failures: list[str] = []
        self.acknowledged = 0
        self._contents = contents
        self.project = f"/projects/{_json(client.post('/projects', json={'name': f'p{number}'}))['id']}"
        base = f"{self.project}/ml/mlflow/api/2.0/mlflow"
        client.post(f"{base}/registered-models/create", json={"name": "m"}).raise_for_status()
        version = _json(client.post(f"{base}/model-versions/create", json={"name": "m"}))["model_version"]["version"]
        self.files = f"{self.project}/packages/ml_models/{version}/files"

    def run(self, client: httpx2.Client, chance: random.Random, stop: threading.Event) -> None:
        """One random operation after the other. The first answer that is not as it should be is a failure."""
        while not stop.is_set() and not self.failures:
            try:
                self._any_operation(client, chance)
            except httpx2.TimeoutException as error:
                self.failures.append(f"no answer: {error!r}")
            except (httpx2.TransportError, AwayError):
                return
            except Exception as error:
                self.failures.append(f"not as it should be: {error!r}")

    def visible(self, client: httpx2.Client) -> Files:
        """All that the API lists, hidden older files included."""
        found: dict[str, list[str]] = defaultdict(list)
        for file in self._list(client):
            found[file.name].append(file.sha256)
        return {name: tuple(digests) for name, digests in found.items()}

    def download(self, client: httpx2.Client, name: str) -> str | None:
        """The digest of the bytes that are served under a name; None where there are none."""
        digest = hashlib.sha256()
        with client.stream("GET", f"{self.files}/{name}") as answer:
            if answer.status_code == 503:
                raise AwayError
            if answer.status_code != 200:
                return None
            for block in answer.iter_raw():
                digest.update(block)
        return digest.hexdigest()

    def put(self, client: httpx2.Client, name: str, content: Content, form: str) -> None:
        """Upload a content. Raises httpx2.TransportError where there is no answer, as all of these do."""
        body = Body(content, form)
        self.ledger.begin(uploaded(self.ledger.files, name, content.sha256))
        try:
            answer = client.put(f"{self.files}/{name}", content=body.pieces(), headers=body.headers)
        except httpx2.TransportError:
            if not body.may_be_whole:
                self.ledger.end(done=False)
            raise
        self._answered("put", answer)

    def delete_file(self, client: httpx2.Client, name: str, index: int) -> None:
        """Delete one of the files of a name, counted from the oldest."""
        file = [each for each in self._list(client) if each.name == name][index]
        package = self._package(client)
        self.ledger.begin(deleted(self.ledger.files, name, index))
        self._answered("delete", client.delete(f"{package}/package_files/{file.id}"))

    def delete_package(self, client: httpx2.Client) -> None:
        """Delete all files, where there ever were any."""
        package = self._package(client)
        if package is not None:
            self.ledger.begin({})
            self._answered("delete", client.delete(package))

    def _any_operation(self, client: httpx2.Client, chance: random.Random) -> None:
        crowded = sum(map(len, self.ledger.files.values())) > MAX_FILES
        weights = (1, 8, 1, 0.5) if crowded else (14, 3, 3, 0.5)
        operations = (self._put_any, self._delete_any, self._read, lambda client, _: self.delete_package(client))
        chance.choices(operations, weights)[0](client, chance)

    def _put_any(self, client: httpx2.Client, chance: random.Random) -> None:
        content = chance.choice(self._contents.popular) if chance.random() < 0.3 else self._contents.new(chance)
        self.put(client, f"f{chance.randrange(NAMES)}", content, chance.choice(("form", "raw", "chunked")))

    def _delete_any(self, client: httpx2.Client, chance: random.Random) -> None:
        if self.ledger.files:
            name = chance.choice(sorted(self.ledger.files))
            self.delete_file(client, name, chance.randrange(len(self.ledger.files[name])))

    def _read(self, client: httpx2.Client, chance: random.Random) -> None:
        for name in sorted(self.ledger.files)[: chance.randrange(1, 3)]:
            if self.download(client, name) != self.ledger.files[name][-1]:
                self.failures.append(f"{self.files}/{name} is not what was acknowledged")

    def _answered(self, operation: str, answer: httpx2.Response) -> None:
        if answer.status_code == 503:
            raise AwayError
        done = answer.status_code == ANSWERS[operation]
        self.ledger.end(done=done)
        self.acknowledged += done
        if not done:
            self.failures.append(f"{operation}: {answer.status_code} {answer.text}")

    def _package(self, client: httpx2.Client) -> str | None:
        packages = _json(client.get(f"{self.project}/packages"))
        return f"{self.project}/packages/{packages[0]['id']}" if packages else None

    def _list(self, client: httpx2.Client) -> list[StoredFile]:
        package = self._package(client)
        if package is None:
            return []
        listed = _json(client.get(f"{package}/package_files", params={"per_page": 100}))
        files = [StoredFile(each["id"], each["file_name"], each["file_sha256"]) for each in listed]
        return sorted(files, key=lambda file: file.id)


class Body:
    """A content as the body of a request: a form, bare bytes of a known length, or bare bytes in chunks."""

    def __init__(self, content: Content, form: str) -> None:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        self._content = content
        self._head = head.encode() if form == "form" else b""
        self._tail = f"\r\n--{BOUNDARY}--\r\n".encode() if form == "form" else b""
        self._chunked = form == "chunked"
        self.may_be_whole = False  # at the server, as far as anybody here can know
        self.headers = {} if self._chunked else {"Content-Length": str(len(self._head + self._tail) + content.size)}
        if form == "form":
            self.headers["Content-Type"] = f"multipart/form-data; boundary={BOUNDARY}"

    def pieces(self) -> Iterator[bytes]:
        """The bytes of the body. What ends a chunked one is sent only after the last of them."""
        pieces = filter(None, chain([self._head], self._content.chunks(), [self._tail]))
        piece = next(pieces)
        for following in pieces:
            yield piece
            piece = following
        self.may_be_whole = not self._chunked
        yield piece
        self.may_be_whole = True


def _json(answer: httpx2.Response) -> Any:
    if answer.status_code == 503:
        raise AwayError
    answer.raise_for_status()
    return answer.json()
