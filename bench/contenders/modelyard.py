"""modelyard itself: a server with one project, one model and one version, with the settings that a user starts with."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.contenders.target import Target
from bench.machine import SERVER_CORES, Cores
from bench.process import HOST, Server, free_port, output_of
from bench.rest import Client

HEALTH = "/-/health"
API = "/api/v4"
PROJECT = "root%2Fbench"
HUB_MODEL = "root/bench"  # the project's only one
MLFLOW = f"{API}/projects/{PROJECT}/ml/mlflow"


class Modelyard:
    """A server on the data folder `folder`, which keeps what is there."""

    def __init__(
        self,
        program: Path,
        folder: Path,
        *,
        workers: int = 1,
        cores: Cores = SERVER_CORES,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        chosen = environment(folder) | dict(settings or {})
        self.token = chosen["MODELYARD_ROOT_TOKEN"]
        command = [str(program), "serve", f"--host={HOST}", f"--port={self.port}", f"--workers={workers}"]
        self.server = Server(command, folder / "server.log", chosen, cores)
        self._version: str | None = None

    def wait(self, pause: float = 0.01) -> None:
        """Return as soon as it answers."""
        self.server.wait_until_ready(self.port, HEALTH, pause)

    def client(self) -> Client:
        """A client that may do everything."""
        return Client(self.port, self.token)

    @property
    def headers(self) -> tuple[str, ...]:
        """What every request carries."""
        return (f"Authorization: Bearer {self.token}",)

    def file(self, name: str) -> Target:
        """Where the file `name` of the one version is put and got."""
        self._version = self._version or _make_version(self.client())
        return self.file_of(PROJECT, self._version, name)

    def file_of(self, project: str, version: str, name: str) -> Target:
        """Where a file of any version is put and got."""
        path = f"{API}/projects/{project}/packages/ml_models/{version}/files/{name}"
        return Target(self.port, path, self.headers)


def migrate(program: Path, folder: Path) -> None:
    """Make the database of a data folder, without a server."""
    folder.mkdir(parents=True, exist_ok=True)
    output_of([str(program), "migrate"], environment(folder), folder=folder)


def environment(folder: Path) -> dict[str, str]:
    """The settings of a server on a data folder; all others are what a user gets without any."""
    return {
        "MODELYARD_DATA_DIR": str(folder),
        "MODELYARD_ROOT_TOKEN": _token(folder),
    }


def make_project(client: Client) -> None:
    """Make the one project, if it is not there."""
    listed: Sequence[dict[str, str]] = client.call("GET", f"{API}/projects?search=bench&per_page=100").get("items", [])
    if not any(project["path_with_namespace"] == "root/bench" for project in listed):
        client.call("POST", f"{API}/projects", {"name": "bench"})


def _make_version(client: Client) -> str:
    make_project(client)
    client.call("POST", f"{MLFLOW}/api/2.0/mlflow/registered-models/create", {"name": "model"})
    made = client.call("POST", f"{MLFLOW}/api/2.0/mlflow/model-versions/create", {"name": "model"})
    client.close()
    return str(made["model_version"]["version"])


def _token(folder: Path) -> str:
    kept = folder / "bench-token"
    if not kept.exists():
        kept.write_text("bench-" + secrets.token_hex(16))
    return kept.read_text()
