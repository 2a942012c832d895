"""Small files that go up together: one request, and one transaction of the server, for hundreds of them.

By itself each costs the server a request, a transaction and its share of a sync. A commit of the Hugging Face API takes
many at once, all of them or none. Its digest goes with it, so that it is taken as it was read here.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import quote

from modelyard_client.catalog import Place
from modelyard_client.errors import NotFound
from modelyard_client.http.pace import Pace
from modelyard_client.http.transport import Transport
from modelyard_client.http.trying import TryAgain
from modelyard_client.local.files import LocalFile
from modelyard_client.progress import Progress
from modelyard_client.push.sending import digest_field

HUB = "/api/models"
LARGEST_BYTES = 64 * 1024  # what is larger gains little by company
FEWEST_FILES = 8  # a commit looks at all files of the version, so that for a few it is not worth it
MOST_FILES = 500  # few enough for several connections to be at work, and to be sent again after a cut
MOST_BYTES = 4 << 20  # of a commit's files, which are in memory
ANSWER_SECONDS = 120.0  # that a server may need to make all of them durable


class Sent(NamedTuple):
    """A file that arrived, and how many bytes of it crossed the wire."""

    file: LocalFile
    sha256: str
    bytes: int


class Together:
    """Sends small files in commits, where the server can: `works` tells whether it is known that it cannot."""

    def __init__(self, transport: Transport, pace: Pace, progress: Progress) -> None:
        self.works = True
        self._transport = transport
        self._pace = pace
        self._progress = progress

    def batches(self, place: Place, files: Sequence[LocalFile]) -> list[list[LocalFile]]:
        """Those of the files that go together, as they do."""
        small = [file for file in files if file.size <= LARGEST_BYTES]
        if len(small) < FEWEST_FILES or _repository(place) is None:
            return []
        return list(_cut(small))

    def send(self, place: Place, files: Sequence[LocalFile]) -> list[Sent]:
        """Send a batch: all of it is there when this returns, and nothing if it raises. Raises ClientError."""
        contents = [file.content(self._transport.stop) for file in files]
        body = _commit(files, contents)
        digest = digest_field(hashlib.sha256(body).hexdigest())
        headers = {
            "Content-Type": "application/x-ndjson",
            "Content-Length": str(len(body)),
            "Content-Digest": digest,
        }
        path = f"/{_repository(place)}/commit/{quote(place.package[1], safe='')}"
        tries, times = self._transport.tries(), 0
        while True:
            try:
                times += 1
                sent = self._pace.body(body)
                self._transport.once("POST", path, headers=headers, body=sent, seconds=ANSWER_SECONDS, below=HUB)
            except TryAgain as again:
                tries.failed(again)
            except NotFound:  # it has no such API, or no name for this model there
                self.works = False
                raise
            else:
                self._progress.moved(sum(map(len, contents)))
                return [
                    Sent(file, hashlib.sha256(content).hexdigest(), times * len(content))
                    for file, content in zip(files, contents, strict=True)
                ]


def _repository(place: Place) -> str | None:
    """What the Hugging Face API calls the model, `group__project/model`; None for what has no such name."""
    namespace = place.target.project.replace("/", "__")
    if place.target.is_candidate or namespace.replace("__", "/") != place.target.project:
        return None
    return f"{quote(namespace, safe='')}/{quote(place.target.model, safe='')}"


def _cut(files: Sequence[LocalFile]) -> Iterator[list[LocalFile]]:
    batch: list[LocalFile] = []
    size = 0
    for file in files:
        if batch and (len(batch) == MOST_FILES or size + file.size > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += file.size
    yield batch


def _commit(files: Sequence[LocalFile], contents: Sequence[bytes]) -> bytes:
    """The lines of a commit that adds files."""
    lines = [json.dumps({"key": "header", "value": {"summary": f"Add {len(files)} files"}}).encode()]
    for file, content in zip(files, contents, strict=True):
        told = f'{{"key":"file","value":{{"path":{json.dumps(file.name)},"encoding":"base64","content":"'
        lines.append(told.encode() + base64.b64encode(content) + b'"}}')
    return b"\n".join(lines)
