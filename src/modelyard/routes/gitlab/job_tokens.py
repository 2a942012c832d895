"""Short-lived tokens that act in one project, as GitLab's CI job tokens do. GitLab has no API of them: it is ours."""

from __future__ import annotations

from fastapi import Request, Response
from pydantic import Field

from modelyard.clock import iso
from modelyard.routes.gitlab.face import gitlab_router
from modelyard.routes.gitlab.tokens import TokenFacts, TokenKey, TokenQuery, token_facts, token_ref
from modelyard.routes.http.answers import Listing, Timestamp
from modelyard.routes.http.call import ApiCall
from modelyard.routes.http.listing import listing
from modelyard.routes.http.params import Parameters, parameters
from modelyard.routes.http.path_params import ProjectKey
from modelyard.routes.http.routing import Traits
from modelyard.services.people import job_tokens
from modelyard.wire.paths import parse_project

router = gitlab_router("/projects/{project}/job_tokens", "tokens")

HOUR = 3600


class CreateJobToken(Parameters):
    """Parameters of a job token."""

    expires_in: int = Field(HOUR, ge=1, le=24 * HOUR, description="Seconds; never longer than what it is made with.")


class JobToken(TokenFacts):
    """A job token without its secret; `maker_id` is the id of the token that it was made with."""

    expires_at: Timestamp
    project_id: int
    maker_id: int | None


class NewJobToken(JobToken):
    """A job token that was made, with its secret."""

    token: str


def job_token_fields(found: job_tokens.JobToken) -> JobToken:
    """A job token without its secret."""
    return {
        **token_facts(found.token),
        "revoked": found.revoked,
        "active": found.active,
        "expires_at": iso(found.expires_at),
        "project_id": found.project_id,
        "maker_id": found.token.maker_id,
    }


@router.post("", status_code=201, summary="Create a job token")
@Traits(follows="project")
async def create(
    request: Request, call: ApiCall, project: ProjectKey, new: CreateJobToken = parameters(CreateJobToken)
) -> NewJobToken:
    """A short-lived token that acts for the caller in this project alone. It ends with the token that made it."""
    ref, rows = parse_project(project), request.app.state.rows
    made, secret = await call.write(
        lambda registry, caller: job_tokens.create(registry, caller, ref, new.expires_in * 1000, rows)
    )
    return {**job_token_fields(made), "token": secret}


@router.get("", summary="List job tokens")
async def list_job_tokens(
    request: Request, call: ApiCall, project: ProjectKey, query: TokenQuery = parameters(TokenQuery)
) -> Listing[JobToken]:
    """One's own; for owners all of the project."""
    ref, narrowed = parse_project(project), query.narrowed
    page = await call.search(lambda registry, caller: job_tokens.page(registry, caller, ref, narrowed, query.request))
    return listing(request, page, job_token_fields)


@router.get("/{token_id}", summary="Show a job token")
async def show(call: ApiCall, project: ProjectKey, token_id: TokenKey) -> JobToken:
    """For its maker and for owners, by id; `self` for the job token that is presented."""
    ref, wanted = parse_project(project), token_ref(token_id)
    return job_token_fields(await call.read(lambda registry, caller: job_tokens.find(registry, caller, ref, wanted)))


@router.delete("/{token_id}", status_code=204, summary="Revoke a job token")
async def revoke(call: ApiCall, project: ProjectKey, token_id: TokenKey) -> Response:
    """For its maker and for owners, by id; `self` for the job token that is presented."""
    ref, wanted = parse_project(project), token_ref(token_id)
    await call.write(lambda registry, caller: job_tokens.end(registry, caller, ref, wanted))
    return Response(status_code=204)
