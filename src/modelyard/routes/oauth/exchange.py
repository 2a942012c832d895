"""Id tokens of jobs exchanged for short tokens: by RFC 8693, and in the shape of PyPI's trusted publishing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from modelyard.access.tokens import Scope
from modelyard.errors import ApiError, BadRequest, TooManyRequests, Unavailable
from modelyard.routes.http.bodies import SMALL_BODY_BYTES, bodies_of
from modelyard.routes.oauth.common import OAuthRoute, exchange_of, require_issuers, settings_of
from modelyard.services.identity.exchange import Asked
from modelyard.services.identity.refusals import NoKeys, Reason, Refused
from modelyard.services.traffic.throttling import Throttle, Throttled, mark_of, network_of
from modelyard.terms.paths import MINT_TOKEN, OIDC

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN, JWT = "urn:ietf:params:oauth:token-type:id_token", "urn:ietf:params:oauth:token-type:jwt"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
MAX_RESOURCE = 1024  # characters
UNAVAILABLE = "The issuer of the token cannot be asked for its keys at the moment"
ONCE = frozenset({"token"})  # at most: what comes twice is read as a list
UNPROCESSABLE = 422
INVALID, AWAY = "invalid_request", "temporarily_unavailable"
_REASONS = frozenset(Reason)
_OAUTH_CODES: dict[str, str] = {Reason.TARGET: "invalid_target"}
_PYPI_CODES: dict[str, str] = {
    INVALID: "invalid-payload",
    Reason.USED: "invalid-reuse-token",
    **dict.fromkeys((Reason.PUBLISHER, Reason.TARGET), "invalid-publisher"),
}

Values = Mapping[str, Any]
# Makes an answer of status, a code, a sentence, and further headers.
Refuse = Callable[[int, str, str, Mapping[str, str]], Response]


class _Refusal(Exception):
    """What is answered in place of a token: status, a code, a sentence, and further headers."""

    def __init__(self, status: int, code: str, said: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(said)
        self.status = status
        self.code = code
        self.said = said
        self.headers = headers or {}


async def give(request: Request, values: Values) -> Response:
    """RFC 8693: one of the grants of `token`. Raises UnknownRoute where there is not a single issuer."""
    await require_issuers(request.scope)

    async def work(values: Values) -> Response:
        asked = _asked(values, _resource(request, _text(values, "resource")))
        minted = await exchange_of(request.app).exchange(asked)
        body = {
            "access_token": minted.secret,
            "issued_token_type": ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": minted.lifetime // 1000,
            "scope": minted.scopes,
        }
        return JSONResponse(body, headers=NO_STORE)

    return await _answered(request, work, "subject_token", _oauth_refusal, values)


async def mint(request: Request) -> Response:
    """PyPI's `mint-token`: `{"token": …}`."""

    async def work(values: Values) -> Response:
        minted = await exchange_of(request.app).exchange(Asked(_needed(values, "token")))
        body = {"success": True, "token": minted.secret, "expires": minted.expires_at // 1000}
        return JSONResponse(body, headers=NO_STORE)

    return await _answered(request, work, "token", _pypi_refusal)


async def audience(request: Request) -> Response:
    """The audience that id tokens must be asked for."""
    own = settings_of(request).external_url
    if own is None:
        own = await request.app.state.database.read(lambda registry: registry.issuers.any_audience())
    return JSONResponse({"audience": own})


ROUTES: list[BaseRoute] = [
    OAuthRoute(MINT_TOKEN, mint, methods=["POST"]),
    OAuthRoute(f"{OIDC}/audience", audience, methods=["GET"]),
]


async def _answered(
    request: Request,
    work: Callable[[Values], Awaitable[Response]],
    name: str,
    refuse: Refuse,
    read: Values | None = None,
) -> Response:
    """What `work` answers to the values of the body, in which the field `name` has the token that is tried.

    `read`: the values, where the body was read already.
    """
    address = network_of(request.client.host if request.client else "")
    request.scope["sender"] = address
    try:
        values = await bodies_of(request).read(request, dict, SMALL_BODY_BYTES, ONCE) if read is None else read
        return await _tried(request.app.state.throttle, address, values, name, work)
    except _Refusal as refusal:
        return refuse(refusal.status, refusal.code, refusal.said, refusal.headers)
    except NoKeys:
        return refuse(Unavailable.status, AWAY, UNAVAILABLE, {"Retry-After": "10"})
    except ApiError as error:  # of the body, or of a project that has no room for more
        code = INVALID if error.status < Unavailable.status else AWAY
        said = str(error.body.get("message") or error.body.get("error") or "")
        return refuse(error.status, code, said, error.headers)


async def _tried(
    throttle: Throttle, address: str, values: Values, name: str, work: Callable[[Values], Awaitable[Response]]
) -> Response:
    """What `work` answers. A token that is wrong counts as a failed login of its address, and one that is valid always
    passes.
    """
    mark = mark_of(f"id token\n{values.get(name)}".encode())
    if (throttled := throttle.stale(address, mark)) is not None:
        raise _slowed(throttled)
    try:
        return await work(values)
    except Refused as refused:
        if (throttled := throttle.failed(address, mark)) is not None:
            raise _slowed(throttled) from refused
        raise _Refusal(BadRequest.status, refused.reason, refused.told) from refused


def _slowed(throttled: Throttled) -> _Refusal:
    said = "Too many tokens that are not valid came from your address"
    return _Refusal(TooManyRequests.status, "slow_down", said, throttled.headers)


def _oauth_refusal(status: int, reason: str, said: str, headers: Mapping[str, str]) -> Response:
    code = _OAUTH_CODES.get(reason, "invalid_grant") if reason in _REASONS else reason
    return JSONResponse({"error": code, "error_description": said}, status, NO_STORE | dict(headers))


def _pypi_refusal(status: int, reason: str, said: str, headers: Mapping[str, str]) -> Response:
    code = _PYPI_CODES.get(reason, "invalid-token" if reason in _REASONS else reason.replace("_", "-"))
    if status == BadRequest.status:
        status = UNPROCESSABLE
    body = {"message": "Token request failed", "errors": [{"code": code, "description": said}]}
    return JSONResponse(body, status, NO_STORE | dict(headers))


def _asked(values: Values, resource: str | None) -> Asked:
    grant, kind = _needed(values, "grant_type"), _needed(values, "subject_token_type")
    if grant != GRANT:
        raise _invalid(f"grant_type must be {GRANT}", "unsupported_grant_type")
    if kind not in {ID_TOKEN, JWT}:
        raise _invalid(f"subject_token_type must be {ID_TOKEN}")
    if (_text(values, "requested_token_type") or ACCESS_TOKEN) != ACCESS_TOKEN:
        raise _invalid(f"requested_token_type can only be {ACCESS_TOKEN}")
    scopes = tuple(dict.fromkeys((_text(values, "scope") or Scope.API).split()))
    if not scopes or not set(scopes) <= set(Scope):
        raise _invalid(f"scope must be of {' '.join(Scope)}", "invalid_scope")
    return Asked(_needed(values, "subject_token"), resource, scopes)


def _resource(request: Request, told: str) -> str | None:
    """The project that is asked for, which may be told as a URL of this server (RFC 8707)."""
    if not told:
        return None
    if len(told) > MAX_RESOURCE:
        raise _invalid("resource is too long", "invalid_target")
    own = settings_of(request).external_url
    return told.removeprefix(f"{own}/") if own else told


def _text(values: Values, name: str) -> str:
    value = values.get(name, "")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _invalid(f"{name} must be one text")
    return value


def _needed(values: Values, name: str) -> str:
    if not (value := _text(values, name)):
        raise _invalid(f"{name} is missing")
    return value


def _invalid(said: str, code: str = INVALID) -> _Refusal:
    return _Refusal(BadRequest.status, code, said)
