"""The audit trail: every change of users, tokens, members, projects, models, versions and files.

An event is written in the transaction of its change, so that there is never one without the other. Its shape is that of
GitLab's audit events: an entity (the user, the project or whatever else it concerns) and a target within it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import orjson
from sqlalchemy import Select, delete, select

from modelyard import origin
from modelyard.access.identity import ANONYMOUS, Identity
from modelyard.access.policy import ProjectFacts
from modelyard.access.tokens import TokenKind
from modelyard.clock import Milliseconds, now
from modelyard.registry.base import Ends, Repository, between, storable
from modelyard.registry.tables import (
    AuditEvent,
    Base,
    Issuer,
    LoggedModel,
    Model,
    ModelVersion,
    Package,
    PackageFile,
    Project,
    SignOnProvider,
    Token,
    TrustedPublisher,
    Upload,
    User,
)
from modelyard.registry.transaction import Transaction
from modelyard.terms.paging import Page, PageRequest

PROJECT, FILE = "Project", "Packages::PackageFile"
Entity = Literal["User", "Project", "Issuer", "SignOnProvider"]  # what an event may be of
ENTITIES: Sequence[str] = get_args(Entity)
NOBODY = -1  # GitLab's author id where no account is behind a change
MAX_VALUE = 500  # characters of a value before or after a change that are kept: a whole name
PRUNED_AT_ONCE = 1000  # so that other writers need not wait long


@dataclass(slots=True)
class Acting:
    """Who acts in a transaction, and in which project, as far as there is one."""

    caller: Identity = ANONYMOUS
    project: ProjectFacts | None = None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """How a listing of events is narrowed; both ends of the time belong to it."""

    entity_type: str | None = None
    entity_id: int | None = None
    created_after: Milliseconds | None = None
    created_before: Milliseconds | None = None
    ids: Ends = (None, None)


_TOKEN_TYPES = {
    TokenKind.PERSONAL: "PersonalAccessToken",
    TokenKind.PROJECT: "ProjectAccessToken",
    TokenKind.JOB: "JobToken",
    TokenKind.SESSION: "UserSession",
}


class Target(NamedTuple):
    """What an event tells of its target."""

    id: int
    type: str
    name: str

    @classmethod
    def file(cls, id_: int, name: str) -> Target:
        """A file of a package, of which no row is at hand."""
        return cls(id_, FILE, name)


# What the target of an event is called, and the name by which people know it.
_TARGETS: dict[type[Base], Callable[[Any], tuple[str, str]]] = {
    User: lambda user: ("User", user.username),
    Token: lambda token: (_TOKEN_TYPES[token.kind], token.name),
    Project: lambda project: (PROJECT, project.full_path),
    Model: lambda model: ("Ml::Model", model.name),
    ModelVersion: lambda version: ("Ml::ModelVersion", version.version),
    LoggedModel: lambda model: ("Ml::LoggedModel", model.eid),
    Package: lambda package: ("Packages::Package", f"{package.name}/{package.version}"),
    PackageFile: lambda file: (FILE, file.name),
    Issuer: lambda issuer: ("Issuer", issuer.name),
    TrustedPublisher: lambda publisher: ("TrustedPublisher", publisher.name),
    SignOnProvider: lambda provider: ("SignOnProvider", provider.name),
    Upload: lambda upload: ("Upload", upload.name),
}


def _target(row: Base) -> Target:
    id_: int = row.id  # type: ignore[attr-defined] # as each row that is told of has
    return Target(id_, *_TARGETS[type(row)](row))


def changed(what: str, before: object, after: object) -> dict[str, object]:
    """The facts of a changed value. Not for secrets, nor for texts that may hold some: name those without values."""
    return {"change": what, "from": _shortened(before), "to": _shortened(after)}


class AuditRepository(Repository):
    """Events, written for whoever acts in the transaction."""

    def __init__(self, transaction: Transaction, acting: Acting) -> None:
        super().__init__(transaction)
        self._acting = acting

    def note(
        self, name: str, target: Base | Target, facts: Mapping[str, object], *, entity: Base | None = None
    ) -> None:
        """Write that something was done to `target`, a row with an id or what is told of one.

        `name` is the event's in GitLab's manner (`project_created`), `facts` what GitLab says besides (`add`, `change`
        with `from` and `to`, `remove`), and never a secret. The entity is by default the project that was entered, else
        the target itself.
        """
        caller, place = self._acting.caller, self._acting.project
        target_id, target_type, target_name = target if isinstance(target, Target) else _target(target)
        if entity is not None:
            entity_id, entity_type, path = _target(entity)
        elif place is not None:
            entity_type, entity_id, path = PROJECT, place.id, place.path
        else:
            entity_type, entity_id, path = target_type, target_id, target_name
        address, request_id = origin.current()
        details = {
            "author_name": caller.username,
            "target_id": target_id,
            "target_type": target_type,
            "target_details": target_name,
            "ip_address": address,
            "entity_path": path,
            "request_id": request_id,
            "token_id": caller.token_id,
            **facts,
        }
        values = {
            "author_id": NOBODY if caller.user_id is None else caller.user_id,
            "entity_type": entity_type,
            "entity_id": entity_id,
            "event_name": name,
            "details": orjson.dumps(details).decode(),
            "created_at": now(),
        }
        self.insert_unkeyed(AuditEvent, values)

    def note_changes(
        self,
        name: str,
        target: Base,
        before: Mapping[str, object],
        after: Mapping[str, object],
        *,
        entity: Base | None = None,
    ) -> None:
        """Write an event for each value that differs; `before` and `after` have the same keys."""
        for what, value in before.items():
            if after[what] != value:
                self.note(name, target, changed(what, value, after[what]), entity=entity)

    def by_id(self, event_id: int, narrowed: AuditFilter) -> AuditEvent | None:
        """The event of that id, if the filter lets it through."""
        return self.session.scalar(_narrow(select(AuditEvent), narrowed).where(AuditEvent.id == storable(event_id)))

    def search(self, narrowed: AuditFilter, request: PageRequest) -> Page[AuditEvent]:
        """A page of events, newest first."""
        return self.page(_narrow(select(AuditEvent), narrowed).order_by(AuditEvent.id.desc()), request)

    def prune(self, before: Milliseconds) -> int:
        """Forget some of the events that are older, the oldest first; how many, 0 when there are no more."""
        old = select(AuditEvent.id).where(AuditEvent.created_at < before).order_by(AuditEvent.created_at)
        ids = list(self.session.scalars(old.limit(PRUNED_AT_ONCE)))
        if ids:
            self.session.execute(delete(AuditEvent).where(AuditEvent.id.in_(ids)))
        return len(ids)


def _narrow(statement: Select[AuditEvent], narrowed: AuditFilter) -> Select[AuditEvent]:
    if narrowed.entity_type is not None:
        statement = statement.where(AuditEvent.entity_type == narrowed.entity_type)
    if narrowed.entity_id is not None:
        statement = statement.where(AuditEvent.entity_id == storable(narrowed.entity_id))
    if narrowed.created_after is not None:
        statement = statement.where(AuditEvent.created_at >= narrowed.created_after)
    if narrowed.created_before is not None:
        statement = statement.where(AuditEvent.created_at <= narrowed.created_before)
    return statement.where(*between(AuditEvent.id, narrowed.ids))


def _shortened(value: object) -> object:
    return value[:MAX_VALUE] if isinstance(value, str) else value
