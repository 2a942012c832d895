"""GitLab's users API: accounts, managed by administrators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import Request, Response
from pydantic import Field
from typing_extensions import TypedDict

from modelyard.access.identity import Identity, UserState
from modelyard.clock import iso, iso_date
from modelyard.registry import tables
from modelyard.registry.people.users import UserFilter
from modelyard.registry.repository import Registry
from modelyard.routes.gitlab.face import gitlab_router
from modelyard.routes.gitlab.projects import ProjectListing, ProjectQuery, project_listing
from modelyard.routes.http.answers import Day, JSONAnswer, Listing, Timestamp, Url
from modelyard.routes.http.call import ApiCall
from modelyard.routes.http.listing import KeysetQuery, Moment, Needle, PageQuery, listing
from modelyard.routes.http.params import Parameters, parameters, stating
from modelyard.routes.http.path_params import ID, SEGMENT, RecordId, either
from modelyard.routes.http.refusals import refusing
from modelyard.routes.http.routing import Traits
from modelyard.routes.http.urls import base_url
from modelyard.services.people import accounts, members, projects
from modelyard.terms.paths import parse_id
from modelyard.wire.paths import parse_key

router = gitlab_router("", "users")


Name = Annotated[str, stating(maxLength=accounts.MAX_NAME)]

NONE = "Nobody here"


class UserQuery(KeysetQuery):
    """How a listing of users is narrowed and ordered."""

    username: str | None = Field(None, description="Exactly this user name, whatever the case.")
    search: Needle | None = Field(None, description="Found in user name, name or e-mail.")
    active: bool = False
    exclude_active: bool = False
    blocked: bool = False
    admins: bool = False
    without_projects: bool = Field(False, description="Only who is a member of no project.")
    created_after: Moment = None
    created_before: Moment = None
    humans: bool = Field(False, description="All are.")
    exclude_humans: bool = Field(False, description=f"{NONE} is anything else.")
    external: bool = Field(False, description=f"{NONE} is.")
    auditors: bool = Field(False, description=f"{NONE} is.")
    two_factor: Literal["enabled", "disabled"] | None = Field(None, description=f"{NONE} has it enabled.")
    public_email: str | None = Field(None, description=f"{NONE} has one.")
    extern_uid: str | None = Field(None, description=f"{NONE} has one.")
    provider: str | None = Field(None, description=f"{NONE} has one.")
    order_by: Literal["id", "name", "username", "created_at"] = "id"

    @property
    def narrowed(self) -> UserFilter:
        """The filter that is asked for."""
        nobody = (self.exclude_humans, self.external, self.auditors, self.two_factor == "enabled")
        return UserFilter(
            self.username,
            self.search,
            active=self.active,
            inactive=self.exclude_active,
            blocked=self.blocked,
            admins=self.admins,
            without_projects=self.without_projects,
            ids=self.ids,
            created=(self.created_after, self.created_before),
            none=any((*nobody, self.public_email, self.extern_uid, self.provider)),
            order_by=self.order_by,
            descending=self.descending,
        )


class MembershipQuery(PageQuery):
    """How a listing of memberships is narrowed."""

    type: Literal["Project", "Namespace"] | None = Field(None, description="All are in projects.")


class CreateUser(Parameters):
    """Parameters of a new account. There are no passwords: people use tokens."""

    username: Annotated[str, stating(pattern="^(?![0-9]+$)[A-Za-z0-9_][A-Za-z0-9_-]{0,254}$")]
    name: Name | None = None
    email: str = Field("", max_length=accounts.MAX_NAME)
    admin: bool = False


class UpdateUser(Parameters):
    """Parameters of a changed account."""

    name: Name | None = None
    email: Annotated[str, Field(max_length=accounts.MAX_NAME)] | None = None
    admin: bool | None = None
    username: str | None = Field(None, description="The one that the user has: it does not change.")


UserKey = Annotated[str, either(ID, SEGMENT | {"pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]*$"})]
Done = JSONAnswer[Literal[True]]


class PublicUser(TypedDict):
    """What everybody may know of a user."""

    id: int
    username: str
    name: str
    state: Annotated[str, stating(enum=list(UserState))]
    avatar_url: None
    web_url: Url


class User(PublicUser):
    """What a user, and administrators, may know of the user."""

    email: str
    is_admin: bool
    bot: bool
    created_at: Timestamp
    last_activity_on: Day | None
    namespace_id: int | None


class UserMembership(TypedDict):
    """A membership as GitLab shows it to administrators."""

    source_id: int
    source_name: str
    source_type: Literal["Project"]
    access_level: int


def public_fields(user: tables.User, base: str) -> PublicUser:
    """What everybody may know of a user."""
    return {
        "id": user.id,
        "username": user.username,
        "name": user.name,
        "state": user.state,
        "avatar_url": None,
        "web_url": f"{base}/{user.username}",
    }


def all_fields(seen: accounts.LastSeen, base: str) -> User:
    """What a user, and administrators, may know of the user."""
    user, last_used_at = seen
    return {
        **public_fields(user, base),
        "email": user.email,
        "is_admin": user.admin,
        "bot": user.bot,
        "created_at": iso(user.created_at),
        "last_activity_on": iso_date(last_used_at),
        "namespace_id": None if user.bot else user.id,
    }


def membership_fields(row: tuple[tables.Member, tables.Project]) -> UserMembership:
    """A membership of a user."""
    member, project = row
    return {
        "source_id": project.id,
        "source_name": project.name,
        "source_type": "Project",
        "access_level": member.access_level,
    }


@router.get("/user", summary="Who is signed in")
async def current_user(request: Request, call: ApiCall) -> User:
    """The account behind the token."""
    seen = await call.read(accounts.current)
    return all_fields(seen, base_url(request))


@router.get("/users", summary="List users")
async def list_users(
    request: Request, call: ApiCall, query: UserQuery = parameters(UserQuery)
) -> Listing[User] | Listing[PublicUser]:
    """For administrators; for others who know a `username`, with what everybody may know."""
    narrowed, base = query.narrowed, base_url(request)
    page, caller = await call.search(
        lambda registry, caller: (accounts.page(registry, caller, narrowed, query.request), caller)
    )
    if caller.admin:
        return listing(request, page, lambda seen: all_fields(seen, base))
    return listing(request, page, lambda seen: public_fields(seen[0], base))


@router.post("/users", status_code=201, summary="Create a user", responses=refusing(409))
@Traits(makes=("user_id", "/id"))
async def create_user(request: Request, call: ApiCall, new: CreateUser = parameters(CreateUser)) -> User:
    """For administrators."""
    wanted = accounts.NewUser(new.username, new.name, new.email, new.admin)
    user = await call.write(lambda registry, caller: accounts.create(registry, caller, wanted))
    return all_fields((user, None), base_url(request))


@router.get("/users/{user_id}", summary="Show a user")
@Traits(follows="user_id")
async def show_user(request: Request, call: ApiCall, user_id: RecordId) -> User | PublicUser:
    """All fields for administrators and for oneself."""
    seen, caller = await call.read(lambda registry, caller: (accounts.show(registry, parse_id(user_id)), caller))
    if caller.admin or caller.user_id == seen[0].id:
        return all_fields(seen, base_url(request))
    return public_fields(seen[0], base_url(request))


@router.get("/users/{user_id}/memberships", summary="List a user's memberships")
async def list_memberships(
    request: Request, call: ApiCall, user_id: RecordId, query: MembershipQuery = parameters(MembershipQuery)
) -> Listing[UserMembership]:
    """For administrators."""
    none = query.type == "Namespace"
    page = await call.search(
        lambda registry, caller: members.page_of_user(registry, caller, parse_id(user_id), query.request, none=none)
    )
    return listing(request, page, membership_fields)


@router.get("/users/{user}/projects", summary="List a user's projects")
@Traits(public=True)
async def list_projects(
    request: Request, call: ApiCall, user: UserKey, query: ProjectQuery = parameters(ProjectQuery, public=True)
) -> ProjectListing:
    """Of a user, by id or name: those in the user's namespace that the caller sees."""
    key, narrowed = parse_key(user), query.narrowed
    page = await call.search_public(
        lambda registry, caller: projects.page_of_user(
            registry, caller, key, narrowed, query.request, statistics=query.sized
        )
    )
    return project_listing(request, query, page)


@router.put("/users/{user_id}", summary="Change a user")
@Traits(follows="user_id")
async def update_user(
    request: Request, call: ApiCall, user_id: RecordId, change: UpdateUser = parameters(UpdateUser)
) -> User:
    """For administrators. User names do not change, since projects are addressed by them."""
    wanted = accounts.UserChange(change.name, change.email, change.admin, change.username)
    seen = await call.write(lambda registry, caller: accounts.update(registry, caller, parse_id(user_id), wanted))
    return all_fields(seen, base_url(request))


@router.delete("/users/{user_id}", status_code=204, summary="Delete a user")
@Traits(follows="user_id")
async def delete_user(call: ApiCall, user_id: RecordId) -> Response:
    """For administrators; what the user made stays."""
    await call.write(lambda registry, caller: accounts.delete(registry, caller, parse_id(user_id)))
    return Response(status_code=204)


@router.post("/users/{user_id}/block", status_code=201, summary="Block a user")
@Traits(follows="user_id")
async def block_user(call: ApiCall, user_id: RecordId) -> Done:
    """For administrators; the user's tokens are refused from the next request on."""
    return await _moderate(call, user_id, accounts.block)


@router.post("/users/{user_id}/unblock", status_code=201, summary="Let a blocked user in again")
async def unblock_user(call: ApiCall, user_id: RecordId) -> Done:
    """For administrators; who was deactivated is to be activated instead."""
    return await _moderate(call, user_id, accounts.unblock)


@router.post("/users/{user_id}/deactivate", status_code=201, summary="Deactivate a user")
@Traits(follows="user_id")
async def deactivate_user(call: ApiCall, user_id: RecordId) -> Done:
    """For administrators: somebody whose tokens nobody used for 90 days; they are refused from then on."""
    return await _moderate(call, user_id, accounts.deactivate)


@router.post("/users/{user_id}/activate", status_code=201, summary="Let a deactivated user in again")
async def activate_user(call: ApiCall, user_id: RecordId) -> Done:
    """For administrators; who was blocked is to be unblocked instead."""
    return await _moderate(call, user_id, accounts.activate)


async def _moderate(call: ApiCall, user_id: str, change: Callable[[Registry, Identity, int], None]) -> Done:
    await call.write(lambda registry, caller: change(registry, caller, parse_id(user_id)))
    return JSONAnswer(True, 201)
