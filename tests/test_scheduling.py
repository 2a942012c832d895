from __future__ import annotations

import pytest

from tests.scheduling import SWIFT, scope_of


@pytest.mark.parametrize("path", ["tests/blobs/test_bucket_conformance.py", "tests/remote/test_resumable_uploads.py"])
def test_what_asks_for_swift_itself_or_by_its_folder_shares_a_worker(path: str) -> None:
    assert scope_of(path) == SWIFT


@pytest.mark.parametrize("path", ["tests/blobs/test_local.py", "tests/test_logs.py", "tests/test_scheduling.py"])
def test_a_file_that_does_not_has_one_by_itself(path: str) -> None:
    assert scope_of(path) == path
