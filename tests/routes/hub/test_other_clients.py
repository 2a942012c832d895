"""Requests of clients that do not run here, as they make them: vLLM, llama.cpp, the Rust client of two generations."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.live import LiveServer, running
from tests.routes.hub.conftest import Repo
from tests.routes.hub.sending import Cas, chunk, commit, lfs_file, shard
from tests.routes.hub.test_names import refused
from tests.waiting import within_one_minute

GGUF = bytes(range(256)) * 1000


def test_llama_cpp_finds_the_branch_the_tree_and_the_file(
    hub_client: Callable[[str | None], httpx2.Client], server: LiveServer, make_repo: Callable[..., Repo]
) -> None:
    """It takes `main` of the branches, all files of the first page, and resumes by a range."""
    repo = make_repo({"model-Q4_K_M.gguf": GGUF, "mmproj.gguf": b"m"})
    spelled = "hf_" + server.root_token.removeprefix("myd_")
    client = hub_client(spelled)
    branch = next(b for b in client.get(f"/api/models/{repo.id}/refs").json()["branches"] if b["name"] == "main")
    oid = branch["targetCommit"]
    assert len(oid) == 40
    tree = client.get(f"/api/models/{repo.id}/tree/{oid}?recursive=true").json()
    found = {item["path"]: item for item in tree if item["type"] == "file"}
    assert found["model-Q4_K_M.gguf"]["lfs"]["oid"] == hashlib.sha256(GGUF).hexdigest()
    url = f"/{repo.id}/resolve/{oid}/model-Q4_K_M.gguf"
    head = client.head(url)
    assert (head.status_code, head.headers["accept-ranges"]) == (200, "bytes")
    rest = client.get(url, headers={"Range": "bytes=100000-"})
    assert (rest.status_code, rest.content) == (206, GGUF[100_000:])


def test_llama_cpp_needs_no_token_for_what_is_public_and_finds_nothing_private_without_one(
    stranger: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    """A token that does not look like Hugging Face's it does not send at all."""
    public, private = make_repo({"m.gguf": GGUF}, visibility="public"), make_repo({"m.gguf": GGUF})
    (branch,) = stranger.get(f"/api/models/{public.id}/refs").json()["branches"]
    oid = branch["targetCommit"]
    (item,) = stranger.get(f"/api/models/{public.id}/tree/{oid}?recursive=true").json()
    assert (branch["name"], item["path"], item["size"]) == ("main", "m.gguf", len(GGUF))
    assert stranger.get(f"/{public.id}/resolve/{oid}/m.gguf").content == GGUF
    older = stranger.get(f"/v2/{public.id}/manifests/latest", headers={"User-Agent": "llama-cpp"})
    assert older.status_code == 404
    assert refused(stranger.get(f"/api/models/{private.id}/refs"))[:2] == (404, "RepoNotFound")


def test_diffusers_plan_by_the_siblings_of_a_version_and_read_by_its_commit(
    hub: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    """Its pipelines: the info of a version, its index, then all files of the parts that the index names."""
    index = b'{"_class_name": "DDPMPipeline", "unet": ["diffusers", "UNet2DModel"]}'
    parts = ("scheduler/scheduler_config.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors")
    repo = make_repo({"model_index.json": index, **{name: name.encode() for name in parts}})
    info = hub.get(f"/api/models/{repo.id}/revision/1.0.0").json()
    assert sorted(each["rfilename"] for each in info["siblings"]) == sorted(["model_index.json", *parts])
    assert hub.head(f"/{repo.id}/resolve/1.0.0/model_index.json").headers["x-repo-commit"] == info["sha"]
    assert hub.get(f"/{repo.id}/resolve/1.0.0/model_index.json").content == index
    for name in parts:
        assert hub.get(f"/{repo.id}/resolve/{info['sha']}/{name}").content == name.encode()


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
    oid = hub.get(f"/api/models/{repo.id}/revision/1.0.0").json()["sha"]
    tree = hub.get(f"/api/models/{repo.id}/tree/{oid}?recursive=True&expand=False").json()
    assert [item["path"] for item in tree] == ["config.json", "model-00001-of-00001.safetensors"]
    for name in ("params.json", "model.safetensors.index.json", "preprocessor_config.json"):
        missing = hub.head(f"/{repo.id}/resolve/{oid}/{name}")
        assert (missing.headers["x-error-code"], missing.headers["x-repo-commit"]) == ("EntryNotFound", oid)


def test_sentence_transformers_find_their_modules_files_and_folders(
    hub: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    """It resolves the revision, reads the files of its modules one by one, and takes a folder by its pattern."""
    names = ("modules.json", "config_sentence_transformers.json", "1_Pooling/config.json", "model.safetensors")
    repo = make_repo({name: name.encode() for name in names})
    oid = hub.get(f"/api/models/{repo.id}/revision/1.0.0").json()["sha"]
    for name in names:
        assert hub.head(f"/{repo.id}/resolve/{oid}/{name}").headers["x-repo-commit"] == oid
        assert hub.get(f"/{repo.id}/resolve/{oid}/{name}").content == name.encode()
    for name in ("sentence_bert_config.json", "sentence_roberta_config.json", "2_Normalize/config.json"):
        missing = hub.head(f"/{repo.id}/resolve/{oid}/{name}")
        assert (missing.status_code, missing.headers["x-error-code"]) == (404, "EntryNotFound")
    folder = hub.get(f"/api/models/{repo.id}/tree/{oid}/1_Pooling?recursive=true&expand=false").json()
    assert [item["path"] for item in folder] == ["1_Pooling/config.json"]
    info = hub.get(f"/api/models/{repo.id}", params={"expand": ["siblings", "library_name"]}).json()
    assert {each["rfilename"] for each in info["siblings"]} == set(names)


def test_no_answer_tells_a_reader_of_xet(hub: httpx2.Client, make_repo: Callable[..., Repo]) -> None:
    """Else clients would ask for a way to read by it."""
    repo = make_repo({"f": GGUF, "d/g": b"g"})
    api = f"/api/models/{repo.id}"
    asked = [
        *(f"{api}{rest}" for rest in ("", "?blobs=true&securityStatus=true", "?expand=siblings&expand=xetEnabled")),
        *(f"{api}/{rest}" for rest in ("tree/main?recursive=true&expand=true", "refs?include_prs=1", "commits/main")),
        *(f"{api}/{rest}" for rest in ("revision/1.0.0?blobs=true", "tree/main/missing", "revision/7.0.0")),
        *(f"/{repo.id}/resolve/main/{rest}" for rest in ("d/g", "missing")),
        *("/api/models?full=true&expand=siblings&expand=xetHash", "/api/whoami-v2"),
    ]
    answers = [hub.request(method, path) for path in asked for method in ("GET", "HEAD")]
    body = {"paths": ["f", "d"], "expand": True}
    answers.append(hub.post(f"{api}/paths-info/main", json=body))
    for answer in answers:
        assert b"xethash" not in answer.content.lower()
        assert not any("xet" in name for name in answer.headers)


def test_the_newer_rust_client_sends_by_xet(
    hub: httpx2.Client, stranger: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    """Whatever preupload tells it to send before the commit, with the newest paths first."""
    repo = make_repo({})
    asked = {"files": [{"path": "model.gguf", "size": len(GGUF), "sample": base64.b64encode(GGUF[:512]).decode()}]}
    (advice,) = hub.post(f"/api/models/{repo.id}/preupload/main", json=asked).json()["files"]
    assert (advice["uploadMode"], advice["shouldIgnore"]) == ("lfs", False)
    cas, xorb = Cas(hub, stranger, repo.id), b"\x01" * 32
    chunks = [GGUF[at : at + 64 * 1024] for at in range(0, len(GGUF), 64 * 1024)]
    assert cas.xorb(xorb, b"".join(chunk(each, 1) for each in chunks)).json() == {"was_inserted": True}
    made = shard((hashlib.sha256(GGUF).hexdigest(), [(xorb, 0, len(chunks), len(GGUF))]))
    assert cas.shard(made, "v2/shards").status_code == 404
    assert cas.shard(made).json() == {"result": 1}
    commit(hub, repo.id, lfs_file("model.gguf", GGUF))
    assert hub.get(f"/{repo.id}/resolve/main/model.gguf").content == GGUF


def test_a_client_that_asks_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    with running(tmp_path, rate_limit_anonymous=1) as live, httpx2.Client(base_url=live.url) as client:
        within_one_minute(5)
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
