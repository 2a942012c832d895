"""Runs flows inside a client's own environment, each in a project of its own, and tells how each went as JSON.

A flow is a function `flow_<name>(yard)` of the module that is run. This file imports nothing but the standard library
and the client that it is there for.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import sys
import traceback
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

SERVER = os.environ.get("YARD_URL", "")
TOKEN = os.environ.get("YARD_TOKEN", "")
PREFIX = "flow_"
_serial = itertools.count(1)


@dataclass(frozen=True)
class Yard:
    """A project on the server, and plain HTTP beside the client."""

    project: int
    path: str

    @property
    def tracking_uri(self) -> str:
        return f"{SERVER}/api/v4/projects/{self.project}/ml/mlflow"

    @property
    def tracking_uri_by_path(self) -> str:
        return f"{SERVER}/api/v4/projects/{quote(self.path, safe='')}/ml/mlflow"

    def call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """The body of an answer to a request below `/api/v4`."""
        request = urllib.request.Request(f"{SERVER}/api/v4{path}", body, method=method)
        request.add_header("PRIVATE-TOKEN", TOKEN)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    def file(self, owner: str, name: str) -> str:
        """A file's path in the file API."""
        return f"/projects/{self.project}/packages/ml_models/{owner}/files/{quote(name)}"

    def get(self, owner: str, name: str) -> bytes:
        """A file's bytes, by the file API."""
        return self.call("GET", self.file(owner, name))

    def put(self, owner: str, name: str, content: bytes) -> None:
        """Upload a file by the file API."""
        self.call("PUT", self.file(owner, name), content)


def owner_of(artifact_uri: str) -> str:
    """Whose files lie at an artifact URI, as the file API says it."""
    return artifact_uri.rstrip("/").rpartition("/")[2]


def sha256(content: bytes) -> str:
    """A digest to compare by."""
    return hashlib.sha256(content).hexdigest()


def run(flows: Mapping[str, Any]) -> None:
    """Run the flows of a module that are named on the command line, or all of them."""
    wanted = sys.argv[1:] or [name for name in flows if name.startswith(PREFIX)]
    for name in wanted:
        error = None
        try:
            flows[name](project())
        except BaseException:
            error = traceback.format_exc()
        print("RESULT " + json.dumps({"flow": name, "error": error}), flush=True)


def project() -> Yard:
    """A fresh project, where tracking and the registry are from now on."""
    name = f"flow-{os.getpid()}-{next(_serial)}"
    made = json.loads(Yard(0, "").call("POST", f"/projects?name={name}"))
    yard = Yard(made["id"], made["path_with_namespace"])
    _point_mlflow_at(yard.tracking_uri)
    return yard


def _point_mlflow_at(uri: str) -> None:
    mlflow = sys.modules.get("mlflow")
    if mlflow is not None:
        while mlflow.active_run():
            mlflow.end_run()
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        mlflow.tracking.fluent._active_experiment_id = None
        os.environ.pop("MLFLOW_EXPERIMENT_ID", None)  # where `set_experiment` leaves its id
