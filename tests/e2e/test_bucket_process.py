"""The server as a process whose blobs lie in a bucket: killed in the middle of an upload, and its memory."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.e2e.processes import MIB, new_version, serving, slowly, upkeep
from tests.s3 import BUCKET, S3Server


@pytest.fixture
def prefix() -> str:
    return secrets.token_hex(8)


@pytest.fixture
def environment(swift: S3Server, prefix: str) -> dict[str, str]:
    own = {"MODELYARD_BLOB_URL": f"s3://{BUCKET}/{prefix}", "MODELYARD_LOG_LEVEL": "info"}
    return swift.environment | own


@pytest.mark.slow
def test_a_kill_leaves_parts_that_nobody_sees_and_that_gc_leaves_alone_for_a_day(
    tmp_path: Path, swift: S3Server, prefix: str, environment: dict[str, str]
) -> None:
    content = os.urandom(20 * MIB)  # three parts
    with serving(tmp_path, environment=environment) as server, server.client as client:
        url = new_version(client)
        assert client.put(f"{url}/kept", content=content).status_code == 201
        begun = threading.Event()

        def upload() -> None:
            with pytest.raises(httpx2.TransportError):
                client.put(f"{url}/lost", content=slowly(content, 0.2, begun))

        uploading = threading.Thread(target=upload)
        uploading.start()
        while not swift.uploads(prefix):
            assert uploading.is_alive()
            begun.wait(0.1)
        server.kill()
        uploading.join(20)
    assert len(swift.uploads(prefix)) == 1
    collected = upkeep(tmp_path, environment, "gc", "--json")
    assert (collected.returncode, collected.stdout.strip()) == (0, "[]"), collected.stderr
    assert upkeep(tmp_path, environment, "check", "--read").returncode == 0
    assert len(swift.uploads(prefix)) == 1
    with serving(tmp_path, environment=environment) as server, server.client as client:
        assert client.get(f"{url}/kept").content == content
        assert client.get(f"{url}/lost").status_code == 404
        assert client.put(f"{url}/lost", content=b"another try").status_code == 201


@pytest.mark.slow
def test_large_files_pass_through_little_memory(tmp_path: Path, environment: dict[str, str]) -> None:
    blocks, digest = 384, hashlib.sha256()

    def content() -> Iterator[bytes]:
        for _ in range(blocks):
            block = os.urandom(1024) * 1024
            digest.update(block)
            yield block

    with serving(tmp_path, environment=environment) as server, server.client as client:
        url = f"{new_version(client)}/large"
        before = server.peak_memory()
        assert client.put(url, content=content()).status_code == 201
        received = hashlib.sha256()
        with client.stream("GET", url) as download:
            for block in download.iter_raw():
                received.update(block)
        assert received.digest() == digest.digest()
        assert server.peak_memory() - before < 110 * MIB
