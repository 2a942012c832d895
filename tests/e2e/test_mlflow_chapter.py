"""The README's chapter on MLflow runs, with the real client."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.environments import client_python
from tests.live import running

README = (Path(__file__).parents[2] / "README.md").read_text()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_chapter_runs(tmp_path: Path) -> None:
    chapter = README.split("\n## With MLflow\n")[1].split("\n## ")[0]
    train, predict = re.findall(r"^```python\n(.*?)^```", chapter, re.MULTILINE | re.DOTALL)
    (tmp_path / "train.py").write_text(train)
    (tmp_path / "predict.py").write_text(predict)
    blocks = re.findall(r"^```bash\n(.*?)^```", chapter, re.MULTILINE | re.DOTALL)
    python = client_python("mlflow3")
    with running(tmp_path / "data") as live:
        environment = os.environ | {
            "PATH": f"{python.parent}:{os.environ['PATH']}",
            "BASE": f"{live.url}/api/v4",
            "TOKEN": live.root_token,
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        script = "\n".join(["set -euo pipefail", *blocks])
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "[0 0 0 0 0]" in done.stdout
    assert "python_function" in done.stdout
