"""Id tokens of jobs exchanged for short tokens of one project (RFC 8693)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import Field
from starlette.requests import Request
from typing_extensions import TypedDict

from modelyard.access.tokens import Scope
from modelyard.errors import ApiError, BadRequest, OAuthError, TooManyRequests, Unavailable
from modelyard.routes.http.answers import Answer, answer
from modelyard.routes.http.bodies import SMALL_BODY_BYTES, Values
from modelyard.routes.http.params import Parameters, stating, validate
from modelyard.routes.http.strangers import network_in
from modelyard.routes.oauth.common import NO_STORE, exchange_of, require_issuers, settings_of
from modelyard.services.identity.exchange import Asked
from modelyard.services.identity.refusals import NoKeys, Reason, Refused
from modelyard.services.traffic.throttling import Throttle, Throttled, mark_of

T = TypeVar("T")

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN, JWT = "urn:ietf:params:oauth:token-type:id_token", "urn:ietf:params:oauth:token-type:jwt"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name
MAX_RESOURCE = 1024  # characters
UNAVAILABLE = "The issuer of the token cannot be asked for its keys at the moment"
INVALID, AWAY = "invalid_request", "temporarily_unavailable"
REASONS = frozenset(Reason)
_CODES: dict[str, str] = {Reason.TARGET: "invalid_target"}

SignedToken = Annotated[str, Field(min_length=1, max_length=SMALL_BODY_BYTES)]
# Makes a refusal of status, a code, a sentence, and further headers.
Refuse = Callable[[int, str, str, Mapping[str, str]], ApiError]


class IdToken(Parameters):
    """What is exchanged, and for what (RFC 8693 section 2.1)."""

    grant_type: Annotated[str, stating(enum=[GRANT])]
    subject_token: SignedToken
    subject_token_type: Annotated[str, stating(enum=[ID_TOKEN, JWT])]
    requested_token_type: Annotated[str, stating(enum=[ACCESS_TOKEN, ""])] | None = None
    resource: Annotated[str, stating(maxLength=MAX_RESOURCE)] | None = Field(
        None, description="A project, where the token opens several: its id, path, or URL."
    )
    scope: str | None = Field(None, description="Separated by blanks; `api` unless it is said.")


class Exchanged(TypedDict):
    """A token of a project (RFC 8693 section 2.2); seconds."""

    access_token: str
    issued_token_type: str
    token_type: Literal["Bearer"]
    expires_in: int
    scope: str


class _Refusal(Exception):
    """What is told in place of a token: status, a code, a sentence, and further headers."""

    def __init__(self, status: int, code: str, said: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(said)
        self.status = status
        self.code = code
        self.said = said
        self.headers = headers or {}


async def give(request: Request, values: Values) -> Answer[Exchanged]:
    """One of the grants of `token`. Raises UnknownRoute where there is not a single issuer, and OAuthError."""
    await require_issuers(request.scope)

    async def work(values: Values) -> Answer[Exchanged]:
        minted = await exchange_of(request.app).exchange(_asked(request, validate(IdToken, values)))
        exchanged: Exchanged = {
            "access_token": minted.secret,
            "issued_token_type": ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": minted.lifetime // 1000,
            "scope": minted.scopes,
        }
        return answer(exchanged, NO_STORE)

    return await refusing_by(_oauth_refusal, lambda: tried(request, values, "subject_token", work))


async def refusing_by(refuse: Refuse, ask: Callable[[], Awaitable[T]]) -> T:
    """What `ask` answers. Raises what `refuse` makes of each refusal."""
    try:
        return await ask()
    except _Refusal as refusal:
        raise refuse(refusal.status, refusal.code, refusal.said, refusal.headers) from refusal
    except NoKeys as error:
        raise refuse(Unavailable.status, AWAY, UNAVAILABLE, {"Retry-After": "10"}) from error
    except ApiError as error:  # of the body, or of a project that has no room for more
        code = INVALID if error.status < Unavailable.status else AWAY
        said = str(error.body.get("message") or error.body.get("error"))
        raise refuse(error.status, code, said, error.headers) from error


async def tried(request: Request, values: Values, name: str, work: Callable[[Values], Awaitable[T]]) -> T:
    """What `work` answers to values of which the field `name` has the token that is tried. One that is wrong counts as
    a failed login of its address, and one that is valid always passes.
    """
    throttle: Throttle = request.app.state.throttle
    address, mark = network_in(request), mark_of(f"id token\n{values.get(name)}".encode())
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


def _oauth_refusal(status: int, reason: str, said: str, headers: Mapping[str, str]) -> ApiError:
    code = _CODES.get(reason, "invalid_grant") if reason in REASONS else reason
    return OAuthError(code, said, status, NO_STORE | dict(headers))


def _asked(request: Request, told: IdToken) -> Asked:
    if told.subject_token_type not in {ID_TOKEN, JWT}:
        raise _invalid(f"subject_token_type must be {ID_TOKEN}")
    if (told.requested_token_type or ACCESS_TOKEN) != ACCESS_TOKEN:
        raise _invalid(f"requested_token_type can only be {ACCESS_TOKEN}")
    scopes = tuple(dict.fromkeys((told.scope or Scope.API).split()))
    if not scopes or not set(scopes) <= set(Scope):
        raise _invalid(f"scope must be of {' '.join(Scope)}", "invalid_scope")
    return Asked(told.subject_token, _resource(request, told.resource), scopes)


def _resource(request: Request, told: str | None) -> str | None:
    """The project that is asked for, which may be told as a URL of this server (RFC 8707)."""
    if not told:
        return None
    if len(told) > MAX_RESOURCE:
        raise _invalid("resource is too long", "invalid_target")
    own = settings_of(request).external_url
    return told.removeprefix(f"{own}/") if own else told


def _invalid(said: str, code: str = INVALID) -> _Refusal:
    return _Refusal(BadRequest.status, code, said)
