"""The audit trail: of a project for its maintainers, of all for administrators; by keyset, however long it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson
from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.access.policy import Action
from modelyard.clock import Milliseconds
from modelyard.registry.people.audit import ENTITIES, AuditFilter
from modelyard.registry.repository import Registry
from modelyard.registry.tables import AuditEvent
from modelyard.routes.pages.fields import ROWS, before_in, moment_in, turning
from modelyard.routes.pages.frame import View, enter
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.people import audit
from modelyard.terms.paging import Page, PageRequest
from modelyard.terms.paths import NOBODY, parse_id

subject = Subject()

EVENTS = "/-/audit_events"
ALL = "/admin/audit_logs"
_TOLD_APART = frozenset({"author_name", "target_id", "target_type", "target_details", "ip_address", "entity_path"})
_REQUEST = PageRequest(per_page=ROWS, keyset="before")


@dataclass(frozen=True, slots=True)
class Row:
    """An event as a page shows it."""

    id: int
    at: Milliseconds
    author: str
    what: str  # `Member created`
    target: str
    place: str
    address: str
    details: str


@subject.get("/{project:project}" + EVENTS)
async def of_project(request: Request) -> Response:
    """The events of a project, the newest first."""
    visit = Visit(request)
    narrowed = _narrowed(visit.query)

    def view(registry: Registry, caller: Identity) -> View:
        found = enter(registry, caller, visit.project_path, Action.MANAGE)
        page = audit.page_of_project(registry, caller, found.path, narrowed, _REQUEST)
        values = _values(visit, page) | {"entities": ()}
        return View(["Audit events"], values, found, [("Audit events", "")], "audit")

    return await visit.show("admin/audit.html", view)


@subject.get(ALL)
async def of_all(request: Request) -> Response:
    """All events, the newest first, for administrators."""
    visit = Visit(request)
    await visit.identify()
    kind, number = visit.query.get("entity_type", ""), parse_id(visit.query.get("entity_id", ""))
    chosen = kind if kind in ENTITIES else None
    narrowed = _narrowed(visit.query, chosen, number if chosen and number != NOBODY else None)

    def view(registry: Registry, caller: Identity) -> View:
        page = audit.page(registry, caller, narrowed, _REQUEST)
        return View(["Audit events"], _values(visit, page) | {"entities": ENTITIES})

    return await visit.show("admin/audit.html", view)


def _narrowed(query: Mapping[str, str], kind: str | None = None, number: int | None = None) -> AuditFilter:
    """What is asked for; days belong to the time between them, in UTC. Raises InvalidFields."""
    last = moment_in(query, "created_before", days=1)
    return AuditFilter(
        kind, number, moment_in(query, "created_after"), last - 1 if last is not None else None, before_in(query)
    )


def _values(visit: Visit, page: Page[AuditEvent]) -> dict[str, object]:
    rows = [_row(event) for event in page.items]
    query = visit.query
    values: dict[str, object] = {
        "rows": rows,
        "query": {
            name: query.get(name, "") for name in ("entity_type", "entity_id", "created_after", "created_before")
        },
    }
    return values | turning(query, "before", rows[-1].id if rows and page.more else None)


def _row(event: AuditEvent) -> Row:
    details: dict[str, object] = orjson.loads(event.details)
    more: Sequence[str] = [
        f"{name.replace('_', ' ')}: {value}"
        for name, value in details.items()
        if name not in _TOLD_APART and value is not None
    ]
    return Row(
        event.id,
        event.created_at,
        str(details.get("author_name") or "nobody"),
        event.event_name.replace("_", " ").capitalize(),
        f"{details.get('target_details', '')}",
        f"{details.get('entity_path', '')}",
        str(details.get("ip_address") or ""),
        ", ".join(more),
    )
