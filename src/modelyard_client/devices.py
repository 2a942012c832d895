"""A token by the device grant (RFC 8628): a code here, which its user confirms in a browser on whatever machine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlencode

from modelyard_client.credentials import Login, require_token
from modelyard_client.errors import ClientError, Forbidden, NotFound, NotIdentified
from modelyard_client.http.transport import Answer, Transport
from modelyard_client.http.trying import TryAgain
from modelyard_client.progress import Progress
from modelyard_client.stopping import Stop

CLIENT = "myd"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SLOWER_SECONDS = 5  # RFC 8628 section 3.5
ANSWERS = frozenset({HTTPStatus.OK, HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND})


class DeviceCode(NamedTuple):
    """What the user types, and where; `complete` has the code in it already. Seconds."""

    device_code: str
    user_code: str
    uri: str
    complete: str
    expires_in: float
    interval: float


def sign_in(
    url: str,
    show: Callable[[DeviceCode], None],
    progress: Progress = Progress(),  # noqa: B008 - it has no state
) -> str:
    """A token of whoever confirms the code that is shown. Raises ClientError, Forbidden where he denies it."""
    transport = Transport(Login(url, None), Stop(), progress=progress)
    try:
        code = _begin(transport)
        show(code)
        return _wait(transport, code)
    finally:
        transport.close()


def _begin(transport: Transport) -> DeviceCode:
    answer = transport.until(lambda: _post(transport, "authorize_device", {"client_id": CLIENT}))
    if answer.status == HTTPStatus.NOT_FOUND:
        raise NotFound("The server has no page on which a code is confirmed: give `myd login` a token")
    told = _told(answer)
    try:
        uri = str(told["verification_uri"])
        complete = str(told.get("verification_uri_complete") or uri)
        seconds, interval = float(told["expires_in"]), float(told.get("interval", SLOWER_SECONDS))
        return DeviceCode(str(told["device_code"]), str(told["user_code"]), uri, complete, seconds, interval)
    except (KeyError, ValueError, TypeError) as error:
        raise ClientError(f"The server gives no code: {told.get('error_description') or error}") from error


def _wait(transport: Transport, code: DeviceCode) -> str:
    """Ask until the user has decided, as often as the server wants it; what may pass by itself is asked again."""
    until, interval = time.monotonic() + code.expires_in, code.interval
    asked = {"grant_type": GRANT, "device_code": code.device_code, "client_id": CLIENT}
    while time.monotonic() < until:
        transport.stop.wait(interval)
        try:
            answer = _post(transport, "token", asked)
        except TryAgain:
            continue
        told = _told(answer)
        if answer.status == HTTPStatus.OK:
            return require_token(str(told.get("access_token", "")))
        interval += _slower(told)
    raise NotIdentified("Nobody has confirmed the code in time")


def _slower(told: Mapping[str, Any]) -> int:
    """By how much to ask more seldom. Raises Forbidden and NotIdentified where there is no more to ask."""
    reason = told.get("error")
    if reason == "slow_down":
        return SLOWER_SECONDS
    if reason == "authorization_pending":
        return 0
    if reason == "access_denied":
        raise Forbidden("The code was denied")
    raise NotIdentified(f"The code serves no more: {told.get('error_description') or reason}")


def _post(transport: Transport, name: str, fields: Mapping[str, str]) -> Answer:
    headers, body = {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(fields).encode()
    return transport.once("POST", f"/oauth/{name}", headers=headers, body=body, ok=ANSWERS, below="")


def _told(answer: Answer) -> Mapping[str, Any]:
    try:
        told = json.loads(answer.body)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise ClientError("The server answers with something else than JSON: is it a modelyard?")
    return told
