"""Cut uploads that go on, kill the server they go to, and hold what comes of it against what was told.

A cut: a piece of an upload is sent in one of the protocols that know how to go on, and at a random byte its connection
is closed, reset or left half-open; or the server is killed, and started again. Whoever goes on is another client, which
knows the upload's URL alone. Then

- the offset that is told is none below what was told before, and none beyond what was sent;
- a file is there when its last byte is told to be, and never before; it is byte for byte what was sent;
- `modelyard check --read` finds nothing, `modelyard gc` nothing of an upload, and the server logged no error.

The seed decides what is sent and where it is cut. What has been received by then is up to the machine.
"""

from __future__ import annotations

import random
import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import httpx2

from tests.crash.contents import KIB, MIB, Contents
from tests.crash.driver import CrashFailure
from tests.crash.verify import errors_logged, only_the_unreferenced_goes, upkeep_of
from tests.e2e.processes import ServerProcess, launched, new_version, serving, wait_until_ready
from tests.tus import CHUNK_TYPE, VERSION, begun

LARGEST = 12 * MIB  # of a file: beyond what goes by the page cache
LOCKED_SECONDS = 10.0  # after which an upload that is told to be locked is stuck
HALF_OPEN = 8  # connections at most that are left so
FORGETFUL = struct.pack("ii", 1, 0)  # SO_LINGER: what is closed is reset


@dataclass(frozen=True)
class Cuts:
    """What is to be done."""

    seed: int
    count: int
    restarts: float = 0.05  # of all cuts, those by a kill of the server
    largest: int = LARGEST  # bytes of a file
    max_workers: int = 2  # processes of a server; the seed decides between 1 and these
    database_url: str | None = None  # where it is None, of the kind that the tests run on
    variables: dict[str, str] = field(default_factory=dict)  # of the server


@dataclass
class Sent:
    """An upload as its clients know it, one after the other."""

    path: str
    file: str
    content: bytes
    told: int = 0  # bytes that are durable
    most: int = 0  # up to which any client has ever sent

    def head(self, protocol: str, end: int) -> tuple[str, str, dict[str, str]]:
        """Method, path and headers of a request that brings the bytes from where the upload is up to `end`."""
        offset, size = str(self.told), len(self.content)
        length = {"Content-Length": str(end - self.told)}
        if protocol == "tus":
            return "PATCH", self.path, VERSION | length | {"Upload-Offset": offset, "Content-Type": CHUNK_TYPE}
        if protocol == "draft":
            last = "?1" if end == size else "?0"
            told = {"Upload-Offset": offset, "Upload-Complete": last, "Upload-Draft-Interop-Version": "8"}
            return "PATCH", self.path, length | told | {"Content-Type": "application/partial-upload"}
        place = {"Content-Range": f"bytes {offset}-{end - 1}/{size}", "X-Modelyard-Session": self.path}
        return "PUT", self.file, length | place


def run(folder: Path, plan: Cuts, say: Callable[[str], None] = print) -> None:
    """Make all cuts in a folder that is empty or does not exist. Raises CrashFailure."""
    folder.mkdir(parents=True, exist_ok=True)
    say(f"seed {plan.seed}, {plan.count} cuts, data in {folder}")
    with ExitStack() as stack:
        driver = _Driver(folder, plan, stack)
        try:
            while driver.cuts < plan.count:
                say(driver.upload())
            driver.check()
        except (AssertionError, httpx2.HTTPError, OSError) as error:
            raise CrashFailure(f"cut {driver.cuts} of seed {plan.seed}, data in {folder}: {error!r}") from error


class _Driver:
    def __init__(self, folder: Path, plan: Cuts, stack: ExitStack) -> None:
        self.cuts = self.kills = 0
        self._plan = plan
        self._chance = random.Random(plan.seed)
        self._contents = Contents(plan.seed, plan.largest)
        self._variables = {"MODELYARD_LOG_FORMAT": "json", **plan.variables}
        if plan.database_url is not None:
            self._variables["MODELYARD_DATABASE_URL"] = plan.database_url
        self._open: list[HTTPConnection] = []  # by clients that are gone, as far as they know
        self._digests: set[str] = set()
        self._server = stack.enter_context(serving(folder, *self._arguments(), environment=self._variables))
        stack.callback(self._hang_up)
        with self._server.client as client:
            self._files = new_version(client)

    def upload(self) -> str:
        """One file from its beginning to its end, however often it is cut; the answer is a line for whoever watches."""
        content, before = self._contents.new(self._chance), (self.cuts, self.kills)
        name = f"f{len(self._digests)}"
        with self._server.client as client:
            url = begun(client, self._files, content.size, name)
        path = url[url.index("/api/") :]
        sent = Sent(path, f"/api/v4{self._files}/{name}", b"".join(content.chunks()))
        while sent.told < content.size:
            self._send(sent)
            self._ask(sent)
        with self._server.client as client:
            assert client.get(f"{self._files}/{name}").content == sent.content, f"{name} is damaged"
        self._digests.add(content.sha256)
        return f"{name}: {content.size} bytes whole, {self.cuts - before[0]} cuts, {self.kills - before[1]} kills"

    def check(self) -> None:
        """Hold that nothing is there but the files."""
        self._hang_up()
        folder = self._server.folder
        upkeep = upkeep_of(folder, self._variables)
        assert only_the_unreferenced_goes(folder / "data" / "blobs", self._digests, upkeep) == []
        assert errors_logged(self._server.log()) == []

    def _send(self, sent: Sent) -> None:
        """Bring some bytes more; most times not all of those that were announced."""
        chance, size = self._chance, len(sent.content)
        end = sent.told + min(size - sent.told, int(KIB * (4 * self._plan.largest / KIB) ** chance.random()))
        cut = chance.choice([*range(sent.told, min(end, sent.told + 3)), *[chance.randrange(sent.told, end)] * 9])
        method, path, headers = sent.head(chance.choice(["tus", "draft", "put"]), end)
        connection = HTTPConnection("127.0.0.1", self._server.port, timeout=60)
        token = self._server.client.headers["Authorization"]
        if self.cuts >= self._plan.count or chance.random() < 0.1:
            with closing(connection):
                connection.request(method, path, sent.content[sent.told : end], headers | {"Authorization": token})
                status = connection.getresponse().status
            assert status in {201, 202, 204, 409}, status  # 409 where one that was cut is only now looked at
            sent.most = max(sent.most, end)
            return
        self.cuts += 1
        sent.most = max(sent.most, cut)
        connection.putrequest(method, path)
        for name, value in (headers | {"Authorization": token}).items():
            connection.putheader(name, value)
        with suppress(HTTPException, ConnectionError):
            connection.endheaders()
            connection.send(sent.content[sent.told : cut])
        self._leave(connection)

    def _leave(self, connection: HTTPConnection) -> None:
        chance = self._chance
        time.sleep(chance.choice([0, 0, chance.random() / 20]))
        if chance.random() < self._plan.restarts:
            self._restart()
        how = chance.choice(["close", "reset", "stay"])
        if how == "stay":
            self._open.append(connection)
            if len(self._open) > HALF_OPEN:
                self._hang_up()
            return
        if how == "reset":
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, FORGETFUL)
        connection.close()

    def _ask(self, sent: Sent) -> None:
        """Where the upload is, as a client asks that knows no more than its URL."""
        until = time.monotonic() + LOCKED_SECONDS
        while True:
            with self._server.client as client:
                answer = client.head(client.base_url.join(sent.path), headers=VERSION)
            if answer.status_code != 423 or time.monotonic() > until:
                break
        assert answer.status_code == 200, answer.status_code
        offset = int(answer.headers["Upload-Offset"])
        assert sent.told <= offset <= sent.most, f"told {offset}, after {sent.told}, and {sent.most} bytes were sent"
        sent.told = offset

    def _restart(self) -> None:
        self._server.kill()
        self.kills += 1
        server: ServerProcess = self._server
        server.process = launched(server.folder, server.port, self._arguments(), self._variables).process
        wait_until_ready(server)

    def _arguments(self) -> tuple[str, ...]:
        return ("--workers", str(self._chance.randint(1, self._plan.max_workers)))

    def _hang_up(self) -> None:
        for connection in self._open:
            connection.close()
        self._open.clear()
