"""Taking the file out of a request body, however the body is cut into chunks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import ApiError
from modelyard.wire.form import MAX_FIELD_BYTES, MAX_PARTS, MAX_PREAMBLE_BYTES, FileForm
from modelyard.wire.receive import file_pieces, is_form

BOUNDARY = "xYzZY"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def part(name: str, content: bytes, extra: str = "") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="x"\r\n{extra}\r\n'
    return head.encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def received(
    chunks: Sequence[bytes], content_type: str | None = FORM, begins: Callable[[int], None] | None = None
) -> bytes:
    async def body() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def collect() -> bytes:
        return b"".join([bytes(piece) async for piece in file_pieces(body(), content_type, None, begins)])

    return asyncio.run(collect())


def refusal(chunks: Sequence[bytes], content_type: str = FORM) -> dict[str, object]:
    with pytest.raises(ApiError) as caught:
        received(chunks, content_type)
    assert caught.value.status == 400
    return caught.value.body


MALFORMED = {"message": "400 Bad request - The multipart form is malformed"}
TRUNCATED = {"message": "400 Bad request - The request body ended early"}


@given(st.binary(max_size=300), st.lists(st.integers(0, 500), max_size=20))
def test_a_form_gives_its_file_at_every_cut(content: bytes, cuts: list[int]) -> None:
    body = part("note", b"ignored") + part("file", content) + END
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    assert received([body[a:b] for a, b in pairwise(edges)]) == content


LIKE_A_DELIMITER = st.lists(
    st.sampled_from([b"\r", b"\n", b"-", b"\r\n--", BOUNDARY[:-1].encode(), BOUNDARY[-1:].encode(), b" ", b"a" * 60])
).map(b"".join)


@given(LIKE_A_DELIMITER, st.lists(st.tuples(st.integers(1, 90), st.sampled_from([bytes, bytearray, memoryview]))))
def test_what_may_be_a_delimiter_is_looked_at_wherever_the_chunks_end(
    content: bytes, cuts: list[tuple[int, Callable[[bytearray], bytes]]]
) -> None:
    """In the memory of the parser, and in that of the socket: the same file, or the same refusal."""
    body = part("file", content) + END
    chunks, begin = list[bytes](), 0
    for length, kind in cuts:
        chunks.append(kind(bytearray(body[begin : begin + length])))
        begin += length
    expected = _outcome([body[index : index + 1] for index in range(len(body))])
    assert _outcome([*chunks, body[begin:]]) == expected
    if f"\r\n--{BOUNDARY}".encode() not in content + b"\r\n":
        assert expected == content


def _outcome(chunks: Sequence[bytes]) -> object:
    try:
        return received(chunks)
    except ApiError as error:
        return error.body


@pytest.mark.parametrize("preamble", [b"", b"text\r\n"])
@pytest.mark.parametrize("cut", [0, 1, 30, 1000])
def test_it_is_told_where_in_the_body_the_file_begins(preamble: bytes, cut: int) -> None:
    body = preamble + part("note", b"n" * 40) + part("file", b"content" * 100) + END
    told: list[int] = []
    assert received([body[:cut], body[cut:]] if cut else [body], begins=told.append) == b"content" * 100
    assert told == [body.index(b"content" * 100)]


def test_a_large_file_is_handed_on_without_a_copy() -> None:
    form, content = FileForm(BOUNDARY.encode()), bytearray(100_000)
    form.feed(part("file", b"begin")[:-2])
    (piece,) = form.feed(memoryview(content))
    assert isinstance(piece, memoryview)
    assert (len(piece), piece.obj) == (len(content), content)
    assert form.feed(b"\r\n" + END) == []
    form.finish()


def test_content_that_looks_like_a_boundary_is_content() -> None:
    content = f"\r\n--{BOUNDAR_PREFIX}\r\n--\r\n".encode()
    assert received([part("file", content), END]) == content


BOUNDAR_PREFIX = BOUNDARY[:-1]


@pytest.mark.parametrize(
    "content_type", [None, "application/octet-stream", "text/plain", "multipart/mixed; boundary=x"]
)
def test_any_other_body_is_the_file(content_type: str | None) -> None:
    assert received([b"ab", b"", b"c"], content_type) == b"abc"


def test_the_type_of_a_form_is_known_whatever_its_case() -> None:
    assert is_form("Multipart/Form-Data; boundary=x")
    assert not is_form("multipart/form-data-like")
    assert not is_form(None)


def test_a_form_without_a_file_is_refused() -> None:
    assert refusal([part("other", b"x"), END]) == {"error": "file is missing"}


def test_a_form_with_two_files_is_refused() -> None:
    assert refusal([part("file", b"x"), part("file", b"y"), END]) == {"error": "file is invalid"}


@pytest.mark.parametrize("keep", [1, 20, -1, -len(END)])
def test_a_form_that_ends_early_is_refused(keep: int) -> None:
    body = part("file", b"content") + END
    assert refusal([body[: keep if keep > 0 else len(body) - len(END)]]) == TRUNCATED


@pytest.mark.parametrize(
    "chunks",
    [
        [b"no boundary at all"],
        [part("file", b"x", "X-Huge: " + "h" * 10_000 + "\r\n"), END],
        [part("file", b"x", "".join(f"X-{i}: y\r\n" for i in range(50))), END],
        [*(part(f"p{i}", b"") for i in range(MAX_PARTS + 1)), END],
        [part("note", b"n" * (MAX_FIELD_BYTES + 1)), END],
    ],
    ids=["no-boundary", "huge-header", "many-headers", "many-parts", "huge-field"],
)
def test_a_hostile_form_is_refused(chunks: list[bytes]) -> None:
    assert refusal(chunks) == MALFORMED


@pytest.mark.parametrize("size", [0, 1, MAX_PREAMBLE_BYTES - 2, MAX_PREAMBLE_BYTES - 1])
def test_the_text_before_a_form_may_have_a_size_however_it_comes(size: int) -> None:
    body = (b"p" * size + b"\r\n" if size else b"") + part("file", b"x") + END
    for pieces in ([body], [bytes([byte]) for byte in body]):
        if size + 2 > MAX_PREAMBLE_BYTES:
            assert refusal(pieces) == MALFORMED
        else:
            assert received(pieces) == b"x"


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=" + "b" * 300])
def test_a_form_needs_a_sensible_boundary(content_type: str) -> None:
    assert refusal([b"x"], content_type) == MALFORMED
