"""Uploads that go on after an interruption: clients that people have, unmodified, and servers that die meanwhile."""

from __future__ import annotations

import os
import random
import secrets
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.databases import database_url
from tests.e2e.environments import ROOT, Steps, client_python, installed
from tests.e2e.processes import MIB, ServerProcess, launched, new_version, replicas, serving, slowly, wait_until_ready
from tests.s3 import BUCKET, S3Server
from tests.tus import VERSION, begun, offset_of, patch, uploads_of

PINS = ROOT / ".constraints" / "tus" / "package-lock.json"
HERE = Path(__file__).parent
CHUNK = MIB


def tus_modules() -> Path:
    """The folder of tus' clients for Node, made from their pins. Where that cannot be, CI fails and others skip."""
    return installed("tus", PINS, _steps)


def _steps(folder: Path) -> Steps:
    return (
        ["mkdir", "-p", folder],
        ["cp", PINS.with_name("package.json"), PINS, folder],
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", f"--prefix={folder}"],
    )


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    content = os.urandom(12 * MIB + 345)
    (tmp_path / "w.bin").write_bytes(content)
    return content


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with serving(tmp_path) as server:
        yield server


def restarted(server: ServerProcess) -> None:
    """Kill a server, and start another in its place, which the fixture ends."""
    server.kill()
    server.process = launched(server.folder, server.port).process
    wait_until_ready(server)


def token_of(server: ServerProcess) -> str:
    return (server.folder / "data" / "root-token").read_text().strip()


def node(server: ServerProcess, files: str, kind: str, *stop_at: int) -> subprocess.Popen[str]:
    """tus-js-client or Uppy, sending `w.bin` to `dir/w.bin`."""
    place = f"{files}/dir/w.bin" if kind == "draft" else uploads_of(files)
    endpoint = f"http://127.0.0.1:{server.port}/api/v4{place}"
    own = [str(tus_modules()), kind, endpoint, token_of(server), str(server.folder / "w.bin"), "dir/w.bin", str(CHUNK)]
    command = ["node", str(HERE / "tus_client.mjs"), *own, *map(str, stop_at)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def tuspy(server: ServerProcess, files: str, *stop_at: int) -> subprocess.Popen[str]:
    """tuspy, with a checksum of each piece."""
    endpoint = f"http://127.0.0.1:{server.port}/api/v4{uploads_of(files)}"
    own = [endpoint, token_of(server), str(server.folder / "w.bin"), "dir/w.bin", str(CHUNK)]
    command = [str(client_python("tuspy")), str(HERE / "tuspy_client.py"), *own, str(server.folder / "urls")]
    return subprocess.Popen([*command, *map(str, stop_at)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def output_of(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    return output


def received(client: httpx2.Client) -> int:
    """The bytes of all PATCHes, as the metrics count them."""
    text = client.get(client.base_url.join("/metrics")).text
    lines = [line for line in text.splitlines() if line.startswith("modelyard_http_received_bytes_total{")]
    return sum(int(float(line.rpartition(" ")[2])) for line in lines if 'method="PATCH"' in line)


@pytest.mark.once
@pytest.mark.parametrize("kind", ["plain", "with-creation", "uppy", "draft"])
def test_tus_js_client_and_uppy_upload_unmodified(server: ServerProcess, content: bytes, kind: str) -> None:
    with server.client as client:
        files = new_version(client)
        output = output_of(node(server, files, kind))
        assert "done http" in output
        assert client.get(f"{files}/dir/w.bin").content == content


@pytest.mark.once
def test_tus_js_client_stops_and_a_new_page_goes_on(server: ServerProcess, content: bytes) -> None:
    with server.client as client:
        files = new_version(client)
        assert "stopped http" in output_of(node(server, files, "plain", 3 * CHUNK))
        restarted(server)
        output = output_of(node(server, files, "plain"))
        assert "resumes http" in output
        assert "done http" in output
        assert client.get(f"{files}/dir/w.bin").content == content
        assert received(client) <= len(content) - 3 * CHUNK  # by the server that was started last


@pytest.mark.once
def test_tus_js_client_goes_on_by_itself_when_the_server_is_killed(server: ServerProcess, content: bytes) -> None:
    with server.client as client:
        files = new_version(client)
        process = node(server, files, "plain")
        assert process.stdout is not None
        while not process.stdout.readline().startswith(f"accepted {2 * CHUNK}"):
            assert process.poll() is None
        restarted(server)
        assert "done http" in output_of(process)
        assert client.get(f"{files}/dir/w.bin").content == content


@pytest.mark.once
def test_tuspy_stops_and_goes_on_after_a_restart(server: ServerProcess, content: bytes) -> None:
    with server.client as client:
        files = new_version(client)
        assert output_of(tuspy(server, files, 5 * CHUNK)) == f"from 0\nto {5 * CHUNK}\n"
        restarted(server)
        assert output_of(tuspy(server, files)) == f"from {5 * CHUNK}\nto {len(content)}\n"
        assert client.get(f"{files}/dir/w.bin").content == content


@pytest.mark.once
def test_a_server_that_is_killed_in_the_middle_tells_an_offset_that_is_durable(
    server: ServerProcess, content: bytes
) -> None:
    with server.client as client:
        files = new_version(client)
        url, offset = begun(client, files, len(content)), 0
        for _ in range(3):
            begin, failed = threading.Event(), threading.Event()

            def send(start: int, begin: threading.Event = begin, failed: threading.Event = failed) -> None:
                try:
                    with server.client as own:
                        patch(own, url, start, slowly(content[start:], 0.2, begin))
                except httpx2.TransportError:
                    failed.set()

            sending = threading.Thread(target=send, args=(offset,))
            sending.start()
            begin.wait(60)
            restarted(server)
            sending.join()
            assert failed.is_set()
            again = offset_of(client, url)
            assert offset <= again <= len(content)
            offset = again
        assert patch(client, url, offset, content[offset:]).status_code == 204
        assert client.get(f"{files}/w.bin").content == content


@pytest.fixture(params=["folder", "bucket"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """What replicas share: a database, and a folder or a bucket."""
    variables = {"MODELYARD_DATABASE_URL": database_url(tmp_path)}
    if request.param == "folder":
        return variables
    bucket = {"MODELYARD_BLOB_URL": f"s3://{BUCKET}/{secrets.token_hex(8)}", "MODELYARD_S3_ADDRESSING": "path"}
    moto: S3Server = request.getfixturevalue("moto")
    return variables | bucket | moto.environment


def test_another_replica_ends_a_writer_and_goes_on(tmp_path: Path, content: bytes, shared: dict[str, str]) -> None:
    with replicas(tmp_path, 2, **shared) as (one, other), one.client as first:
        second = other.client
        files = new_version(first)
        url, sending, statuses = begun(first, files, len(content)), threading.Event(), []
        path = url[url.index("/uploads") :]

        def send() -> None:
            with one.client as own:
                statuses.append(patch(own, path, 0, slowly(content, 0.5, sending)).status_code)

        thread = threading.Thread(target=send)
        thread.start()
        sending.wait(60)
        offset = offset_of(second, path)
        if "MODELYARD_BLOB_URL" not in shared:
            assert offset >= 3 * MIB  # of the 4 that were sent, and were not recorded yet
        assert patch(second, path, offset, content[offset:]).status_code == 204
        thread.join()
        assert statuses == [409]
        assert first.get(f"{files}/w.bin").content == content
        assert offset_of(first, path) == len(content)
        second.close()


def test_pieces_through_alternating_replicas_and_random_cuts_make_the_same_file(
    tmp_path: Path, content: bytes, shared: dict[str, str]
) -> None:
    chosen = random.Random(20)
    with replicas(tmp_path, 2, **shared) as (one, two), one.client as client, two.client as other:
        files = new_version(client)
        url = begun(client, files, len(content))
        path, offset, seen = url[url.index("/uploads") :], 0, 0
        while offset < len(content):
            using = chosen.choice([client, other])
            size, more = chosen.randrange(1, 2 * MIB), chosen.randrange(1, 3 * MIB)
            piece = content[offset : offset + size]
            if chosen.random() < 0.5:
                cut(using, path, offset, piece, min(len(content) - offset, size + more))
            else:
                # 409 where a request that was cut is only now looked at, and has been first.
                assert patch(using, path, offset, piece).status_code in {204, 409}
            offset = offset_of(chosen.choice([client, other]), path)
            assert offset >= seen
            seen = offset
        assert client.get(f"{files}/w.bin").content == content


def cut(client: httpx2.Client, path: str, offset: int, content: bytes, told: int) -> None:
    """Say more than is sent, and hang up."""

    def pieces() -> Iterator[bytes]:
        yield content
        raise ConnectionAbortedError

    headers = {"Upload_Offset": str(offset), "Content_Length": str(told)}
    if told > len(content):
        with pytest.raises(ConnectionAbortedError):
            patch(client, path, offset, pieces(), **headers)
    else:
        patch(client, path, offset, content)


@pytest.mark.once
def test_what_is_told_survives_and_what_is_cancelled_does_not(server: ServerProcess) -> None:
    with server.client as client:
        files = new_version(client)
        kept, cancelled = begun(client, files, 10, "kept"), begun(client, files, 10, "cancelled")
        assert patch(client, kept, 0, b"12345").status_code == 204
        assert client.delete(cancelled, headers=VERSION).status_code == 204
        expires = client.head(kept, headers=VERSION).headers["Upload-Expires"]
        restarted(server)
        answer = client.head(kept, headers=VERSION)
        assert (answer.headers["Upload-Offset"], answer.headers["Upload-Expires"]) == ("5", expires)
        assert client.head(cancelled, headers=VERSION).status_code == 404
