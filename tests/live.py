"""A real server on a real socket, in a thread of the test process so that coverage sees it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import uvicorn

from modelyard.app import Application, create_app
from modelyard.blobs._local_resumable import SUFFIX
from modelyard.blobs.store import BlobStore
from modelyard.process.server import server_options
from modelyard.services.people.setup import prepare
from modelyard.settings import Settings
from tests.databases import migrated_database


@dataclass(frozen=True)
class LiveServer:
    """A running server."""

    url: str
    port: int
    root_token: str
    settings: Settings
    app: Application

    @property
    def api(self) -> str:
        """Base of the REST API."""
        return f"{self.url}/api/v4"

    def client(self, token: str | None = None) -> httpx2.Client:
        """A client of the API that sends `token`, or nothing."""
        headers = {"PRIVATE-TOKEN": token} if token else {}
        return httpx2.Client(base_url=self.api, headers=headers, timeout=30)

    def connect(self) -> socket.socket:
        """A bare connection, for what no client library would send."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def incoming(self) -> list[Path]:
        """Writes under way in the local store: none outlives its request."""
        return [path for path in self.unfinished() if path.suffix != SUFFIX]

    def partial(self) -> list[Path]:
        """Bytes of uploads that may go on in the local store: they stay, whatever else a test has left."""
        return [path for path in self.unfinished() if path.suffix == SUFFIX]

    def unfinished(self) -> list[Path]:
        """Both of these."""
        folder = self.settings.blob_root / "incoming"
        return list(folder.iterdir()) if folder.is_dir() else []


@contextmanager
def running(folder: Path, store: BlobStore | None = None, **settings: object) -> Iterator[LiveServer]:
    """Serve from `folder` until the block ends."""
    values: dict[str, object] = {"data_dir": folder, "host": "127.0.0.1", "port": 0, "log_level": "info"}
    values |= {"rate_limit_failed_logins": 0, "rate_limit_anonymous": 0}  # all tests come from one address
    if "database_url" not in settings:
        values["database_url"] = migrated_database(folder)
    chosen = Settings(_env_file=None, **(values | settings))  # type: ignore[call-arg, arg-type]
    prepare(chosen)
    app = create_app(chosen, store)
    server = uvicorn.Server(uvicorn.Config(app, **server_options(chosen)))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="live-server")
    thread.start()
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url, thread)
        token = chosen.root_token or chosen.root_token_path.read_text().strip()
        yield LiveServer(url, port, token, chosen, app)
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()
        assert not thread.is_alive(), "the server did not stop"


def _wait_until_ready(url: str, thread: threading.Thread) -> None:
    for _ in range(500):
        assert thread.is_alive(), "the server stopped at its start"
        try:
            if httpx2.get(f"{url}/-/readiness").status_code == 200:
                return
        except httpx2.TransportError:
            threading.Event().wait(0.02)
    raise AssertionError("the server did not become ready")
