"""Hugging Face's client reads what the file API wrote: run in the environments of three of its generations.

`HF_ENDPOINT` and `HF_TOKEN` are all that is set. What a flow needs to know beside the client is in `harness`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import HfApi, HfFileSystem, hf_hub_download, snapshot_download
from huggingface_hub.utils import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from harness import SERVER, TOKEN, Yard, run

NEWEST = int(huggingface_hub.__version__.partition(".")[0]) >= 2
BIG = os.urandom(3 * 1024 * 1024 + 17)
ODD = "dir é/a b+c#d%e.txt"
FILES = {
    "config.json": b'{"model_type": "bert", "hidden_size": 32}',
    "empty": b"",
    "weights.bin": BIG,
    ODD: b"odd",
    "nested/deep/f": b"f",
}


class Model:
    """A model of a project that is named like it, with a version."""

    def __init__(self, yard: Yard, files: dict[str, bytes] = FILES, version: str = "1.0.0") -> None:
        self.yard, self.id, self.name = yard, yard.path, yard.path.rpartition("/")[2]
        self._mlflow("registered-models/create", name=self.name)
        self.version = self.add(version, files)

    def add(self, version: str, files: dict[str, bytes]) -> str:
        tags = [{"key": "gitlab.version", "value": version}]
        made = json.loads(self._mlflow("model-versions/create", name=self.name, tags=tags))
        owner = str(made["model_version"]["version"])
        for name, content in files.items():
            self.yard.put(owner, name, content)
        return owner

    def _mlflow(self, path: str, **body: object) -> bytes:
        return post(f"{self.yard.tracking_uri}/api/2.0/mlflow/{path}", body)


def post(url: str, body: object) -> bytes:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    request.add_header("PRIVATE-TOKEN", TOKEN)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return bytes(answer.read())


def folder() -> Path:
    return Path(tempfile.mkdtemp())


def cli(*arguments: str, **variables: str) -> str:
    command = [str(Path(sys.executable).parent / "hf"), *arguments]
    environment = {**os.environ, "HF_HOME": str(folder()), "NO_COLOR": "1", **variables}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout + finished.stderr


def contents(below: Path) -> dict[str, bytes]:
    files = (path for path in below.rglob("*") if path.is_file() and ".cache" not in path.parts)
    return {str(path.relative_to(below)): path.read_bytes() for path in files}


def flow_one_file_by_every_kind_of_revision(yard: Yard) -> None:
    model, cache = Model(yard), folder()
    commit = HfApi().model_info(model.id).sha
    assert commit is not None
    assert re.fullmatch("[0-9a-f]{40}", commit)
    for revision in ("1.0.0", "v1.0.0", "main", commit):
        path = Path(hf_hub_download(model.id, "config.json", revision=revision, cache_dir=cache))
        assert path.read_bytes() == FILES["config.json"]
        assert commit in path.parts
    for name, content in FILES.items():
        assert Path(hf_hub_download(model.id, name, cache_dir=cache)).read_bytes() == content


def flow_a_whole_snapshot(yard: Yard) -> None:
    model = Model(yard)
    assert contents(Path(snapshot_download(model.id, cache_dir=folder()))) == FILES
    assert contents(Path(snapshot_download(model.id, revision="1.0.0", local_dir=folder()))) == FILES
    some = snapshot_download(model.id, allow_patterns=["*.json", "nested/*"], cache_dir=folder())
    assert set(contents(Path(some))) == {"config.json", "nested/deep/f"}


def flow_a_dry_run_tells_what_would_come(yard: Yard) -> None:
    model, target = Model(yard), folder()
    planned = snapshot_download(model.id, cache_dir=folder(), dry_run=True)
    assert {each.filename: each.file_size for each in planned} == {name: len(c) for name, c in FILES.items()}
    said = cli("download", model.id, "--local-dir", str(target), "--dry-run")
    assert "weights.bin" in said
    assert contents(target) == {}


def flow_a_snapshot_that_began_before_a_change_ends_with_the_old_files(yard: Yard) -> None:
    model, cache = Model(yard, {"a": b"old", "b": b"b"}), folder()
    commit = HfApi().model_info(model.id, revision="1.0.0").sha
    yard.put(model.version, "a", b"new")
    yard.put(model.version, "c", b"c")
    assert contents(Path(snapshot_download(model.id, revision=commit, cache_dir=cache))) == {"a": b"old", "b": b"b"}
    assert set(contents(Path(snapshot_download(model.id, cache_dir=cache)))) == {"a", "b", "c"}


def flow_an_interrupted_download_goes_on(yard: Yard) -> None:
    """The client before the newest keeps what it had; all verify the whole by its size."""
    model, cache = Model(yard), folder()
    blobs = cache / f"models--{model.id.replace('/', '--')}" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{hashlib.sha256(BIG).hexdigest()}.incomplete").write_bytes(BIG[:1_000_000])
    assert Path(hf_hub_download(model.id, "weights.bin", cache_dir=cache)).read_bytes() == BIG


def flow_info_tree_refs_and_commits(yard: Yard) -> None:
    model, api = Model(yard), HfApi()
    info = api.model_info(model.id, files_metadata=True)
    by_name = {each.rfilename: each for each in info.siblings or []}
    assert {name: each.size for name, each in by_name.items()} == {name: len(c) for name, c in FILES.items()}
    big = by_name["weights.bin"].lfs
    assert big is not None
    assert (big["sha256"] if isinstance(big, dict) else big.sha256) == hashlib.sha256(BIG).hexdigest()
    assert info.id == model.id
    assert info.private is True
    assert (
        set(api.list_repo_files(model.id))
        == set(FILES)
        == {item.path for item in api.list_repo_tree(model.id, recursive=True) if hasattr(item, "blob_id")}
    )
    assert {item.path for item in api.list_repo_tree(model.id, "nested", expand=True)} == {"nested/deep"}
    assert [item.path for item in api.get_paths_info(model.id, ["config.json", "missing", "nested"])] == [
        "config.json",
        "nested",
    ]
    model.add("2.0.0", {"config.json": b"{}"})
    refs = api.list_repo_refs(model.id)
    assert [ref.name for ref in refs.branches] == ["main"]
    assert [ref.name for ref in refs.tags] == ["2.0.0", "1.0.0"]
    assert refs.branches[0].target_commit == api.model_info(model.id, revision="2.0.0").sha
    (only,) = api.list_repo_commits(model.id, revision="2.0.0")
    assert only.commit_id == refs.branches[0].target_commit
    assert only.created_at.tzinfo is not None
    some = api.model_info(model.id, expand=["sha", "siblings", "gguf"])
    assert some.sha == refs.branches[0].target_commit


def flow_many_files_come_in_pages(yard: Yard) -> None:
    """The server that the flows run against has few items on a page."""
    files = {f"part/{i:04}": b"x" for i in range(25)}
    model = Model(yard, files)
    tree = [item.path for item in HfApi().list_repo_tree(model.id, recursive=True)]
    assert tree == sorted([*files, "part"])
    assert HfApi().list_repo_files(model.id) == sorted(files)


def flow_what_is_not_there_is_the_right_exception(yard: Yard) -> None:
    model, api = Model(yard), HfApi()
    for asked, expected in (
        ((model.id, "missing", None), EntryNotFoundError),
        ((model.id, "config.json", "3.0.0"), RevisionNotFoundError),
        ((f"{model.id}-not", "config.json", None), RepositoryNotFoundError),
    ):
        repo, name, revision = asked
        try:
            hf_hub_download(repo, name, revision=revision, cache_dir=folder())
        except expected as error:
            assert not isinstance(error, GatedRepoError)
        else:
            raise AssertionError((asked, "was found"))
    assert api.file_exists(model.id, "config.json")
    assert not api.file_exists(model.id, "missing")
    assert api.repo_exists(model.id)
    assert not api.repo_exists(f"{model.id}-not")
    assert not api.repo_exists(model.id, repo_type="dataset")
    assert api.revision_exists(model.id, "1.0.0")
    assert not api.revision_exists(model.id, "1.0.1")


def flow_a_wrong_token_says_so(yard: Yard) -> None:
    model = Model(yard)
    for wrong in ("hf_wrong", "myd_wrong"):
        try:
            HfApi(token=wrong).model_info(model.id)
        except RepositoryNotFoundError as error:
            raise AssertionError("it passes for a missing repository") from error
        except Exception as error:
            assert "Invalid credentials in Authorization header" in str(error), error
        else:
            raise AssertionError("it was taken")
    for stranger in (HfApi(token=False), HfApi(token=False)):
        assert not stranger.repo_exists(model.id)
        assert stranger.file_exists(model.id, "config.json") is False


def flow_who_may_not_is_told_why(yard: Yard) -> None:
    """A job of another project sees a public one, and may not read it; a token that only reads does not write."""
    Model(yard)
    name = f"{yard.path.rpartition('/')[2]}-open"
    made = json.loads(yard.call("POST", f"/projects?name={name}&visibility=public"))
    other = Yard(made["id"], made["path_with_namespace"])
    Model(other)
    job = HfApi(token=json.loads(yard.call("POST", f"/projects/{yard.project}/job_tokens"))["token"])
    try:
        job.model_info(other.path)
    except GatedRepoError as error:
        assert "another project" in str(error)
    else:
        raise AssertionError("it was read")
    assert job.repo_exists(other.path)
    body = {"name": "reads", "scopes": ["read_api"]}
    reading = HfApi(token=json.loads(post(f"{SERVER}/api/v4/users/1/personal_access_tokens", body))["token"])
    assert reading.file_exists(other.path, "config.json")
    try:
        reading.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id=other.path)
    except HfHubHTTPError as error:
        assert "403" in str(error), error
        assert "higher privileges" in str(error), error
    else:
        raise AssertionError("it was written")


def flow_a_revision_is_one_segment_whatever_is_in_it(yard: Yard) -> None:
    model = Model(yard, {"f": b"one"}, "1.0.0+b.2")
    for revision in ("1.0.0+b.2", "v1.0.0+b.2"):
        assert Path(hf_hub_download(model.id, "f", revision=revision, cache_dir=folder())).read_bytes() == b"one"
        assert HfApi().list_repo_files(model.id, revision=revision) == ["f"]
    assert not HfApi().revision_exists(model.id, "feature/x+y")
    assert contents(Path(snapshot_download(model.id, revision="1.0.0+b.2", local_dir=folder()))) == {"f": b"one"}


def flow_models_are_listed(yard: Yard) -> None:
    model, api = Model(yard), HfApi()
    namespace = model.id.partition("/")[0]
    assert [each.id for each in api.list_models(author=namespace, search=model.name)] == [model.id]
    assert len(list(api.list_models(author=namespace, limit=1))) == 1
    assert model.id in {each.id for each in api.list_models(sort="created_at" if NEWEST else "createdAt", full=True)}
    assert list(HfApi(token=False).list_models(search=model.name)) == []


def flow_the_caller_is_known(yard: Yard) -> None:
    Model(yard)
    who = HfApi().whoami()
    assert who["name"] == "root"
    assert who["auth"]["accessToken"]["role"] == "write"
    HfApi().auth_check(yard.path)


def flow_the_file_system_reads(yard: Yard) -> None:
    model, files = Model(yard), HfFileSystem()
    assert {Path(each).name for each in files.ls(model.id, detail=False)} == {
        "config.json",
        "empty",
        "weights.bin",
        "nested",
        "dir é",
    }
    assert files.info(f"{model.id}/weights.bin")["size"] == len(BIG)
    with files.open(f"{model.id}@1.0.0/weights.bin", "rb") as file:
        file.seek(1000)
        assert file.read(20) == BIG[1000:1020]
    assert files.read_text(f"{model.id}/config.json").encode() == FILES["config.json"]
    assert sorted(files.glob(f"{model.id}/nested/**/f")) == [f"{model.id}/nested/deep/f"]
    assert not files.exists(f"{model.id}/missing")


def flow_the_command_downloads(yard: Yard) -> None:
    model, target = Model(yard), folder()
    cli("download", model.id, "--revision", "1.0.0", "--local-dir", str(target))
    assert contents(target) == FILES
    one = folder()
    cli("download", model.id, "config.json", "--local-dir", str(one))
    assert contents(one) == {"config.json": FILES["config.json"]}
    assert "root" in cli("auth", "whoami")


def flow_logging_in_keeps_the_token(yard: Yard) -> None:
    Model(yard)
    home = folder()
    said = cli("auth", "login", "--token", TOKEN, HF_HOME=str(home), HF_TOKEN="")
    assert "error" not in said.lower(), said
    assert "root" in cli("auth", "whoami", HF_HOME=str(home), HF_TOKEN="")


def flow_a_cache_is_verified(yard: Yard) -> None:
    model, home = Model(yard), folder()
    cli("download", model.id, HF_HOME=str(home))
    assert "mismatch" not in cli("cache", "verify", model.id, HF_HOME=str(home)).lower().replace("no mismatch", "")


def flow_any_model_by_its_long_name(yard: Yard) -> None:
    model = Model(yard)
    other = "other.model"
    model._mlflow("registered-models/create", name=other)
    made = json.loads(model._mlflow("model-versions/create", name=other))
    yard.put(str(made["model_version"]["version"]), "f", b"other")
    long = f"{yard.path.replace('/', '__')}/{other}"
    assert Path(hf_hub_download(long, "f", cache_dir=folder())).read_bytes() == b"other"
    assert HfApi().model_info(long).id == long


def flow_an_offline_load_after_one_download(yard: Yard) -> None:
    model, home = Model(yard), folder()
    cli("download", model.id, "--revision", "1.0.0", HF_HOME=str(home))
    cli("download", model.id, "--revision", "1.0.0", HF_HOME=str(home), HF_HUB_OFFLINE="1")


def flow_the_endpoint_may_end_in_a_slash(yard: Yard) -> None:
    model, target = Model(yard), folder()
    cli("download", model.id, "--local-dir", str(target), HF_ENDPOINT=f"{SERVER}/")
    assert contents(target) == FILES


def _tokenizer(model: Any) -> dict[str, bytes]:
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(models.WordLevel({"[UNK]": 0, "hello": 1, "world": 2}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}
    return {
        "tokenizer.json": made.to_str().encode(),
        "tokenizer_config.json": json.dumps(config).encode(),
        "config.json": json.dumps(model).encode(),
    }


def flow_transformers_load_config_and_tokenizer(yard: Yard) -> None:
    import transformers

    model = Model(yard, _tokenizer({"model_type": "bert", "hidden_size": 48, "num_attention_heads": 4}))
    cache = str(folder())
    for revision in ("1.0.0", "main"):
        config = transformers.AutoConfig.from_pretrained(model.id, revision=revision, cache_dir=cache)
        assert config.hidden_size == 48
        tokenizer = transformers.AutoTokenizer.from_pretrained(model.id, revision=revision, cache_dir=cache)
        assert tokenizer("hello world")["input_ids"] == [1, 2]
    yard.put(model.version, "config.json", json.dumps({"model_type": "bert", "hidden_size": 64}).encode())
    assert transformers.AutoConfig.from_pretrained(model.id, cache_dir=cache).hidden_size == 64


def flow_diffusers_load_a_config(yard: Yard) -> None:
    """What of it works without torch: pipelines are made of such files."""
    from diffusers.configuration_utils import ConfigMixin

    index = {"_class_name": "DDPMPipeline", "scheduler": ["diffusers", "DDPMScheduler"]}
    model = Model(
        yard,
        {
            "model_index.json": json.dumps(index).encode(),
            "scheduler/scheduler_config.json": b'{"_class_name": "DDPMScheduler", "num_train_timesteps": 17}',
        },
    )

    class Scheduler(ConfigMixin):  # type: ignore[misc]
        config_name = "scheduler_config.json"

    class Pipeline(ConfigMixin):  # type: ignore[misc]
        config_name = "model_index.json"

    for revision in ("1.0.0", "main"):
        found = Scheduler.load_config(model.id, subfolder="scheduler", revision=revision, cache_dir=str(folder()))
        assert found["num_train_timesteps"] == 17
        assert (
            Pipeline.load_config(model.id, revision=revision, cache_dir=str(folder()))["_class_name"] == "DDPMPipeline"
        )


if __name__ == "__main__":
    run(globals())
