"""What administrators look after: people, projects and their limits, the store and its upkeep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity, UserState
from modelyard.errors import InvalidFields, UnknownRoute
from modelyard.registry.base import MAX_INT64
from modelyard.registry.people.projects import ProjectFilter
from modelyard.registry.people.users import UserFilter
from modelyard.registry.repository import Registry
from modelyard.routes.pages.fields import ROWS, before_in, turning
from modelyard.routes.pages.forms import Form
from modelyard.routes.pages.frame import View
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.tokens import PERSONAL
from modelyard.routes.pages.visit import Visit
from modelyard.services.people import accounts, projects
from modelyard.services.people.authentication import require_admin
from modelyard.services.upkeep.state import state
from modelyard.terms.paging import PageRequest
from modelyard.terms.paths import NOBODY, parse_id

subject = Subject()

ADMIN = "/admin"
USERS, PROJECTS, STORAGE = f"{ADMIN}/users", f"{ADMIN}/projects", f"{ADMIN}/storage"
_PAGE = PageRequest(per_page=ROWS, keyset="before")
_FIRST = PageRequest(per_page=1)
_MIB = 1024 * 1024
_STATES = {
    "active": UserFilter(active=True),
    "blocked": UserFilter(blocked=True),
    "admins": UserFilter(admins=True),
}


def _administers(registry: Registry, caller: Identity, user_id: int, *, admin: bool) -> None:
    accounts.update(registry, caller, user_id, accounts.UserChange(admin=admin))


_MODERATED: dict[str, tuple[Callable[[Registry, Identity, int], None], str]] = {
    "promote": (partial(_administers, admin=True), "The user is an administrator now"),
    "demote": (partial(_administers, admin=False), "The user is no administrator any more"),
    "block": (accounts.block, "The user has been blocked"),
    "unblock": (accounts.unblock, "The user may come in again"),
    "deactivate": (accounts.deactivate, "The user has been deactivated"),
    "activate": (accounts.activate, "The user may come in again"),
    "delete": (accounts.delete, "The user has been deleted"),
}


@subject.get(ADMIN)
async def overview(request: Request) -> Response:
    """How many there are of what, and where they are looked after."""
    visit = Visit(request)
    await visit.identify()

    def view(registry: Registry, caller: Identity) -> View:
        require_admin(caller)
        values = {
            "users": accounts.page(registry, caller, UserFilter(), _FIRST).total,
            "blocked": accounts.page(registry, caller, UserFilter(blocked=True), _FIRST).total,
            "projects": projects.page(registry, caller, ProjectFilter(), _FIRST).total,
            "state": state(registry, caller),
        }
        return View(["Administration"], values)

    return await visit.show("admin/overview.html", view)


@subject.get(STORAGE)
async def storage(request: Request) -> Response:
    """What is stored, and how the last runs of upkeep went."""
    visit, settings = Visit(request), request.app.state.settings
    await visit.identify()

    def view(registry: Registry, caller: Identity) -> View:
        limits = {
            "file": settings.max_file_size,
            "project": settings.project_quota,
            "rows": settings.project_rows_quota,
        }
        return View(["Storage", "Administration"], {"state": state(registry, caller), "limits": limits})

    return await visit.show("admin/storage.html", view)


@subject.get(USERS)
async def list_users(request: Request) -> Response:
    """People, the newest first."""
    visit = Visit(request)
    await visit.identify()
    return await _users(visit)


@subject.post(USERS)
async def create_user(request: Request) -> Response:
    """A new account; tokens for it are made next."""
    visit = Visit(request)
    form = await visit.form(again=_users)
    new = accounts.NewUser(form.text("username"), form.text("name") or None, form.text("email"), admin="admin" in form)
    name = await visit.change(lambda registry, caller: accounts.create(registry, caller, new).username)
    return visit.redirect(visit.links.to(PERSONAL, user=name), f"{name} has an account now. Make a token to sign in.")


@subject.post(USERS + "/{user:number}/{action}")
async def moderate(request: Request) -> Response:
    """Block or let in, make an administrator or not, delete."""
    visit, action = Visit(request), request.path_params["action"]
    if action not in _MODERATED:
        raise UnknownRoute
    work, notice = _MODERATED[action]
    await visit.form(again=_users, typed=False)
    user_id = visit.number("user")
    await visit.change(lambda registry, caller: work(registry, caller, user_id))
    return visit.redirect(visit.links.to(USERS), notice)


@subject.get(PROJECTS)
async def list_projects(request: Request) -> Response:
    """All projects, the newest first, with what they take and may take."""
    visit = Visit(request)
    await visit.identify()
    return await _projects(visit)


@subject.post(PROJECTS + "/{number:number}/limit")
async def limit(request: Request) -> Response:
    """Another limit of a project, in MiB; empty: the server's own."""
    visit = Visit(request)
    form = await visit.form(again=lambda visit, _form, error, status: _projects(visit, error, status))
    change = projects.ProjectChange(storage_limit=_bytes(form.text("storage_limit")))
    await visit.change(lambda registry, caller: projects.update(registry, caller, visit.number("number"), change)[1])
    return visit.redirect(visit.links.to(PROJECTS), "The limit has been changed")


def _bytes(text: str) -> int:
    if not text:
        return projects.DEFAULT_LIMIT
    size = parse_id(text)
    if size == NOBODY or size * _MIB > MAX_INT64:
        raise InvalidFields(storage_limit="is no whole number of MiB")
    return size * _MIB


async def _users(visit: Visit, form: Form | None = None, error: str = "", status: int = 200) -> Response:
    search, which = visit.query.get("search", "").strip(), visit.query.get("state", "")
    narrowed = replace(_STATES.get(which, UserFilter()), search=search or None, ids=before_in(visit.query))

    def view(registry: Registry, caller: Identity) -> View:
        require_admin(caller)
        page = accounts.page(registry, caller, narrowed, _PAGE)
        values = {
            "rows": page.items,
            "search": search,
            "state": which,
            "states": tuple(_STATES),
            "active": UserState.ACTIVE,
            "form": form or Form([]),
            "error": error,
            "tokens": visit.links.to(PERSONAL),
        } | turning(visit.query, "before", page.items[-1][0].id if page.items and page.more else None)
        return View(["Users", "Administration"], values)

    return await visit.show("admin/users.html", view, status=status)


async def _projects(visit: Visit, error: str = "", status: int = 200) -> Response:
    search, settings = visit.query.get("search", "").strip(), visit.request.app.state.settings
    narrowed = ProjectFilter(search=search or None, order_by="id", ids=before_in(visit.query))

    def view(registry: Registry, caller: Identity) -> View:
        require_admin(caller)
        page = projects.page(registry, caller, narrowed, _PAGE, statistics=True)
        values = {
            "rows": page.items,
            "search": search,
            "default": settings.project_quota,
            "mib": _MIB,
            "error": error,
        } | turning(visit.query, "before", page.items[-1].project.id if page.items and page.more else None)
        return View(["Projects", "Administration"], values)

    return await visit.show("admin/projects.html", view, status=status)
