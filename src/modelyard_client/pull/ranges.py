"""Bytes of a file from one place to another: what is not exactly what was asked for is never taken for it."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

import urllib3
from urllib3.exceptions import HTTPError

from modelyard_client.catalog import Place
from modelyard_client.errors import Mismatch, Unreachable
from modelyard_client.http.pace import Pace
from modelyard_client.http.transport import Transport
from modelyard_client.http.trying import TryAgain
from modelyard_client.results import RemoteFile

READ_BYTES = 256 * 1024


class Ranges:
    """Asks for ranges of a version's files."""

    def __init__(self, transport: Transport, pace: Pace, place: Place) -> None:
        self.transport = transport
        self.pace = pace
        self.place = place

    def read(self, file: RemoteFile, begin: int, end: int) -> Iterator[bytes]:
        """The bytes, as they come; after each one that comes, an earlier failure does not count any more.

        Raises Mismatch where the file is another one meanwhile, and ClientError.
        """
        tries = self.transport.tries()
        while True:
            try:
                for piece in self._once(file, begin, end):
                    begin += len(piece)
                    tries.progressed()
                    yield piece
            except TryAgain as again:
                tries.failed(again)
            else:
                return

    def _once(self, file: RemoteFile, begin: int, end: int) -> Iterator[bytes]:
        whole = (begin, end) == (0, file.size)
        headers = {} if whole else {"Range": f"bytes={begin}-{end - 1}", "If-Range": f'"{file.sha256}"'}
        response = self.transport.download(self.place.file(file.path), headers)
        try:
            skipped = self._require(response, file, begin, end)
            left = end - begin
            while skipped or left:
                piece = self._read(response, min(READ_BYTES, skipped or left))
                if skipped:
                    skipped -= len(piece)
                    continue
                left -= len(piece)
                self.pace.take(len(piece))
                yield piece
        except BaseException:
            response.close()
            raise
        if response.status == HTTPStatus.OK and end < file.size:
            response.close()
        else:
            response.drain_conn()
            response.release_conn()

    def _read(self, response: urllib3.BaseHTTPResponse, count: int) -> bytes:
        self.transport.stop.check()
        try:
            piece = response.read1(count)
        except HTTPError as error:
            raise TryAgain(Unreachable(f"The connection broke: {error}"), away=True) from error
        if not piece:
            raise TryAgain(Unreachable("The connection was closed too early"), away=True)
        return piece

    def _require(self, response: urllib3.BaseHTTPResponse, file: RemoteFile, begin: int, end: int) -> int:
        """How many bytes to skip of an answer; a 206 has none. Raises TryAgain and ClientError for any other answer."""
        told = response.headers
        if response.status == HTTPStatus.PARTIAL_CONTENT:
            if told.get("Content-Range") == f"bytes {begin}-{end - 1}/{file.size}":
                return 0
            raise TryAgain(Unreachable(f"{file.path}: another range than was asked for: {told.get('Content-Range')}"))
        if response.status != HTTPStatus.OK:
            raise self.transport.refusal(response, f"GET {file.path}")
        etag = told.get("ETag")
        if etag == f'"{file.sha256}"':
            return begin  # whatever has left out the range on the way
        whole = (begin, end) == (0, file.size) and told.get("Content-Length") == str(file.size)
        if etag and whole and not told.get("Repr-Digest"):
            return 0  # a bucket's, which the SHA-256 is held against in the end
        if told.get("Repr-Digest"):
            raise Mismatch(f"{file.path} is another file on the server meanwhile")
        raise TryAgain(Unreachable(f"{file.path}: the answer is something else than the file"))
