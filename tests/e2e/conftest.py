"""What several end-to-end tests run beside."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.mlflow_server import mlflow_server


@pytest.fixture(scope="session")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of MLflow's own server."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as url:
        yield url
