"""What the headers of a form's part say of its bytes (RFC 2045, RFC 7578): they are decoded, held or refused.

`curl -F 'file=@x;encoder=base64'` and Ansible's `uri` send files that are encoded for mail. RFC 7578 section 4.8 has
servers ignore most headers of a part; those by which its bytes are not the file are refused instead, so that nobody
finds the form's wrapping under the name of his file.
"""

from __future__ import annotations

import binascii
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping

from python_multipart.multipart import parse_options_header

from modelyard.errors import BadRequest
from modelyard.wire.digests import ANNOUNCING
from modelyard.wire.encodings import refuse_encoded

Chunk = bytes | bytearray | memoryview  # the last of memory that can be written to

MAX_EXPANSION = 4  # bytes of a body for each of its file; quoted-printable takes 3.2 where all of them are escaped
LEEWAY_BYTES = 64 * 1024
BLANKS = " \t"
IDENTITY = frozenset({"", "7bit", "8bit", "binary"})  # the transfer encodings that change nothing

_NO_FILE = frozenset({b"message/partial", b"message/external-body"})  # a piece, and a reference (RFC 2046 section 5.2)
_UNHELD = ("content-range", *sorted(ANNOUNCING))
_EXTENDED_BOUNDARY = re.compile(r";[ \t]*boundary\*", re.IGNORECASE)  # in a charset or in pieces (RFC 2231)

_LINE_BREAKS_AND_BLANKS = b"\r\n \t"
_PRINTABLE = bytes(range(33, 127)) + _LINE_BREAKS_AND_BLANKS
_HEX_DIGITS_AS_ZERO = bytes.maketrans(b"123456789ABCDEFabcdef", b"0" * 21)
_UNFINISHED_ESCAPE = re.compile(rb"(?:[ \t]\r?|\r|=[0-9A-Fa-f]?|=\r)\Z")
_LONGEST_ESCAPE = 2  # bytes of one that is not finished


class MalformedForm(BadRequest):
    """400: the body is no multipart form."""

    def __init__(self) -> None:
        super().__init__("The multipart form is malformed")


class Undecodable(BadRequest):
    """400: bytes that are not what their `Content-Transfer-Encoding` says."""

    def __init__(self) -> None:
        super().__init__("A part of the form is not what its Content-Transfer-Encoding says")


class PartDecoder(ABC):
    """Takes the encoding off a part, piece by piece, wherever that is cut."""

    def __init__(self) -> None:
        self._rest = b""  # what cannot be decoded before more is there
        self._taken = self._given = 0

    def decode(self, piece: Chunk) -> bytes:
        """The bytes that the next piece stands for. Raises Undecodable."""
        decoded = self._decoded(self._rest + bytes(piece))
        self._taken += len(piece)
        self._given += len(decoded)
        if self._taken > MAX_EXPANSION * self._given + LEEWAY_BYTES:
            raise Undecodable  # line breaks without an end, say, which no limit on the file's size would stop
        return decoded

    def finish(self) -> None:
        """Hold that the part was whole. Raises Undecodable."""
        if self._rest:
            raise Undecodable

    @abstractmethod
    def _decoded(self, data: bytes) -> bytes:
        """What `data` stands for, but for the end that `_rest` is set to."""


class Base64Decoder(PartDecoder):
    """RFC 2045 section 6.8, but strict: beside the alphabet there may be only white space, and the end is padded."""

    _padded = False

    def _decoded(self, data: bytes) -> bytes:
        data = data.translate(None, _LINE_BREAKS_AND_BLANKS)
        whole = len(data) - len(data) % 4
        self._rest = data[whole:]
        if whole and self._padded:
            raise Undecodable
        self._padded = self._padded or data.endswith(b"=", 0, whole)
        try:
            return binascii.a2b_base64(data[:whole], strict_mode=True)
        except binascii.Error as error:
            raise Undecodable from error


class QuotedPrintableDecoder(PartDecoder):
    """RFC 2045 section 6.7, but strict: what a mail server may have changed on its way is refused, not guessed."""

    def _decoded(self, data: bytes) -> bytes:
        unfinished = _UNFINISHED_ESCAPE.search(data, max(0, len(data) - _LONGEST_ESCAPE))
        end = unfinished.start() if unfinished else len(data)
        self._rest, data = data[end:], data[:end]
        line_breaks = data.count(b"\r\n")
        zeros = data.translate(_HEX_DIGITS_AS_ZERO)
        if (
            data.translate(None, _PRINTABLE)
            or not line_breaks == data.count(b"\r") == data.count(b"\n")
            or b" \r\n" in data
            or b"\t\r\n" in data
            or data.count(b"=") != zeros.count(b"=00") + data.count(b"=\r\n")
        ):
            raise Undecodable
        return binascii.a2b_qp(data)


_DECODERS: Mapping[str, type[PartDecoder]] = {"base64": Base64Decoder, "quoted-printable": QuotedPrintableDecoder}


def part_headers(raw: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """The headers of a part by lower-case name. Raises MalformedForm where readers would differ on them.

    That is a header of MIME that is there twice, or one with a line break that is none.
    """
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip(BLANKS)
        if "\n" in value or (name in headers and name.startswith("content-")):
            raise MalformedForm
        headers[name] = value
    return headers


def has_boundary(content_type: str) -> bool:
    """Whether a `Content-Type` names what stands between parts."""
    _kind, options = parse_options_header(content_type)
    return bool(options.get(b"boundary") or _EXTENDED_BOUNDARY.search(content_type))


def decoder_of(headers: Mapping[str, str]) -> PartDecoder | None:
    """What decodes a part with these headers; None for one that is as it was before it was sent.

    Raises BadRequest for an encoding that is not known and for a part that holds no single file, and
    UnsupportedMediaType for one that is compressed.
    """
    refuse_encoded(headers)
    for name in _UNHELD:
        if name in headers:
            raise BadRequest(f"{name.title()} is not supported in a part of a form")
    content_type = headers.get("content-type", "")
    kind, _options = parse_options_header(content_type)
    if kind in _NO_FILE or (kind.startswith(b"multipart/") and has_boundary(content_type)):
        raise BadRequest("A part of the form holds several files, or none: send one, as it is")
    encoding = headers.get("content-transfer-encoding", "").lower()
    if encoding in IDENTITY:
        return None
    if encoding not in _DECODERS:
        raise BadRequest("The Content-Transfer-Encoding of a part is not known")
    return _DECODERS[encoding]()
