"""GitLab's users API: accounts, managed by administrators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from modelyard.access.identity import Identity
from modelyard.clock import iso
from modelyard.errors import NotFound
from modelyard.registry.repository import Registry
from modelyard.registry.tables import User
from modelyard.routes.call import ApiCall
from modelyard.routes.listing import PageQuery, listing
from modelyard.routes.params import documented, parameters, query_documented, stating
from modelyard.routes.urls import base_url
from modelyard.services import accounts
from modelyard.wire.paths import parse_id

router = APIRouter(prefix="/api/v4", tags=["users"])


class UserQuery(PageQuery):
    """How a listing of users is narrowed."""

    username: str | None = Field(None, description="Exactly this user name, whatever the case.")
    search: str | None = Field(None, description="Found in user name, name or e-mail.")


class CreateUser(BaseModel):
    """Parameters of a new account. There are no passwords: people use tokens."""

    username: Annotated[str, stating(pattern="^(?![0-9]+$)[A-Za-z0-9_][A-Za-z0-9_-]{0,254}$")]
    name: str | None = None
    email: str = ""
    admin: bool = False


class UpdateUser(BaseModel):
    """Parameters of a changed account."""

    name: str | None = None
    email: str | None = None
    admin: bool | None = None


def public_fields(user: User, base: str) -> dict[str, object]:
    """What everybody may know of a user."""
    return {
        "id": user.id,
        "username": user.username,
        "name": user.name,
        "state": user.state,
        "avatar_url": None,
        "web_url": f"{base}/{user.username}",
    }


def all_fields(user: User, base: str) -> dict[str, object]:
    """What a user, and administrators, may know of the user."""
    more = {"email": user.email, "is_admin": user.admin, "bot": user.bot, "created_at": iso(user.created_at)}
    return public_fields(user, base) | more


@router.get("/user", summary="Who is signed in")
async def current_user(request: Request, call: ApiCall) -> dict[str, object]:
    """The account behind the token."""
    user = await call.read(lambda registry, caller: registry.users.by_id(caller.user_id or -1))
    if user is None:
        raise NotFound("User")
    return all_fields(user, base_url(request))


@router.get("/users", summary="List users", openapi_extra=query_documented(UserQuery))
async def list_users(request: Request, call: ApiCall, query: UserQuery = parameters(UserQuery)) -> Response:
    """For administrators, newest first."""
    page = await call.read(
        lambda registry, caller: accounts.page(
            registry, caller, query.request, username=query.username, text=query.search
        )
    )
    return listing(request, page, lambda user: all_fields(user, base_url(request)))


@router.post("/users", status_code=201, summary="Create a user", openapi_extra=documented(CreateUser))
async def create_user(request: Request, call: ApiCall, new: CreateUser = parameters(CreateUser)) -> dict[str, object]:
    """For administrators."""
    wanted = accounts.NewUser(new.username, new.name, new.email, new.admin)
    user = await call.write(lambda registry, caller: accounts.create(registry, caller, wanted))
    return all_fields(user, base_url(request))


@router.get("/users/{user_id}", summary="Show a user")
async def show_user(request: Request, call: ApiCall, user_id: str) -> dict[str, object]:
    """All fields for administrators and for oneself."""
    user, caller = await call.read(lambda registry, caller: (accounts.find(registry, parse_id(user_id)), caller))
    present = all_fields if caller.admin or caller.user_id == user.id else public_fields
    return present(user, base_url(request))


@router.put("/users/{user_id}", summary="Change a user", openapi_extra=documented(UpdateUser))
async def update_user(
    request: Request, call: ApiCall, user_id: str, change: UpdateUser = parameters(UpdateUser)
) -> dict[str, object]:
    """For administrators. User names do not change, since projects are addressed by them."""
    wanted = accounts.UserChange(change.name, change.email, change.admin)
    user = await call.write(lambda registry, caller: accounts.update(registry, caller, parse_id(user_id), wanted))
    return all_fields(user, base_url(request))


@router.delete("/users/{user_id}", status_code=204, summary="Delete a user")
async def delete_user(call: ApiCall, user_id: str) -> Response:
    """For administrators; what the user made stays."""
    await call.write(lambda registry, caller: accounts.delete(registry, caller, parse_id(user_id)))
    return Response(status_code=204)


@router.post("/users/{user_id}/block", status_code=201, summary="Block a user")
async def block_user(call: ApiCall, user_id: str) -> Response:
    """For administrators; the user's tokens are refused from the next request on."""
    return await _moderate(call, user_id, accounts.block)


@router.post("/users/{user_id}/unblock", status_code=201, summary="Let a blocked user in again")
async def unblock_user(call: ApiCall, user_id: str) -> Response:
    """For administrators; who was deactivated is to be activated instead."""
    return await _moderate(call, user_id, accounts.unblock)


@router.post("/users/{user_id}/deactivate", status_code=201, summary="Deactivate a user")
async def deactivate_user(call: ApiCall, user_id: str) -> Response:
    """For administrators: somebody whose tokens nobody used for 90 days; they are refused from then on."""
    return await _moderate(call, user_id, accounts.deactivate)


@router.post("/users/{user_id}/activate", status_code=201, summary="Let a deactivated user in again")
async def activate_user(call: ApiCall, user_id: str) -> Response:
    """For administrators; who was blocked is to be unblocked instead."""
    return await _moderate(call, user_id, accounts.activate)


async def _moderate(call: ApiCall, user_id: str, change: Callable[[Registry, Identity, int], None]) -> Response:
    await call.write(lambda registry, caller: change(registry, caller, parse_id(user_id)))
    return JSONResponse(True, 201)
