"""GitLab's audit events API: who changed what, from where, and when."""

from __future__ import annotations

from typing import Annotated, Literal

import orjson
from fastapi import Request
from pydantic import Field, with_config
from typing_extensions import TypedDict

from modelyard.clock import iso
from modelyard.errors import ParameterError
from modelyard.registry import tables
from modelyard.registry.people.audit import ENTITIES, AuditFilter, Entity
from modelyard.routes.gitlab.face import gitlab_router
from modelyard.routes.http.answers import Listing, Timestamp
from modelyard.routes.http.call import ApiCall
from modelyard.routes.http.listing import Moment, PageQuery, listing
from modelyard.routes.http.params import parameters, stating
from modelyard.routes.http.path_params import ProjectKey, RecordId
from modelyard.services.people import audit
from modelyard.terms.paths import parse_id
from modelyard.wire.paths import parse_project

router = gitlab_router("", "audit events")


class ProjectAuditQuery(PageQuery):
    """How a listing of a project's events is narrowed."""

    created_after: Moment = Field(None, description="At this time or later; UTC where no offset is given.")
    created_before: Moment = Field(None, description="At this time or earlier.")

    @property
    def narrowed(self) -> AuditFilter:
        """The filter that is asked for."""
        return AuditFilter(created_after=self.created_after, created_before=self.created_before)


class AuditQuery(ProjectAuditQuery):
    """How a listing of all events is narrowed."""

    entity_type: Entity | Literal["Group"] | None = Field(None, description="There are no groups here.")
    entity_id: int | None = Field(None, description="Id of what the events are of; needs `entity_type`.")

    @property
    def narrowed(self) -> AuditFilter:
        """The filter that is asked for. Raises ParameterError for an id of no type."""
        if self.entity_id is not None and self.entity_type is None:
            raise ParameterError("entity_type is missing")
        times = super().narrowed
        return AuditFilter(self.entity_type, self.entity_id, times.created_after, times.created_before)


@with_config(extra="allow")
class EventDetails(TypedDict):
    """What an event was about: at least its message."""

    custom_message: str


class AuditEvent(TypedDict):
    """What happened, by whom and to what."""

    id: int
    author_id: int
    entity_id: int
    entity_type: Annotated[str, stating(enum=ENTITIES)]
    event_name: str
    details: EventDetails
    created_at: Timestamp


def audit_fields(event: tables.AuditEvent) -> AuditEvent:
    """An event as GitLab shows it; `request_id` and `token_id` among its details are ours."""
    details = orjson.loads(event.details)
    return {
        "id": event.id,
        "author_id": event.author_id,
        "entity_id": event.entity_id,
        "entity_type": event.entity_type,
        "event_name": event.event_name,
        "details": details | {"custom_message": event.event_name.replace("_", " ").capitalize()},
        "created_at": iso(event.created_at),
    }


@router.get("/audit_events", summary="List audit events")
async def list_events(
    request: Request, call: ApiCall, query: AuditQuery = parameters(AuditQuery)
) -> Listing[AuditEvent]:
    """For administrators, newest first."""
    narrowed = query.narrowed
    page = await call.search(lambda registry, caller: audit.page(registry, caller, narrowed, query.request))
    return listing(request, page, audit_fields)


@router.get("/audit_events/{event_id}", summary="Show an audit event")
async def show_event(call: ApiCall, event_id: RecordId) -> AuditEvent:
    """For administrators."""
    return audit_fields(await call.read(lambda registry, caller: audit.find(registry, caller, parse_id(event_id))))


@router.get(
    "/projects/{project}/audit_events",
    summary="List a project's audit events",
)
async def list_of_project(
    request: Request, call: ApiCall, project: ProjectKey, query: ProjectAuditQuery = parameters(ProjectAuditQuery)
) -> Listing[AuditEvent]:
    """For maintainers, newest first."""
    ref, narrowed = parse_project(project), query.narrowed
    page = await call.search(
        lambda registry, caller: audit.page_of_project(registry, caller, ref, narrowed, query.request)
    )
    return listing(request, page, audit_fields)


@router.get("/projects/{project}/audit_events/{event_id}", summary="Show a project's audit event")
async def show_of_project(call: ApiCall, project: ProjectKey, event_id: RecordId) -> AuditEvent:
    """For maintainers."""
    ref = parse_project(project)
    event = await call.read(lambda registry, caller: audit.find_of_project(registry, caller, ref, parse_id(event_id)))
    return audit_fields(event)
