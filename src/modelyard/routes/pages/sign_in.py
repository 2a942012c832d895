"""Coming in and going out: a token or a password in a form, or a code that works once, begins a session."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.access.token_format import is_well_formed, own_spelling
from modelyard.errors import ApiError, Forbidden, TooManyRequests, Unauthorized
from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from modelyard.routes.http.browsing import HEAD, refuse_other_origins
from modelyard.routes.http.strangers import network_in
from modelyard.routes.pages import passwords
from modelyard.routes.pages.forms import Form, read_form, sentence
from modelyard.routes.pages.frame import View
from modelyard.routes.pages.leaving import lead, sign_out_url
from modelyard.routes.pages.links import own_path
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.people import sessions
from modelyard.services.traffic.throttling import Throttled, mark_of
from modelyard.terms.paths import SIGN_IN
from modelyard.wire.cookies import end_session, set_session

subject = Subject()

MAX_FORM_BYTES = 16 * 1024
SLOWED_SECONDS = 1.0  # as long as the API makes those wait who guess
WRONG = "This is no token that is valid here. Copy it whole, or make a new one."


@subject.get(SIGN_IN)
async def ask(request: Request) -> Response:
    """The form; a code in the query signs in at once, but not whoever only looks ahead."""
    visit = Visit(request)
    code = visit.query.get("code", "")
    looks_ahead = HEAD in request.scope or "sec-purpose" in request.headers
    if code and not looks_ahead:
        return await _begin_by_code(visit, code)
    return await form(visit, visit.query.get("return_to", "/"))


@subject.post(SIGN_IN)
async def begin(request: Request) -> Response:
    """A session for whoever has the token in the field `token`, or the `password` of `username`."""
    visit = Visit(request)
    refuse_other_origins(request.scope, visit.request.app.state.settings.external_url)
    request.scope["sender"] = network_in(request)
    sent = await read_form(request, MAX_FORM_BYTES)
    back = own_path(sent.text("return_to") or "/")
    return await (_begin_by_password if "password" in sent else _begin_by_token)(visit, sent, back)


async def _begin_by_password(visit: Visit, sent: Form, back: str) -> Response:
    try:
        secret = await passwords.sign_in(visit.request, sent)
    except (Unauthorized, Forbidden) as error:
        visit.count_sign_in("password", accepted=False)
        said = passwords.WRONG if isinstance(error, Unauthorized) else sentence(error)
        answer = await form(visit, back, said, error.status)
        answer.background = passwords.telling(visit.request, sent)
        return answer
    return await signed_in(visit, secret, back, "password")


async def _begin_by_token(visit: Visit, sent: Form, back: str) -> Response:
    request, token = visit.request, own_spelling(sent.text("token"))
    throttle, address = request.app.state.throttle, network_in(request)
    mark = mark_of(token.encode())
    if not throttle.knows(mark) and (stale := throttle.stale(address, mark)) is not None:
        raise await _slowed(stale)
    try:
        secret = await _begin(visit, token)
    except ApiError as error:
        visit.count_sign_in("token", accepted=False)
        if error.status == Unauthorized.status and (refused := throttle.failed(address, mark)) is not None:
            raise await _slowed(refused) from error
        said = WRONG if isinstance(error, Unauthorized) else sentence(error)
        return await form(visit, back, said, error.status)
    throttle.passed(mark)
    return await signed_in(visit, secret, back, "token")


@subject.post("/users/sign_out")
async def end(request: Request) -> Response:
    """The end of the browser's session, which counts from its next request on, whoever sends it."""
    visit = Visit(request)

    def work(registry: Registry, caller: Identity) -> int | None:
        sessions.end(registry, caller, None)
        return caller.token_id

    elsewhere = await sign_out_url(visit, await visit.change(work, any_scope=True))
    if elsewhere is None:
        response = visit.redirect(visit.links.to("/"), "You have signed out")
    else:
        response = await lead(visit, *elsewhere, f"You have signed out here; go on to sign out at {elsewhere[1]}")
    response.raw_headers.append((b"set-cookie", end_session(secure=visit.secure).encode()))
    return response


async def _begin_by_code(visit: Visit, code: str) -> Response:
    user_agent = visit.request.headers.get("user-agent", "")
    database: Database = visit.request.app.state.database
    try:
        await database.read(lambda registry: sessions.check_code(registry, code))
        _token, secret = await database.write(lambda registry: sessions.sign_in_by_code(registry, code, user_agent))
    except ApiError:
        visit.count_sign_in("code", accepted=False)
        said = "This link has been used, or is older than ten minutes. Start the server again for another one."
        return await form(visit, "/", said, Unauthorized.status)
    return await signed_in(visit, secret, "/", "code")


async def _begin(visit: Visit, token: str) -> str:
    if not is_well_formed(token):
        raise Unauthorized
    user_agent = visit.request.headers.get("user-agent", "")
    database: Database = visit.request.app.state.database
    await database.read(lambda registry: sessions.check(registry, token))
    _token, secret = await database.write(lambda registry: sessions.sign_in(registry, token, user_agent))
    return secret


async def signed_in(visit: Visit, secret: str, back: str, way: str) -> Response:
    """The way on for who has come in, in a session in place of the one that the browser had."""
    visit.count_sign_in(way, accepted=True)
    before = visit.session
    if before:
        database: Database = visit.request.app.state.database
        await database.write(lambda registry: sessions.end_presented(registry, before))
    response = visit.redirect(visit.links.prefix + back)
    response.raw_headers.append((b"set-cookie", set_session(secret, secure=visit.secure).encode()))
    return response


async def form(visit: Visit, back: str, error: str = "", status: int = 200) -> Response:
    """The page on which one signs in, in all ways that there are; perhaps with what was refused."""
    headers = {"WWW-Authenticate": 'Bearer realm="modelyard"'} if status == Unauthorized.status else {}

    def view(registry: Registry, _caller: Identity) -> View:
        providers = [(provider.name, provider.label) for provider, _issuer in registry.sign_on.listed()]
        values = {"error": error, "return_to": own_path(back), "providers": providers}
        return View(["Sign in"], values | {"by_password": registry.passwords.any()})

    return await visit.show("sign_in.html", view, status=status, headers=headers, no_store=True)


async def _slowed(throttled: Throttled) -> TooManyRequests:
    await asyncio.sleep(SLOWED_SECONDS)
    error = TooManyRequests("Too many tokens that are not valid came from your address", 1)
    error.headers.update(throttled.headers)
    return error
