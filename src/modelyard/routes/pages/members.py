"""Members of a project: who has which role, until when; given, changed and taken."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.access.policy import Action, Role, effective_role
from modelyard.registry.people.members import MemberFilter
from modelyard.registry.repository import Registry
from modelyard.routes.pages.fields import ROLES, ROWS, day_in, page_in, role_in, role_name, turning
from modelyard.routes.pages.forms import Form
from modelyard.routes.pages.frame import View, enter
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.people import members
from modelyard.terms.paging import PageRequest

subject = Subject()

MEMBERS = "/-/project_members"
ROOT = "/{project:project}" + MEMBERS


@subject.get(ROOT)
async def show(request: Request) -> Response:
    """A page of the members, for members."""
    return await _list(Visit(request))


@subject.post(ROOT)
async def add(request: Request) -> Response:
    """A new member, by user name."""
    visit = Visit(request)
    form = await visit.form(again=_list)
    new = members.NewMember(role_in(form), username=form.text("username"), expires_on=day_in(form, "expires_at"))
    await visit.change_in_project(lambda registry, caller, ref: members.add(registry, caller, ref, new))
    return _back(visit, f"{new.username} is a member now")


@subject.post(ROOT + "/{user:number}/edit")
async def change(request: Request) -> Response:
    """Another role of a member, or another day on which it ends; an empty one: never."""
    visit = Visit(request)
    form = await visit.form(again=_list, typed=False)
    wanted = members.MemberChange(role_in(form), day_in(form, "expires_at"), sets_expiry=True)
    await visit.change_in_project(
        lambda registry, caller, ref: members.update(registry, caller, ref, visit.number("user"), wanted),
        adds=False,
    )
    return _back(visit, "The role has been changed")


@subject.post(ROOT + "/{user:number}/remove")
async def remove(request: Request) -> Response:
    """The end of a membership; one's own too."""
    visit = Visit(request)
    await visit.form(again=_list, typed=False)

    def work(registry: Registry, caller: Identity, ref: int | str) -> bool:
        members.remove(registry, caller, ref, visit.number("user"))
        return caller.user_id == visit.number("user")

    own = await visit.change_in_project(work, adds=False)
    if own:
        return visit.redirect(visit.links.to("/"), f"You have left {visit.project_path}")
    return _back(visit, "The member has been removed")


async def _list(visit: Visit, form: Form | None = None, error: str = "", status: int = 200) -> Response:
    search, number = visit.query.get("search", "").strip(), page_in(visit.query)

    def view(registry: Registry, caller: Identity) -> View:
        found = enter(registry, caller, visit.project_path, Action.READ_MEMBERS)
        page = members.page(registry, caller, found.path, MemberFilter(search or None), PageRequest(number, ROWS))
        most = effective_role(caller, found.facts)
        may_grant, may_manage = Action.GRANT.value in found.may, Action.MANAGE.value in found.may
        rows = [
            {
                "member": member,
                "user": user,
                "role": role_name(member.access_level),
                "may_change": may_grant and member.access_level <= most,
                "may_remove": caller.may_write
                and (user.id == caller.user_id or (may_manage and member.access_level <= most)),
            }
            for member, user in page.items
        ]
        values = {
            "rows": rows,
            "total": page.total,
            "search": search,
            "roles": [(level, name) for level, name in ROLES if level <= most],
            "least": int(Role.DEVELOPER),
            "form": form or Form([]),
            "error": error,
        } | turning(visit.query, "page", number + 1 if page.total > number * ROWS else None)
        return View(["Members"], values, found, [("Members", "")], "members")

    return await visit.show("projects/members.html", view, status=status)


def _back(visit: Visit, notice: str) -> Response:
    return visit.redirect(visit.links.project(visit.project_path, MEMBERS), notice)
