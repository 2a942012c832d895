from __future__ import annotations

import pytest

from tests.scheduling import MLFLOW_SERVER, SWIFT, scope_of


@pytest.mark.parametrize("path", ["tests/blobs/test_bucket_conformance.py", "tests/remote/test_resumable_uploads.py"])
def test_what_asks_for_swift_itself_or_by_its_folder_shares_a_worker(path: str) -> None:
    assert scope_of(path) == SWIFT


@pytest.mark.parametrize("name", ["beside_mlflow", "requests_beside_mlflow"])
def test_what_asks_beside_mlflow_s_server_shares_a_worker(name: str) -> None:
    assert scope_of(f"tests/e2e/test_{name}.py") == MLFLOW_SERVER


@pytest.mark.parametrize(
    "path", ["tests/e2e/test_clients.py", "tests/blobs/test_local.py", "tests/test_logs.py", "tests/test_scheduling.py"]
)
def test_a_file_that_does_not_has_one_by_itself(path: str) -> None:
    assert scope_of(path) == path
