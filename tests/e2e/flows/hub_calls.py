"""How often Hugging Face's clients ask, what they make of a bad network, and what comes of what they send then."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import huggingface_hub
from huggingface_hub import HfApi

from harness import Yard, run
from recording import Recorder, recording

NEWEST = int(huggingface_hub.__version__.partition(".")[0]) >= 2
BIG = os.urandom(3 * 1024 * 1024)
FILES = {"config.json": b'{"model_type": "bert", "hidden_size": 48, "num_attention_heads": 4}', "weights.bin": BIG}
Calls = list[tuple[str, str]]


def fill(yard: Yard, files: dict[str, bytes] = FILES) -> str:
    api = HfApi()
    api.create_repo(yard.path, exist_ok=True)
    for name, content in files.items():
        api.upload_file(path_or_fileobj=content, path_in_repo=name, repo_id=yard.path)
    return str(yard.path)


def client(recorder: Recorder, code: str, home: str, **variables: str) -> str:
    """What a program prints that knows the server by the proxy alone."""
    told = {**os.environ, "HF_ENDPOINT": recorder.url, "HF_HOME": home, **variables}
    command = [sys.executable, "-c", f"from huggingface_hub import HfApi, hf_hub_download, snapshot_download\n{code}"]
    done = subprocess.run(command, env=told, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


def asked(recorder: Recorder) -> Calls:
    return [call for call in recorder.taken() if call[1] not in {"/api/agent-harnesses", "/v1/telemetry"}]


def flow_a_second_download_makes_one_head_and_one_by_commit_makes_none(yard: Yard) -> None:
    name, home = fill(yard), tempfile.mkdtemp()
    commit = HfApi().model_info(name).sha
    with recording() as recorder:
        for revision, expected in (("1.0.0", ["HEAD", "GET"]), ("1.0.0", ["HEAD"]), (commit, [])):
            client(recorder, f"hf_hub_download({name!r}, 'config.json', revision={revision!r})", home)
            found = asked(recorder)
            assert [method for method, _path in found] == expected, found
            assert all(path == f"/{name}/resolve/{revision}/config.json" for _method, path in found)


def flow_a_second_snapshot_asks_once(yard: Yard) -> None:
    name, home = fill(yard), tempfile.mkdtemp()
    with recording() as recorder:
        client(recorder, f"snapshot_download({name!r}, revision='1.0.0')", home)
        asked(recorder)
        client(recorder, f"snapshot_download({name!r}, revision='1.0.0')", home)
        found = asked(recorder)
    assert ("GET", f"/api/models/{name}/revision/1.0.0") in found
    assert len(found) == 1 or not NEWEST, found


def flow_a_second_tokenizer_asks_for_no_file(yard: Yard) -> None:
    if not NEWEST:
        return
    from tokenizers import Tokenizer, models

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]")).to_str().encode()
    config = b'{"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}'
    name, home = fill(yard, {**FILES, "tokenizer.json": tokenizer, "tokenizer_config.json": config}), tempfile.mkdtemp()
    code = f"from transformers import AutoTokenizer; AutoTokenizer.from_pretrained({name!r}, revision='1.0.0')"
    with recording() as recorder:
        client(recorder, code, home)
        first = asked(recorder)
        client(recorder, code, home)
        again = asked(recorder)
    assert [method for method, _path in first].count("HEAD") > 3
    assert {method for method, _path in again} == {"GET"}, again
    assert not any("/resolve/" in path for _method, path in again), again


def flow_an_unchanged_file_is_not_sent(yard: Yard) -> None:
    """By LFS; where the newest client chooses xet, it sends all bytes and makes no commit of them."""
    name = fill(yard)
    with recording() as recorder:
        place = Path(tempfile.mkdtemp())
        for each, content in FILES.items():
            (place / each).write_bytes(content)
        code = f"HfApi().upload_folder(repo_id={name!r}, folder_path={str(place)!r})"
        before = HfApi().model_info(name).sha
        client(recorder, code, tempfile.mkdtemp())
        assert HfApi().model_info(name).sha == before
        asked(recorder)
        client(recorder, code, tempfile.mkdtemp(), HF_HUB_DISABLE_XET="1")
        found = asked(recorder)
    assert not any(method == "PUT" for method, _path in found), found


def flow_a_download_that_is_cut_off_goes_on_by_ranges(yard: Yard) -> None:
    """Clients write 10 MB at a time; the older one gives up, and goes on when it is run again."""
    name, home = fill(yard, {"large": BIG * 8}), tempfile.mkdtemp()
    code = f"try: print(hf_hub_download({name!r}, 'large'))\nexcept Exception as error: assert {not NEWEST}, error"
    with recording() as recorder:
        recorder.cuts += [12_000_000, 1_000_000]
        path = ""
        while not path:
            path = client(recorder, code, home)
    assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == hashlib.sha256(BIG * 8).hexdigest()
    assert recorder.cuts == []
    assert any(each.endswith("-") and not each.startswith("bytes=0") for each in recorder.ranges), recorder.ranges


def flow_a_commit_whose_answer_is_lost_is_made_once(yard: Yard) -> None:
    name = fill(yard)
    code = f"HfApi().upload_file(path_or_fileobj=b'new', path_in_repo='new', repo_id={name!r}, commit_message='once')"
    with recording() as recorder:
        recorder.lost += ["/commit/main"]
        for _ in range(2):  # where the client does not try again by itself, its user does
            if client(recorder, f"try:\n    {code}\n    print('done')\nexcept Exception: pass", tempfile.mkdtemp()):
                break
        else:
            raise AssertionError("it was never made")
    titles = [each.title for each in HfApi().list_repo_commits(name)]
    assert titles.count("once") == 1, titles
    assert HfApi().hf_hub_download(name, "new")


def flow_weights_without_safetensors_are_sent_nowhere_else(yard: Yard) -> None:
    """Where there is a list of discussions, transformers posts the token to a public service to have them converted."""
    if not NEWEST:
        return
    name = fill(yard, {**FILES, "pytorch_model.bin": BIG})
    code = f"""
from transformers import safetensors_conversion

def reached(*arguments):
    print("REACHED", arguments)

safetensors_conversion.spawn_conversion = reached
try:
    safetensors_conversion.auto_conversion({name!r}, token={os.environ["HF_TOKEN"]!r})
except Exception as error:
    print(type(error).__name__)
print(safetensors_conversion.auto_conversion({name!r}, ignore_errors_during_conversion=True))
"""
    with recording() as recorder:
        assert client(recorder, code, tempfile.mkdtemp()).splitlines() == ["HfHubHTTPError", "None"]
        assert ("GET", f"/api/models/{name}/discussions") in asked(recorder)


def flow_who_asks_too_often_waits_and_asks_again(yard: Yard) -> None:
    if not NEWEST:
        return
    name = fill(yard)
    with recording() as recorder:
        recorder.refused += ["/tree/"]
        client(
            recorder, f"assert 'config.json' in [e.path for e in HfApi().list_repo_tree({name!r})]", tempfile.mkdtemp()
        )
        trees = [path for _method, path in asked(recorder) if "/tree/" in path]
    assert len(trees) == 2, trees


if __name__ == "__main__":
    run(globals())
