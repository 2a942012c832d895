"""What the fuzzer must leave alone: the token that it comes with, and the project that gives it something to find."""

from __future__ import annotations

from typing import Any

import schemathesis

OWN_TOKEN, OWN_PROJECT = "1", "1"  # the first of each in a new registry
NONE = 10**9
ENDING = {"DELETE", "POST"}


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Turn what would end either of them upon something that is not there."""
    parameters = case.path_parameters or {}
    if case.method.upper() in ENDING and str(parameters.get("token_id")) in {OWN_TOKEN, "self"}:
        parameters["token_id"] = NONE
    ends_project = case.method.upper() == "DELETE" and case.operation.path == "/api/v4/projects/{project}"
    if ends_project and str(parameters.get("project")) == OWN_PROJECT:
        parameters["project"] = NONE
