"""A server of one's own with one file in it, and the lines that it logs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from modelyard.services.upkeep.checking import Finding, check
from modelyard.services.upkeep.collecting import collect
from tests.e2e.processes import new_version
from tests.live import LiveServer, running

SMALL = b"content of a small file"
LARGE = bytes(range(256)) * 16_000  # 4 MB, in several blocks on its way


@dataclass(frozen=True)
class Yard:
    """A running server, a client of it, and the URL of a version's files."""

    live: LiveServer
    client: httpx2.Client
    files: str

    def put(self, name: str, content: bytes) -> httpx2.Response:
        """Upload a file."""
        return self.client.put(f"{self.files}/{name}", content=content)

    def get(self, name: str) -> httpx2.Response:
        """Download a file."""
        return self.client.get(f"{self.files}/{name}")

    def blob(self, size: int) -> Path:
        """The one blob of that size in bytes."""
        (found,) = (path for path in self.live.settings.blob_root.glob("sha256/*/*/*") if path.stat().st_size == size)
        return found

    def check(self, *, read: bool = False) -> list[Finding]:
        """What `modelyard check` finds."""
        return list(check(self.live.app.state.database, self.live.app.state.store, read=read))

    def gc(self) -> list[str]:
        """The kinds of what `modelyard gc` removes."""
        found = collect(self.live.app.state.database, self.live.app.state.store, grace=0, dry_run=False)
        return [each.kind for each in found]

    @contextmanager
    def logged(self, event: str) -> Iterator[dict[str, Any]]:
        """Hold that an event of that name is logged within a `with`, with advice; it is there afterwards."""
        facts: dict[str, Any] = {}
        with capture_logs() as lines:
            yield facts
        found = [line for line in lines if line["event"] == event]
        assert found, lines
        assert "unexpected failure" not in [line["event"] for line in lines]
        facts.update(found[0])
        assert facts["advice"]


@contextmanager
def yard_in(folder: Path) -> Iterator[Yard]:
    """A server on a folder, with the files `small` and `large` in it."""
    with running(folder) as live, live.client(live.root_token) as client:
        yard = Yard(live, client, new_version(client))
        assert yard.put("small", SMALL).status_code == yard.put("large", LARGE).status_code == 201
        yield yard


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with yard_in(tmp_path) as found:
        yield found
