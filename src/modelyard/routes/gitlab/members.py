"""GitLab's members API."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import Request, Response
from pydantic import BeforeValidator, Field

from modelyard.access.policy import Role
from modelyard.clock import iso, iso_date
from modelyard.registry.people.members import MemberFilter, Membership
from modelyard.routes.gitlab.face import gitlab_router
from modelyard.routes.gitlab.users import PublicUser, public_fields
from modelyard.routes.http.answers import Day, Listing, Timestamp
from modelyard.routes.http.call import ApiCall
from modelyard.routes.http.listing import Needle, PageQuery, listing
from modelyard.routes.http.params import (
    Parameters,
    comma_separated,
    empty_is_none,
    parameters,
)
from modelyard.routes.http.path_params import ProjectKey, RecordId
from modelyard.routes.http.refusals import refusing
from modelyard.routes.http.routing import Traits
from modelyard.routes.http.urls import base_url
from modelyard.services.people import members
from modelyard.terms.paths import parse_id
from modelyard.wire.paths import parse_project

router = gitlab_router("/projects/{project}/members", "members")

OptionalDay = Annotated[date | None, BeforeValidator(empty_is_none)]


MAX_IDS = 500  # as many as fit into a URL
UserIds = Annotated[list[int], Field(max_length=MAX_IDS, fail_fast=True), BeforeValidator(comma_separated)]


class MemberQuery(PageQuery):
    """How a listing of members is narrowed."""

    query: Needle | None = Field(None, description="Found in user name or name.")
    user_ids: UserIds = Field([], description="Only these users.")
    skip_users: UserIds = Field([], description="None of these users.")

    @property
    def narrowed(self) -> MemberFilter:
        """The filter that is asked for."""
        return MemberFilter(self.query, self.user_ids, self.skip_users)


class AllMembersQuery(MemberQuery):
    """How a listing of members is narrowed, of whom GitLab knows some that wait to become active."""

    state: Literal["active", "awaiting"] | None = Field(None, description="All are active here.")


class UpdateMember(Parameters):
    """Parameters of a changed membership; without `expires_at` it ends when it did before."""

    access_level: Role
    expires_at: OptionalDay = Field(None, description="Day on which the membership ends, at midnight UTC.")


class CreateMember(UpdateMember):
    """Parameters of a new membership: a user's id or name, and the role."""

    user_id: int | None = None
    username: str | None = None


class Member(PublicUser):
    """A member as GitLab shows it."""

    access_level: int
    created_at: Timestamp
    expires_at: Day | None
    membership_state: Literal["active"]


def member_fields(membership: Membership, base: str) -> Member:
    """A member as GitLab shows it."""
    member, user = membership
    return {
        **public_fields(user, base),
        "access_level": member.access_level,
        "created_at": iso(member.created_at),
        "expires_at": iso_date(member.expires_at),
        "membership_state": "active",
    }


@router.get("", summary="List members")
async def list_members(
    request: Request, call: ApiCall, project: ProjectKey, query: MemberQuery = parameters(MemberQuery)
) -> Listing[Member]:
    """For the project's members."""
    return await _list(request, call, project, query)


@router.get("/all", summary="List members, also by inheritance")
async def list_all_members(
    request: Request, call: ApiCall, project: ProjectKey, query: AllMembersQuery = parameters(AllMembersQuery)
) -> Listing[Member]:
    """For the project's members. There are no groups to inherit from, so it is those of the project."""
    return await _list(request, call, project, query, none=query.state == "awaiting")


async def _list(
    request: Request, call: ApiCall, project: str, query: MemberQuery, *, none: bool = False
) -> Listing[Member]:
    ref, narrowed, base = parse_project(project), query.narrowed, base_url(request)
    page = await call.search(
        lambda registry, caller: members.page(registry, caller, ref, narrowed, query.request, none=none)
    )
    return listing(request, page, lambda membership: member_fields(membership, base))


@router.post("", status_code=201, summary="Add a member", responses=refusing(409))
@Traits(follows="project")
async def add_member(
    request: Request, call: ApiCall, project: ProjectKey, new: CreateMember = parameters(CreateMember)
) -> Member:
    """For maintainers who are no bots, with a role up to their own."""
    ref = parse_project(project)
    wanted = members.NewMember(new.access_level, new.user_id, new.username, new.expires_at)
    membership = await call.write(lambda registry, caller: members.add(registry, caller, ref, wanted))
    return member_fields(membership, base_url(request))


@router.get("/all/{user_id}", summary="Show a member, also by inheritance")
@router.get("/{user_id}", summary="Show a member")
async def show_member(request: Request, call: ApiCall, project: ProjectKey, user_id: RecordId) -> Member:
    """For the project's members."""
    ref = parse_project(project)
    membership = await call.read(lambda registry, caller: members.show(registry, caller, ref, parse_id(user_id)))
    return member_fields(membership, base_url(request))


@router.put("/{user_id}", summary="Change a member")
async def update_member(
    request: Request,
    call: ApiCall,
    project: ProjectKey,
    user_id: RecordId,
    change: UpdateMember = parameters(UpdateMember),
) -> Member:
    """For maintainers who are no bots; it counts from the next request on."""
    ref = parse_project(project)
    wanted = members.MemberChange(change.access_level, change.expires_at, "expires_at" in change.model_fields_set)
    membership = await call.write(
        lambda registry, caller: members.update(registry, caller, ref, parse_id(user_id), wanted)
    )
    return member_fields(membership, base_url(request))


@router.delete("/{user_id}", status_code=204, summary="Remove a member")
async def remove_member(call: ApiCall, project: ProjectKey, user_id: RecordId) -> Response:
    """For maintainers, and for members who leave."""
    ref = parse_project(project)
    await call.write(lambda registry, caller: members.remove(registry, caller, ref, parse_id(user_id)))
    return Response(status_code=204)
