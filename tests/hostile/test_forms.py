"""Forms that are broken, or sent in odd pieces, over a bare socket.

What is stored is what the RFCs say that the form holds, as a reading of the whole form in `forms` finds it; or it is
refused with 400, and then nothing is stored and nothing left behind. MODELYARD_FUZZ is the number of broken forms.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import httpx2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelyard.errors import BadRequest, ParameterError
from modelyard.wire.receive import file_pieces
from tests.hostile.forms import BOUNDARY, END, FORM, file_of, mutate, part
from tests.hostile.wires import converse
from tests.live import LiveServer
from tests.raw import put_head

FORMS_SENT = max(150, 50 * int(os.environ.get("MODELYARD_FUZZ", "0")))
CONTENTS = (
    b"",
    b"content",
    b"\r\n",
    b"--" + BOUNDARY,
    b"\r\n--" + BOUNDARY[:-1] + b"\r\n--\r\n",
    b"\r\n--" + BOUNDARY + b"z\r\n--" + BOUNDARY + b"-\r\n",
    bytes(range(256)),
)
ENCODINGS: tuple[tuple[tuple[bytes, ...], Callable[[bytes], bytes]], ...] = (
    ((), bytes),
    ((b"Content-Transfer-Encoding: binary",), bytes),
    ((b"Content-Transfer-Encoding: base64",), lambda content: base64.encodebytes(content).replace(b"\n", b"\r\n")),
    (
        (b"Content-Transfer-Encoding: quoted-printable",),
        lambda content: binascii.b2a_qp(content, istext=False).replace(b"=\n", b"=\r\n"),
    ),
)
PREAMBLES = (b"", b"\r\n", b"preamble\r\n", b"\r\npre-amble\r\n--\r\n", b"--" + BOUNDARY[:-1] + b"\r\n")
EPILOGUES = (b"", b"\r\n", b"epilogue", part(b"file", b"no part of it"))


def whole_form(chance: random.Random) -> bytes:
    before = part(b"note", b"ignored") * chance.randint(0, 2)
    after = part(b"note", b"ignored", b"X-Other: header") * chance.randint(0, 1)
    content, (headers, encode) = chance.choice(CONTENTS), chance.choice(ENCODINGS)
    form = before + part(b"file", encode(content), *headers) + after + END
    return chance.choice(PREAMBLES) + form + chance.choice(EPILOGUES)


def received(pieces: Sequence[bytes]) -> bytes | None:
    """The file that we find; None where we refuse."""

    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async def collect() -> bytes:
        return b"".join([bytes(piece) async for piece in file_pieces(body(), FORM)])

    try:
        return asyncio.run(collect())
    except (BadRequest, ParameterError):
        return None


@given(st.integers(0, 10**9))
@settings(max_examples=40, deadline=None)
def test_a_whole_form_gives_its_file_wherever_it_is_cut(seed: int) -> None:
    form = whole_form(random.Random(seed))
    expected = file_of(form)
    assert expected in CONTENTS
    assert received([form]) == expected
    assert received([bytes([byte]) for byte in form]) == expected
    for cut in range(len(form) + 1):
        assert received([form[:cut], form[cut:]]) == expected, cut


@given(st.integers(0, 10**9), st.integers(0, 10**9))
@example(1, 1)
@settings(max_examples=300, deadline=None)
def test_a_broken_form_gives_what_it_holds_or_nothing_wherever_it_is_cut(seed: int, cut: int) -> None:
    chance = random.Random(seed)
    form = mutate(whole_form(chance), chance)
    cut %= len(form) + 1
    found = received([form])
    assert found in (None, file_of(form))
    assert received([bytes([byte]) for byte in form]) == found
    assert received([form[:cut], form[cut:]]) == found


@pytest.fixture(autouse=True)
def nothing_is_left_behind(server: LiveServer) -> Iterator[None]:
    yield
    assert server.incoming() == []


def send(server: LiveServer, url: str, pieces: Sequence[bytes], *, chunked: bool) -> int:
    """Upload a form in these pieces, and then ask for something else: the status, once both are answered in turn."""
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {sum(map(len, pieces))}"
    head = put_head(server, url, f"Content-Type: {FORM}", length)
    sent = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece] if chunked else list(pieces)
    last = [b"0\r\n\r\n"] if chunked else []
    said = converse(server.port, head, *sent, *last, b"GET /-/health HTTP/1.1\r\nHost: h\r\n\r\n", replies=2)
    status, after = said.statuses
    assert after == 200
    return status


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_form_is_stored_whole_in_whatever_two_pieces_it_comes(
    server: LiveServer, root: httpx2.Client, version_url: str, chunked: bool
) -> None:
    for cut in range(len(part(b"file", b"") + END) + 20):
        content = b"\r\n--" + BOUNDARY[:-1] + b"%d" % cut
        form = part(b"file", content) + END
        assert send(server, f"{version_url}/f", [form[:cut], form[cut:]], chunked=chunked) == 201
        assert root.get(f"{version_url}/f").content == content


def test_what_is_stored_of_a_broken_form_is_what_it_holds(
    server: LiveServer, root: httpx2.Client, version_url: str
) -> None:
    statuses = []
    for seed in range(FORMS_SENT):
        chance = random.Random(seed)
        form = mutate(whole_form(chance), chance)
        cuts = sorted(chance.randrange(len(form) + 1) for _ in range(2))
        pieces = [form[: cuts[0]], form[cuts[0] : cuts[1]], form[cuts[1] :]]
        status = send(server, f"{version_url}/f{seed}", pieces, chunked=seed % 2 == 0)
        stored = root.get(f"{version_url}/f{seed}")
        if status == 201:
            assert stored.content == file_of(form), form
        else:
            assert (status, stored.status_code) == (400, 404), form
        statuses.append(status)
    assert set(statuses) == {201, 400}
