"""What MLflow's endpoints share: their prefix and parameters, and the caller's project."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, ClassVar, NotRequired, TypeVar

import orjson
from fastapi import APIRouter, Depends, Request
from pydantic import BeforeValidator, Field

from modelyard.access.identity import Identity
from modelyard.access.policy import Action
from modelyard.access.tokens import read_credential
from modelyard.errors import InvalidValue, Unauthorized
from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from modelyard.registry.search.runs import View
from modelyard.routes.http.answers import Answer
from modelyard.routes.http.params import one_or_many, stating
from modelyard.routes.http.path_params import ProjectKey
from modelyard.routes.http.refusals import Message as Said
from modelyard.routes.http.routing import Face, Route
from modelyard.routes.mlflow.messages import NUMBERED, Count, Id, Message
from modelyard.services.people.authentication import enter_project
from modelyard.services.tracking.experiments import Search
from modelyard.services.tracking.limits import MAX_DESCRIPTION, MAX_KEY, MAX_REGISTRY_KEY, MAX_REGISTRY_TAG_VALUE
from modelyard.services.tracking.rows_quota import RowsQuota
from modelyard.services.traffic.searching import Searches
from modelyard.terms.filters import MAX_LENGTH, MAX_ORDERS
from modelyard.terms.paths import API, MLFLOW, ProjectRef
from modelyard.wire.paths import parse_project

T = TypeVar("T")

ROOT = f"{API}/projects/{{project}}{MLFLOW}"
REST = "/api/2.0/mlflow"  # below the root

MAX_LISTED = 1000  # tags, parameters, datasets or models that one request names
MAX_PAGE_TOKEN = 512 * 1024  # characters
MAX_IDS = 10_000  # experiments that one search goes through

Read = Callable[[Registry, int], T]  # with the project's id
Write = Callable[[Registry, Identity, int], T]


Asked = Annotated[str, stating(maxLength=MAX_LENGTH)]  # in the search language
Texts = Annotated[list[Asked], Field(max_length=MAX_ORDERS, fail_fast=True), BeforeValidator(one_or_many)]
Ids = Annotated[list[Id], Field(max_length=MAX_IDS, fail_fast=True), BeforeValidator(one_or_many)]
# What the services hold them to, in their own words; the schema says it to whoever reads it.
Key = Annotated[str, stating(minLength=1, maxLength=MAX_KEY)]
RegistryKey = Annotated[str, stating(minLength=1, maxLength=MAX_REGISTRY_KEY)]
Value = Annotated[str, stating(maxLength=MAX_REGISTRY_TAG_VALUE)]  # less of what has less room
Description = Annotated[str, stating(maxLength=MAX_DESCRIPTION)]
PageToken = Annotated[str, Field(max_length=MAX_PAGE_TOKEN)]  # which holds the values that a page is ordered by
ViewType = Annotated[View, NUMBERED]


class Tag(Message):
    """A key with a value."""

    key: Key
    value: Value = ""


class RegistryTag(Tag):
    """A tag of a model or version, whose key may be a little longer."""

    key: RegistryKey


class Param(Tag):
    """A parameter, which is a key with a value too."""


class SearchQuery(Message):
    """Parameters of every search."""

    filter: Asked | None = None
    order_by: Texts = Field(default_factory=list, description="One order or several, such as `name DESC`.")
    max_results: Count = 200
    page_token: PageToken | None = None

    most: ClassVar[int] = 1_000  # results; like the default, the larger of GitLab's and MLflow's number

    @property
    def limit(self) -> int:
        """How many results are asked for; 0 is the default. Raises InvalidValue for too many, in MLflow's words."""
        asked, most = self.max_results, self.most
        if asked > most:
            raise InvalidValue(f"Invalid value {asked} for parameter 'max_results' supplied. It must be at most {most}")
        return asked or int(type(self).model_fields["max_results"].default)

    def search(self, token: str | None, limit: int, view: View = View.ACTIVE_ONLY) -> Search:
        """A piece of the search that is asked for: up to `limit` results from the page token on."""
        return Search(self.filter, self.order_by, view, limit, token)


class MLflowError(Said):
    """A refusal in MLflow's words; what a token lacks is told as in GitLab's API, too."""

    error_code: str
    error: NotRequired[str]
    error_description: NotRequired[str]


class MLflowRoute(Route):
    """A route of MLflow's API."""

    face = Face("MLflow", MLflowError, direct=True)


def mlflow_router(path: str, tag: str = "mlflow") -> APIRouter:
    """A router for what lies at `path` below the root of a project's MLflow."""
    return APIRouter(prefix=ROOT + path, tags=[tag], route_class=MLflowRoute)


def tags_by_key(tags: Sequence[Tag]) -> dict[str, str]:
    """Tags as a mapping. Raises InvalidValue for a key that is given twice."""
    mapping = {tag.key: tag.value for tag in tags}
    if len(mapping) < len(tags):
        raise InvalidValue("Tag keys must be unique")
    return mapping


class ProjectCall:
    """Runs a service within the project of the path, for signed-in callers."""

    def __init__(
        self, database: Database, searches: Searches, rows: RowsQuota, credential: str, ref: ProjectRef
    ) -> None:
        self._database = database
        self._searches = searches
        self._rows = rows
        self._credential = credential
        self._ref = ref

    def elsewhere(self, ref: ProjectRef) -> ProjectCall:
        """The call of the same caller in another project."""
        return ProjectCall(self._database, self._searches, self._rows, self._credential, ref)

    async def read(self, work: Read[T]) -> T:
        """What `work` reads, for callers who see the project."""
        return await self._database.read(lambda registry: self._seen(registry, work))

    async def search(self, work: Read[T], *, begun: bool = False) -> T:
        """What `work` finds among any number of rows, as `read`. Raises TooDear, and TooManyRequests unless the answer
        has `begun`.
        """
        return await self._searches.read(self._credential, lambda registry: self._seen(registry, work), begun=begun)

    async def show(self, work: Read[T]) -> Answer[T]:
        """200 with what `work` finds, as `search`: perhaps megabytes, which are made where they are read."""
        body = await self.search(lambda registry, pid: orjson.dumps(work(registry, pid)))
        return Answer(body)

    async def write(self, work: Write[T], *, adds: bool = True) -> T:
        """What `work` changes, for callers who may write in the project; what `adds` to it needs room for rows."""
        return await self._write(work, None, adds)

    async def write_run(self, run_id: str, work: Write[T], *, adds: bool = True) -> T:
        """What `work` changes of one run's own data, as `write`; it need not wait for what is logged to other runs."""
        return await self._write(work, f"run {run_id}", adds)

    def _seen(self, registry: Registry, work: Read[T]) -> T:
        _caller, project_id = enter_project(registry, self._credential, self._ref, Action.READ)
        return work(registry, project_id)

    async def _write(self, work: Write[T], part: str | None, adds: bool) -> T:
        def within(registry: Registry) -> T:
            caller, project_id = enter_project(registry, self._credential, self._ref, Action.WRITE, part=part)
            if adds:
                self._rows.hold(registry, project_id)
            return work(registry, caller, project_id)

        return await self._database.write(within)


def project_call(request: Request, project: str) -> ProjectCall:
    """The call of a request that names a project, still encoded. Raises Unauthorized, TokenError, ProjectNotFound."""
    credential = read_credential(request.scope["headers"])
    if credential is None:
        raise Unauthorized  # before any parameter is looked at: nothing here is for strangers
    state = request.app.state
    return ProjectCall(state.database, state.searches, state.rows, credential, parse_project(project))


async def _project_call(request: Request, project: ProjectKey) -> ProjectCall:
    return project_call(request, project)


InProject = Annotated[ProjectCall, Depends(_project_call)]
