"""Lists of models, of all projects that the caller sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import orjson
from fastapi import Request
from pydantic import BeforeValidator, Field

from modelyard.access.identity import Identity
from modelyard.access.policy import Visibility
from modelyard.clock import iso
from modelyard.registry.base import MAX_NEEDLE
from modelyard.registry.hub.models import Listed, ModelFilter
from modelyard.registry.repository import Registry
from modelyard.routes.http.answers import Answer
from modelyard.routes.http.call import ApiCall
from modelyard.routes.http.params import Parameters, comma_separated, parameters
from modelyard.routes.http.routing import Traits
from modelyard.routes.hub.common import MODELS, PAGED, commits_of, hub_router, page, told
from modelyard.routes.hub.models import MAX_PROPERTIES, ModelInfo, info_of
from modelyard.services.hub.commits import Commits, Snapshot
from modelyard.services.hub.repositories import Namer, Repository
from modelyard.terms.repositories import SEPARATOR, RepositoryId

router = hub_router(MODELS)

MAX_MODELS = 1_000  # on a page
MAX_FULL = 50  # on a page that tells the files of each
MAX_CURSOR = 64  # characters
CURSOR = r"^([0-9]{1,19}\.[0-9]{1,19})?$"
MAX_WORD = 255
USUAL = "createdAt"
OF_FILES = frozenset({"sha", "siblings", "usedStorage"})  # properties for which files are looked at

Words = Annotated[
    list[Annotated[str, Field(max_length=MAX_WORD)]],
    Field(max_length=MAX_PROPERTIES, fail_fast=True),
    BeforeValidator(comma_separated),
]


class ModelsQuery(Parameters):
    """How a list of models is narrowed, ordered, and told."""

    search: str = Field("", max_length=MAX_NEEDLE, description="Found in the name, or in the path of the project.")
    author: str = Field("", max_length=MAX_WORD, description="The namespace or project that they lie in.")
    filter: Words = Field([], description="Tags that they have; none are known here.")
    pipeline_tag: str = Field("", max_length=MAX_WORD, description="Their task; none is known here.")
    sort: str = Field(USUAL, max_length=MAX_WORD, description="`createdAt` or `lastModified`; by others as usual.")
    direction: Literal["-1", "1"] = "-1"
    limit: int = Field(100, ge=1, description=f"Of models on a page, {MAX_MODELS} at most.")
    full: bool = Field(False, description="With the files of each.")
    expand: Words = Field([], description="Only these properties; those that are not known are left out.")
    cursor: str = Field(
        "", max_length=MAX_CURSOR, pattern=CURSOR, description="Where the page begins, as `Link` says it."
    )

    @property
    def narrowed(self) -> ModelFilter:
        """The filter that is asked for."""
        order = self.sort if self.sort == "lastModified" else USUAL
        return ModelFilter(self.search, self.author.replace(SEPARATOR, "/"), order, self.direction == "-1")

    @property
    def tells_files(self) -> bool:
        """Whether files are looked at."""
        return self.full or not OF_FILES.isdisjoint(self.expand)

    @property
    def rows(self) -> int:
        """How many models are on a page."""
        return min(self.limit, MAX_FULL if self.tells_files else MAX_MODELS)


@router.get("", summary="List models", responses=PAGED)
@Traits(public=True)
async def list_models(
    request: Request, call: ApiCall, query: ModelsQuery = parameters(ModelsQuery, public=True)
) -> Answer[list[ModelInfo]]:
    """Those that the caller sees, and that have a name in this API."""
    after, commits = _place(query.cursor), commits_of(request)

    def work(registry: Registry, caller: Identity) -> tuple[list[Snapshot], tuple[bytes, tuple[int, int] | None]]:
        if query.filter or query.pipeline_tag:
            return [], (b"[]", None)
        found = registry.seen_models.seen(caller, query.narrowed, after, query.rows + 1)
        shown, more = found[: query.rows], len(found) > query.rows
        snapshots, infos = _infos(registry, commits, shown, query)
        following = shown[-1].place(query.narrowed.order) if more else None
        return snapshots, (orjson.dumps(infos), following)

    content, following = await told(request, call, work)
    return page(request, content, ("cursor", "{}.{}".format(*following)) if following else None)


def _place(cursor: str) -> tuple[int, int] | None:
    """The place that a cursor says; None without one."""
    moment, _, model_id = cursor.partition(".")
    return (int(moment), int(model_id)) if cursor else None


def _infos(
    registry: Registry, commits: Commits, listed: Sequence[Listed], query: ModelsQuery
) -> tuple[list[Snapshot], list[Mapping[str, object]]]:
    namer, snapshots = Namer(registry), list[Snapshot]()
    infos: list[Mapping[str, object]] = []
    for each in listed:
        repository_id = namer.id_of(each.project, each.model)
        if repository_id is None:
            continue
        if query.tells_files:
            version = registry.versions.latest(each.model.id)
            snapshot = commits.current(registry, Repository(repository_id, each.project, each.model), version)
            snapshots.append(snapshot)
            infos.append(info_of(snapshot, frozenset(query.expand), blobs=False, security=False))
        else:
            infos.append(_brief(repository_id, each, query.expand))
    return snapshots, infos


def _brief(repository_id: RepositoryId, listed: Listed, wanted: Sequence[str]) -> Mapping[str, object]:
    info: ModelInfo = {
        "id": str(repository_id),
        "modelId": str(repository_id),
        "author": repository_id.namespace,
        "createdAt": iso(listed.model.created_at),
        "lastModified": iso(listed.model.updated_at),
        "private": listed.project.visibility != Visibility.PUBLIC,
        "gated": False,
        "disabled": False,
        "tags": [],
    }
    return info if not wanted else {name: value for name, value in info.items() if name == "id" or name in wanted}
