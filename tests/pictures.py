"""The pictures of `docs/pages.md`, made anew by `make pictures` from a registry with something in it."""

from __future__ import annotations

import json
import math
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.browsers import running_chromium, watched
from tests.live import LiveServer, running
from tests.services.previews.test_previewing import safetensors, tensor

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"
SIZE = {"width": 840, "height": 480}
OWN = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
CARD = """---
license: apache-2.0
datasets: [reviews-2026]
language: en
---
# Churn

Tells which customers leave within **90 days**.

| split | AUC | F1 |
|---|---|---|
| validation | 0.941 | 0.83 |
| test | 0.937 | 0.82 |

```python
model = mlflow.pyfunc.load_model("models:/churn@champion")
```
"""
SIGNATURE = {
    "inputs": json.dumps([{"type": "double", "name": "tenure"}, {"type": "string", "name": "plan"}]),
    "outputs": json.dumps([{"type": "double", "name": "probability"}]),
}
STEPS = 400


@dataclass(frozen=True)
class Seeded:
    """The pages of what was made."""

    version: str
    experiment: str


def seed(live: LiveServer) -> Seeded:
    """A project with a model of three versions, each from a run."""
    with live.client(live.root_token) as api:
        project = api.post("/projects", json={"name": "churn", "namespace_path": "retail"}).json()
        mlflow = f"/projects/{project['id']}/ml/mlflow/api/2.0/mlflow"

        def call(path: str, **body: object) -> dict[str, dict[str, str]]:
            answer = api.post(f"{mlflow}/{path}", json=body)
            assert answer.status_code == 200, answer.text
            return dict(answer.json())

        experiment = str(call("experiments/create", name="boosting")["experiment_id"])
        call("registered-models/create", name="churn", description=CARD, tags=[{"key": "team", "value": "retail"}])
        for number, rate in enumerate((0.3, 0.1, 0.05)):
            run = _run(call, experiment, number, rate)
            made = call("model-versions/create", name="churn", run_id=run, description=CARD)["model_version"]["version"]
            files = f"/projects/{project['id']}/packages/ml_models/{made}/files"
            weights = safetensors({f"layer.{i}.weight": tensor(i * 64, i * 64 + 64, [4, 4], "F32") for i in range(8)})
            for name, content in {
                "MLmodel": json.dumps({"signature": SIGNATURE, "flavors": {"python_function": {}}}).encode(),
                "weights/model.safetensors": weights + bytes(512),
                "weights/optimizer.bin": bytes(300_000),
                "README.md": CARD.encode(),
                "requirements.txt": b"mlflow\nscikit-learn\n",
            }.items():
                assert api.put(f"{files}/{name}", content=content).status_code == 201
        call("registered-models/alias", name="churn", alias="champion", version=made)
        page = f"/{project['path_with_namespace']}/-/ml"
        return Seeded(f"{page}/models/1/versions/{made}", f"{page}/experiments/{experiment}")


def _run(call: Any, experiment: str, number: int, rate: float) -> str:
    run = str(call("runs/create", experiment_id=experiment, run_name=f"trees-{number + 1}")["run"]["info"]["run_id"])
    metrics = [
        {"key": key, "step": step, "timestamp": 1_790_000_000_000 + step * 1000, "value": value}
        for step in range(STEPS)
        for key, value in (
            ("loss", 0.1 + rate + math.exp(-step * rate / 9) + 0.02 * math.sin(step * (number + 2) / 3)),
            ("auc", 0.95 - rate / 5 - 0.4 * math.exp(-step * rate / 9)),
        )
    ]
    params = [{"key": "rate", "value": str(rate)}, {"key": "depth", "value": str(4 + number)}]
    call("runs/log-batch", run_id=run, metrics=metrics, params=params)
    return run


def take(folder: Path, live: LiveServer) -> list[Path]:
    """The pictures of a registry that is seeded meanwhile."""
    shown = seed(live)
    places = {
        "version": (shown.version, "light"),
        "files": (f"{shown.version}/tree", "light"),
        "tensors": (f"{shown.version}/blob/weights/model.safetensors", "dark"),
        "charts": (f"{shown.experiment}?tab=charts", "dark"),
    }
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    with httpx2.Client(base_url=live.url, headers=OWN) as client:
        session = client.post("/users/sign_in", data={"token": live.root_token}).cookies["modelyard_session"]
    with running_chromium() as browser:
        for name, (place, theme) in places.items():
            with watched(browser, live.url, viewport=SIZE, timezone_id="UTC") as seen:
                for cookie, value in (("modelyard_session", session), ("modelyard_theme", theme)):
                    seen.context.add_cookies([{"name": cookie, "value": value, "url": live.url}])
                page = seen.page()
                page.goto(place)
                page.wait_for_load_state("networkidle")  # charts come later
                if "charts" in place:
                    page.locator(".chart-box").first.evaluate("box => box.scrollIntoView({ behavior: 'instant' })")
                page.screenshot(path=folder / f"{name}.png", animations="disabled")
                made.append(folder / f"{name}.png")
    return made


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as data, running(Path(data), log_level="error") as served:
        for picture in take(FOLDER, served):
            sys.stdout.write(f"{picture.relative_to(FOLDER.parent.parent)}: {picture.stat().st_size} bytes\n")
