"""Receiving a file: a multipart form with a part named `file`, or any other body as the bytes themselves.

Nothing is spooled: the pieces of the file are passed on as they arrive. GitLab's documentation shows the form; MLflow,
`curl -T` and GitLab's own front end send the bare bytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from modelyard.errors import BadRequest, ParameterError
from modelyard.wire.digests import DigestCheck

MAX_PARTS = 100
MAX_FIELD_BYTES = 64 * 1024  # of all parts but the file together
MAX_PART_HEADERS = 16
MAX_PART_HEADER_BYTES = 8 * 1024
MAX_PREAMBLE_BYTES = 8 * 1024
FORM_OVERHEAD_BYTES = 1024 * 1024  # more than any form adds to its file

Piece = bytes | memoryview


class TruncatedBody(BadRequest):
    """400: the form ended before its closing boundary."""

    def __init__(self) -> None:
        super().__init__("The request body ended early")


class MalformedForm(BadRequest):
    """400: the body is no multipart form."""

    def __init__(self) -> None:
        super().__init__("The multipart form is malformed")


def is_form(content_type: str | None) -> bool:
    """Whether a body of that type is a form that carries the file as a part."""
    return content_type is not None and content_type.split(";")[0].strip().lower() == "multipart/form-data"


def file_pieces(
    body: AsyncIterator[bytes], content_type: str | None, whole_body: DigestCheck | None = None
) -> AsyncIterator[Piece]:
    """The bytes of the file in a request body, in order.

    `whole_body` is fed with the body as sent, form and all. Raises MalformedForm, TruncatedBody, and ParameterError for
    a form without a file or with two.
    """
    if is_form(content_type):
        return _form_pieces(body, _boundary(content_type or ""), whole_body)
    return _raw_pieces(body)


async def _raw_pieces(body: AsyncIterator[bytes]) -> AsyncIterator[Piece]:
    async for chunk in body:
        yield chunk


async def _form_pieces(
    body: AsyncIterator[bytes], boundary: bytes, whole_body: DigestCheck | None
) -> AsyncIterator[Piece]:
    form = _FileForm(boundary)
    async for chunk in body:
        if whole_body is not None:
            whole_body.update(chunk)
        for piece in form.feed(bytes(chunk)):  # the parser compares slices, which a bytearray's are not made for
            yield piece
    form.finish()


def _boundary(content_type: str) -> bytes:
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise MalformedForm
    return boundary


class _FileForm:
    """Takes the file out of a form, chunk by chunk, without copying it."""

    def __init__(self, boundary: bytes) -> None:
        callbacks = {
            "on_part_begin": self._begin_part,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._begin_content,
            "on_part_data": self._content,
            "on_end": self._end,
        }
        try:
            self._parser = MultipartParser(
                boundary,
                callbacks,  # type: ignore[arg-type]
                max_header_count=MAX_PART_HEADERS,
                max_header_size=MAX_PART_HEADER_BYTES,
            )
        except FormParserError as error:
            raise MalformedForm from error
        self._delimiter = b"\r\n--" + boundary
        self._preamble = b"\r\n"  # the first line may be the delimiter
        self._begun = False
        self._pieces: list[Piece] = []
        self._name, self._value = b"", b""
        self._headers: dict[bytes, bytes] = {}
        self._parts = 0
        self._field_bytes = 0
        self._in_file = self._seen_file = self._ended = False

    def feed(self, chunk: bytes) -> list[Piece]:
        """The pieces of the file within the next chunk of the body."""
        self._pieces = []
        try:
            self._parser.write(chunk if self._begun else self._after_preamble(chunk))
        except FormParserError as error:
            raise MalformedForm from error
        return self._pieces

    def finish(self) -> None:
        """Hold that the form was whole and had its file."""
        if not self._begun and not self._delimiter.startswith(self._preamble):
            raise MalformedForm
        if not self._ended:
            raise TruncatedBody
        if not self._seen_file:
            raise ParameterError("file is missing")

    def _after_preamble(self, chunk: bytes) -> bytes:
        """What is there of the form once its first delimiter is; text before that has no meaning (RFC 2046 5.1.1)."""
        self._preamble += chunk
        found = self._preamble.find(self._delimiter)
        earliest = found if found >= 0 else len(self._preamble) - len(self._delimiter)  # where it may yet be
        if earliest > MAX_PREAMBLE_BYTES:
            raise MalformedForm
        if found < 0:
            return b""
        self._begun = True
        return self._preamble[found + 2 :]

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise MalformedForm
        self._headers = {}
        self._name, self._value = b"", b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name, self._value = b"", b""

    def _begin_content(self) -> None:
        self._in_file = _part_name(self._headers) == b"file"
        if self._in_file and self._seen_file:
            raise ParameterError("file is invalid")
        self._seen_file = self._seen_file or self._in_file

    def _content(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._pieces.append(memoryview(data)[start:end])
            return
        self._field_bytes += end - start
        if self._field_bytes > MAX_FIELD_BYTES:
            raise MalformedForm

    def _end(self) -> None:
        self._ended = True


def _part_name(headers: Mapping[bytes, bytes]) -> bytes | None:
    disposition, options = parse_options_header(headers.get(b"content-disposition"))
    return options.get(b"name") if disposition == b"form-data" else None
