"""Requests whose end or whose address two servers could see differently, and those without end, over a bare socket.

What cannot be read gets its answer, and nothing after it is taken for a request; what can be read is.
"""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from modelyard.connection.framing import MAX_HEAD_BYTES, MAX_HEADERS, MAX_PIPELINED, MAX_TARGET_BYTES
from tests.e2e.processes import serving
from tests.hostile.wires import MARK, converse
from tests.live import LiveServer
from tests.raw import put_head, read_answer

UNREADABLE = "400 Bad request - Invalid HTTP request received"
WRONG_HOST = "400 Bad request - A request needs exactly one Host"
UNKNOWN_CODING = "400 Bad request - The only transfer coding is chunked, and only HTTP/1.1 has it"
UNKNOWN_VERSION = "400 Bad request - Only HTTP/1.1 and HTTP/1.0 are spoken here"
ENDLESS_CHUNKS = "400 Bad request - Chunk extensions or trailers are too large"
LONG_TARGET = f"414 URI Too Long - The path and query exceed {MAX_TARGET_BYTES} bytes"
LARGE_HEAD = f"431 Request Header Fields Too Large - The headers exceed {MAX_HEAD_BYTES} bytes"
MANY_HEADERS = f"431 Request Header Fields Too Large - There are more than {MAX_HEADERS} headers"
MIB = 1024 * 1024


def put(*lines: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    """An upload that would be 401, could it be read."""
    head = b"PUT /api/v4/projects/1/packages/ml_models/1/files/f HTTP/" + version
    return b"\r\n".join([head, b"Host: here", *lines, b"", body])


def get(target: bytes = b"/-/health", *lines: bytes, method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    return b"\r\n".join([b" ".join([method, target, version]), b"Host: here", *lines, b"", b""])


def chunked(body: bytes) -> bytes:
    return put(b"Transfer-Encoding: chunked", body=body)


def coded(value: bytes) -> bytes:
    return put(b"Transfer-Encoding:" + value, body=b"5\r\nhello\r\n0\r\n\r\n")


UNCLEAR_LENGTHS = {
    "two-equal-lengths": put(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"),
    "two-lengths": put(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!"),
    "list-of-lengths": put(b"Content-Length: 5, 5", body=b"hello"),
    "length-then-chunks": put(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "chunks-then-length": put(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n"),
    "signed-length": put(b"Content-Length: +5", body=b"hello"),
    "negative-length": put(b"Content-Length: -5", body=b"hello"),
    "hexadecimal-length": put(b"Content-Length: 0x5", body=b"hello"),
    "grouped-length": put(b"Content-Length: 1_0", body=b"hellohello"),
    "length-with-a-space": put(b"Content-Length: 1 0", body=b"hellohello"),
    "endless-length": put(b"Content-Length: " + b"9" * 40, body=b"hello"),
    "empty-length": put(b"Content-Length:", body=b""),
    "space-before-colon": put(b"Content-Length : 5", body=b"hello"),
    "coding-and-more": coded(b" chunked, identity"),
    "coding-twice": coded(b" chunked, chunked"),
    "coding-on-two-lines": put(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "coding-and-identity": put(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", body=b"0\r\n\r\n"),
    "coding-with-a-comma": coded(b" chunked,"),
    "folded-coding": coded(b"\r\n chunked"),
    "coding-behind-a-vertical-tab": coded(b"\x0bchunked"),
    "empty-coding": coded(b""),
}
UNKNOWN_CODINGS = {
    "xchunked": coded(b" xchunked"),
    "identity": coded(b" identity"),
    "compressed": coded(b" gzip, chunked"),
    "quoted": coded(b' "chunked"'),
    "parameter": coded(b" chunked;q=1"),
    "chunks-in-1.0": put(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n", version=b"1.0"),
}
CHUNKS = {
    "coding-as-trailer": chunked(b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "length-as-trailer": chunked(b"5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n"),
    "overflow": chunked(b"FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
    "plus": chunked(b"+5\r\nhello\r\n0\r\n\r\n"),
    "minus": chunked(b"-5\r\nhello\r\n0\r\n\r\n"),
    "prefix": chunked(b"0x5\r\nhello\r\n0\r\n\r\n"),
    "space": chunked(b"5 \r\nhello\r\n0\r\n\r\n"),
    "space-before": chunked(b" 5\r\nhello\r\n0\r\n\r\n"),
    "line-feeds": chunked(b"5\nhello\n0\n\n"),
    "longer-than-its-size": chunked(b"5\r\nhello!\r\n0\r\n\r\n"),
    "shorter-than-its-size": chunked(b"6\r\nhello\r\n0\r\n\r\n"),
    "line-feed-in-extension": chunked(b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    "open-quote-in-extension": chunked(b'5;a="\r\nhello\r\n0\r\n\r\n'),
}
LINES = {
    "line-feeds": get().replace(b"\r\n", b"\n"),
    "one-line-feed": get(b"/-/health", b"A: b\nC: d"),
    "line-feed-at-the-end": get()[:-2] + b"\n",
    "carriage-return": get(b"/-/health", b"A: b\rC: d"),
    "carriage-return-in-the-target": get(b"/-/health\r"),
    "folded": get(b"/-/health", b"A: b", b" c"),
    "folded-first": get().replace(b"\r\n", b"\r\n A: b\r\n", 1),
    "space-in-a-name": get(b"/-/health", b"A b: c"),
    "no-name": get(b"/-/health", b": c"),
    "no-colon": get(b"/-/health", b"abc"),
    "nul-in-a-value": get(b"/-/health", b"A: b\0c"),
    "nul-in-a-name": get(b"/-/health", b"A\0: b"),
    "nul-in-the-target": get(b"/-/health\0"),
    "control-character": get(b"/-/health", b"A: b\x01c"),
    "unknown-method": get(method=b"FOO"),
    "small-letters": get(method=b"get"),
    "long-method": get(method=b"A" * MIB),
    "tabs": get().replace(b" ", b"\t", 2),
    "no-target": get(b""),
    "no-slash": get(b"health"),
    "authority-form": get(b"here:80"),
    "connect": get(b"here:80", method=b"CONNECT"),
    "connect-to-a-path": get(b"/-/health", b"Connection: Upgrade", b"Upgrade: h2c", method=b"CONNECT"),
    "absolute-form-without-a-path": get(b"http://here"),
    "absolute-form-with-a-bad-port": get(b"http://here:99999999/-/health"),
    "version-1.2": get(version=b"HTTP/1.2"),
    "small-version": get(version=b"http/1.1"),
    "space-at-the-end": get(version=b"HTTP/1.1 "),
    "http2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
}
OTHERS = {
    "no-host": (get().replace(b"Host: here\r\n", b""), WRONG_HOST),
    "two-hosts": (get(b"/-/health", b"Host: there"), WRONG_HOST),
    "two-hosts-in-1.0": (get(b"/-/health", b"Host: there", version=b"HTTP/1.0"), WRONG_HOST),
    "host-with-a-path": (get().replace(b"here", b"here/there"), WRONG_HOST),
    "host-with-a-user": (get().replace(b"here", b"root@here"), WRONG_HOST),
    "host-with-a-quote": (get().replace(b"here", b'here">'), WRONG_HOST),
    "absolute-form-with-a-user": (get(b"http://root@here/-/health"), WRONG_HOST),
    "version-0.9": (b"GET /-/health\r\n\r\n", UNKNOWN_VERSION),
    "version-2.0": (get(version=b"HTTP/2.0"), UNKNOWN_VERSION),
    "long-path": (get(b"/" + b"x" * MAX_TARGET_BYTES), LONG_TARGET),
    "very-long-path": (get(b"/" + b"x" * 5 * MIB), LONG_TARGET),
    "long-query": (get(b"/-/health?" + b"x" * MAX_TARGET_BYTES), LONG_TARGET),
    "one-header-more": (get(b"/-/health", *(b"A: b" for _ in range(MAX_HEADERS))), MANY_HEADERS),
    "ten-thousand-cookies": (get(b"/-/health", *(b"Cookie: a=b" for _ in range(3000))), MANY_HEADERS),
    "hundred-thousand-headers": (get(b"/-/health", *(b"A%d: b" % i for i in range(100_000))), LARGE_HEAD),
    "one-large-header": (get(b"/-/health", b"A: " + b"b" * MAX_HEAD_BYTES), LARGE_HEAD),
    "one-very-large-header": (get(b"/-/health", b"A: " + b"b" * MIB), LARGE_HEAD),
    "one-very-long-name": (get(b"/-/health", b"A" * MIB + b": b"), LARGE_HEAD),
    "empty-lines-without-end": (b"\r\n" * MIB, LARGE_HEAD),
}
HEADS = {
    **{name: (raw, UNREADABLE) for name, raw in (UNCLEAR_LENGTHS | LINES).items()},
    **{f"coding-{name}": (raw, UNKNOWN_CODING) for name, raw in UNKNOWN_CODINGS.items()},
    **OTHERS,
}
BODIES = {
    **{name: (raw, UNREADABLE) for name, raw in CHUNKS.items()},
    "large-extension": (chunked(b"5;" + b"a" * MIB + b"\r\nhello\r\n0\r\n\r\n"), ENDLESS_CHUNKS),
    "zeros-before-a-size": (chunked(b"0" * MIB + b"5\r\nhello\r\n0\r\n\r\n"), ENDLESS_CHUNKS),
    "many-trailers": (chunked(b"5\r\nhello\r\n0\r\n" + b"A: b\r\n" * 200_000 + b"\r\n"), ENDLESS_CHUNKS),
    "large-trailer": (chunked(b"5\r\nhello\r\n0\r\nA: " + b"b" * 5 * MIB + b"\r\n\r\n"), ENDLESS_CHUNKS),
}
TAKEN = {
    "chunks": (coded(b" chunked"), 401),
    "chunks-behind-a-tab": (coded(b"\tchunked"), 401),
    "chunks-in-capitals": (coded(b" CHUNKED"), 401),
    "chunk-extension": (chunked(b'5;a=b;c="d"\r\nhello\r\n0;e\r\n\r\n'), 401),
    "trailers": (chunked(b"5\r\nhello\r\n0\r\nA: b\r\nC: d\r\n\r\n"), 401),
    "length-with-zeros": (put(b"Content-Length: 00005", body=b"hello"), 401),
    "body-of-a-get": (get(b"/-/health", b"Content-Length: 5") + b"hello", 200),
    "absolute-form": (get(b"http://there:80/-/health"), 200),
    "asterisk-form": (get(b"*", method=b"OPTIONS"), 404),
    "latin-1": (get(b"/-/health", b"A: \xe9"), 200),
    "ipv6": (get().replace(b"here", b"[::1]:8080"), 200),
    "empty-host": (get().replace(b"here", b""), 200),
    "empty-lines-before": (b"\r\n\r\n" + get(), 200),
    "as-many-headers-as-may-be": (get(b"/-/health", *(b"A: b" for _ in range(MAX_HEADERS - 1))), 200),
    "as-long-a-path-as-may-be": (get(b"/" + b"x" * (MAX_TARGET_BYTES - 1)), 404),
}


@pytest.mark.parametrize(("raw", "message"), HEADS.values(), ids=HEADS)
def test_a_head_that_is_unclear_or_without_end_is_refused(server: LiveServer, raw: bytes, message: str) -> None:
    said = converse(server.port, raw, MARK)
    assert said.closed
    (reply,) = said.replies
    assert (reply.status, reply.json()) == (int(message[:3]), {"message": message})
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["connection"] == "close"
    assert len(reply.headers["x-request-id"]) == 32


@pytest.mark.parametrize(("raw", "message"), BODIES.values(), ids=BODIES)
def test_a_body_that_is_unclear_or_without_end_is_refused(server: LiveServer, raw: bytes, message: str) -> None:
    said = converse(server.port, raw, MARK)
    assert said.closed
    (reply,) = said.replies
    # The head was in order, and its own refusal may already be on its way.
    assert (reply.status, reply.json()) in [(400, {"message": message}), (401, {"message": "401 Unauthorized"})]


@pytest.mark.parametrize(("raw", "status"), TAKEN.values(), ids=TAKEN)
def test_what_is_odd_but_clear_is_taken_and_ends_where_it_says(server: LiveServer, raw: bytes, status: int) -> None:
    assert converse(server.port, raw, MARK, replies=2).statuses == [status, 200]


@pytest.mark.parametrize("name", ["body-of-a-get", "chunks", "trailers", "empty-lines-before"])
def test_where_a_request_ends_does_not_depend_on_how_it_arrives(server: LiveServer, name: str) -> None:
    raw, status = TAKEN[name]
    pieces = [bytes([byte]) for byte in raw + MARK]
    assert converse(server.port, *pieces, replies=2).statuses == [status, 200]


def test_what_a_refused_upload_carries_is_not_a_request(server: LiveServer) -> None:
    smuggled = put(b"Content-Length: %d" % len(get()), body=get())
    assert converse(server.port, smuggled, MARK, replies=2).statuses == [401, 200]


def test_a_trailer_is_no_header(server: LiveServer, version_url: str) -> None:
    head = put_head(server, f"{version_url}/f/authorize", "Transfer-Encoding: chunked")
    credential = next(line for line in head.split(b"\r\n") if line.startswith(b"Authorization"))
    head = head.replace(credential + b"\r\n", b"")
    said = converse(server.port, head, b"2\r\n{}\r\n0\r\n" + credential + b"\r\n\r\n", replies=1)
    assert said.statuses == [401]


def test_links_name_the_host_of_an_absolute_target(server: LiveServer) -> None:
    lines = (b"Authorization: Bearer " + server.root_token.encode(),)
    (reply,) = converse(server.port, get(b"http://there/api/v4/projects", *lines), replies=1).replies
    assert reply.headers["link"].startswith("<http://there/api/v4/projects?")


def test_what_follows_a_request_is_never_written_into_its_answer(
    server: LiveServer, root: httpx2.Client, version_url: str
) -> None:
    content = bytes(range(256)) * 80_000
    assert root.put(f"{version_url}/f", content=content).status_code == 201
    head = put_head(server, f"{version_url}/f").replace(b"PUT", b"GET", 1)
    with server.connect() as connection:
        connection.sendall(head)
        assert connection.recv(4) == b"HTTP"  # the answer has begun, and waits for us to read on
        connection.sendall(b"what is this?\r\n\r\n")
        received = bytearray(b"HTTP")
        while data := connection.recv(1 << 20):
            received += data
    assert received.partition(b"\r\n\r\n")[2] == content


def test_an_unreadable_body_is_answered_in_its_turn(server: LiveServer) -> None:
    said = converse(server.port, get() + chunked(b"what?\r\n") + MARK)
    assert said.statuses == [200, 400]
    assert said.closed
    assert said.replies[1].json() == {"message": UNREADABLE}


def test_requests_on_one_connection_are_answered_in_turn_up_to_a_number(server: LiveServer) -> None:
    few, many = MAX_PIPELINED, 50_000
    assert converse(server.port, MARK * few, replies=few).statuses == [200] * few
    said = converse(server.port, MARK * many, replies=many)
    assert said.closed
    assert few <= len(said.replies) < many
    assert set(said.statuses) == {200}


def test_a_client_that_asks_for_another_protocol_is_answered_in_this_one(server: LiveServer) -> None:
    asking = get(b"/-/health", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AA")
    assert converse(server.port, asking + MARK, asking, MARK, replies=4).statuses == [200] * 4


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("apart", [False, True], ids=["together", "apart"])
def test_an_upload_that_asks_for_another_protocol_is_stored_whole(
    server: LiveServer, root: httpx2.Client, version_url: str, chunked: bool, apart: bool
) -> None:
    length = "Transfer-Encoding: chunked" if chunked else "Content-Length: 5"
    body = b"5\r\nhello\r\n0\r\n\r\n" if chunked else b"hello"
    head = put_head(server, f"{version_url}/f", "Connection: Upgrade", "Upgrade: h2c", length)
    pieces = [head, *(bytes([byte]) for byte in body)] if apart else [head + body]
    assert converse(server.port, *pieces, MARK, replies=2).statuses == [201, 200]
    assert root.get(f"{version_url}/f").content == b"hello"


def test_a_refused_client_may_send_on_until_it_has_read_why(server: LiveServer) -> None:
    with server.connect() as connection:
        connection.sendall(get(b"/-/health", b"Content-Length: 1", b"Content-Length: 2"))
        for _ in range(20):
            connection.sendall(bytes(100_000))
        assert read_answer(connection).status == 400


def test_ten_thousand_ranges_are_refused(root: httpx2.Client, version_url: str) -> None:
    root.put(f"{version_url}/f", content=bytes(100))
    ranges = "bytes=" + ",".join(["0-0"] * 10_000)
    answer = root.get(f"{version_url}/f", headers={"Range": ranges})
    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */100")


def test_ten_thousand_cookies_are_nothing_to_us(server: LiveServer) -> None:
    cookies = b"Cookie: " + b"; ".join([b"a=b"] * 10_000)
    assert converse(server.port, get(b"/-/health", cookies), replies=1).statuses == [200]


@pytest.mark.slow
def test_thousands_of_such_requests_do_not_make_the_server_grow(tmp_path: Path) -> None:
    cases = [raw for raw, _ in (HEADS | BODIES).values()]
    with serving(tmp_path) as process:
        for raw in cases:
            converse(process.port, raw, MARK)
        before = process.peak_memory()
        for _ in range(4000 // len(cases)):
            for raw in cases:
                converse(process.port, raw[: 300 * 1024], MARK)
        converse(process.port, MARK * 100_000)
        assert process.peak_memory() - before < 16 * MIB
        assert converse(process.port, MARK, replies=1).statuses == [200]
        log = (tmp_path / "server.log").read_text()
        assert "unexpected failure" not in log
        assert "Traceback" not in log
