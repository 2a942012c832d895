"""Models that Hugging Face's clients may find, and callers without a client library."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.conftest import MLFLOW
from tests.live import LiveServer
from tests.routes.hub.sending import Cas

ROOT = "root"  # the administrator, whose namespace it is

Hub = Callable[[str | None], httpx2.Client]  # the API as the holder of a token asks it

_serial = itertools.count(1)


@dataclass(frozen=True)
class Repo:
    """A model with one version, which has files."""

    id: str  # `namespace/project`
    project: int
    model: str
    version: int

    @property
    def files(self) -> str:
        """The version's files in the file API."""
        return f"/projects/{self.project}/packages/ml_models/{self.version}/files"


@pytest.fixture(scope="session")
def hub_client(server: LiveServer) -> Iterator[Callable[[str | None], httpx2.Client]]:
    opened: dict[str | None, httpx2.Client] = {}

    def client(token: str | None) -> httpx2.Client:
        if token not in opened:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            opened[token] = httpx2.Client(base_url=server.url, headers=headers, timeout=30)
        return opened[token]

    yield client
    for each in opened.values():
        each.close()


@pytest.fixture
def hub(server: LiveServer, hub_client: Callable[[str | None], httpx2.Client]) -> httpx2.Client:
    """The API as the administrator asks it."""
    return hub_client(server.root_token)


@pytest.fixture
def stranger(hub_client: Callable[[str | None], httpx2.Client]) -> httpx2.Client:
    """The API as somebody without a token asks it."""
    return hub_client(None)


@pytest.fixture
def add_version(root: httpx2.Client) -> Callable[..., int]:
    """Makes a version of a model with files; the answer is its id."""

    def add(project: int, model: str, files: Mapping[str, bytes], version: str = "1.0.0") -> int:
        base = f"/projects/{project}/{MLFLOW}"
        root.post(f"{base}/registered-models/create", json={"name": model})
        tags = [{"key": "gitlab.version", "value": version}]
        made = root.post(f"{base}/model-versions/create", json={"name": model, "tags": tags})
        assert made.status_code == 200, made.text
        found = int(made.json()["model_version"]["version"])
        for name, content in files.items():
            put = root.put(f"/projects/{project}/packages/ml_models/{found}/files/{name}", content=content)
            assert put.status_code == 201, put.text
        return found

    return add


@pytest.fixture
def make_repo(make_project: Callable[..., dict[str, Any]], add_version: Callable[..., int]) -> Callable[..., Repo]:
    """Makes a project with a model that is named like it."""

    def make(files: Mapping[str, bytes] | None = None, visibility: str = "private", **extra: str) -> Repo:
        made = make_project(visibility=visibility, name=f"repo-{next(_serial)}", **extra)
        version = add_version(made["id"], made["path"], {"config.json": b"{}"} if files is None else files)
        return Repo(made["path_with_namespace"], made["id"], made["path"], version)

    return make


@pytest.fixture
def repo(make_repo: Callable[..., Repo]) -> Repo:
    """A model without files."""
    return make_repo({})


@pytest.fixture
def cas(hub: httpx2.Client, stranger: httpx2.Client, repo: Repo) -> Cas:
    """The administrator's session of xet's protocol, to write to the model."""
    return Cas(hub, stranger, repo.id)
