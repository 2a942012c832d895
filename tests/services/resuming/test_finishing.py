"""Uploads whose bytes are all there, and whose file could not be recorded at the first try."""

from __future__ import annotations

import hashlib
import os

import httpx2
import pytest

from modelyard.errors import Unavailable
from modelyard.services.files.recording import Recorder
from tests.live import LiveServer
from tests.tus import VERSION, begun, offset_of, patch

SIZE = 16


@pytest.fixture
def content() -> bytes:
    return os.urandom(SIZE)


@pytest.fixture
def unrecorded(root: httpx2.Client, version_url: str, content: bytes) -> str:
    """The URL of such an upload."""

    async def fail(*_arguments: object) -> None:
        raise Unavailable

    url = begun(root, version_url, SIZE)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Recorder, "keep", fail)
        assert patch(root, url, 0, content).status_code == 503
    assert root.get(f"{version_url}/w.bin").status_code == 404
    return url


def test_whoever_asks_next_makes_the_file(
    root: httpx2.Client, version_url: str, unrecorded: str, content: bytes
) -> None:
    assert offset_of(root, unrecorded) == SIZE
    assert root.get(f"{version_url}/w.bin").content == content


def test_where_its_bytes_have_gone_the_upload_is_lost(
    server: LiveServer, root: httpx2.Client, version_url: str, unrecorded: str, content: bytes
) -> None:
    assert server.app.state.store.delete(hashlib.sha256(content).hexdigest())
    for _ in range(2):
        assert root.head(unrecorded, headers=VERSION).status_code == 410
    assert patch(root, unrecorded, SIZE, b"").status_code == 410
    assert root.get(f"{version_url}/w.bin").status_code == 404
