"""What a person sets for themselves: how pages look, and the browsers that are signed in."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.errors import ParameterError
from modelyard.registry.repository import Registry
from modelyard.routes.http.browsing import refuse_other_origins
from modelyard.routes.pages.forms import read_form
from modelyard.routes.pages.frame import View
from modelyard.routes.pages.links import own_path
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.viewer import KEPT_SECONDS, THEME, THEMES, ZONE, zone_of
from modelyard.routes.pages.visit import Visit
from modelyard.services.people import accounts, sessions
from modelyard.services.traffic.throttling import network_of
from modelyard.wire.cookies import set_cookie

subject = Subject()

ROOT = "/-/user_settings"
SESSIONS = f"{ROOT}/active_sessions"
MAX_FORM_BYTES = 16 * 1024


@subject.get(SESSIONS)
async def list_sessions(request: Request) -> Response:
    """The viewer's own sessions."""
    visit = Visit(request)

    def view(registry: Registry, caller: Identity) -> View:
        found = sessions.of_caller(registry, caller)
        return View(["Active sessions"], {"sessions": found, "current": caller.token_id, "section": "sessions"})

    return await visit.show("settings/sessions.html", view)


@subject.post(SESSIONS + "/{token:number}/revoke")
async def end_session(request: Request) -> Response:
    """The end of one of the viewer's sessions."""
    visit, token_id = Visit(request), int(request.path_params["token"])
    await visit.change(lambda registry, caller: sessions.end(registry, caller, token_id), any_scope=True)
    return visit.redirect(visit.links.to(SESSIONS), "The session has ended")


@subject.get(f"{ROOT}/profile")
async def show_profile(request: Request) -> Response:
    """Who the viewer is, and how pages look in this browser."""
    return await _profile(Visit(request))


@subject.post(f"{ROOT}/profile")
async def change_profile(request: Request) -> Response:
    """The zone in which times are written in this browser."""
    visit = Visit(request)
    form = await visit.form(MAX_FORM_BYTES)
    zone = form.text("zone")
    if zone and zone_of(zone) is None:
        return await _profile(visit, zone, "There is no such zone of time: choose one such as Europe/Berlin", 400)
    response = visit.redirect(visit.links.to(f"{ROOT}/profile"), "The profile has been saved")
    kept = set_cookie(ZONE, zone, secure=visit.secure, seconds=KEPT_SECONDS if zone else 0, script=True)
    response.raw_headers.append((b"set-cookie", kept.encode()))
    return response


@subject.post(f"{ROOT}/theme")
async def choose_theme(request: Request) -> Response:
    """How pages look in this browser, for anybody."""
    visit = Visit(request)
    refuse_other_origins(request.scope, request.app.state.settings.external_url)
    request.scope["sender"] = network_of(request.scope["client"][0] if request.scope["client"] else "")
    form = await read_form(request, MAX_FORM_BYTES)
    theme = form.text("theme")
    if theme not in THEMES:
        raise ParameterError("theme does not have a valid value")
    response = visit.redirect(visit.links.prefix + own_path(form.text("return_to") or "/"))
    kept = set_cookie(THEME, theme, secure=visit.secure, seconds=KEPT_SECONDS)
    response.raw_headers.append((b"set-cookie", kept.encode()))
    return response


async def _profile(visit: Visit, zone: str = "", error: str = "", status: int = 200) -> Response:
    await visit.identify()

    def view(registry: Registry, caller: Identity) -> View:
        user, last_used_at = accounts.current(registry, caller)
        values = {"user": user, "last_used_at": last_used_at, "zone": zone or visit.viewer.zone, "error": error}
        linked = {identity.issuer for identity in registry.sign_on.identities(user.id)}
        providers = [(each.name, each.label, issuer.url in linked) for each, issuer in registry.sign_on.listed()]
        may_link = caller.may_write and not caller.bot and caller.job_project_id is None
        return View(["Profile"], values | {"providers": providers, "may_link": may_link})

    return await visit.show("settings/profile.html", view, status=status)
