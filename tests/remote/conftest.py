"""Servers whose blobs lie in a bucket: on moto, on Swift, and on s3rver."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx2
import pytest

from tests.live import LiveServer, running
from tests.s3 import BUCKET, S3Server

_serial = itertools.count(1)

Starter = Callable[..., LiveServer]


@pytest.fixture(scope="module", params=["moto", "swift", "s3rver"])
def s3(request: pytest.FixtureRequest) -> S3Server:
    found: S3Server = request.getfixturevalue(request.param)
    return found


# s3rver neither lists nor aborts an upload, nor completes one again.
telling_uploads = pytest.mark.parametrize("s3", ["moto", "swift"], indirect=True)


@pytest.fixture(scope="module")
def start(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starter]:
    """Starts a server with a bucket of its own prefix and the settings that it is given."""
    with ExitStack() as started:

        def begin(**settings: object) -> LiveServer:
            url = f"s3://{BUCKET}/{secrets.token_hex(8)}"
            with s3.as_environment():
                folder = tmp_path_factory.mktemp("server")
                return started.enter_context(running(folder, None, blob_url=url, s3_addressing="path", **settings))

        yield begin


@pytest.fixture(scope="module")
def plain(start: Starter) -> LiveServer:
    """A server with the default settings."""
    return start()


@pytest.fixture(scope="module")
def redirecting(start: Starter) -> LiveServer:
    """A server that sends downloads to the bucket."""
    return start(s3_redirect=True, s3_redirect_seconds=77)


def version_files(root: httpx2.Client) -> str:
    """The files of a fresh version in a fresh private project, below the API's base."""
    project = root.post("/projects", json={"name": f"project-{next(_serial)}", "visibility": "private"}).json()["id"]
    base = f"/projects/{project}/ml/mlflow/api/2.0/mlflow"
    assert root.post(f"{base}/registered-models/create", json={"name": "m"}).status_code == 200
    version = root.post(f"{base}/model-versions/create", json={"name": "m"}).json()["model_version"]["version"]
    return f"/projects/{project}/packages/ml_models/{version}/files"
