"""Requests of clients that do not run here, as they make them: vLLM, llama.cpp, the Rust client of two generations."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.live import LiveServer, running
from tests.routes.hub.conftest import Repo
from tests.routes.hub.test_names import refused

GGUF = bytes(range(256)) * 1000


def test_llama_cpp_finds_the_branch_the_tree_and_the_file(
    hub_client: Callable[[str | None], httpx2.Client], server: LiveServer, make_repo: Callable[..., Repo]
) -> None:
    """It takes `main` of the branches, all files of the first page, and resumes by a range."""
    repo = make_repo({"model-Q4_K_M.gguf": GGUF, "mmproj.gguf": b"m"})
    spelled = "hf_" + server.root_token.removeprefix("myd_")
    client = hub_client(spelled)
    branch = next(b for b in client.get(f"/api/models/{repo.id}/refs").json()["branches"] if b["name"] == "main")
    commit = branch["targetCommit"]
    assert len(commit) == 40
    tree = client.get(f"/api/models/{repo.id}/tree/{commit}?recursive=true").json()
    found = {item["path"]: item for item in tree if item["type"] == "file"}
    assert found["model-Q4_K_M.gguf"]["lfs"]["oid"] == hashlib.sha256(GGUF).hexdigest()
    url = f"/{repo.id}/resolve/{commit}/model-Q4_K_M.gguf"
    head = client.head(url)
    assert (head.status_code, head.headers["accept-ranges"]) == (200, "bytes")
    rest = client.get(url, headers={"Range": "bytes=100000-"})
    assert (rest.status_code, rest.content) == (206, GGUF[100_000:])


def test_the_rust_client_asks_for_the_first_byte_and_reads_the_headers(
    hub: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    """hf-hub up to 0.4, which text-generation-inference has, never sends HEAD."""
    repo = make_repo({"model.safetensors": GGUF})
    answer = hub.get(f"/{repo.id}/resolve/main/model.safetensors", headers={"Range": "bytes=0-0"})
    assert (answer.status_code, answer.headers["content-range"]) == (206, f"bytes 0-0/{len(GGUF)}")
    assert {"etag", "x-repo-commit"} <= set(answer.headers)
    info = hub.get(f"/api/models/{repo.id}/revision/main").json()
    assert (info["sha"], info["siblings"]) == (answer.headers["x-repo-commit"], [{"rfilename": "model.safetensors"}])


def test_the_newer_rust_client_asks_whether_its_file_is_still_right(
    hub: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo = make_repo({"f": b"f"})
    tag = hub.head(f"/{repo.id}/resolve/main/f").headers["etag"]
    again = hub.head(f"/{repo.id}/resolve/main/f", headers={"If-None-Match": tag})
    assert (again.status_code, len(again.headers["x-repo-commit"])) == (304, 40)
    paths = hub.post(f"/api/models/{repo.id}/paths-info/main", json={"paths": ["f"], "expand": True})
    assert paths.json()[0]["path"] == "f"


def test_vllm_lists_files_and_probes_for_what_is_not_there(hub: httpx2.Client, make_repo: Callable[..., Repo]) -> None:
    repo = make_repo({"config.json": b"{}", "model-00001-of-00001.safetensors": b"weights"})
    commit = hub.get(f"/api/models/{repo.id}/revision/1.0.0").json()["sha"]
    tree = hub.get(f"/api/models/{repo.id}/tree/{commit}?recursive=True&expand=False").json()
    assert [item["path"] for item in tree] == ["config.json", "model-00001-of-00001.safetensors"]
    for name in ("params.json", "model.safetensors.index.json", "preprocessor_config.json"):
        missing = hub.head(f"/{repo.id}/resolve/{commit}/{name}")
        assert (missing.headers["x-error-code"], missing.headers["x-repo-commit"]) == ("EntryNotFound", commit)


def test_a_client_that_asks_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    with running(tmp_path, rate_limit_anonymous=1) as live, httpx2.Client(base_url=live.url) as client:
        client.get("/api/agent-harnesses")
        for path in ("/api/models", "/a/b/resolve/main/f", "/api/models/a/b"):
            answer = client.get(path)
            assert refused(answer) == (429, None, "Retry later")
            assert int(answer.headers["retry-after"]) >= 1
        assert client.get("/api/v4/projects").text == "Retry later\n"


def test_a_fault_of_the_server_is_told_in_the_apis_shape(
    monkeypatch: pytest.MonkeyPatch, server: LiveServer, hub: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo = make_repo()

    async def broken(*_arguments: Any) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(server.app.state.hub_files, "locate", broken)
    answer = hub.get(f"/{repo.id}/resolve/main/config.json")
    assert refused(answer) == (500, None, "500 Internal Server Error")
