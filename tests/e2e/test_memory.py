"""The server as a process: how much memory it takes."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.processes import MIB, new_version, serving


@pytest.mark.slow
def test_large_files_pass_through_little_memory(tmp_path: Path) -> None:
    source, size = tmp_path / "large", 512 * MIB
    digest = hashlib.sha256()
    with source.open("wb") as file:
        for _ in range(size // MIB):
            block = os.urandom(1024) * 1024
            digest.update(block)
            file.write(block)
    with serving(tmp_path) as server, server.client as client:
        url = f"http://127.0.0.1:{server.port}/api/v4{new_version(client)}"
        token = f"Authorization: {client.headers['authorization']}"
        curl = ["curl", "--fail", "--silent", "--header", token]
        for name, upload in (("form", ["--request", "PUT", "--form", f"file=@{source}"]), ("raw", ["-T", str(source)])):
            subprocess.run([*curl, *upload, f"{url}/{name}"], check=True, capture_output=True)
            with subprocess.Popen([*curl, f"{url}/{name}"], stdout=subprocess.PIPE) as download:
                assert download.stdout is not None
                assert hashlib.file_digest(download.stdout, "sha256").digest() == digest.digest()  # type: ignore[arg-type]
        assert server.peak_memory() < 150 * MIB
