"""A multipart form with a part named `file`, as GitLab's documentation shows uploads (RFC 7578)."""

from __future__ import annotations

from collections.abc import Callable

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from modelyard.errors import BadRequest, ParameterError
from modelyard.memory_pages import find
from modelyard.wire.parts import Chunk, MalformedForm, PartDecoder, decoder_of, part_headers

MAX_PARTS = 100
MAX_FIELD_BYTES = 64 * 1024  # of all parts but the file together
MAX_PART_HEADERS = 16
MAX_PART_HEADER_BYTES = 8 * 1024
MAX_PREAMBLE_BYTES = 8 * 1024
PARSED_BYTES = 16 * 1024  # at once, where a delimiter may be

Piece = bytes | memoryview

_IN_FILE_NAMES = {"%22": '"', "%0D": "\r", "%0A": "\n"}


class TruncatedBody(BadRequest):
    """400: the form ended before its closing boundary."""

    def __init__(self) -> None:
        super().__init__("The request body ended early")


def boundary_of(content_type: str) -> bytes:
    """The boundary that a form's `Content-Type` names. Raises MalformedForm."""
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise MalformedForm
    return boundary


class FileForm:
    """Takes the file out of a form, chunk by chunk, without copying it.

    The library parses the heads of parts, and looks at each place where the file may end. What lies between two such
    places is only searched. A file that was encoded for its way is decoded. `begins` is told at which byte of the body
    the file does, if it lies there as it is. `fields` are the texts of the other parts, `file_name` is what the form
    calls the file: None before its part has begun.
    """

    def __init__(self, boundary: bytes, begins: Callable[[int], None] | None = None) -> None:
        callbacks = {
            "on_part_begin": self._begin_part,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._begin_content,
            "on_part_data": self._content,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }
        try:
            self._parser = MultipartParser(
                boundary,
                callbacks,  # type: ignore[arg-type] # a dict of those that it knows
                max_header_count=MAX_PART_HEADERS,
                max_header_size=MAX_PART_HEADER_BYTES,
            )
        except FormParserError as error:
            raise MalformedForm from error
        self.fields: dict[str, bytes] = {}
        self.file_name: str | None = None
        self._field = ""
        self._begins = begins
        self._delimiter = b"\r\n--" + boundary
        self._preamble = b"\r\n"  # the first line may be the delimiter
        self._begun = False
        self._fed = 0  # bytes of the body
        self._parsed, self._origin = b"", 0  # what is parsed, and where in the body that begins
        self._pieces: list[Piece] = []
        self._name, self._value = b"", b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._decoder: PartDecoder | None = None  # of the file
        self._parts = 0
        self._field_bytes = 0
        self._in_file = self._seen_file = self._ended = False
        self._searching = False  # for the next place where the file may end; the parser has seen nothing of one

    def feed(self, chunk: Chunk) -> list[Piece]:
        """The pieces of the file within the next chunk of the body."""
        self._pieces = []
        view, done = memoryview(chunk), 0
        while done < len(view):
            if self._searching:
                stop = _next_delimiter(chunk, self._delimiter, done)
                self._searching = stop == len(view)
                self._pieces += [view[done:stop]] if stop > done else []
            else:
                stop = min(done + PARSED_BYTES, len(view))
                self._parse(bytes(view[done:stop]))
            self._fed += stop - done
            done = stop
        if self._decoder is None:
            return self._pieces
        return [decoded for piece in self._pieces if (decoded := self._decoder.decode(piece))]

    def finish(self) -> None:
        """Hold that the form was whole and had its file."""
        if not self._begun and not self._delimiter.startswith(self._preamble):
            raise MalformedForm
        if not self._ended:
            raise TruncatedBody
        if not self._seen_file:
            raise ParameterError("file is missing")
        if self._decoder is not None:
            self._decoder.finish()

    def _parse(self, data: bytes) -> None:
        self._parsed = data if self._begun else self._after_preamble(data)
        self._origin = self._fed + len(data) - len(self._parsed)
        try:
            self._parser.write(self._parsed)
        except FormParserError as error:
            raise MalformedForm from error

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
        self._headers = []
        self._name, self._value = b"", b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers.append((self._name, self._value))
        self._name, self._value = b"", b""

    def _begin_content(self) -> None:
        headers = part_headers(self._headers)
        name, file_name = _part_names(headers.get("content-disposition"))
        self._in_file = name == b"file"
        if not self._in_file:
            self._field = name.decode(errors="replace")
            self.fields.setdefault(self._field, b"")
            return
        if self._seen_file:
            raise ParameterError("file is invalid")
        self._seen_file, self.file_name = True, file_name
        self._decoder = decoder_of(headers)

    def _content(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._file_content(data, start, end)
            return
        self._field_bytes += end - start
        if self._field_bytes > MAX_FIELD_BYTES:
            raise MalformedForm
        self.fields[self._field] += data[start:end]

    def _file_content(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(memoryview(data)[start:end])
        # Where a delimiter may have begun, the parser keeps that back, and gives it from its own copy later.
        self._searching = data is self._parsed and end == len(data)
        if self._begins is not None:
            if self._decoder is None:
                self._begins(self._origin + start if data is self._parsed else self._origin - (end - start))
            self._begins = None

    def _end_part(self) -> None:
        self._searching = False

    def _end(self) -> None:
        self._ended = True


def _next_delimiter(chunk: Chunk, delimiter: bytes, start: int) -> int:
    """Where in a chunk the next delimiter is, or may begin, from `start` on; where there is none, the chunk's end."""
    end = len(chunk)
    found = find(chunk, delimiter, start) if isinstance(chunk, memoryview) else chunk.find(delimiter, start)
    if found >= 0:
        return found
    tail = bytes(chunk[max(start, end - len(delimiter) + 1) :])
    last = tail.rfind(b"\r")  # a delimiter has no other one
    return end - len(tail) + last if last >= 0 and delimiter.startswith(tail[last:]) else end


def _part_names(content_disposition: str | None) -> tuple[bytes, str]:
    """What a part is called, and the file in it; empty for what is not said.

    Browsers write three characters of a file's name in their own way (HTML section 4.10.22.8, "multipart form data").
    """
    disposition, options = parse_options_header(content_disposition)
    if disposition != b"form-data":
        return b"", ""
    file_name = options.get(b"filename", b"").decode(errors="replace")
    for written, meant in _IN_FILE_NAMES.items():
        file_name = file_name.replace(written, meant)
    return options.get(b"name", b""), file_name
