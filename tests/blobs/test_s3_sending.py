"""Bytes of a bucket on their way to a client's socket: copied as little as can be, and that they are the right ones."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from modelyard.blobs.s3 import answers
from modelyard.blobs.s3.answers import END_BYTES, Stream
from modelyard.blobs.s3.outgoing import BLOCK_BYTES
from modelyard.blobs.s3.reader import FIRST_WINDOW_BYTES, OPENING_BYTES, S3BlobReader
from modelyard.blobs.s3.store import S3BlobStore
from tests.e2e.between import between, certificate_in
from tests.s3 import S3Server, noted_requests

from .tools import put

KIB, MIB = 1 << 10, 1 << 20
CONTENT = secrets.token_bytes(FIRST_WINDOW_BYTES + 5 * MIB + 7)


@pytest.fixture(scope="module", params=["moto", "swift", "s3rver"])
def stored(request: pytest.FixtureRequest) -> tuple[S3BlobStore, str]:
    server: S3Server = request.getfixturevalue(request.param)
    store = server.store(f"sending/{secrets.token_hex(8)}")
    return store, put(store, CONTENT)


@pytest.fixture
def reader(stored: tuple[S3BlobStore, str]) -> Iterator[S3BlobReader]:
    store, digest = stored
    with store.open(digest) as opened:
        yield opened


@dataclass
class Client:
    """Both ends of a connection; what has been received."""

    ours: socket.socket
    theirs: socket.socket
    received: bytearray = field(default_factory=bytearray)

    def get(self, reader: S3BlobReader, offset: int, length: int) -> None:
        """Have a reader send, and receive it."""
        until = len(self.received) + length
        while len(self.received) < until:
            try:
                wanted = until - len(self.received)
                sent = reader.send(self.ours.fileno(), offset, wanted)
                assert 0 < sent <= wanted
                offset += sent
            except BlockingIOError:
                pass
            self.receive()

    def fill(self, reader: S3BlobReader, offset: int) -> int:
        """Have a reader send until nothing more has room; where it stopped."""
        with suppress(BlockingIOError):
            while True:
                offset += reader.send(self.ours.fileno(), offset, MIB)
        return offset

    def receive(self) -> None:
        """Take what has come."""
        try:
            while True:
                self.received += self.theirs.recv(MIB)
        except BlockingIOError:
            return


@pytest.fixture
def client() -> Iterator[Client]:
    ours, theirs = socket.socketpair()  # what is written on one is there on the other
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        yield Client(ours, theirs)


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes were read of streams into new memory, each time."""
    read, sizes = Stream.read, list[int]()

    def counting(stream: Stream, length: int) -> bytes:
        data = read(stream, length)
        sizes.append(len(data))
        return data

    monkeypatch.setattr(Stream, "read", counting)
    return sizes


@pytest.fixture
def spliced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes went from a pipe to the client, each time."""
    splice, sizes = os.splice, list[int]()

    def counting(source: int, target: int, count: int, **more: int) -> int:
        size = splice(source, target, count, **more)
        if not os.get_blocking(target):  # which a pipe is
            sizes.append(size)
        return size

    monkeypatch.setattr(os, "splice", counting)
    return sizes


def pipes() -> set[str]:
    """The pipes of this process."""
    found = set()
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # of the folder itself, which is closed by now
            found.add(str(each.readlink()))
    return {name for name in found if name.startswith("pipe:")}


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="splice(2) is Linux's")


@on_linux
def test_what_comes_by_a_bare_socket_never_leaves_the_kernel(
    stored: tuple[S3BlobStore, str], client: Client, spliced: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, digest = stored
    asked = noted_requests(monkeypatch)
    with store.open(digest) as reader:
        client.get(reader, 0, len(CONTENT))
    assert client.received == CONTENT
    at_once = BLOCK_BYTES + END_BYTES  # at most: the first read of each answer, and its end
    assert sum(spliced) >= len(CONTENT) - OPENING_BYTES - at_once * asked.count(("GET", "data"))


@on_linux
@pytest.mark.parametrize(("seconds", "later"), [(60, b"2" * KIB), (0.05, b"")])
def test_little_is_waited_for_until_it_is_much_or_a_moment_has_passed(
    monkeypatch: pytest.MonkeyPatch, seconds: float, later: bytes
) -> None:
    monkeypatch.setattr(answers, "MUCH_SECONDS", seconds)
    with ExitStack() as stack:
        reading, writing = os.pipe()
        stack.callback(os.close, reading)
        stack.callback(os.close, writing)
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        storage = stack.enter_context(socket.create_connection(listening.getsockname()))
        source = stack.enter_context(listening.accept()[0])
        source.settimeout(60)
        storage.send(b"1" * KIB)
        sending = threading.Timer(0.5, lambda: storage.send(later))
        sending.start()
        stack.callback(sending.join)
        assert answers._spliced(source, writing, 2 * KIB) == KIB + len(later)
        assert os.read(reading, 4 * KIB) == b"1" * KIB + later
        assert source.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == 1


@on_linux
def test_a_pipe_goes_with_its_reader(stored: tuple[S3BlobStore, str], client: Client) -> None:
    store, digest = stored
    before = pipes()
    with store.open(digest) as reader:
        client.get(reader, 0, 3 * MIB)
        client.fill(reader, 3 * MIB)
        assert len(pipes() - before) == 1
    assert not pipes() - before


@on_linux
def test_without_a_pipe_the_bytes_go_by_memory(
    reader: S3BlobReader, client: Client, spliced: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_descriptor_is_left() -> tuple[int, int]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pipe", no_descriptor_is_left)
    client.get(reader, 0, len(CONTENT))
    assert client.received == CONTENT
    assert spliced == []


def test_where_there_is_no_splice_the_bytes_go_by_memory(
    reader: S3BlobReader, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "splice", raising=False)
    client.get(reader, 0, len(CONTENT))
    assert client.received == CONTENT


def test_only_the_ends_of_an_answer_are_copied(
    stored: tuple[S3BlobStore, str], client: Client, copied: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, digest = stored
    asked = noted_requests(monkeypatch)
    with store.open(digest) as reader:
        client.get(reader, 0, len(CONTENT))
    assert client.received == CONTENT
    assert sum(copied) <= OPENING_BYTES + END_BYTES * asked.count(("GET", "data"))


@on_linux
def test_what_comes_by_tls_goes_by_one_piece_of_memory(
    moto: S3Server,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    copied: list[int],
    spliced: list[int],
) -> None:
    certificate = certificate_in(tmp_path)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    with between(moto.endpoint, certificate) as proxy:
        store = replace(moto, endpoint=proxy.url).store("sending")
        with store.open(put(store, CONTENT)) as reader:
            client.get(reader, 0, len(CONTENT))
    assert client.received == CONTENT
    assert sum(copied) < MIB
    assert spliced == []


def test_what_is_read_and_what_is_sent_go_on_from_each_other(reader: S3BlobReader, client: Client) -> None:
    position = OPENING_BYTES
    for sent, read in ((MIB, 300), (20_000, 50_001), (3 * MIB, MIB), (7 * MIB, 10)):
        client.received.clear()
        client.get(reader, position, sent)
        assert client.received == CONTENT[position : position + sent]
        position += sent
        assert reader.read(position, read) == CONTENT[position : position + read]
        position += read


def test_what_the_client_had_no_room_for_is_there_to_read_and_to_send(reader: S3BlobReader, client: Client) -> None:
    position = client.fill(reader, OPENING_BYTES)
    client.receive()
    assert reader.read(position, MIB) == CONTENT[position : position + MIB]
    client.get(reader, position, 2 * MIB)
    assert client.received == CONTENT[OPENING_BYTES : position + 2 * MIB]
    client.received.clear()
    client.get(reader, position - 5, MIB)
    assert client.received == CONTENT[position - 5 : position - 5 + MIB]


def test_a_reader_that_is_closed_sends_nothing(stored: tuple[S3BlobStore, str], client: Client) -> None:
    store, digest = stored
    with store.open(digest) as reader:
        client.get(reader, 0, MIB)
    with pytest.raises(ValueError, match="closed"):
        reader.send(client.ours.fileno(), MIB, MIB)
