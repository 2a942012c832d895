"""What Hugging Face's clients make of other origins, of https, and of a server that changes below a download."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from modelyard.services.hub import objects
from modelyard.services.hub.objects import Objects
from modelyard.services.hub.tickets import Right, Wanted
from modelyard.services.upkeep.collecting import collect
from tests.e2e.between import between, certificate_in
from tests.e2e.environments import client_python
from tests.e2e.hub_flows import environment, outcomes
from tests.e2e.processes import ServerProcess, replicas, serving
from tests.live import running
from tests.routes.hub.sending import commit, file
from tests.s3 import BUCKET, S3Server

CLIENTS = ("hub2", "hub036")
REPO = "root/m"
REFUSALS = ("flow_what_is_not_there_is_the_right_exception", "flow_a_wrong_token_says_so")
WEIGHTS = os.urandom(300_000)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def fill(url: str, token: str, *files: tuple[str, bytes]) -> None:
    with httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as hub:
        hub.post("/api/repos/create", json={"name": "m"})
        commit(hub, REPO, *(file(*each) for each in files))


def client(name: str, code: str, variables: dict[str, str]) -> str:
    """What a program prints in the environment of a client."""
    command: Sequence[str] = [str(client_python(name)), "-c", f"import huggingface_hub as hub\n{code}"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


@pytest.mark.once
@pytest.mark.parametrize("name", CLIENTS)
def test_where_get_leads_to_another_origin_the_token_does_not_go_and_head_answers_itself(
    tmp_path: Path, moto: S3Server, name: str
) -> None:
    url = f"s3://{BUCKET}/{secrets.token_hex(8)}"
    with ExitStack() as stack:
        bucket = stack.enter_context(between(moto.endpoint))
        stack.enter_context(replace(moto, endpoint=bucket.url).as_environment())
        live = stack.enter_context(running(tmp_path, blob_url=url, s3_addressing="path", s3_redirect=True))
        front = stack.enter_context(between(live.url))
        fill(live.url, live.root_token, ("weights.bin", WEIGHTS))
        bucket.seen.clear()
        told = environment(front.url, live.root_token, tmp_path / "home")
        path = client(name, f"print(hub.hf_hub_download({REPO!r}, 'weights.bin'))", told)
        assert Path(path).read_bytes() == WEIGHTS
        files = [(each.method, each.status) for each in front.seen if "/resolve/" in each.path]
        assert files == [("HEAD", 200), ("GET", 302)]
        assert all(
            each.headers["authorization"] == f"Bearer {live.root_token}"
            for each in front.seen
            if "/resolve/" in each.path
        )
        (fetched,) = [each for each in bucket.seen if "Signature=" in each.path]
        assert "authorization" not in fetched.headers
        assert live.root_token not in str(fetched)


@pytest.mark.parametrize("name", CLIENTS)
def test_over_https_what_is_not_there_and_a_wrong_token_are_told_as_over_http(tmp_path: Path, name: str) -> None:
    """There the client has rules of its own for 401, which over http it has not."""
    certificate = certificate_in(tmp_path)
    trusted = {"SSL_CERT_FILE": str(certificate), "REQUESTS_CA_BUNDLE": str(certificate)}
    with running(tmp_path / "yard") as live, between(live.url, certificate) as front:
        result = outcomes(name, "hub_reading.py", REFUSALS, live, tmp_path / "home", front.url, **trusted)
        assert result == dict.fromkeys(REFUSALS)
        assert {each.status for each in front.seen} >= {401, 404}


def changed(server: ServerProcess) -> None:
    """Other files, and another version, by the server's own API."""
    token = (server.folder / "data" / "root-token").read_text().strip()
    fill(f"http://127.0.0.1:{server.port}", token, ("f3", b"new"), ("f9", b"new"))


OLD = {f"f{n}": f"old {n}".encode() for n in range(6)}


def snapshot(name: str, url: str, server: ServerProcess, home: Path) -> dict[str, bytes]:
    """The files of a snapshot of main, which the client reads one after the other."""
    variables = environment(url, (server.folder / "data" / "root-token").read_text().strip(), home)
    code = f"print(hub.snapshot_download({REPO!r}, max_workers=1))"
    place = Path(client(name, code, variables).splitlines()[-1])
    return {path.name: path.read_bytes() for path in place.iterdir()}


@pytest.mark.parametrize("name", CLIENTS)
def test_a_snapshot_that_a_change_overtakes_ends_with_the_old_files_on_another_replica(
    tmp_path: Path, name: str
) -> None:
    with replicas(tmp_path, 2) as (one, other), between(f"http://127.0.0.1:{one.port}") as front:
        fill(front.target, (tmp_path / "data" / "root-token").read_text().strip(), *OLD.items())
        fetched: list[str] = []

        def before(method: str, path: str) -> None:
            if method == "GET" and "/resolve/" in path:
                fetched.append(path)
                if len(fetched) == 3:
                    changed(other)
                    front.target = f"http://127.0.0.1:{other.port}"

        front.before = before
        assert snapshot(name, front.url, one, tmp_path / "home") == OLD
        assert len(fetched) == len(OLD)
        assert snapshot(name, front.url, one, tmp_path / "home") == {**OLD, "f3": b"new", "f9": b"new"}


@pytest.mark.parametrize("name", CLIENTS)
def test_a_snapshot_that_a_change_overtakes_ends_with_the_old_files_after_a_restart(tmp_path: Path, name: str) -> None:
    with ExitStack() as servers:
        server = servers.enter_context(serving(tmp_path))
        front = servers.enter_context(between(f"http://127.0.0.1:{server.port}"))
        fill(front.target, (tmp_path / "data" / "root-token").read_text().strip(), *OLD.items())
        fetched: list[str] = []

        def before(method: str, path: str) -> None:
            if method == "GET" and "/resolve/" in path:
                fetched.append(path)
                if len(fetched) == 3:
                    changed(server)
                    server.kill()
                    front.target = f"http://127.0.0.1:{servers.enter_context(serving(tmp_path)).port}"

        front.before = before
        assert snapshot(name, front.url, server, tmp_path / "home") == OLD
        assert len(fetched) == len(OLD)
        assert snapshot(name, front.url, server, tmp_path / "home") == {**OLD, "f3": b"new", "f9": b"new"}


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_sends_a_large_object_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Parts of 256 MiB are here of 1 MiB."""
    whole, completed = Objects.complete, []

    async def complete(self: Objects, right: Right, parts: dict[int, str]) -> Wanted:
        completed.append(len(parts))
        return await whole(self, right, parts)

    monkeypatch.setattr(objects, "PART_BYTES", 1024 * 1024)
    monkeypatch.setattr(Objects, "complete", complete)
    flows = ("flow_one_large_file", "flow_folder")
    with running(tmp_path / "yard") as live:
        result = outcomes(name, "hub_writing.py", flows, live, tmp_path / "home", HF_HUB_DISABLE_XET="1")
        assert result == dict.fromkeys(flows)
    assert completed == [4, 4]


def test_changed_bytes_are_sent_anew_after_the_pieces_of_the_first_upload_are_gone(tmp_path: Path) -> None:
    """Clients remember on disk what they have sent, and would refer to it."""
    place = tmp_path / "weights.bin"
    code = f"""
hub.HfApi().create_repo({REPO!r}, exist_ok=True)
hub.HfApi().upload_file(path_or_fileobj={str(place)!r}, path_in_repo="weights.bin", repo_id={REPO!r})
print(hub.hf_hub_download({REPO!r}, "weights.bin"))
"""
    content = os.urandom(3_000_000)
    with running(tmp_path / "yard") as live:
        told = environment(live.url, live.root_token, tmp_path / "home")
        for each in (content, content + b"more", content[:1_000_000] + b"other" + content[1_000_000:]):
            place.write_bytes(each)
            assert Path(client("hub2", code, told)).read_bytes() == each
            pieces = list(collect(live.app.state.database, live.app.state.store, grace=-1, dry_run=False))
            assert pieces
