"""What the fuzzer must leave alone: its own token, the project in which it finds something, and very long texts."""

from __future__ import annotations

from typing import Any

import schemathesis

OWN_TOKEN, OWN_PROJECT = "1", "1"  # the first of each in a new registry
NONE = 10**9
ENDING = {"DELETE", "POST"}
LONG = 2000  # characters


@schemathesis.hook
def before_load_schema(_context: Any, raw_schema: dict[str, Any]) -> None:
    """Forget the bounds of long texts: making texts of a million characters takes minutes. `test_bounds` sends them."""
    _forget(raw_schema)


def _forget(part: Any, many: int = 1) -> None:
    if isinstance(part, dict):
        if part.get("maxLength", 0) * many > LONG:
            del part["maxLength"]
        many *= part.get("maxItems", 1)  # of a list in a query, all together must fit into a URL
        for each in part.values():
            _forget(each, many)
    elif isinstance(part, list):
        for each in part:
            _forget(each, many)


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Turn what would end either of them upon something that is not there."""
    parameters = case.path_parameters or {}
    for name, value in parameters.items():  # a longer URL than any is 414, whatever is asked
        parameters[name] = value[: LONG // 2] if isinstance(value, str) else value
    if case.method.upper() in ENDING and str(parameters.get("token_id")) in {OWN_TOKEN, "self"}:
        parameters["token_id"] = NONE
    ends_project = case.method.upper() == "DELETE" and case.operation.path == "/api/v4/projects/{project}"
    if ends_project and str(parameters.get("project")) == OWN_PROJECT:
        parameters["project"] = NONE


@schemathesis.serializer("application/x-ndjson", "application/offset+octet-stream")
def as_it_is(_context: Any, value: Any) -> bytes:
    """A body of a type that it would not know how to write."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")
