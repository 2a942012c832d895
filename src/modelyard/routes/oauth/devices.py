"""Codes for devices (RFC 8628 section 3.1), at GitLab's path, at the RFC's, and at that of Hugging Face's clients."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.routing import Match
from starlette.types import Scope
from typing_extensions import TypedDict

from modelyard.errors import UnknownRoute
from modelyard.routes.http.answers import Answer, Url, answer
from modelyard.routes.http.params import Parameters, validate
from modelyard.routes.http.routing import Traits
from modelyard.routes.http.strangers import limit_strangers, read_strange
from modelyard.routes.http.urls import base_url
from modelyard.routes.oauth.common import GIVEN, NO_STORE, TAG, OpenRoute
from modelyard.services.identity import devices
from modelyard.terms.paths import DEVICES, OAUTH

AUTHORIZE_DEVICE = f"{OAUTH}/authorize_device"
MAX_A_MINUTE = 60  # of one address


class _BesidePage(OpenRoute):
    """A route at the path of a page, which is asked for by other methods."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a request is meant, and its parameters."""
        match, found = super().matches(scope)
        return (Match.NONE, {}) if match is Match.PARTIAL else (match, found)


router = APIRouter(tags=[TAG], route_class=OpenRoute)
beside = APIRouter(route_class=_BesidePage)


class DeviceRequest(Parameters):
    """Which program asks, and for which scopes, separated by blanks: `api` unless it is said."""

    client_id: str = Field(max_length=255)
    scope: str = Field("", max_length=255)


class DeviceCode(TypedDict):
    """What the device asks with, and what its user types; seconds."""

    device_code: str
    user_code: str
    verification_uri: Url
    verification_uri_complete: Url
    expires_in: int
    interval: int


@beside.post(DEVICES, include_in_schema=False)
@router.post(f"{OAUTH}/device_authorization", include_in_schema=False)
@router.post(AUTHORIZE_DEVICE, summary="Ask for a code that lets a device in", responses=GIVEN)
@Traits(body=DeviceRequest)
async def authorize_device(request: Request) -> Answer[DeviceCode]:
    """Its user types it at the page that is told; 404 where there are no pages."""
    if request.app.state.pages is None:
        raise UnknownRoute
    limit_strangers(request, "throttle_device_codes", MAX_A_MINUTE)
    asked = validate(DeviceRequest, await read_strange(request))
    wanted = devices.wanted(asked.client_id, asked.scope)
    begun = await request.app.state.database.write(lambda registry: devices.begin(registry, wanted))
    page, shown = base_url(request) + DEVICES, devices.shown(begun.user_code)
    told: DeviceCode = {
        "device_code": begun.device_code,
        "user_code": shown,
        "verification_uri": page,
        "verification_uri_complete": f"{page}?user_code={shown}",
        "expires_in": devices.LIFETIME // 1000,
        "interval": devices.INTERVAL,
    }
    return answer(told, NO_STORE)
