"""Refusals in the shape of the API that was asked, as its path tells: what refuses may know no more of a request."""

from __future__ import annotations

from collections.abc import Mapping

from modelyard.terms.paths import MLFLOW
from modelyard.wire import hub, oauth

_MLFLOW = f"{MLFLOW}/"
# GitLab-shaped refusals on MLflow's routes carry an `error_code` as well, since its client looks for one.
_MLFLOW_CODES = {
    400: "INVALID_PARAMETER_VALUE",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    409: "RESOURCE_CONFLICT",
    413: "INVALID_PARAMETER_VALUE",
    415: "INVALID_PARAMETER_VALUE",
    429: "REQUEST_LIMIT_EXCEEDED",
    503: "TEMPORARILY_UNAVAILABLE",
}


def shaped(
    path: str, status: int, body: Mapping[str, object], *, routed: bool = True
) -> tuple[dict[str, object], dict[str, str]]:
    """The body and further headers of a refusal, of which `body` is the one in GitLab's shape.

    `path` is still encoded; `routed`: whether it led to an endpoint.
    """
    if hub.is_hub(path):
        return hub.refusal(status, body)
    if _MLFLOW in path:
        code = _MLFLOW_CODES.get(status, "INTERNAL_ERROR") if routed else "ENDPOINT_NOT_FOUND"
        sentence = body.get("error_description") or body.get("error") or code
        return {"error_code": code, "message": sentence, **body}, {}
    if routed and oauth.is_oauth(path):
        return oauth.refusal(status, body), {"Cache-Control": "no-store"}
    return dict(body), {}
