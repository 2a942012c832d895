"""Our parameters are those of MLflow's own messages, as the released clients define them."""

from __future__ import annotations

import json
import subprocess
from enum import StrEnum
from pathlib import Path
from typing import Any, get_origin

import pytest
from pydantic import BaseModel

from tests.e2e.environments import client_python
from tests.mlflow.endpoints import ENDPOINTS
from tests.mlflow.spellings import leaves

SCRIPT = Path(__file__).with_name("flows") / "protobuf_messages.py"
# What this server has no use for: places of artifacts are its own, users its callers, jobs those of another product.
UNUSED = {"artifact_location", "user_id", "deployment_job_id", "page_token"}
IN_PATH = {"model_id"}  # of logged models, whose messages have it as well


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("client", ["mlflow2", "mlflow3"])
def test_every_field_of_a_message_is_known_by_its_kind(client: str) -> None:
    run = subprocess.run([str(client_python(client)), str(SCRIPT)], capture_output=True, text=True, check=True)
    messages: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
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
