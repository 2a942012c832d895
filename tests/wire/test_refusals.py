"""Refusals take the shape of the API that their path belongs to."""

from __future__ import annotations

import pytest

from modelyard.wire.refusals import shaped

MESSAGE = {"message": "404 Not Found"}
NO_STORE = {"Cache-Control": "no-store"}
MLFLOW = "/api/v4/projects/1/ml/mlflow/api/2.0/mlflow/runs/get"


@pytest.mark.parametrize("path", ["/api/v4/projects", "/api/v4/projects/1/ml/mlflow", "/nothing", ""])
def test_gitlabs_is_left_as_it_is(path: str) -> None:
    assert shaped(path, 404, MESSAGE) == (MESSAGE, {})


@pytest.mark.parametrize(
    ("status", "routed", "body", "expected"),
    [
        (404, True, MESSAGE, {"error_code": "RESOURCE_DOES_NOT_EXIST", **MESSAGE}),
        (404, False, {"error": "x"}, {"error_code": "ENDPOINT_NOT_FOUND", "error": "x", "message": "x"}),
        (507, True, {}, {"error_code": "INTERNAL_ERROR", "message": "INTERNAL_ERROR"}),
        (400, True, {"error_code": "OWN", "message": "m"}, {"error_code": "OWN", "message": "m"}),
        (
            401,
            True,
            {"error": "invalid_token", "error_description": "expired"},
            {
                "error_code": "UNAUTHENTICATED",
                "error": "invalid_token",
                "error_description": "expired",
                "message": "expired",
            },
        ),
    ],
)
def test_mlflows_has_a_code_and_a_message_beside_gitlabs(
    status: int, routed: bool, body: dict[str, object], expected: dict[str, object]
) -> None:
    assert shaped(MLFLOW, status, body, routed=routed) == (expected, {})


@pytest.mark.parametrize("path", ["/api/models/a/b", "/a/b/resolve/main/ml/mlflow/f"])
def test_hugging_faces_is_a_sentence_that_a_header_repeats(path: str) -> None:
    assert shaped(path, 404, MESSAGE) == ({"error": "404 Not Found"}, {"X-Error-Message": "404 Not Found"})


def test_reasons_by_field_are_one_sentence_where_a_shape_has_no_room_for_more() -> None:
    reasons = {"message": {"name": ["is too long", "has a slash"], "path": ["is taken"]}}
    told = "name is too long, name has a slash, path is taken"
    assert shaped("/api/models/a/b", 400, reasons) == ({"error": told}, {"X-Error-Message": told})
    assert shaped("/oauth/token", 400, reasons) == ({"error": "invalid_request", "error_description": told}, NO_STORE)
