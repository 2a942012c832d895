"""A large file by tus 1.0.0: after a cut, a kill or a restart of the server, only the rest is sent.

All that is left goes in one request, as the server makes what has come durable every few seconds by itself.
"""

from __future__ import annotations

import base64
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

from modelyard_client.catalog import Catalog, Place
from modelyard_client.errors import ClientError, FileChanged, Mismatch, NotFound, Unreachable
from modelyard_client.http.pace import Pace
from modelyard_client.http.transport import Answer, Transport
from modelyard_client.http.trying import Tries, TryAgain
from modelyard_client.local.files import LocalFile
from modelyard_client.progress import Progress
from modelyard_client.push.hashing import Hashing
from modelyard_client.push.remembering import Memory, remembered
from modelyard_client.push.sending import digest_field
from modelyard_client.rows import count_of, digest_of

TUS = {"Tus-Resumable": "1.0.0"}
OFFSET = "Upload-Offset"
CHUNK_TYPE = "application/offset+octet-stream"
CONFLICT = 409  # the upload is elsewhere than at the offset, or another request has taken it over
LOCKED = 423  # what every passing refusal of HEAD is to clients of tus
GONE = frozenset({404, 410})
END_SECONDS = 120.0  # that a server may need to verify what it has, after the last byte


class Reached(NamedTuple):
    """Where an upload is; `sha256` of the file that it has become."""

    uid: str
    offset: int
    sha256: str | None


class Sending:
    """One file on its way: what is known of it between one request and the next."""

    def __init__(
        self, transport: Transport, pace: Pace, progress: Progress, file: LocalFile, known: str | None
    ) -> None:
        self.file = file
        self.known = known
        self.sent = 0
        self.tries: Tries = transport.tries()
        self.hashing = Hashing(file, transport.stop)
        self._stop = transport.stop
        self._pace = pace
        self._progress = progress
        self._told = 0  # up to where progress was told

    def begins(self, offset: int, descriptor: int) -> None:
        """The server has so many bytes."""
        if offset > self._told:
            self._progress.spared(offset - self._told)
            self._told = offset
        if self.known is None:
            self.hashing.go_to(offset, descriptor, self._progress.compared)

    def body(self, descriptor: int, offset: int) -> Generator[memoryview]:
        """The bytes from there on. The last ones are sent only if the file is what it was. Raises FileChanged."""
        end = self.file.size
        for piece in self.file.pieces(descriptor, offset, end, self._stop):
            if self.known is None:
                self.hashing.update(piece)
            offset += len(piece)
            if offset == end:
                self.file.require_unchanged(descriptor)
            self._pace.take(len(piece))
            yield piece
            self.sent += len(piece)
            if offset > self._told:
                self._progress.moved(offset - self._told)
                self._told = offset

    @property
    def sha256(self) -> str:
        """Of all that was sent, in hex."""
        return self.known or self.hashing.hexdigest()


class LargeUploads:
    """Sends files that are worth going on with."""

    def __init__(self, transport: Transport, pace: Pace, progress: Progress, memory: Path) -> None:
        self._transport = transport
        self._pace = pace
        self._progress = progress
        self._memory = memory

    def send(self, place: Place, file: LocalFile, known: str | None) -> tuple[str, int]:
        """Send what the server has not; the answer is the file's SHA-256 and how many bytes crossed the wire.

        `known`: the SHA-256, where it is known before. Raises ClientError.
        """
        sending = Sending(self._transport, self._pace, self._progress, file, known)
        url = self._transport.base + place.file(file.name)
        with file.opened() as descriptor, remembered(self._memory, url, file) as memory:
            reached = self._found(memory, sending)
            if reached is not None and reached.offset:
                self._progress.noted(f"{file.name}: going on at {reached.offset} of {file.size} bytes")
            while True:
                try:
                    reached = reached or self._begun(place, memory, sending)
                    sha256 = self._finished(reached, sending, descriptor)
                except FileChanged:
                    if reached is not None:
                        self._cancel(reached.uid, memory)
                    raise
                except TryAgain as again:
                    sending.tries.failed(again)
                    reached = self._asked(reached, memory, sending)
                else:
                    memory.forget()
                    self._require(sha256, sending, place)
                    return sending.sha256, sending.sent

    def _found(self, memory: Memory, sending: Sending) -> Reached | None:
        """The upload that is remembered, where the server knows it; one of the file as it was before is cancelled."""
        upload = memory.upload()
        if upload is None:
            return None
        if not upload.goes_on:  # it would count to the project's limit until it expires
            self._cancel(upload.uid, memory)
            return None
        return self._asked(Reached(upload.uid, 0, None), memory, sending)

    def _begun(self, place: Place, memory: Memory, sending: Sending) -> Reached:
        name = base64.b64encode(sending.file.name.encode()).decode()
        headers = {**TUS, "Upload-Length": str(sending.file.size), "Upload-Metadata": f"path {name}"}
        if sending.known is not None:
            headers["Repr-Digest"] = digest_field(sending.known)
        answer = self._transport.once("POST", f"{place.root}/uploads", headers=headers, ok={201})
        uid = answer.headers.get("Location", "").rpartition("/")[2]
        memory.keep(uid)
        return _reached(uid, answer)

    def _asked(self, reached: Reached | None, memory: Memory, sending: Sending) -> Reached | None:
        """Where an upload is now; None where it has to begin anew."""
        while reached is not None:
            try:
                answer = self._transport.once(
                    "HEAD", _path(reached.uid), headers=TUS, ok={200, LOCKED}, seconds=END_SECONDS
                )
                if answer.status == LOCKED:
                    answer = self._asked_why(reached, sending)
            except NotFound:
                memory.forget()
                return None
            except TryAgain as again:
                sending.tries.failed(again)
            else:
                now = _reached(reached.uid, answer)
                if now.offset > reached.offset:
                    sending.tries.progressed()
                return now
        return None

    def _asked_why(self, reached: Reached, sending: Sending) -> Answer:
        """The answer to no bytes after the last: it tells of what keeps the upload from ending, as of a full disk."""
        headers = {**_appending(sending.file.size), "Content-Length": "0"}
        answer = self._transport.once(
            "PATCH", _path(reached.uid), headers=headers, body=b"", ok={204, CONFLICT}, seconds=END_SECONDS
        )
        if OFFSET not in answer.headers:
            raise _taken_over(sending)
        return answer

    def _finished(self, reached: Reached, sending: Sending, descriptor: int) -> str | None:
        """Send the rest; the answer is the SHA-256 that the server has found. Raises TryAgain and ClientError."""
        offset, size = reached.offset, sending.file.size
        sending.begins(offset, descriptor)
        if offset == size and reached.sha256 is not None:
            return reached.sha256
        headers = {**_appending(offset), "Content-Length": str(size - offset)}
        body = sending.body(descriptor, offset)
        try:
            answer = self._transport.once(
                "PATCH", _path(reached.uid), headers=headers, body=body, ok={204, CONFLICT, *GONE}, seconds=END_SECONDS
            )
        finally:
            body.close()
        if answer.status == CONFLICT:
            raise _taken_over(sending)
        if answer.status in GONE:  # or its version is: to begin anew tells
            raise TryAgain(NotFound(f"{sending.file.name}: the upload is not known any more"), 0.0)
        return _reached(reached.uid, answer).sha256

    def _cancel(self, uid: str, memory: Memory) -> None:
        memory.forget()
        try:
            self._transport.once("DELETE", _path(uid), headers=TUS, ok={204, *GONE})
        except (TryAgain, ClientError):
            return  # it expires

    def _require(self, sha256: str | None, sending: Sending, place: Place) -> None:
        """Raise Mismatch where the server has something else, which could only come of bytes that changed unseen."""
        catalog, name = Catalog(self._transport), sending.file.name
        sha256 = sha256 or catalog.file(place, name).sha256  # what is between has left it out
        if sha256 != sending.sha256:
            catalog.remove_file(place, name, sha256=sha256)
            raise Mismatch(f"{place.file(sending.file.name)} is {sha256} on the server, and {sending.sha256} here")


def _appending(offset: int) -> dict[str, str]:
    return {**TUS, "Content-Type": CHUNK_TYPE, OFFSET: str(offset)}


def _taken_over(sending: Sending) -> TryAgain:
    return TryAgain(Unreachable(f"{sending.file.name}: another request goes on with this upload"), 0.0)


def _path(uid: str) -> str:
    return f"/uploads/{uid}"


def _reached(uid: str, answer: Answer) -> Reached:
    return Reached(uid, count_of(answer, OFFSET), digest_of(answer.headers))
