"""MLmodel, in which MLflow says how a model is loaded and what it takes: YAML that anybody may have written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.services.previews.plain_yaml import mapping_of
from modelyard.services.previews.source import Faulty, Source
from modelyard.services.previews.texts import text_of

MAX_BYTES = 64_000
MAX_COLUMNS = 500  # of a signature
MAX_TEXT = 200  # characters of a fact
_FACTS = ("artifact_path", "model_uuid", "run_id", "mlflow_version", "utc_time_created", "model_size_bytes", "model_id")


@dataclass(frozen=True, slots=True)
class Column:
    """What a model takes or gives: a column, a tensor or a parameter."""

    name: str
    type: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class MLmodel:
    """A model as its MLmodel describes it."""

    facts: dict[str, str]
    flavors: dict[str, dict[str, str]]
    signature: dict[str, list[Column]]  # of `inputs`, `outputs` and `params`, those that are there
    text: str


def mlmodel_of(source: Source) -> MLmodel:
    """What an MLmodel says. Raises Faulty. No type of YAML is made but plain ones, and no alias is followed."""
    if source.size > MAX_BYTES:
        raise Faulty(f"The file is larger than {MAX_BYTES // 1000} kB")
    text = text_of(source).text
    told = mapping_of(text, "file")
    flavors = told.get("flavors")
    return MLmodel(
        {key: _said(told[key]) for key in _FACTS if told.get(key) is not None},
        {str(name)[:MAX_TEXT]: _options(options) for name, options in _items(flavors)},
        {part: columns for part, columns in _signature(told.get("signature")) if columns},
        text,
    )


def _items(value: object) -> list[tuple[Any, Any]]:
    return list(value.items())[:MAX_COLUMNS] if isinstance(value, Mapping) else []


def _options(options: object) -> dict[str, str]:
    return {str(key)[:MAX_TEXT]: _said(value) for key, value in _items(options) if value is not None}


def _said(value: object) -> str:
    return str(value)[:MAX_TEXT]


def _signature(signature: object) -> list[tuple[str, list[Column]]]:
    """The parts of a signature, each JSON in a text (`ModelSignature.to_dict`)."""
    return [(str(part)[:MAX_TEXT], _columns(text)) for part, text in _items(signature)]


def _columns(text: object) -> list[Column]:
    if text is None:
        return []
    try:
        told = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError) as error:
        raise Faulty("The signature is no JSON") from error
    listed = told if isinstance(told, list) else [told]
    return [_column(each) for each in listed[:MAX_COLUMNS] if isinstance(each, Mapping)]


def _column(told: Mapping[str, object]) -> Column:
    tensor = told.get("tensor-spec")
    if isinstance(tensor, Mapping):
        return Column(_said(told.get("name") or ""), _said(tensor.get("dtype")), f"shape {_said(tensor.get('shape'))}")
    detail = "optional" if told.get("required") is False or told.get("optional") else ""
    if "default" in told:
        detail = f"default {_said(told['default'])}"
    return Column(_said(told.get("name") or ""), _said(told.get("type")), detail)
