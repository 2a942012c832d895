"""GitLab's access tokens of a project, which are bots."""

from __future__ import annotations

from fastapi import Request, Response

from modelyard.access.policy import Role
from modelyard.routes.gitlab.face import gitlab_router
from modelyard.routes.gitlab.tokens import (
    CreateToken,
    NewToken,
    RotateToken,
    Token,
    TokenKey,
    TokenQuery,
    token_fields,
    token_ref,
    with_secret,
)
from modelyard.routes.http.answers import Listing
from modelyard.routes.http.bodies import SMALL_BODY_BYTES
from modelyard.routes.http.call import ApiCall
from modelyard.routes.http.listing import listing
from modelyard.routes.http.params import parameters
from modelyard.routes.http.path_params import ProjectKey
from modelyard.routes.http.refusals import refusing
from modelyard.routes.http.routing import Traits
from modelyard.services.people import credentials
from modelyard.terms.paths import parse_id
from modelyard.wire.paths import parse_project

router = gitlab_router("/projects/{project}", "tokens")


class CreateProjectToken(CreateToken):
    """Parameters of a project access token."""

    access_level: Role = Role.MAINTAINER


class ProjectToken(Token):
    """A project's token without its secret, and the role of its bot."""

    access_level: int | None


class NewProjectToken(NewToken):
    """A project's token that was made, with its secret."""

    access_level: int | None


def project_token_fields(row: credentials.WithRole) -> ProjectToken:
    """A project's token without its secret."""
    return {**token_fields(row[0]), "access_level": row[1]}


@router.get(
    "/access_tokens",
    summary="List project access tokens",
)
async def list_of_project(
    request: Request, call: ApiCall, project: ProjectKey, query: TokenQuery = parameters(TokenQuery)
) -> Listing[ProjectToken]:
    """For maintainers; with `state=active`, those that still work."""
    ref, narrowed = parse_project(project), query.narrowed
    page = await call.search(
        lambda registry, caller: credentials.page_of_project(registry, caller, ref, narrowed, query.request)
    )
    return listing(request, page, project_token_fields)


@router.post(
    "/access_tokens",
    status_code=201,
    summary="Create a project access token",
)
@Traits(follows="project")
async def create_for_project(
    request: Request,
    call: ApiCall,
    project: ProjectKey,
    new: CreateProjectToken = parameters(CreateProjectToken, most=SMALL_BODY_BYTES),
) -> NewProjectToken:
    """For maintainers who are no bots: a token for a bot that has the given role. The secret is shown this once."""
    ref, rows = parse_project(project), request.app.state.rows
    made = await call.write(
        lambda registry, caller: credentials.create_for_project(
            registry, caller, ref, new.wanted, new.access_level, rows
        )
    )
    return {**with_secret(made), "access_level": int(new.access_level)}


@router.get("/access_tokens/{token_id}", summary="Show a project access token")
async def show_of_project(call: ApiCall, project: ProjectKey, token_id: TokenKey) -> ProjectToken:
    """For maintainers."""
    ref = parse_project(project)
    return project_token_fields(
        await call.read(lambda registry, caller: credentials.find_of_project(registry, caller, ref, parse_id(token_id)))
    )


@router.post(
    "/access_tokens/{token_id}/rotate",
    summary="Replace a project access token",
    responses=refusing(405),
)
async def rotate_of_project(
    call: ApiCall, project: ProjectKey, token_id: TokenKey, options: RotateToken = parameters(RotateToken)
) -> NewProjectToken:
    """For maintainers who are no bots, by id; `self` for the one that is presented, as any project access token may."""
    ref = parse_project(project)
    made, level = await call.write(
        lambda registry, caller: credentials.rotate_of_project(
            registry, caller, ref, token_ref(token_id), options.expires_at
        )
    )
    return {**with_secret(made), "access_level": level}


@router.delete("/access_tokens/{token_id}", status_code=204, summary="Revoke a project access token")
async def revoke_of_project(call: ApiCall, project: ProjectKey, token_id: TokenKey) -> Response:
    """For maintainers."""
    ref = parse_project(project)
    await call.write(lambda registry, caller: credentials.revoke_of_project(registry, caller, ref, parse_id(token_id)))
    return Response(status_code=204)
