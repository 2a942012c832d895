"""Single sign-on: to a provider and back, and what becomes of who has come back (see `services.identity.sign_on`)."""

from __future__ import annotations

import structlog
from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.errors import Forbidden, NotFound, TooManyRequests, Unavailable
from modelyard.registry.engine import Database
from modelyard.registry.identity.sign_on import Listed, Taken
from modelyard.registry.repository import Registry
from modelyard.routes.http.browsing import HEAD
from modelyard.routes.http.strangers import network_in
from modelyard.routes.pages import sign_in
from modelyard.routes.pages.forms import sentence
from modelyard.routes.pages.leaving import lead, own_base, relying_of
from modelyard.routes.pages.links import own_path
from modelyard.routes.pages.settings import ROOT
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.identity import sign_on, states
from modelyard.services.identity.fetching import FetchFailed
from modelyard.services.identity.providers import Provision
from modelyard.services.identity.refusals import NoKeys, Refused
from modelyard.services.identity.relying import Person, authorization_url, hold_issuer
from modelyard.services.identity.states import Journey
from modelyard.services.traffic.throttling import Throttle
from modelyard.terms.paths import SIGN_ON, callback_path
from modelyard.wire.cookies import HOST_PREFIX, set_cookie

log = structlog.get_logger()
subject = Subject()

PLACE = f"{SIGN_ON}/{{provider}}"
COOKIE = "modelyard_login"
MAX_FORM_BYTES = 4096
MAX_A_MINUTE = 60  # of one address
THROTTLE = "throttle_sign_on"
STALE = (
    "This sign-in was begun in another browser, has been used, or has waited for more than ten minutes. Begin it again."
)
AWAY = "{} cannot be asked at the moment. Try again, or sign in by a token."


@subject.get(PLACE)
async def begin(request: Request) -> Response:
    """The way to a provider; but not for whoever only looks ahead."""
    visit = Visit(request)
    listed = await _listed(visit)
    back = own_path(visit.query.get("return_to", "/"))
    if _looks_ahead(request):
        return await sign_in.form(visit, back)
    return await _go(visit, listed, back, None)


@subject.post(PLACE)
async def link(request: Request) -> Response:
    """The way to a provider, to link who one is there to the account that one is signed in with."""
    visit = Visit(request)
    listed = await _listed(visit)
    await visit.form(MAX_FORM_BYTES)
    caller = await visit.identify()
    if caller.bot or caller.job_project_id is not None or not caller.may_write:
        raise Forbidden("Only people link their accounts, in a session that may write")
    return await _go(visit, listed, f"{ROOT}/profile", caller.user_id)


@subject.get(callback_path("{provider}"))
async def come_back(request: Request) -> Response:
    """What a provider has sent somebody back with."""
    visit = Visit(request)
    listed = await _listed(visit)
    journey = Journey(visit.cookies.get(_cookie(visit), ""), visit.query.get("state", ""))
    if _looks_ahead(request):
        return await sign_in.form(visit, "/")
    taken = await _taken(visit, listed, journey)
    if taken is None:
        return await _refused(visit, listed, STALE, "state", 400)
    return await _arrive(visit, listed, journey, taken)


async def _taken(visit: Visit, listed: Listed, journey: Journey) -> Taken | None:
    database: Database = visit.request.app.state.database
    provider_id = listed[0].id
    if not await database.read(lambda registry: states.knows(registry, journey, provider_id)):
        return None
    return await database.write(lambda registry: states.take(registry, journey, provider_id))


async def _arrive(visit: Visit, listed: Listed, journey: Journey, taken: Taken) -> Response:
    """A session for whom the provider has let in; or why there is none, which the audit trail is told."""
    label, subject_ = listed[0].label, ""
    try:
        person = await _person(visit, listed, journey)
        subject_ = person.subject
        come = await _come_in(visit, listed, person, taken)
    except Refused as error:
        said = f"{label} did not let you in, or its answer was refused: {error.told}"
        return await _refused(visit, listed, said, error.reason, 403, note=error.note, known=True)
    except (FetchFailed, NoKeys) as error:
        said = AWAY.format(label)
        return await _refused(visit, listed, said, "unavailable", Unavailable.status, note=str(error), known=True)
    except Forbidden as error:
        return await _refused(visit, listed, sentence(error), "account", 403, subject=subject_, known=True)
    log.info("signed in by a provider", provider=listed[0].name, user_id=come.user_id, linked=come.secret is None)
    if come.secret is None:
        return visit.redirect(visit.links.prefix + taken.return_to, f"{label} signs you in from now on")
    return await sign_in.signed_in(visit, come.secret, taken.return_to, "provider")


async def _go(visit: Visit, listed: Listed, back: str, user_id: int | None) -> Response:
    request, (provider, _issuer) = visit.request, listed
    throttle: Throttle = request.app.state.throttle
    if (refused := throttle.count(THROTTLE, MAX_A_MINUTE, network_in(request))) is not None:
        error = TooManyRequests("Too many sign-ins were begun from your address", 1)
        error.headers.update(refused.headers)
        raise error
    journey, redirect_uri = Journey.new(visit.cookies.get(_cookie(visit), "")), _redirect_uri(visit, listed)
    try:
        url = authorization_url(await relying_of(request).ask(listed), journey, redirect_uri)
    except FetchFailed as failed:
        said = AWAY.format(provider.label)
        return await _refused(visit, listed, said, "unavailable", Unavailable.status, note=str(failed), back=back)
    database: Database = request.app.state.database
    await database.write(lambda registry: states.begin(registry, journey, provider.id, back, user_id))
    said = f"Link your account to {provider.label}"
    answer = visit.redirect(url) if user_id is None else await lead(visit, url, provider.label, said)
    kept = set_cookie(_cookie(visit), journey.browser, secure=visit.secure, seconds=states.LIFETIME // 1000)
    answer.raw_headers.append((b"set-cookie", kept.encode()))
    return answer


async def _person(visit: Visit, listed: Listed, journey: Journey) -> Person:
    """Whom the provider has let in. Raises Refused, FetchFailed and NoKeys."""
    asked = await relying_of(visit.request).ask(listed)
    hold_issuer(asked, visit.query.get("iss"))
    if "error" in visit.query or not visit.query.get("code"):
        told = visit.query.get("error", "there is no code")
        raise Refused.by_provider(told)
    return await relying_of(visit.request).meet(asked, journey, visit.query["code"], _redirect_uri(visit, listed))


async def _come_in(visit: Visit, listed: Listed, person: Person, taken: Taken) -> sign_on.Come:
    database: Database = visit.request.app.state.database
    gated = listed[0].provision == Provision.GROUPS and taken.user_id is None
    if gated and await database.write(lambda registry: sign_on.lose(registry, listed, person)):
        raise Forbidden("You are in no group any more that may come in here")
    by, user_agent = await visit.find(_whoever), visit.request.headers.get("user-agent", "")
    return await database.write(lambda registry: sign_on.come_in(registry, listed, person, taken, by, user_agent))


async def _refused(
    visit: Visit,
    listed: Listed,
    said: str,
    reason: str,
    status: int,
    *,
    note: str = "",
    subject: str = "",
    back: str = "/",
    known: bool = False,
) -> Response:
    """The form again, with what was refused; `known`: the sign-in was one of ours, so the audit trail is told."""
    provider, issuer = listed
    visit.count_sign_in("provider", accepted=False)
    log.warning("sign-on refused", provider=provider.name, issuer=issuer.url, reason=reason, note=note, sub=subject)
    if known:
        database: Database = visit.request.app.state.database
        await database.write(lambda registry: sign_on.note_refused(registry, provider, reason, subject))
    return await sign_in.form(visit, back, said, status)


async def _listed(visit: Visit) -> Listed:
    """The provider that the path names. Raises NotFound."""
    name, database = visit.request.path_params["provider"], visit.request.app.state.database
    found: Listed | None = await database.read(lambda registry: registry.sign_on.by_name(name))
    if found is None:
        raise NotFound("Provider")
    return found


def _redirect_uri(visit: Visit, listed: Listed) -> str:
    return own_base(visit.request) + callback_path(listed[0].name)


def _cookie(visit: Visit) -> str:
    return f"{HOST_PREFIX}{COOKIE}" if visit.secure else COOKIE


def _looks_ahead(request: Request) -> bool:
    return HEAD in request.scope or "sec-purpose" in request.headers


def _whoever(_registry: Registry, caller: Identity) -> Identity:
    return caller
