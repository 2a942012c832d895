"""Hugging Face's client sends what all APIs show: run in the environments of three of its generations.

`HF_ENDPOINT` and `HF_TOKEN` are all that is set; the newest client sends large files by xet then.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import huggingface_hub
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.utils import EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError

from harness import Yard, run, sha256

NEWEST = int(huggingface_hub.__version__.partition(".")[0]) >= 2
BIG = os.urandom(3 * 1024 * 1024 + 17)
ODD = "dir é/a b+c#d%e.txt"
FILES = {
    "README.md": b"---\nlicense: mit\n---\n# A model\n",
    "config.json": b'{"model_type": "bert", "hidden_size": 32}',
    "empty": b"",
    "weights.bin": BIG,
    "zeros.bin": bytes(200_000),
    ODD: b"odd",
    "nested/deep/f": b"f",
}
api = HfApi()


def folder(files: dict[str, bytes] = FILES) -> Path:
    place = Path(tempfile.mkdtemp())
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    return place


def repo(yard: Yard) -> str:
    api.create_repo(yard.path, exist_ok=True)
    return str(yard.path)


def version_id(yard: Yard, version: str = "1.0.0") -> str:
    name = yard.path.rpartition("/")[2]
    path = f"/projects/{yard.project}/ml/mlflow/api/2.0/mlflow/registered-models/alias?name={name}&alias={version}"
    found: dict[str, dict[str, object]] = json.loads(yard.call("GET", path))
    return str(found["model_version"]["version"])


def same_everywhere(yard: Yard, files: dict[str, bytes], revision: str = "1.0.0") -> None:
    """What was sent is there by this API, the file API and MLflow's, and nothing else."""
    owner = version_id(yard, revision)
    assert sorted(api.list_repo_files(yard.path, revision=revision)) == sorted(files)
    place = Path(snapshot_download(yard.path, revision=revision, local_dir=tempfile.mkdtemp()))
    artifacts = f"/projects/{yard.project}/ml/mlflow/api/2.0/mlflow-artifacts/artifacts/{owner}"
    for name, content in files.items():
        assert sha256((place / name).read_bytes()) == sha256(content), name
        assert sha256(yard.get(owner, name)) == sha256(content), name
    assert sha256(yard.call("GET", f"{artifacts}/config.json")) == sha256(files["config.json"])


def refuses(kind: type[Exception], call: object, *words: str) -> None:
    try:
        call()  # type: ignore[operator]
    except kind as error:
        for word in words:
            assert word in str(error), str(error)
    else:
        raise AssertionError("it was not refused")


def flow_folder(yard: Yard) -> None:
    made = api.upload_folder(repo_id=repo(yard), folder_path=folder())
    assert str(getattr(made, "commit_url", made)).startswith(f"{os.environ['HF_ENDPOINT']}/{yard.path}/commit/")
    same_everywhere(yard, FILES)


def flow_three_hundred_files(yard: Yard) -> None:
    """More than are asked about, and committed, at a time."""
    many = {f"nested/{n % 7}/{n}": b"%d" % n for n in range(294)}
    files = {"README.md": FILES["README.md"], "config.json": b"{}", "empty": b"", "weights.bin": BIG, ODD: b"", **many}
    api.upload_folder(repo_id=repo(yard), folder_path=folder(files))
    assert sorted(api.list_repo_files(yard.path)) == sorted(files)
    read = ["README.md", "empty", "weights.bin", "nested/1/1", "nested/6/293"]
    place = Path(snapshot_download(yard.path, local_dir=tempfile.mkdtemp(), allow_patterns=read))
    assert {name: (place / name).read_bytes() for name in read} == {name: files[name] for name in read}


def flow_many_files_in_one_commit(yard: Yard) -> None:
    adds = [CommitOperationAdd(f"d{n % 10}/{n}", b"%d" % n) for n in range(1_000)]
    api.create_commit(repo(yard), adds, commit_message="many")
    assert sorted(api.list_repo_files(yard.path)) == sorted(each.path_in_repo for each in adds)
    assert [each.title for each in api.list_repo_commits(yard.path)].count("many") == 1


def flow_folder_again_changes_nothing(yard: Yard) -> None:
    place = folder()
    api.upload_folder(repo_id=repo(yard), folder_path=place)
    before = api.model_info(yard.path).sha
    package_files = f"/projects/{yard.project}/packages"
    (package,) = json.loads(yard.call("GET", package_files))
    kept = yard.call("GET", f"{package_files}/{package['id']}/package_files?per_page=100")
    api.upload_folder(repo_id=yard.path, folder_path=place)
    assert api.model_info(yard.path).sha == before
    assert yard.call("GET", f"{package_files}/{package['id']}/package_files?per_page=100") == kept
    (only,) = api.list_repo_refs(yard.path).tags
    assert only.name == "1.0.0"


def flow_files(yard: Yard) -> None:
    path = folder({"f": BIG}) / "f"
    for content, name in ((b"bytes", "bytes"), (str(path), "path"), (io.BytesIO(BIG[:100_000]), "open"), (b"", "none")):
        api.upload_file(path_or_fileobj=content, path_in_repo=f"in/{name}", repo_id=repo(yard))
    found = {
        name: Path(hf_hub_download(yard.path, f"in/{name}")).read_bytes() for name in ("bytes", "path", "open", "none")
    }
    assert found == {"bytes": b"bytes", "path": BIG, "open": BIG[:100_000], "none": b""}


def flow_revision(yard: Yard) -> None:
    """A branch is a version, with the files of main; what is sent then changes it alone."""
    api.upload_folder(repo_id=repo(yard), folder_path=folder())
    api.create_branch(yard.path, branch="2.0.0")
    api.create_branch(yard.path, branch="2.0.0", exist_ok=True)
    changed = {**FILES, "config.json": b"{}", "weights.bin": BIG[::-1]}
    api.upload_folder(repo_id=yard.path, folder_path=folder(changed), revision="2.0.0")
    same_everywhere(yard, changed, "2.0.0")
    same_everywhere(yard, FILES, "1.0.0")
    api.create_tag(yard.path, tag="1.5.0", revision="1.0.0", tag_message="m")
    api.create_tag(yard.path, tag="1.5.0", exist_ok=True)
    same_everywhere(yard, FILES, "1.5.0")
    api.delete_tag(yard.path, tag="1.5.0")
    api.delete_branch(yard.path, branch="2.0.0")
    assert [each.name for each in api.list_repo_refs(yard.path).tags] == ["1.0.0"]
    refuses(HfHubHTTPError, lambda: api.create_branch(yard.path, branch="feature"), "semantic version")


def flow_operations(yard: Yard) -> None:
    api.upload_folder(repo_id=repo(yard), folder_path=folder())
    parent = api.model_info(yard.path).sha
    operations = [
        CommitOperationAdd("new", b"new"),
        CommitOperationAdd("large", BIG[:500_000]),
        CommitOperationDelete("empty"),
        CommitOperationDelete("nested/", is_folder=True),
        CommitOperationCopy("weights.bin", "copies/weights.bin"),
    ]
    made = api.create_commit(yard.path, operations, commit_message="several", parent_commit=parent)
    assert made.oid == api.model_info(yard.path).sha
    expected = {name: content for name, content in FILES.items() if name not in {"empty", "nested/deep/f"}}
    same_everywhere(yard, {**expected, "new": b"new", "large": BIG[:500_000], "copies/weights.bin": BIG})
    stale = [CommitOperationAdd("late", b"late")]
    refuses(
        HfHubHTTPError, lambda: api.create_commit(yard.path, stale, commit_message="l", parent_commit=parent), "412"
    )
    api.delete_file("new", yard.path)
    api.delete_folder("copies", yard.path)
    refuses(EntryNotFoundError, lambda: api.delete_file("new", yard.path), "doesn't exist")


def flow_repository(yard: Yard) -> None:
    name = f"{yard.path}-made"
    made = api.create_repo(name, private=True)
    assert (made.repo_id, str(made)) == (name, f"{os.environ['HF_ENDPOINT']}/{name}")
    refuses(HfHubHTTPError, lambda: api.create_repo(name))
    assert api.create_repo(name, exist_ok=True).repo_id == name
    assert api.model_info(name).private
    api.upload_file(path_or_fileobj=b"a", path_in_repo="a", repo_id=name)
    refuses(HfHubHTTPError, lambda: api.move_repo(name, f"{name}-2"), "rename")
    api.delete_repo(name)
    refuses(RepositoryNotFoundError, lambda: api.delete_repo(name))
    api.delete_repo(name, missing_ok=True)
    assert not api.repo_exists(name)


def flow_refusals(yard: Yard) -> None:
    """Before a byte is sent, and in words that the client shows."""
    name = repo(yard)

    def send(path: str = "f", content: bytes = BIG, **options: object) -> None:
        api.upload_file(path_or_fileobj=content, path_in_repo=path, repo_id=name, **options)

    refuses(HfHubHTTPError, lambda: send(create_pr=True), "pull requests")
    refuses(HfHubHTTPError, lambda: send("a\\b"), "no name")
    refuses(HfHubHTTPError, lambda: api.super_squash_history(name))
    yard.call("PUT", f"/projects/{yard.project}?storage_limit=1000000")
    refuses(HfHubHTTPError, send, "limit of 1000000 bytes")
    refuses(HfHubHTTPError, lambda: send(content=bytes(70 * 1024 * 1024)), "too large")


def flow_beside_the_file_api(yard: Yard) -> None:
    api.upload_file(path_or_fileobj=b"one", path_in_repo="config.json", repo_id=repo(yard))
    owner = version_id(yard)
    yard.put(owner, "weights.bin", BIG)
    before = api.model_info(yard.path).sha
    api.upload_file(path_or_fileobj=BIG, path_in_repo="weights.bin", repo_id=yard.path)
    assert api.model_info(yard.path).sha == before
    yard.put(owner, "config.json", b"two")
    same_everywhere(yard, {"config.json": b"two", "weights.bin": BIG})


def flow_command(yard: Yard) -> None:
    hf = [str(Path(sys.executable).with_name("hf"))]
    place = folder()
    for options in ((), ("--revision", "2.0.0")):
        done = subprocess.run(
            [*hf, "upload", yard.path, str(place), *options], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    same_everywhere(yard, FILES, "2.0.0")


def flow_large_folder(yard: Yard) -> None:
    """Which the newest client does by `upload_folder`."""
    if NEWEST:
        return
    place = folder({**{f"d/{n}": os.urandom(70_000) for n in range(20)}, "config.json": b"{}"})
    api.upload_large_folder(repo_id=repo(yard), folder_path=place, repo_type="model", num_workers=2)
    assert len(api.list_repo_files(yard.path)) == 21


def flow_one_large_file(yard: Yard) -> None:
    api.upload_file(path_or_fileobj=BIG, path_in_repo="weights.bin", repo_id=repo(yard))
    assert Path(hf_hub_download(yard.path, "weights.bin")).read_bytes() == BIG


def flow_twenty_megabytes(yard: Yard) -> None:
    content = os.urandom(20_000_000)
    api.upload_file(path_or_fileobj=content, path_in_repo="weights.bin", repo_id=repo(yard))
    assert Path(hf_hub_download(yard.path, "weights.bin")).read_bytes() == content


def flow_tokenizer(yard: Yard) -> None:
    if not NEWEST:
        return
    from tokenizers import Tokenizer, models
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    words = {"[UNK]": 0, "a": 1, "b": 2}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="[UNK]")))
    tokenizer.push_to_hub(yard.path)
    assert AutoTokenizer.from_pretrained(yard.path).get_vocab() == words


if __name__ == "__main__":
    run(globals())
