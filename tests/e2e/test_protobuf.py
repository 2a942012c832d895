"""Our endpoints and their parameters are those of MLflow's own messages, as the released clients define them."""

from __future__ import annotations

import json
import re
import subprocess
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, get_origin

import pytest
from pydantic import BaseModel
from starlette.routing import Route

from modelyard.app import all_routers
from modelyard.routes.mlflow.common import REST, ROOT
from tests.e2e.environments import client_python
from tests.routes.mlflow.endpoints import ENDPOINTS
from tests.routes.mlflow.spellings import leaves

PREFIX = ROOT + REST
SCRIPT = Path(__file__).with_name("flows") / "protobuf_messages.py"
# What this server has no use for: places of artifacts are its own, and jobs those of another product.
UNUSED = {"artifact_location", "deployment_job_id", "page_token"}
IN_PATH = {"model_id"}  # of logged models, whose messages have it as well
LEFT_OUT = ("/traces", "/unified-traces", "/get-online-trace-details", "/artifacts/presigned-")  # as the README says

each_client = pytest.mark.parametrize("client", ["mlflow2", "mlflow3"])


@cache
def messages_of(client: str) -> dict[str, Any]:
    """By method and path, the fields of every request that a client defines."""
    run = subprocess.run([str(client_python(client)), str(SCRIPT)], capture_output=True, text=True, check=True)
    return dict(json.loads(run.stdout.splitlines()[-1]))


@pytest.mark.slow
@pytest.mark.timeout(1500)
@each_client
def test_every_endpoint_is_here_but_what_is_left_out_on_purpose(client: str) -> None:
    def unnamed(path: str) -> str:
        return re.sub(r"{[^}]*}", "{}", path)

    routes = [route for module in all_routers() for route in module.router.routes if isinstance(route, Route)]
    here = {f"{method} {unnamed(route.path)}" for route in routes for method in route.methods or ()}
    asked = [name.replace(" /mlflow", f" {PREFIX}") for name in messages_of(client)]
    missing = [name for name in asked if unnamed(name) not in here]
    assert len(asked) - len(missing) > 45
    assert [name for name in missing if not name.partition(PREFIX)[2].startswith(LEFT_OUT)] == []


@pytest.mark.slow
@pytest.mark.timeout(1500)
@each_client
def test_every_field_of_a_message_is_known_by_its_kind(client: str) -> None:
    messages = messages_of(client)
    compared = 0
    for endpoint in ENDPOINTS:
        name = f"{endpoint.method} /mlflow/{endpoint.path.replace('{logged}', '{model_id}')}"
        if name in messages:
            _compare(messages[name], endpoint.model, name)
            compared += 1
    assert compared > 35


def _compare(message: dict[str, Any], model: type[BaseModel], where: str) -> None:
    ours = {field.alias or name: field for name, field in model.model_fields.items()}
    for name, told in message.items():
        if name not in ours:
            assert name in UNUSED | IN_PATH | {"run_id"}, f"{where} lacks {name}"
            continue
        annotation, at = ours[name].annotation, f"{where}: {name}"
        kinds = set(leaves(annotation))
        assert (get_origin(annotation) is list) == told["repeated"], at
        if "enum" in told:
            (enum,) = (kind for kind in kinds if issubclass(kind, StrEnum))
            counted = {member.value: number for number, member in enumerate(enum, 1)}
            assert counted == {key: number for key, number in told["enum"].items() if number}, at
        elif "fields" in told:
            (nested,) = (kind for kind in kinds if issubclass(kind, BaseModel))
            _compare(told["fields"], nested, at)
        else:
            assert told["kind"] in {kind.__name__ for kind in kinds}, at
