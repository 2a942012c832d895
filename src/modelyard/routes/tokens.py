"""GitLab's tokens: personal ones, a project's, and short-lived ones for jobs."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, BeforeValidator, Field

from modelyard.access.policy import Role
from modelyard.access.tokens import Scope
from modelyard.clock import iso, iso_date
from modelyard.registry.tables import Token
from modelyard.registry.tokens import TokenFilter
from modelyard.routes.call import ApiCall
from modelyard.routes.listing import Moment, PageQuery, listing
from modelyard.routes.params import comma_separated, documented, parameters, query_documented, stating
from modelyard.services import credentials
from modelyard.wire.paths import parse_id, parse_project

router = APIRouter(prefix="/api/v4", tags=["tokens"])

SELF = "self"
HOUR = 3600


class CreateToken(BaseModel):
    """Parameters of a token to be made."""

    name: Annotated[str, stating(minLength=1, maxLength=credentials.MAX_NAME, pattern=r"\S")]
    scopes: Annotated[list[str], BeforeValidator(comma_separated), stating(minItems=1, items={"enum": list(Scope)})]
    expires_at: date | None = Field(None, description="Day on which it stops working, at midnight UTC.")
    description: str = ""

    @property
    def wanted(self) -> credentials.NewToken:
        """The token as the service takes it."""
        return credentials.NewToken(self.name, tuple(self.scopes), self.expires_at, self.description)


class CreateProjectToken(CreateToken):
    """Parameters of a project access token."""

    access_level: Role = Role.MAINTAINER


class CreateJobToken(BaseModel):
    """Parameters of a job token."""

    expires_in: int = Field(HOUR, ge=1, le=24 * HOUR, description="Seconds.")


class RotateToken(BaseModel):
    """Parameters of a rotation."""

    expires_at: date | None = Field(None, description="Default: a week from now.")


class TokenQuery(PageQuery):
    """How a listing of tokens is narrowed and ordered."""

    state: Literal["active", "inactive"] | None = None
    revoked: bool | None = None
    search: str | None = Field(None, description="Found in the name.")
    created_after: Moment = None
    created_before: Moment = None
    expires_after: Moment = Field(None, description="Only tokens that expire, at this time or later.")
    expires_before: Moment = None
    last_used_after: Moment = Field(None, description="Only tokens that were used, at this time or later.")
    last_used_before: Moment = None
    sort: Literal[
        "created_asc",
        "created_desc",
        "expires_asc",
        "expires_desc",
        "last_used_asc",
        "last_used_desc",
        "name_asc",
        "name_desc",
    ] = "created_desc"

    @property
    def narrowed(self) -> TokenFilter:
        """The filter that is asked for."""
        return TokenFilter(
            active=None if self.state is None else self.state == "active",
            revoked=self.revoked,
            search=self.search,
            created=(self.created_after, self.created_before),
            expires=(self.expires_after, self.expires_before),
            last_used=(self.last_used_after, self.last_used_before),
            order=self.sort,
        )


class PersonalTokenQuery(TokenQuery):
    """How a listing of personal tokens is narrowed and ordered."""

    user_id: int | None = None


def token_fields(token: Token) -> dict[str, object]:
    """A token without its secret."""
    return {
        "id": token.id,
        "name": token.name,
        "revoked": token.revoked_at is not None,
        "created_at": iso(token.created_at),
        "description": token.description,
        "scopes": token.scopes.split(),
        "user_id": token.user_id,
        "last_used_at": iso(token.last_used_at),
        "active": credentials.is_active(token),
        "expires_at": iso_date(token.expires_at),
    }


def project_token_fields(row: credentials.WithRole) -> dict[str, object]:
    """A project's token without its secret."""
    return token_fields(row[0]) | {"access_level": row[1]}


def _with_secret(made: credentials.Made) -> dict[str, object]:
    return token_fields(made[0]) | {"token": made[1]}


def _token_id(text: str) -> int | None:
    return None if text == SELF else parse_id(text)


@router.post(
    "/users/{user_id}/personal_access_tokens",
    status_code=201,
    summary="Create a personal access token",
    openapi_extra=documented(CreateToken),
)
async def create_personal(call: ApiCall, user_id: str, new: CreateToken = parameters(CreateToken)) -> dict[str, object]:
    """For administrators. The secret is shown this once."""
    return _with_secret(
        await call.write(
            lambda registry, caller: credentials.create_personal(registry, caller, parse_id(user_id), new.wanted)
        )
    )


@router.get(
    "/personal_access_tokens", summary="List personal access tokens", openapi_extra=query_documented(PersonalTokenQuery)
)
async def list_personal(
    request: Request, call: ApiCall, query: PersonalTokenQuery = parameters(PersonalTokenQuery)
) -> Response:
    """One's own; for administrators everybody's."""
    narrowed = query.narrowed
    page = await call.read(
        lambda registry, caller: credentials.page_personal(registry, caller, query.user_id, narrowed, query.request)
    )
    return listing(request, page, token_fields)


@router.get("/personal_access_tokens/{token_id}", summary="Show a token")
async def show_personal(call: ApiCall, token_id: str) -> dict[str, object]:
    """By id, or `self` for the one that is presented."""
    return token_fields(
        await call.read(lambda registry, caller: credentials.find_personal(registry, caller, _token_id(token_id)))
    )


@router.delete("/personal_access_tokens/{token_id}", status_code=204, summary="Revoke a token")
async def revoke_personal(call: ApiCall, token_id: str) -> Response:
    """By id, or `self` for the one that is presented, which any token may do to itself."""
    await call.write(
        lambda registry, caller: credentials.revoke_personal(registry, caller, _token_id(token_id)),
        any_scope=token_id == SELF,
    )
    return Response(status_code=204)


@router.post(
    "/personal_access_tokens/{token_id}/rotate", summary="Replace a token", openapi_extra=documented(RotateToken)
)
async def rotate_personal(
    call: ApiCall, token_id: str, options: RotateToken = parameters(RotateToken)
) -> dict[str, object]:
    """Revoke a token and make another of the same name and scopes."""
    return _with_secret(
        await call.write(
            lambda registry, caller: credentials.rotate_personal(
                registry, caller, _token_id(token_id), options.expires_at
            )
        )
    )


@router.get(
    "/projects/{project}/access_tokens",
    summary="List project access tokens",
    openapi_extra=query_documented(TokenQuery),
)
async def list_of_project(
    request: Request, call: ApiCall, project: str, query: TokenQuery = parameters(TokenQuery)
) -> Response:
    """For maintainers; with `state=active`, those that still work."""
    ref, narrowed = parse_project(project), query.narrowed
    page = await call.read(
        lambda registry, caller: credentials.page_of_project(registry, caller, ref, narrowed, query.request)
    )
    return listing(request, page, project_token_fields)


@router.post(
    "/projects/{project}/access_tokens",
    status_code=201,
    summary="Create a project access token",
    openapi_extra=documented(CreateProjectToken),
)
async def create_for_project(
    call: ApiCall, project: str, new: CreateProjectToken = parameters(CreateProjectToken)
) -> dict[str, object]:
    """For maintainers: a token for a bot that has the given role. The secret is shown this once."""
    ref = parse_project(project)
    made = await call.write(
        lambda registry, caller: credentials.create_for_project(registry, caller, ref, new.wanted, new.access_level)
    )
    return _with_secret(made) | {"access_level": int(new.access_level)}


@router.get("/projects/{project}/access_tokens/{token_id}", summary="Show a project access token")
async def show_of_project(call: ApiCall, project: str, token_id: str) -> dict[str, object]:
    """For maintainers."""
    ref = parse_project(project)
    return project_token_fields(
        await call.read(lambda registry, caller: credentials.find_of_project(registry, caller, ref, parse_id(token_id)))
    )


@router.post(
    "/projects/{project}/access_tokens/{token_id}/rotate",
    summary="Replace a project access token",
    openapi_extra=documented(RotateToken),
)
async def rotate_of_project(
    call: ApiCall, project: str, token_id: str, options: RotateToken = parameters(RotateToken)
) -> dict[str, object]:
    """For maintainers, by id; or `self` for the one that is presented, which any project access token may do."""
    ref = parse_project(project)
    made, level = await call.write(
        lambda registry, caller: credentials.rotate_of_project(
            registry, caller, ref, _token_id(token_id), options.expires_at
        )
    )
    return _with_secret(made) | {"access_level": level}


@router.delete("/projects/{project}/access_tokens/{token_id}", status_code=204, summary="Revoke a project access token")
async def revoke_of_project(call: ApiCall, project: str, token_id: str) -> Response:
    """For maintainers."""
    ref = parse_project(project)
    await call.write(lambda registry, caller: credentials.revoke_of_project(registry, caller, ref, parse_id(token_id)))
    return Response(status_code=204)


@router.post(
    "/projects/{project}/job_tokens",
    status_code=201,
    summary="Create a job token",
    openapi_extra=documented(CreateJobToken),
)
async def create_for_job(
    call: ApiCall, project: str, new: CreateJobToken = parameters(CreateJobToken)
) -> dict[str, object]:
    """A short-lived token that acts for the caller in this project alone, as GitLab's CI job tokens do."""
    ref = parse_project(project)
    token, secret = await call.write(
        lambda registry, caller: credentials.create_for_job(registry, caller, ref, new.expires_in * 1000)
    )
    return {"token": secret, "expires_at": iso(token.expires_at), "project_id": token.project_id}
