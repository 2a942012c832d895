"""Log lines: structured, with a request id, and never a token."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import httpx
import pytest
import structlog

from modelyard import logs
from tests.live import LiveServer


@pytest.fixture(autouse=True)
def configuration() -> Iterator[None]:
    """Whatever a test configures ends with it."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


Capture = pytest.CaptureFixture[str]


def test_own_and_foreign_events_have_one_form(capsys: Capture) -> None:
    logs.configure("info", "json")
    structlog.get_logger().info("ours", size=1)
    structlog.get_logger().debug("hidden")
    logging.getLogger("uvicorn.error").warning("theirs %s", "x")
    ours, theirs = map(json.loads, capsys.readouterr().err.splitlines())
    assert (ours["event"], ours["level"], ours["size"]) == ("ours", "info", 1)
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("theirs x", "warning", "uvicorn.error")
    assert ours["timestamp"].endswith("Z")


def test_text_is_for_people(capsys: Capture) -> None:
    logs.configure("info", "text")
    structlog.get_logger().info("ours", size=1)
    line = capsys.readouterr().err
    assert "ours" in line
    assert not line.startswith("{")


@pytest.mark.parametrize("form", ["text", "json", None])
def test_a_traceback_never_shows_a_value(capsys: Capture, form: str | None) -> None:
    logs.configure("info", form)
    secret = "myd_" + "s" * 49
    try:
        raise ValueError(len(secret))
    except ValueError:
        structlog.get_logger().exception("failed")
    text = capsys.readouterr().err
    assert "ValueError: 53" in text
    assert secret not in text


def test_each_request_is_one_line_with_its_id_and_no_secret(
    capsys: Capture, server: LiveServer, root: httpx.Client, version_url: str
) -> None:
    logs.configure("info", "json")
    answer = root.get(
        f"{version_url}/no%20file",
        params={"private_token": server.root_token},
        headers={"X-Request-Id": "from-the-client.1"},
    )
    assert answer.headers["x-request-id"] == "from-the-client.1"
    text = ""
    for _ in range(100):  # the line is written after the answer
        text += capsys.readouterr().err
        if "no%20file" in text:
            break
        root.get("/version")
    served = [each for each in text.splitlines() if '"request_id"' in each]  # the client logs its requests as well
    (line,) = [json.loads(each) for each in served if "no%20file" in each]
    assert (line["event"], line["method"], line["status"]) == ("request", "GET", 404)
    assert line["path"] == f"/api/v4{version_url}/no%20file"
    assert (line["request_id"], line["client"]) == ("from-the-client.1", "127.0.0.1")
    assert server.root_token not in "\n".join(served)


@pytest.mark.parametrize("sent", ["", "x" * 129, "a b", "a;b", "a<b>"])
def test_an_id_that_is_not_plain_is_replaced(anonymous: httpx.Client, sent: str) -> None:
    answered = anonymous.get("/version", headers={"X-Request-Id": sent}).headers["x-request-id"]
    assert answered != sent
    assert len(answered) == 32
