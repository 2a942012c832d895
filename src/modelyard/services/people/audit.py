"""The audit trail: for administrators to read, a project's for its maintainers, and forgotten after a while."""

from __future__ import annotations

from dataclasses import replace

from modelyard.access.identity import Identity
from modelyard.access.policy import Action
from modelyard.clock import DAY, now
from modelyard.errors import NotFound
from modelyard.registry.engine import Database
from modelyard.registry.people.audit import PROJECT, AuditFilter
from modelyard.registry.repository import Registry
from modelyard.registry.tables import AuditEvent
from modelyard.services.people.authentication import open_project, require_admin
from modelyard.terms.paging import Page, PageRequest
from modelyard.terms.paths import ProjectRef


def page(registry: Registry, caller: Identity, narrowed: AuditFilter, request: PageRequest) -> Page[AuditEvent]:
    """A page of all events, newest first. Raises Forbidden."""
    require_admin(caller)
    return registry.audit.search(narrowed, request)


def find(registry: Registry, caller: Identity, event_id: int) -> AuditEvent:
    """One event. Raises Forbidden, NotFound."""
    require_admin(caller)
    return _found(registry.audit.by_id(event_id, AuditFilter()))


def page_of_project(
    registry: Registry, caller: Identity, ref: ProjectRef, narrowed: AuditFilter, request: PageRequest
) -> Page[AuditEvent]:
    """A page of a project's events, for its maintainers, newest first."""
    return registry.audit.search(_within(registry, caller, ref, narrowed), request)


def find_of_project(registry: Registry, caller: Identity, ref: ProjectRef, event_id: int) -> AuditEvent:
    """One event of a project, for its maintainers. Raises NotFound."""
    return _found(registry.audit.by_id(event_id, _within(registry, caller, ref, AuditFilter())))


def prune(database: Database, days: int) -> int:
    """Forget what is older than so many days, in batches, so that writers pass in between; how many events that were.

    0 days: nothing is ever forgotten.
    """
    before, forgotten = now() - days * DAY, 0
    while days and (batch := database.write_now(lambda registry: registry.audit.prune(before))):
        forgotten += batch
    return forgotten


def _within(registry: Registry, caller: Identity, ref: ProjectRef, narrowed: AuditFilter) -> AuditFilter:
    project, _facts = open_project(registry, caller, ref, Action.MANAGE)
    return replace(narrowed, entity_type=PROJECT, entity_id=project.id)


def _found(event: AuditEvent | None) -> AuditEvent:
    if event is None:
        raise NotFound
    return event
