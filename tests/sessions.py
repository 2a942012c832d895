"""An upload in two pieces, by each protocol in which one goes on, as tests begin it, go on with it and end it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.tus import begun, offset_of, patch

NAME = "w.bin"


@dataclass
class Sending(ABC):
    """A file on its way to a version, sent by whoever `client` is by then."""

    client: httpx2.Client
    files: str  # the URL of the version's files
    content: bytes
    url: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self.begin()

    @property
    def half(self) -> int:
        """Where the second piece begins."""
        return len(self.content) // 2

    @abstractmethod
    def begin(self) -> None:
        """Begin the upload."""

    @abstractmethod
    def first(self) -> httpx2.Response:
        """Send the first piece; the answer to it."""

    @abstractmethod
    def last(self) -> httpx2.Response:
        """Send what is missing, and end the upload; the answer to the request that was refused, or to the last one."""

    def is_there(self) -> bool:
        """Whether the file is there, as it was sent."""
        answer = self.client.get(f"{self.files}/{NAME}")
        assert answer.status_code in {200, 404}
        return answer.content == self.content


class Tus(Sending):
    """tus 1.0.0."""

    def begin(self) -> None:
        """See `Sending`."""
        self.url = begun(self.client, self.files, len(self.content), NAME)

    def first(self) -> httpx2.Response:
        """See `Sending`."""
        return self.piece(0, self.half)

    def last(self) -> httpx2.Response:
        """See `Sending`."""
        return self.piece(self.offset(), len(self.content))

    def offset(self) -> int:
        """Where the upload is, or half of it where that is not told."""
        asked = self.client.head(self.url, headers={"Tus-Resumable": "1.0.0"})
        return offset_of(self.client, self.url) if asked.status_code == 200 else self.half

    def piece(self, start: int, end: int) -> httpx2.Response:
        """Send some bytes."""
        return patch(self.client, self.url, start, self.content[start:end])


class Draft(Tus):
    """The IETF's draft."""

    def begin(self) -> None:
        """See `Sending`."""
        headers = {"Upload-Complete": "?0", "Upload-Length": str(len(self.content))}
        self.url = self.client.put(f"{self.files}/{NAME}", headers=headers).headers["Location"]

    def piece(self, start: int, end: int) -> httpx2.Response:
        """Send some bytes."""
        complete = "?1" if end == len(self.content) else "?0"
        headers = {
            "Upload-Offset": str(start),
            "Upload-Complete": complete,
            "Content-Type": "application/partial-upload",
        }
        return self.client.patch(self.url, headers=headers, content=self.content[start:end])


class ContentRange(Tus):
    """PUT to the file with the range that it brings."""

    def piece(self, start: int, end: int) -> httpx2.Response:
        """Send some bytes."""
        headers = {"Content-Range": f"bytes {start}-{end - 1}/{len(self.content)}", "X-Modelyard-Session": self.url}
        return self.client.put(f"{self.files}/{NAME}", headers=headers, content=self.content[start:end])


class Parts(Sending):
    """MLflow's parts, which are sent without a token."""

    def begin(self) -> None:
        """See `Sending`."""
        _, self._project, _, _, self._version, _ = self.files.removeprefix("/projects").split("/", 5)
        self._upload = self._call("create", num_parts=2).json()
        self._etags: dict[int, str] = {}
        self.url = self._upload["credentials"][0]["url"]

    def first(self) -> httpx2.Response:
        """See `Sending`."""
        return self._send(1, self.content[: self.half])

    def last(self) -> httpx2.Response:
        """See `Sending`."""
        answer = self._send(2, self.content[self.half :])
        if answer.status_code != 200:
            return answer
        parts = [{"part_number": number, "etag": etag, "url": "x"} for number, etag in self._etags.items()]
        return self._call("complete", upload_id=self._upload["upload_id"], parts=parts)

    def _send(self, number: int, content: bytes) -> httpx2.Response:
        answer = httpx2.put(self._upload["credentials"][number - 1]["url"], content=content, timeout=60)
        self._etags[number] = answer.headers.get("ETag", "")
        return answer

    def _call(self, operation: str, **body: Any) -> httpx2.Response:
        path = f"/projects/{self._project}/ml/mlflow/api/2.0/mlflow-artifacts/mpu/{operation}/{self._version}"
        return self.client.post(path, json={"path": f"/srv/{NAME}"} | body)


FACES = (Tus, Draft, ContentRange, Parts)
