"""Publishers whom a project trusts: jobs that come with an id token in place of a stored secret. It is ours."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import Request, Response
from pydantic import BeforeValidator, Field
from typing_extensions import TypedDict

from modelyard.access.policy import Role
from modelyard.clock import iso
from modelyard.registry.identity.publishers import Seen
from modelyard.routes.gitlab.face import gitlab_router
from modelyard.routes.http.answers import Listing, Timestamp
from modelyard.routes.http.bodies import SMALL_BODY_BYTES
from modelyard.routes.http.call import ApiCall
from modelyard.routes.http.listing import PageQuery, listing
from modelyard.routes.http.params import Parameters, comma_separated, parameters
from modelyard.routes.http.path_params import ProjectKey, RecordId
from modelyard.routes.http.refusals import refusing
from modelyard.routes.http.routing import Traits
from modelyard.services.identity import publishers
from modelyard.services.identity.kinds import Kind
from modelyard.terms.paths import parse_id
from modelyard.wire.paths import parse_project

router = gitlab_router("/projects/{project}/trusted_publishers", "trusted publishers")

MAX_EVENTS = 20


def _claims(value: object) -> object:
    """What stands before claims: ids may be numbers, and a form has all of them as one text of JSON."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    if not isinstance(value, dict):
        return value
    return {name: str(each) if type(each) is int else each for name, each in value.items()}


class CreatePublisher(Parameters):
    """Whose jobs are to be trusted."""

    issuer: str = Field(description="The issuer's name, or its URL.")
    claims: Annotated[dict[str, str], BeforeValidator(_claims)] = Field(
        description="What an id token must say: of GitLab `project_id`, of GitHub `repository_id` and"
        " `repository_owner_id`, of Kubernetes `namespace` and `service_account`, of others `sub` or what names a job."
    )
    name: str = Field("", max_length=publishers.MAX_TEXT, description="For people.")
    ref: str = Field("", max_length=publishers.MAX_TEXT, description="A branch, or `refs/tags/v*`; empty: any.")
    ref_protected: bool | None = Field(None, description="Whether the ref must be protected; the default.")
    environment: str = Field("", max_length=publishers.MAX_TEXT, description="Empty: any, or none.")
    events: Annotated[list[str], BeforeValidator(comma_separated)] = Field(
        default_factory=list,
        max_length=MAX_EVENTS,
        fail_fast=True,
        description="Those to be let in that else are refused.",
    )
    access_level: Role = Role.DEVELOPER
    expires_in: int = Field(publishers.LIFETIME // 1000, description="Seconds for which a job's token works.")

    @property
    def wanted(self) -> publishers.NewPublisher:
        """The publisher as the service takes it."""
        return publishers.NewPublisher(
            self.issuer,
            self.claims,
            self.name,
            self.ref,
            self.ref_protected,
            self.environment,
            tuple(self.events),
            self.access_level,
            self.expires_in * 1000,
        )


class Publisher(TypedDict):
    """A trusted publisher; `source` is what the project of its jobs was last called."""

    id: int
    name: str
    issuer: str
    issuer_name: str
    kind: Kind
    claims: dict[str, str]
    ref: str
    ref_protected: bool
    environment: str
    events: list[str]
    access_level: int
    expires_in: int
    source: str
    user_id: int
    created_at: Timestamp
    last_used_at: Timestamp | None


def publisher_fields(seen: Seen) -> Publisher:
    """A trusted publisher."""
    publisher, issuer = seen
    return {
        "id": publisher.id,
        "name": publisher.name,
        "issuer": issuer.url,
        "issuer_name": issuer.name,
        "kind": Kind(issuer.kind),
        "claims": orjson.loads(publisher.claims),
        "ref": publisher.ref,
        "ref_protected": publisher.ref_protected,
        "environment": publisher.environment,
        "events": publisher.events.split(),
        "access_level": publisher.access_level,
        "expires_in": publisher.lifetime // 1000,
        "source": publisher.source,
        "user_id": publisher.user_id,
        "created_at": iso(publisher.created_at),
        "last_used_at": iso(publisher.last_used_at),
    }


@router.get("", summary="List trusted publishers")
async def list_publishers(
    request: Request, call: ApiCall, project: ProjectKey, query: PageQuery = parameters(PageQuery)
) -> Listing[Publisher]:
    """For maintainers."""
    ref = parse_project(project)
    page = await call.search(lambda registry, caller: publishers.page(registry, caller, ref, query.request))
    return listing(request, page, publisher_fields)


@router.post("", status_code=201, summary="Trust a publisher", responses=refusing(409))
@Traits(makes=("publisher_id", "/id"), follows="project")
async def create(
    request: Request,
    call: ApiCall,
    project: ProjectKey,
    new: CreatePublisher = parameters(CreatePublisher, most=SMALL_BODY_BYTES),
) -> Publisher:
    """For maintainers who are no bots: jobs of which the issuer says this may act in the project, up to a role."""
    ref, rows = parse_project(project), request.app.state.rows
    return publisher_fields(
        await call.write(lambda registry, caller: publishers.create(registry, caller, ref, new.wanted, rows))
    )


@router.delete("/{publisher_id}", status_code=204, summary="Trust a publisher no more")
@Traits(follows="publisher_id")
async def delete(call: ApiCall, project: ProjectKey, publisher_id: RecordId) -> Response:
    """For maintainers: what its jobs have is refused from the next request on."""
    ref = parse_project(project)
    await call.write(lambda registry, caller: publishers.delete(registry, caller, ref, parse_id(publisher_id)))
    return Response(status_code=204)
