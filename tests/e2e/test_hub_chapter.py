"""The page on Hugging Face's clients runs, with the newest of them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import httpx2
import pytest

from tests.documents import DOCUMENTS
from tests.e2e.environments import client_python
from tests.live import LiveServer, running

PAGE = DOCUMENTS["docs/huggingface.md"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_page_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"^```(bash|python)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert {kind for kind, _block in blocks} == {"bash", "python"}
    for number, (kind, block) in enumerate(blocks):
        if kind == "python":
            (tmp_path / f"{number}.py").write_text(block)
    python = client_python("hub2")
    with running(tmp_path / "data") as live:
        _fill(live)
        environment = {
            "PATH": f"{python.parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "TOKEN": live.root_token,
            "NO_COLOR": "1",
        }
        commands = [
            block.replace("http://127.0.0.1:8080", live.url) if kind == "bash" else f"python {number}.py"
            for number, (kind, block) in enumerate(blocks)
        ]
        script = "\n".join(["set -euo pipefail", *commands])
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "root" in done.stdout
    assert "bert" in done.stdout
    assert "['root/tiny']" in done.stdout
    assert "['Add notes']" in done.stdout
    for said in ("there are only models", "there are no pull requests"):
        assert f"{said}\n" in done.stdout
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.glob("tiny*/*") if path.is_file()}
    sent = {path.name: path.read_bytes() for path in (tmp_path / "tiny").iterdir() if path.is_file()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir() if path.is_file()} == sent
    assert found == {"tiny/config.json", "tiny/weights.bin", "tiny-1.0.0/config.json", "tiny-json/config.json"}


def _fill(live: LiveServer) -> None:
    with live.client(live.root_token) as root:
        project = root.post("/projects", json={"name": "tiny"}).json()["id"]
        mlflow = f"/projects/{project}/ml/mlflow/api/2.0/mlflow"
        root.post(f"{mlflow}/registered-models/create", json={"name": "tiny"})
        made = root.post(f"{mlflow}/model-versions/create", json={"name": "tiny"}).json()
        files = f"/projects/{project}/packages/ml_models/{made['model_version']['version']}/files"
        for name, content in {"config.json": b'{"model_type": "bert"}', "weights.bin": b"weights"}.items():
            assert isinstance(root.put(f"{files}/{name}", content=content), httpx2.Response)
