"""The page on which somebody lets a device in that shows them a code; see `services.identity.devices`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.errors import NotFound, TooManyRequests
from modelyard.registry.repository import Registry
from modelyard.registry.tables import DeviceGrant
from modelyard.routes.http.strangers import network_in
from modelyard.routes.pages.frame import View
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.identity import devices
from modelyard.services.traffic.throttling import Throttle
from modelyard.terms.paths import DEVICES

subject = Subject()

MAX_FORM_BYTES = 4096
MAX_WRONG = 10  # codes a minute of one user, or from one address
THROTTLE = "throttle_wrong_device_codes"
WRONG = "No device waits with this code. Codes are good for ten minutes, and once."


@subject.get(DEVICES)
async def ask(request: Request) -> Response:
    """A field for the code; with a code, who asks and for what."""
    visit = Visit(request)
    typed = visit.query.get("user_code", "")
    return await (_confirm(visit, typed) if typed else _form(visit))


@subject.post(f"{DEVICES}/decide")
async def decide(request: Request) -> Response:
    """What the person has decided."""
    visit = Visit(request)
    form = await visit.form(MAX_FORM_BYTES)
    caller, typed = await visit.identify(), form.text("user_code")
    approved = form.text("decision") == "allow"
    _limit(visit, caller)

    def work(registry: Registry, caller: Identity) -> DeviceGrant:
        return devices.decide(registry, caller, typed, approved=approved)

    try:
        found = await visit.change(work, any_scope=not approved)
    except NotFound:
        return await _wrong(visit, caller)
    name = devices.called(found.client)
    said = f"{name} may act for you from now on. Go back to it." if approved else f"{name} was not let in"
    return visit.redirect(visit.links.to(DEVICES), said)


async def _confirm(visit: Visit, typed: str) -> Response:
    caller = await visit.identify()
    _limit(visit, caller)

    def view(registry: Registry, caller: Identity) -> View:
        found = devices.find(registry, caller, typed)
        values = {"device": found, "called": devices.called(found.client), "code": devices.shown(found.user_code)}
        return View(["Let a device in"], values | {"action": visit.links.to(f"{DEVICES}/decide"), "error": ""})

    try:
        return await visit.show("devices.html", view, no_store=True)
    except NotFound:
        return await _wrong(visit, caller)


async def _form(visit: Visit, error: str = "", status: int = 200) -> Response:
    await visit.identify()

    def view(_registry: Registry, _caller: Identity) -> View:
        return View(["Let a device in"], {"device": None, "action": visit.links.to(DEVICES), "error": error})

    return await visit.show("devices.html", view, status=status)


async def _wrong(visit: Visit, caller: Identity) -> Response:
    """Tell that there is no such code, and count it against who has typed it."""
    throttle: Throttle = visit.request.app.state.throttle
    for key in _keys(visit, caller):
        throttle.count(THROTTLE, MAX_WRONG, key)
    return await _form(visit, WRONG, NotFound("x").status)


def _limit(visit: Visit, caller: Identity) -> None:
    """Raise TooManyRequests for who has typed too many codes that there are not (RFC 8628 section 5.1)."""
    throttle: Throttle = visit.request.app.state.throttle
    for key in _keys(visit, caller):
        if (refused := throttle.full(THROTTLE, MAX_WRONG, key)) is not None:
            error = TooManyRequests("Too many codes that no device has", 1)
            error.headers.update(refused.headers)
            raise error


def _keys(visit: Visit, caller: Identity) -> tuple[str, str]:
    return f"user {caller.user_id}", f"address {network_in(visit.request)}"
