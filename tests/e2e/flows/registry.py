"""Registered models and their versions, by the real MLflow client."""

from __future__ import annotations

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from harness import Yard, run


def flow_models_are_registered_and_changed(yard: Yard) -> None:
    client = MlflowClient()
    client.create_registered_model("m", tags={"k": "v"}, description="d")
    client.update_registered_model("m", description="new")
    client.set_registered_model_tag("m", "t", "1")
    client.delete_registered_model_tag("m", "k")
    shown = client.get_registered_model("m")
    assert (shown.description, shown.tags) == ("new", {"t": "1"})
    client.create_model_version("m", "")
    client.rename_registered_model("m", "renamed")
    assert client.get_registered_model("renamed").latest_versions[0].name == "renamed"
    client.delete_registered_model("renamed")
    try:
        client.get_registered_model("renamed")
    except MlflowException as error:
        assert error.error_code == "RESOURCE_DOES_NOT_EXIST"
    else:
        raise AssertionError("a deleted model is still there")


def flow_models_are_searched(yard: Yard) -> None:
    client = MlflowClient()
    for name in ("a1", "a2", "b"):
        client.create_registered_model(name, tags={"first": name[0]})
    assert [m.name for m in client.search_registered_models()] == ["a1", "a2", "b"]
    assert [m.name for m in client.search_registered_models("name = 'b'")] == ["b"]
    assert [m.name for m in client.search_registered_models("name LIKE 'a%'", order_by=["name DESC"])] == ["a2", "a1"]
    assert [m.name for m in client.search_registered_models("tags.first = 'a'")] == ["a1", "a2"]
    page = client.search_registered_models(max_results=2)
    assert [m.name for m in client.search_registered_models(max_results=2, page_token=page.token)] == ["b"]
    assert [m.name for m in mlflow.search_registered_models()] == ["a1", "a2", "b"]


def flow_versions_are_made_changed_and_deleted(yard: Yard) -> None:
    client = MlflowClient()
    client.create_registered_model("m")
    first = client.create_model_version("m", "1.0.0", description="d")
    second = client.create_model_version("m", "", tags={"gitlab.version": "2.0.0"})
    assert (first.status, first.aliases, second.aliases) == ("READY", ["1.0.0"], ["2.0.0"])
    assert client.get_model_version("m", first.version).description == "d"
    client.update_model_version("m", first.version, "new")
    client.set_model_version_tag("m", first.version, "k", "v")
    client.set_model_version_tag("m", first.version, "gone", "v")
    client.delete_model_version_tag("m", first.version, "gone")
    shown = client.get_model_version("m", first.version)
    assert (shown.description, shown.tags) == ("new", {"k": "v"})
    place = f"mlflow-artifacts:/projects/{yard.project}/{first.version}"
    assert client.get_model_version_download_uri("m", first.version) == place
    assert [v.version for v in client.search_model_versions("name='m'")] == [first.version, second.version]
    newest = client.search_model_versions("name='m'", order_by=["version_number DESC"])
    assert [v.version for v in newest] == [second.version, first.version]
    assert [v.version for v in client.get_latest_versions("m")] == [second.version]
    moved = client.transition_model_version_stage("m", first.version, "Production")
    assert moved.current_stage == "Production"
    assert [v.version for v in client.get_latest_versions("m", ["Production"])] == [first.version]
    client.delete_model_version("m", first.version)
    assert [v.version for v in client.search_model_versions("name='m'")] == [second.version]


def flow_aliases_are_set_and_deleted(yard: Yard) -> None:
    client = MlflowClient()
    client.create_registered_model("m")
    first, second = client.create_model_version("m", ""), client.create_model_version("m", "")
    client.set_registered_model_alias("m", "champion", first.version)
    client.set_registered_model_alias("m", "champion", second.version)
    assert client.get_model_version_by_alias("m", "champion").version == second.version
    assert client.get_model_version_by_alias("m", "1.0.0").version == first.version
    assert client.get_registered_model("m").aliases == {"champion": second.version}
    client.delete_registered_model_alias("m", "champion")
    try:
        client.get_model_version_by_alias("m", "champion")
    except MlflowException as error:
        assert error.error_code == "RESOURCE_DOES_NOT_EXIST"
    else:
        raise AssertionError("a deleted alias is still there")


def flow_prompts_are_registered_and_loaded(yard: Yard) -> None:
    if not hasattr(mlflow, "genai"):
        return
    mlflow.genai.register_prompt("greeting", "Hello {{name}}")
    mlflow.genai.register_prompt("greeting", "Good day {{name}}", commit_message="politer")
    versions = MlflowClient().search_model_versions("name='greeting' AND tags.`mlflow.prompt.is_prompt` = 'true'")
    newest = max(int(each.version) for each in versions)
    assert mlflow.genai.load_prompt("greeting", version=newest).format(name="Ada") == "Good day Ada"
    mlflow.genai.set_prompt_alias("greeting", alias="live", version=newest)
    assert mlflow.genai.load_prompt("prompts:/greeting@live").template == "Good day {{name}}"
    assert [prompt.name for prompt in mlflow.genai.search_prompts()] == ["greeting"]
    assert MlflowClient().search_registered_models() == []


def flow_traces_do_no_harm(yard: Yard) -> None:
    if not hasattr(mlflow, "trace"):
        return
    mlflow.set_experiment("e")

    @mlflow.trace  # type: ignore[untyped-decorator]
    def work(x: int) -> int:
        return x + 1

    with mlflow.start_run() as active:
        assert work(1) == 2
    assert mlflow.get_run(active.info.run_id).info.status == "FINISHED"


if __name__ == "__main__":
    run(globals())
