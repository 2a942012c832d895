"""MLflow's server: one worker, its artifacts served by it, SQLite behind it, no authentication."""

from __future__ import annotations

from pathlib import Path

from bench.contenders.target import Target
from bench.process import HOST, Server, free_port
from bench.rest import Client

HEALTH = "/health"
API = "/api/2.0/mlflow-artifacts/artifacts"


class Mlflow:
    """A server that keeps everything under `folder`."""

    def __init__(self, program: Path, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder.resolve()
        self.port = free_port()
        command = [
            *(str(program), "server", f"--host={HOST}", f"--port={self.port}", "--workers=1", "--serve-artifacts"),
            *(f"--backend-store-uri=sqlite:///{kept}/mlflow.db", f"--artifacts-destination={kept}/artifacts"),
        ]
        environment = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
        self.server = Server(command, folder / "server.log", environment)

    def wait(self, pause: float = 0.01) -> None:
        """Return as soon as it answers."""
        self.server.wait_until_ready(self.port, HEALTH, pause)

    def client(self) -> Client:
        """A client; none needs a credential."""
        return Client(self.port)

    def file(self, name: str) -> Target:
        """Where the artifact `name` is put and got."""
        return Target(self.port, f"{API}/bench/{name}")
