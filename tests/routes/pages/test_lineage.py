"""What a version's page tells of where it comes from, and of what it takes."""

from __future__ import annotations

import json

from tests.conftest import MLFLOW
from tests.routes.pages.yard import Yard
from tests.services.previews.test_previewing import MLMODEL


def test_a_version_leads_to_its_run_experiment_datasets_and_other_versions_of_that_run(yard: Yard) -> None:
    run = yard.run(metrics=[{"key": "loss", "value": 0.5, "timestamp": 1, "step": 0}])
    dataset = {"name": "iris & co", "digest": "d1g3st", "source_type": "local", "source": "here"}
    inputs = {"run_id": run, "datasets": [{"dataset": dataset, "tags": []}]}
    assert (
        yard.api.post(f"/projects/{yard.id}/ml/mlflow/api/2.0/mlflow/runs/log-inputs", json=inputs).status_code == 200
    )
    led = f'/-/ml/candidates/{yard.iid(run)}"'
    model = yard.model()
    first = yard.version(run_id=run)
    second = yard.version(run_id=run, source=f"runs:/{run}/model", run_link="https://elsewhere.example.com/run")
    alone = yard.version()
    elsewhere = yard.version(run_id="f" * 32, source="s3://bucket/model")
    shown = {number: yard.browser.get(yard.shown(model, number)).text for number in (first, second, alone, elsewhere)}
    for number in (first, second):
        assert led in shown[number]
        assert "iris &amp; co</span> <code" in shown[number]
        assert ">Default</a>" in shown[number]
    assert (
        f'href="{yard.shown(model, second)}" dir="auto">iris 1.0.1</a>' in shown[first].partition("Of the same run")[2]
    )
    assert (
        f'href="{yard.shown(model, first)}" dir="auto">iris 1.0.0</a>' in shown[second].partition("Of the same run")[2]
    )
    assert f"runs:/{run}/model" in shown[second]
    assert '<dd dir="auto">https://elsewhere.example.com/run</dd>' in shown[second]
    assert led not in shown[alone]
    assert "Of the same run" not in shown[alone]
    assert f"<code>{'f' * 32}</code>" in shown[elsewhere]
    assert "not in this project" in shown[elsewhere]


def test_a_version_s_page_tells_the_signature_of_its_mlmodel_wherever_that_lies(yard: Yard) -> None:
    model, version = yard.model(), yard.version()
    page = yard.shown(model, version)
    assert "Signature" not in yard.browser.get(page).text
    yard.put(version, "deep/notMLmodel", b"no")
    yard.put(version, "deep/MLmodel", b"{[broken")
    assert yard.browser.get(page).status_code == 200
    yard.put(version, "sk/MLmodel", MLMODEL.encode())
    text = yard.browser.get(page).text
    assert (">Inputs</h3>" in text, "x&lt;1&gt;" in text) == (True, True)
    assert f'href="{page}/blob/sk/MLmodel"' in text
    plain = {"signature": {"inputs": json.dumps([{"type": "double", "name": "top"}])}}
    yard.put(version, "MLmodel", json.dumps(plain).encode())
    assert '<td dir="auto">top</td>' in yard.browser.get(page).text


def test_what_was_logged_of_a_version_is_its_own_or_that_of_the_run_that_it_names(yard: Yard) -> None:
    metric = {"key": "auc", "value": 0.75, "timestamp": 1, "step": 3}
    run = yard.run(metrics=[metric], params=[{"key": "depth", "value": "seven"}])
    led = f'/-/ml/candidates/{yard.iid(run)}"'
    model = yard.model()
    promoted = yard.version(run_id=run)
    copy = yard.version(run_id=run, source=f"runs:/{run}/model")
    alone = yard.version(run_id="f" * 32, source="s3://bucket/model")
    for version in (promoted, copy):
        text = yard.browser.get(yard.shown(model, version, "?tab=metrics")).text
        assert (led in text, ">0.75<" in text, ">seven<" in text) == (True, True, True)
    text = yard.browser.get(yard.shown(model, alone, "?tab=metrics")).text
    assert ("has no metrics" in text, "has no parameters" in text) == (True, True)
    assert yard.browser.get(yard.url(f"/-/ml/models/{model}?tab=versions")).text.count(">0.75<") == 2
    compared = yard.browser.get(yard.url(f"/-/ml/models/{model}/compare?from={copy}&to={promoted}")).text
    assert "0.75" not in compared
    compared = yard.browser.get(yard.url(f"/-/ml/models/{model}/compare?from={alone}&to={copy}")).text
    assert ("0.75" in compared, "seven" in compared) == (True, True)
    made = yard.api.post(f"/projects/{yard.id}/{MLFLOW}/model-versions/create", json={"name": "iris"}).json()
    own = made["model_version"]
    logged = {"run_id": own["run_id"], "metrics": [metric | {"value": 0.125}]}
    assert yard.api.post(f"/projects/{yard.id}/{MLFLOW}/runs/log-batch", json=logged).status_code == 200
    assert ">0.125<" in yard.browser.get(yard.shown(model, int(own["version"]), "?tab=metrics")).text
