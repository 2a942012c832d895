"""What every blob store must do, asked of buckets: the tests are those of `test_conformance`."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from modelyard.blobs.store import BlobStore
from tests.blobs.test_conformance import *  # noqa: F403 - each of its tests runs here as well
from tests.blobs.test_conformance import observed
from tests.odd_s3 import Odd, running_odd
from tests.s3 import S3Server

LEFT_OUT = (
    Odd.WHOLE_IS_200,
    Odd.NO_LENGTH,
    Odd.NO_LENGTH_IN_HEAD,
    Odd.NO_ETAGS,
    Odd.MISSING_IS_404,
    Odd.NO_UPLOADS,
    Odd.BARE_LISTS,
)


@pytest.fixture
def moto_store(moto: S3Server, kept: set[str]) -> Iterator[BlobStore]:
    yield from s3_store(moto, kept)


@pytest.fixture
def swift_store(swift: S3Server, kept: set[str]) -> Iterator[BlobStore]:
    yield from s3_store(swift, kept)


@pytest.fixture
def s3rver_store(s3rver: S3Server, kept: set[str]) -> Iterator[BlobStore]:
    yield from s3_store(s3rver, kept)


@pytest.fixture(scope="module")
def odd_server() -> Iterator[S3Server]:
    with running_odd() as odd:
        odd.odd = set(LEFT_OUT)
        yield odd.s3


@pytest.fixture
def odd_store(odd_server: S3Server, kept: set[str]) -> Iterator[BlobStore]:
    yield from s3_store(odd_server, kept)


def s3_store(server: S3Server, kept: set[str]) -> Iterator[BlobStore]:
    prefix = f"conformance/{secrets.token_hex(8)}"
    store = server.store(prefix)
    yield store
    keys = server.keys(prefix)
    assert {key for key in keys if key.startswith("sha256/")} == {f"sha256/{digest}" for digest in kept}
    # Data of what was deleted or replaced waits for a collector, with a note that says since when.
    assert {key.partition("/")[0] for key in keys} <= {"sha256", "data", "orphans"}
    if server.tells_uploads:
        assert server.uploads(prefix) == []


@pytest.fixture(params=["moto", "swift", "s3rver", "odd"])  # type: ignore[no-redef]
def store(request: pytest.FixtureRequest, kept: set[str]) -> Iterator[BlobStore]:
    yield from observed(request.getfixturevalue(f"{request.param}_store"), kept)
