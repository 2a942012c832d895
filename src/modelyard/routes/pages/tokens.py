"""Tokens of people and of projects: made, rotated, revoked. The secret is in one answer, which nobody keeps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.access.policy import Action, Role, effective_role
from modelyard.access.tokens import Scope
from modelyard.errors import ApiError, NotFound
from modelyard.registry.people.tokens import TokenFilter
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Token
from modelyard.routes.pages.fields import ROLES, ROWS, day_in, page_in, role_in, role_name, turning
from modelyard.routes.pages.forms import Form, sentence
from modelyard.routes.pages.frame import View, enter
from modelyard.routes.pages.settings import ROOT
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.people import credentials
from modelyard.terms.paging import Page, PageRequest

subject = Subject()

PERSONAL = f"{ROOT}/personal_access_tokens"
OF_PROJECT = "/-/settings/access_tokens"
IN_PROJECT = "/{project:project}" + OF_PROJECT
SCOPES = (
    (Scope.API, "Everything that its user may do."),
    (Scope.READ_API, "Only what changes nothing: lists, pages and downloads."),
)
Make = Callable[[Registry, Identity], credentials.Made]


@dataclass(frozen=True, slots=True)
class Row:
    """A token in a list; `role` is that of a project's bot."""

    token: Token
    active: bool
    may_rotate: bool
    may_revoke: bool
    role: str = ""
    signed_in: bool = False  # whether the viewer's session was made with it


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a form: a secret that was made, or why not, and what was typed then."""

    form: Form = field(default_factory=lambda: Form([]))
    error: str = ""
    status: int = 200
    secret: str = ""
    name: str = ""
    user: str = ""  # whose tokens the form is about, where it says so


NOTHING = Told()
Show = Callable[[Visit, Told], Awaitable[Response]]

# One's own


@subject.get(PERSONAL)
async def list_personal(request: Request) -> Response:
    """The viewer's own tokens; for administrators those of the `user` in the query."""
    visit = Visit(request)
    await visit.identify()
    return await _personal(visit)


@subject.post(PERSONAL)
async def create_personal(request: Request) -> Response:
    """A new token for a user, by an administrator."""
    visit = Visit(request)
    form = await visit.form()

    def make(registry: Registry, caller: Identity) -> credentials.Made:
        return credentials.create_personal(registry, caller, form.text("user") or caller.username, _new(form))

    return await _made(visit, form, make, _personal)


@subject.post(PERSONAL + "/{token:number}/rotate")
async def rotate_personal(request: Request) -> Response:
    """Another secret for a token, whose old one ends."""
    visit = Visit(request)
    form = await visit.form()

    def make(registry: Registry, caller: Identity) -> credentials.Made:
        return credentials.rotate_personal(registry, caller, visit.number("token"), day_in(form, "expires_at"))

    return await _made(visit, form, make, _personal)


@subject.post(PERSONAL + "/{token:number}/revoke")
async def revoke_personal(request: Request) -> Response:
    """The end of a token."""
    visit = Visit(request)
    form = await visit.form()
    await visit.change(lambda registry, caller: credentials.revoke_personal(registry, caller, visit.number("token")))
    url = visit.links.to(PERSONAL, user=form.text("user") or None)
    return visit.redirect(url, "The token has been revoked")


# A project's


@subject.get(IN_PROJECT)
async def list_of_project(request: Request) -> Response:
    """The tokens of a project, for its maintainers."""
    return await _of_project(Visit(request))


@subject.post(IN_PROJECT)
async def create_of_project(request: Request) -> Response:
    """A new token of a project: a bot with a role."""
    visit, rows = Visit(request), request.app.state.rows
    form = await visit.form()

    def make(registry: Registry, caller: Identity) -> credentials.Made:
        return credentials.create_for_project(registry, caller, visit.project_path, _new(form), role_in(form), rows)

    return await _made(visit, form, make, _of_project)


@subject.post(IN_PROJECT + "/{token:number}/rotate")
async def rotate_of_project(request: Request) -> Response:
    """Another secret for a project's token."""
    visit = Visit(request)
    form = await visit.form()

    def make(registry: Registry, caller: Identity) -> credentials.Made:
        number, day = visit.number("token"), day_in(form, "expires_at")
        return credentials.rotate_of_project(registry, caller, visit.project_path, number, day)[0]

    return await _made(visit, form, make, _of_project)


@subject.post(IN_PROJECT + "/{token:number}/revoke")
async def revoke_of_project(request: Request) -> Response:
    """The end of a project's token, and of its bot's membership."""
    visit = Visit(request)
    await visit.form()
    number = visit.number("token")
    await visit.change_in_project(
        lambda registry, caller, ref: credentials.revoke_of_project(registry, caller, ref, number), adds=False
    )
    return visit.redirect(visit.links.project(visit.project_path, OF_PROJECT), "The token has been revoked")


# How


async def _made(visit: Visit, form: Form, make: Make, show: Show) -> Response:
    """The list again, with the secret that was made; or with what refused it, and what was typed."""
    try:
        made, secret = await visit.change(make)
    except ApiError as error:
        return await show(visit, Told(form, sentence(error), error.status, user=form.text("user")))
    return await show(visit, Told(status=201, secret=secret, name=made.name, user=form.text("user")))


def _new(form: Form) -> credentials.NewToken:
    return credentials.NewToken(
        form.text("name"), tuple(form.all("scopes")), day_in(form, "expires_at"), form.text("description")
    )


async def _personal(visit: Visit, told: Told = NOTHING) -> Response:
    number, wanted = page_in(visit.query), visit.query.get("user", "") or told.user

    def view(registry: Registry, caller: Identity) -> View:
        user_id, username = caller.user_id, caller.username
        if wanted and wanted.lower() != username.lower():
            user = registry.users.by_username(wanted) if caller.admin else None
            if user is None or user.bot:
                raise NotFound("User")
            user_id, username = user.id, user.username
        page = credentials.page_personal(registry, caller, user_id, TokenFilter(), PageRequest(number, ROWS))
        session = registry.tokens.by_id(caller.token_id or -1)
        maker = session.maker_id if session is not None else None
        may = caller.may_write
        rows = [_row(token, may, may, signed_in=token.id == maker) for token in page.items]
        may_make = caller.admin and may
        own = username == caller.username
        values = _values(visit, told, page, rows, may_make=may_make) | {
            "user": "" if own else username,
            "action": visit.links.to(PERSONAL),
            "roles": [],
            "heading": "Personal access tokens" if own else f"Access tokens of {username}",
            "why": "" if may_make else "An administrator makes tokens for people.",
            "trusts": False,
        }
        return View([str(values["heading"])], values)

    return await visit.show("settings/tokens.html", view, status=told.status, no_store=bool(told.secret))


async def _of_project(visit: Visit, told: Told = NOTHING) -> Response:
    number = page_in(visit.query)

    def view(registry: Registry, caller: Identity) -> View:
        found = enter(registry, caller, visit.project_path, Action.MANAGE)
        page = credentials.page_of_project(registry, caller, found.path, TokenFilter(), PageRequest(number, ROWS))
        most, may_grant = effective_role(caller, found.facts), Action.GRANT.value in found.may
        rows = [
            _row(token, may_grant and (level or 0) <= most, Action.MANAGE.value in found.may, role=role_name(level))
            for token, level in page.items
        ]
        values = _values(visit, told, page, rows, may_make=may_grant) | {
            "user": "",
            "action": visit.links.project(found.path, OF_PROJECT),
            "roles": [(level, name) for level, name in ROLES if level <= most],
            "heading": "Project access tokens",
            "why": "" if may_grant else "A maintainer who is no bot makes tokens for the project.",
            "trusts": registry.issuers.any(),
        }
        return View(["Access tokens"], values, found, [("Access tokens", "")], "tokens")

    return await visit.show("settings/tokens.html", view, status=told.status, no_store=bool(told.secret))


def _values(visit: Visit, told: Told, page: Page[Any], rows: Sequence[Row], *, may_make: bool) -> dict[str, object]:
    number = page.request.number
    return {
        "told": told,
        "rows": rows,
        "may_make": may_make,
        "scopes": SCOPES,
        "least": int(Role.DEVELOPER),
    } | turning(visit.query, "page", number + 1 if page.total > number * ROWS else None)


def _row(token: Token, may_rotate: bool, may_revoke: bool, role: str = "", *, signed_in: bool = False) -> Row:
    active = credentials.is_active(token)
    return Row(token, active, active and may_rotate, active and may_revoke, role, signed_in)
