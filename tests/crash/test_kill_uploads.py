"""Kills in the middle of what Hugging Face's clients send: nothing shows, and the same again ends well."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.e2e.environments import client_python
from tests.e2e.processes import MIB, ServerProcess, serving, slowly, upkeep
from tests.routes.hub.sending import Cas, batch, chunk, commit, file, files, header, lfs_file, line, sha256, shard
from tests.waiting import eventually

CONTENT = os.urandom(8 * MIB)
LINES = b"\n".join(
    [header(), *(file(f"f{n}", os.urandom(100_000)) for n in range(60)), line("deletedFile", path="old")]
)
REPO = "root/m"
PIECE = b"\x07" * 32


@dataclass(frozen=True)
class End:
    """The last request before a large object is there, its digest and its bytes."""

    method: str
    url: str
    body: bytes
    headers: dict[str, str]
    whole: str
    size: int


def repeated(times: int) -> str:
    """The digest of the content so many times."""
    digest = hashlib.sha256()
    for _ in range(times):
        digest.update(CONTENT)
    return digest.hexdigest()


Begin = Callable[[httpx2.Client, httpx2.Client], tuple[str, str, bytes, dict[str, str]]]


def a_commit(hub: httpx2.Client, _stranger: httpx2.Client) -> tuple[str, str, bytes, dict[str, str]]:
    return "POST", f"/api/models/{REPO}/commit/main", LINES, dict(hub.headers)


def an_object(hub: httpx2.Client, _stranger: httpx2.Client) -> tuple[str, str, bytes, dict[str, str]]:
    (shown,) = batch(hub, REPO, CONTENT).json()["objects"]
    return "PUT", shown["actions"]["upload"]["href"], CONTENT, {}


def a_part(hub: httpx2.Client, _stranger: httpx2.Client) -> tuple[str, str, bytes, dict[str, str]]:
    """Which the client's own retry sends again; parts are of 256 MiB but for the last, which is this one."""
    size = 256 * MIB + len(CONTENT)
    body = {"operation": "upload", "transfers": ["multipart"], "hash_algo": "sha256"}
    told = hub.post(f"/{REPO}.git/info/lfs/objects/batch", json={**body, "objects": [{"oid": "0" * 64, "size": size}]})
    return "PUT", told.json()["objects"][0]["actions"]["upload"]["header"]["2"], CONTENT, {}


def a_xorb(hub: httpx2.Client, stranger: httpx2.Client) -> tuple[str, str, bytes, dict[str, str]]:
    cas = Cas(hub, stranger, REPO)
    xorb = b"".join(chunk(CONTENT[at : at + 64 * 1024]) for at in range(0, len(CONTENT), 64 * 1024))
    return "POST", f"{cas.path}/v1/xorbs/default/{'0' * 64}", xorb, cas.headers


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("begin", [a_commit, an_object, a_part, a_xorb])
def test_what_was_cut_off_by_a_kill_does_not_show_and_is_sent_again(tmp_path: Path, begin: Begin) -> None:
    with serving(tmp_path) as server, clients(server) as (hub, stranger):
        hub.post("/api/repos/create", json={"name": "m"})
        commit(hub, REPO, file("old", b"old"))
        method, url, content, headers = begin(hub, stranger)
        begun = threading.Event()
        sent = slowly(content, 0.05, begun)

        def send() -> None:
            with pytest.raises(httpx2.TransportError):
                stranger.request(method, url, content=sent, headers=headers)

        sender = threading.Thread(target=send)
        sender.start()
        assert begun.wait(60)
        server.kill()
        sender.join()
    assert checked(tmp_path)
    with serving(tmp_path) as server, clients(server) as (hub, stranger):
        assert files(hub, REPO) == {"old": sha256(b"old")}
        method, url, content, headers = begin(hub, stranger)
        assert stranger.request(method, url, content=content, headers=headers).status_code == 200
        if begin is an_object:
            commit(hub, REPO, lfs_file("f", CONTENT))
            assert files(hub, REPO) == {"old": sha256(b"old"), "f": sha256(CONTENT)}
        if begin is a_commit:
            assert len(files(hub, REPO)) == 60
        before = files(hub, REPO)
        assert upkeep(tmp_path, {}, "gc").returncode == 0  # takes what no file has
        assert files(hub, REPO) == before
    assert checked(tmp_path)


def a_join_of_chunks(hub: httpx2.Client, stranger: httpx2.Client) -> End:
    """A shard of one file of half a gigabyte, of few chunks again and again."""
    cas, times = Cas(hub, stranger, REPO), 64
    chunks = [CONTENT[at : at + 64 * 1024] for at in range(0, len(CONTENT), 64 * 1024)]
    assert cas.xorb(PIECE, b"".join(chunk(each) for each in chunks)).status_code == 200
    whole = repeated(times)
    body = shard((whole, [(PIECE, 0, len(chunks), len(CONTENT))] * times))
    return End("POST", f"{cas.path}/v1/shards", body, cas.headers, whole, times * len(CONTENT))


def an_end_of_parts(hub: httpx2.Client, stranger: httpx2.Client) -> End:
    """The completion of an object of two parts, which is all that is left to be done."""
    times = 33
    whole, size = repeated(times), times * len(CONTENT)
    told = {"operation": "upload", "transfers": ["multipart"], "objects": [{"oid": whole, "size": size}]}
    (shown,) = hub.post(f"/{REPO}.git/info/lfs/objects/batch", json=told).json()["objects"]
    action, parts = shown["actions"]["upload"], []
    for number, count in ((1, 32), (2, 1)):
        length = {"Content-Length": str(count * len(CONTENT))}
        sent = stranger.put(action["header"][str(number)], content=iter([CONTENT] * count), headers=length)
        assert sent.status_code == 200, sent.text
        parts.append({"partNumber": number, "etag": sent.headers["etag"]})
    return End("POST", action["href"], json.dumps({"oid": whole, "parts": parts}).encode(), {}, whole, size)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("begin", [a_join_of_chunks, an_end_of_parts])
def test_a_file_that_a_kill_overtakes_while_it_is_put_together_does_not_show_and_the_same_again_ends_well(
    tmp_path: Path, begin: Callable[[httpx2.Client, httpx2.Client], End]
) -> None:
    with serving(tmp_path) as server, clients(server) as (hub, stranger):
        hub.post("/api/repos/create", json={"name": "m"})
        commit(hub, REPO, file("old", b"old"))
        end = begin(hub, stranger)

        def send() -> None:
            with pytest.raises(httpx2.TransportError):
                stranger.request(end.method, end.url, content=end.body, headers=end.headers)

        sender = threading.Thread(target=send)
        sender.start()
        incoming = tmp_path / "data" / "blobs" / "incoming"
        eventually(lambda: any(path.stat().st_size > MIB for path in incoming.iterdir()))
        server.kill()
        sender.join()
    assert checked(tmp_path)
    with serving(tmp_path) as server, clients(server) as (hub, stranger):
        named = line("lfsFile", path="f", algo="sha256", oid=end.whole, size=end.size)
        body = b"\n".join([header(), named])
        assert hub.post(f"/api/models/{REPO}/commit/main", content=body).status_code == 400
        assert files(hub, REPO) == {"old": sha256(b"old")}
        url = urlsplit(end.url)._replace(scheme="", netloc="").geturl()
        again = stranger.request(end.method, url, content=end.body, headers=end.headers)
        assert again.status_code == 200, again.text
        commit(hub, REPO, named)
        assert files(hub, REPO) == {"old": sha256(b"old"), "f": end.whole}
    assert checked(tmp_path)


@pytest.mark.slow
def test_what_is_sent_and_never_committed_is_garbage_and_a_commit_of_it_is_refused_then(tmp_path: Path) -> None:
    with serving(tmp_path) as server, clients(server) as (hub, stranger):
        hub.post("/api/repos/create", json={"name": "m"})
        (shown,) = batch(hub, REPO, CONTENT).json()["objects"]
        assert stranger.put(shown["actions"]["upload"]["href"], content=CONTENT).status_code == 200
        cas = Cas(hub, stranger, REPO)
        assert cas.xorb(PIECE, chunk(b"content")).status_code == 200
        assert checked(tmp_path)
        done = upkeep(tmp_path, {}, "gc")
        assert done.returncode == 0
        answer = hub.post(f"/api/models/{REPO}/commit/main", content=b"\n".join([header(), lfs_file("f", CONTENT)]))
        assert answer.status_code == 400
        assert "send them again" in answer.json()["error"]
        refused = cas.shard(shard((sha256(b"content"), [(PIECE, 0, 1, 7)])))
        assert refused.status_code == 400
        assert "send it again" in refused.json()["error"]
        assert "actions" in batch(hub, REPO, CONTENT).json()["objects"][0]
        assert files(hub, REPO) == {}
    assert checked(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("client", ["hub2", "hub036"])
def test_a_client_whose_server_is_killed_ends_well_when_it_is_run_again(tmp_path: Path, client: str) -> None:
    python, folder = client_python(client), tmp_path / "folder"
    folder.mkdir()
    for n in range(6):
        (folder / f"{n}.bin").write_bytes(os.urandom(8 * MIB))
    expected = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    code = f"from huggingface_hub import HfApi; HfApi().upload_folder(repo_id='{REPO}', folder_path='{folder}')"
    command = [str(python), "-c", code]
    with serving(tmp_path) as server, clients(server) as (hub, _stranger):
        hub.post("/api/repos/create", json={"name": "m"})
        running = subprocess.Popen(command, env=environment(server), stderr=subprocess.DEVNULL)
        blobs = tmp_path / "data" / "blobs" / "sha256"
        until = time.monotonic() + 60
        while not any(blobs.glob("*/*/*")) and time.monotonic() < until:
            time.sleep(0.01)
        server.kill()
        running.kill()
        running.wait()
    with serving(tmp_path) as server, clients(server) as (hub, _stranger):
        assert files(hub, REPO) in ({}, expected)
        subprocess.run(command, env=environment(server), check=True, capture_output=True, timeout=200)
        assert files(hub, REPO) == expected
    assert checked(tmp_path)


@contextmanager
def clients(server: ServerProcess) -> Iterator[tuple[httpx2.Client, httpx2.Client]]:
    """The API as the administrator asks it, and as somebody without a token."""
    url, headers = f"http://127.0.0.1:{server.port}", server.client.headers
    with (
        httpx2.Client(base_url=url, headers=headers, timeout=60) as hub,
        httpx2.Client(base_url=url, timeout=60) as stranger,
    ):
        yield hub, stranger


def environment(server: ServerProcess) -> dict[str, str]:
    token = (server.folder / "data" / "root-token").read_text().strip()
    url = f"http://127.0.0.1:{server.port}"
    return {"PATH": os.environ["PATH"], "HOME": str(server.folder), "HF_ENDPOINT": url, "HF_TOKEN": token}


def checked(folder: Path) -> bool:
    """Whether database and store agree, byte by byte."""
    return upkeep(folder, {}, "check", "--read").returncode == 0
