"""What the Python API is asked for wrongly, or in vain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modelyard_client import Registry
from modelyard_client import catalog as pages
from modelyard_client.errors import NotFound, UsageMistake
from modelyard_client.targets import parse
from tests.live import LiveServer


def test_it_tells_its_server(registry: Registry, server: LiveServer) -> None:
    assert registry.host == server.url


def test_mistakes_are_told_before_anything_is_asked(registry: Registry, target: str) -> None:
    with pytest.raises(UsageMistake, match="No file is named"):
        registry.remove(target, [])
    with pytest.raises(UsageMistake, match="names a version already"):
        registry.versions(target)


def test_a_model_without_versions_has_no_newest(registry: Registry, project: dict[str, Any], account: Any) -> None:
    made = account.client.post(
        f"/projects/{project['id']}/ml/mlflow/api/2.0/mlflow/registered-models/create", json={"name": "empty"}
    )
    assert made.status_code == 200
    with pytest.raises(NotFound, match="no versions yet"):
        registry.files(f"{project['path_with_namespace']}/empty")


def test_a_file_that_another_has_removed_is_not_found(registry: Registry, target: str) -> None:
    catalog = registry._catalog
    with pytest.raises(NotFound, match="has no file 'gone'"):
        catalog.remove_file(catalog.place(parse(target)), "gone")


def test_versions_are_listed_however_many_there_are(
    registry: Registry, project: dict[str, Any], make_version: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "VERSIONS_AT_ONCE", 2)
    for number in range(3):
        make_version(project["id"], "net", tags=[{"key": "gitlab.version", "value": f"1.{number}.0"}])
    found = registry.versions(f"{project['path_with_namespace']}/net")
    assert [each.version for each in found] == ["1.2.0", "1.1.0", "1.0.0"]
