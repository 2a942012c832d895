"""What pages offer to be copied runs as it stands: curl, the newest clients of MLflow and Hugging Face."""

from __future__ import annotations

import os
import re
import subprocess
from html import unescape
from pathlib import Path

import httpx2
import pytest
import yaml

from tests.e2e.environments import client_python
from tests.live import running
from tests.programs import require
from tests.routes.pages.conftest import AS_BROWSER

SNIPPET = re.compile(r"<summary>([^<]+)</summary>\s*<div class=\"snippet\">.*?<code>(.*?)</code>", re.DOTALL)


def snippets(text: str) -> dict[str, str]:
    return {name: unescape(code) for name, code in SNIPPET.findall(text)}


def run(script: str, folder: Path, token: str, client: str | None = None) -> str:
    """What a script says that ends well."""
    path = os.environ["PATH"]
    if client is not None:
        path = f"{client_python(client).parent}:{path}"
    environment = {"PATH": path, "HOME": str(folder), "TOKEN": token, "NO_COLOR": "1"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_first_model_is_made_and_each_version_is_taken_by_what_pages_say(tmp_path: Path) -> None:
    require("curl")
    with running(tmp_path / "data") as live, httpx2.Client(base_url=live.url, headers=AS_BROWSER) as browser:
        assert browser.post("/users/sign_in", data={"token": live.root_token}).status_code == 303
        place = browser.post("/projects/new", data={"name": "odd"}).headers["location"]
        begin = snippets(browser.get(f"{place}/-/ml/models").text)
        run(begin["mlflow"], tmp_path, live.root_token, "mlflow3")
        (model,) = set(re.findall(rf"{place}/-/ml/models/(\d+)\"", browser.get(f"{place}/-/ml/models").text))
        made = browser.post(f"{place}/-/ml/models/{model}/edit", data={"name": 'it\'s a "model" & 50% $HOME'})
        assert made.status_code == 303
        version = (
            browser.post(f"{place}/-/ml/models/{model}/versions/new", data={}).headers["location"].partition("?")[0]
        )
        (tmp_path / "model.safetensors").write_bytes(b"weights")
        run(snippets(browser.get(f"{version}/tree").text)["curl"], tmp_path, live.root_token)
        use = snippets(browser.get(f"{version}?tab=use").text)
        assert set(use) == {"curl", "hf", "mlflow", "GitLab CI"}
        for name, client in (("curl", None), ("mlflow", "mlflow3"), ("hf", "hub2")):
            folder = tmp_path / name
            folder.mkdir()
            run(use[name], folder, live.root_token, client)
            found = [path for path in folder.rglob("model.safetensors") if ".cache" not in path.parts]
            assert [path.read_bytes() for path in found] == [b"weights"], name
        job = yaml.safe_load(use["GitLab CI"])["download"]
        folder = tmp_path / "job"
        folder.mkdir()
        exported = "\n".join(f"export {name}='{value}'" for name, value in job["variables"].items())
        script = "\n".join([exported, *(line for line in job["script"] if not line.startswith("pip "))])
        run(script, folder, live.root_token, "mlflow3")
        assert [path.read_bytes() for path in folder.rglob("model.safetensors")] == [b"weights"]
        second = browser.post("/projects/new", data={"name": "by-curl"}).headers["location"]
        run(snippets(browser.get(f"{second}/-/ml/models").text)["curl"], tmp_path, live.root_token)
        assert "my-model" in browser.get(f"{second}/-/ml/models").text


LOGGING = """
import os, mlflow
mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
mlflow.set_experiment("printed")
with mlflow.start_run(run_name="seen"):
    mlflow.log_metric("m", 1)
    if hasattr(mlflow, "initialize_logged_model"):
        mlflow.finalize_logged_model(mlflow.initialize_logged_model(name="logged").model_id, "READY")
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("client", ["mlflow2", "mlflow37", "mlflow3"])
def test_the_links_that_mlflow_prints_lead_to_what_they_name(tmp_path: Path, client: str) -> None:
    with running(tmp_path / "data") as live, httpx2.Client(base_url=live.url, headers=AS_BROWSER) as browser:
        browser.post("/users/sign_in", data={"token": live.root_token})
        with live.client(live.root_token) as root:
            project = root.post("/projects", json={"name": "links"}).json()
        address = f"{live.api}/projects/{project['id']}/ml/mlflow"
        (tmp_path / "log.py").write_text(LOGGING)
        script = f"export MLFLOW_TRACKING_URI={address} MLFLOW_TRACKING_TOKEN=$TOKEN; python log.py"
        printed = re.findall(rf"{address}(?:/)?#/(\S+)", run(script, tmp_path, live.root_token, client))
        assert {"runs" in fragment for fragment in printed} >= {True, False}, printed
        for fragment in printed:
            found = browser.get(f"/{project['path_with_namespace']}/-/ml/mlflow/{fragment}", follow_redirects=True)
            heading = "printed" if fragment.split("/")[2:] == [] else "seen"
            assert (found.status_code, f">{heading}</h1>" in found.text) == (200, True), fragment
