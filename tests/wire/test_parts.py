"""What the headers of a form's part say of its bytes."""

from __future__ import annotations

import base64
import os
import quopri
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import ApiError, BadRequest, UnsupportedMediaType
from modelyard.wire.parts import (
    LEEWAY_BYTES,
    Base64Decoder,
    MalformedForm,
    PartDecoder,
    QuotedPrintableDecoder,
    Undecodable,
    decoder_of,
    part_headers,
)


def decoded(decoder: PartDecoder, *pieces: bytes) -> bytes | None:
    """All that the pieces stand for; None where they are refused."""
    try:
        found = b"".join([decoder.decode(memoryview(piece)) for piece in pieces])
        decoder.finish()
    except Undecodable:
        return None
    return found


def quoted(content: bytes) -> bytes:
    """Quoted-printable by the standard library, which leaves line feeds as they are, as HTTP carries it."""
    return quopri.encodestring(content).replace(b"\n", b"\r\n")


@given(st.binary(max_size=300), st.sampled_from([b"", b"\r\n", b"\n", b" \t"]), st.integers(1, 80))
def test_base64_is_decoded_wherever_it_is_cut_or_wrapped(content: bytes, between: bytes, width: int) -> None:
    plain = base64.b64encode(content)
    text = between.join(plain[i : i + width] for i in range(0, len(plain), width))
    assert decoded(Base64Decoder(), text) == content
    assert decoded(Base64Decoder(), *(bytes([byte]) for byte in text)) == content
    for cut in range(0, len(text) + 1, 7):
        assert decoded(Base64Decoder(), text[:cut], text[cut:]) == content


@given(st.binary(max_size=120).filter(lambda content: b"\n" not in content and b"\r" not in content))
def test_quoted_printable_is_decoded_wherever_it_is_cut(content: bytes) -> None:
    text = quoted(content)
    assert decoded(QuotedPrintableDecoder(), text) == content
    assert decoded(QuotedPrintableDecoder(), *(bytes([byte]) for byte in text)) == content
    for cut in range(0, len(text) + 1, 5):
        assert decoded(QuotedPrintableDecoder(), text[:cut], text[cut:]) == content


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (b"", b""),
        (b"a=\r\nb", b"ab"),
        (b"a=0d=0A=3D=e9", b"a\r\n=\xe9"),
        (b"line\r\nnext\r\n", b"line\r\nnext\r\n"),
        (b"a =\r\nb=20\r\n", b"a b \r\n"),
        (b"\ta b", b"\ta b"),
    ],
)
def test_quoted_printable_stands_for(text: bytes, content: bytes) -> None:
    assert decoded(QuotedPrintableDecoder(), text) == content


WRONG_BASE64 = (
    b"A",
    b"QUI",
    b"QQ=",
    b"Q===",
    b"=",
    b"QQ==QQ==",
    b"QUJD=",
    b"QQ==\r\n-",
    b"QU-D",
    b"QU_D",
    b"QUJD\0",
    b"\xc3",
)
WRONG_QUOTED = (
    b"=",
    b"=4",
    b"=4g",
    b"==41",
    b"=\n",
    b"=\r",
    b"= \r\n",
    b"a \r\n",
    b"a\t\r\n",
    b"a ",
    b"a\nb",
    b"a\rb",
    b"a\r\r\n",
    b"caf\xe9",
    b"a\0b",
)


@pytest.mark.parametrize("text", WRONG_BASE64)
def test_what_is_no_base64_is_refused_wherever_it_is_cut(text: bytes) -> None:
    for cut in range(len(text) + 1):
        assert decoded(Base64Decoder(), b"QUJD" + text[:cut], text[cut:]) is None


@pytest.mark.parametrize("text", WRONG_QUOTED)
def test_what_is_no_quoted_printable_is_refused_wherever_it_is_cut(text: bytes) -> None:
    for cut in range(len(text) + 1):
        assert decoded(QuotedPrintableDecoder(), b"abc" + text[:cut], text[cut:]) is None


@given(st.binary(max_size=60))
def test_no_bytes_are_decoded_to_what_does_not_encode_to_them(text: bytes) -> None:
    found = decoded(QuotedPrintableDecoder(), text)
    assert found is None or found == quopri.decodestring(text)
    found = decoded(Base64Decoder(), text)
    assert found is None or found == base64.b64decode(re.sub(rb"[\r\n \t]", b"", text), validate=True)


@pytest.mark.parametrize(("decoder", "filler"), [(Base64Decoder, b"\r\n"), (QuotedPrintableDecoder, b"=\r\n")])
def test_what_stands_for_nothing_ends_soon(decoder: type[PartDecoder], filler: bytes) -> None:
    assert decoded(decoder(), filler * 1000) == b""
    assert decoded(decoder(), *[filler * 1000] * (LEEWAY_BYTES // 1000)) is None


def test_bytes_that_are_all_escaped_are_taken() -> None:
    content = os.urandom(500_000).replace(b"\n", b"\0").replace(b"\r", b"\0")
    escaped = b"".join(b"=%02X" % byte for byte in content)
    text = b"=\r\n".join(escaped[i : i + 75] for i in range(0, len(escaped), 75))
    assert decoded(QuotedPrintableDecoder(), *(text[i : i + 9999] for i in range(0, len(text), 9999))) == content


@pytest.mark.parametrize(
    ("encoding", "decoder"),
    [
        ("7bit", None),
        ("8BIT", None),
        ("Binary", None),
        ("base64", Base64Decoder),
        ("\tBASE64 ", Base64Decoder),
        ("Quoted-Printable", QuotedPrintableDecoder),
    ],
)
def test_an_encoding_is_known_whatever_its_case(encoding: str, decoder: type[PartDecoder] | None) -> None:
    found = decoder_of(part_headers([(b"CONTENT-Transfer-encoding", encoding.encode())]))
    assert type(found) is (decoder or type(None))


def test_a_part_without_an_encoding_is_as_it_is() -> None:
    assert decoder_of({}) is None
    assert decoder_of({"content-type": "message/rfc822", "content-encoding": "Identity"}) is None
    assert decoder_of({"content-type": "multipart/related"}) is None  # a browser's word for a saved page


@pytest.mark.parametrize(
    "encoding", ["uuencode", "x-uuencode", "base64, base64", "base64;x=y", "base64 (by mail)", '"base64"', "gzip"]
)
def test_an_unknown_encoding_is_refused(encoding: str) -> None:
    with pytest.raises(BadRequest):
        decoder_of({"content-transfer-encoding": encoding})


@pytest.mark.parametrize(
    ("name", "value", "refusal"),
    [
        ("content-type", "multipart/mixed; boundary=x", BadRequest),
        ("content-type", 'Multipart/Parallel; Boundary="x y"', BadRequest),
        ("content-type", "message/partial; number=1; total=2", BadRequest),
        ("content-type", "message/external-body; access-type=URL", BadRequest),
        ("content-encoding", "gzip", UnsupportedMediaType),
        ("content-encoding", "identity, br", UnsupportedMediaType),
        ("content-range", "bytes 0-1/5", BadRequest),
        ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==", BadRequest),
        ("content-digest", "sha-256=:x:", BadRequest),
        ("repr-digest", "sha-256=:x:", BadRequest),
        ("digest", "md5=x", BadRequest),
    ],
)
def test_a_part_that_is_no_file_by_itself_is_refused(name: str, value: str, refusal: type[ApiError]) -> None:
    with pytest.raises(refusal):
        decoder_of({name: value})


@pytest.mark.parametrize(
    "headers",
    [
        [(b"Content-Transfer-Encoding", b"base64"), (b"content-transfer-encoding", b"base64")],
        [(b"Content-Disposition", b"form-data; name=file"), (b"CONTENT-DISPOSITION", b"form-data; name=x")],
        [(b"X-Any", b"x\nContent-Transfer-Encoding: base64")],
    ],
)
def test_headers_that_readers_would_differ_on_are_refused(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(MalformedForm):
        part_headers(headers)


def test_other_headers_may_be_repeated() -> None:
    assert part_headers([(b"X-Note", b"one"), (b"x-note", b"two")]) == {"x-note": "two"}
