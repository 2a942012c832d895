"""GitLab's namespaces API."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Request
from pydantic import Field
from typing_extensions import TypedDict

from modelyard.errors import NotFound
from modelyard.routes.gitlab.face import gitlab_router
from modelyard.routes.http.answers import Listing, Url
from modelyard.routes.http.call import ApiCall
from modelyard.routes.http.listing import Id, Needle, PageQuery, listing
from modelyard.routes.http.params import Parameters, parameters
from modelyard.routes.http.path_params import ID, PATH, either
from modelyard.routes.http.urls import base_url
from modelyard.services.people import namespaces
from modelyard.services.people.namespaces import NamespaceFilter
from modelyard.wire.paths import decode_segment, parse_key

router = gitlab_router("/namespaces", "namespaces")


NamespaceKey = Annotated[str, either(ID, PATH | {"pattern": "^[^/]+(/[^/]+)*$"})]


class NamespaceQuery(PageQuery):
    """How a listing of namespaces is narrowed."""

    search: Needle = Field("", description="Found in the last part of the path.")
    full_path_search: bool = Field(False, description="Look for `search` in the whole path.")
    owned_only: bool = Field(False, description="Only one's own, and those with projects that one owns.")
    top_level_only: bool = Field(False, description="Only those that lie in no other.")

    @property
    def narrowed(self) -> NamespaceFilter:
        """The filter that is asked for."""
        return NamespaceFilter(self.search, self.full_path_search, self.owned_only, self.top_level_only)


class ExistenceQuery(Parameters):
    """Where a namespace is looked for."""

    parent_id: Id = Field(None, description="Id of the namespace that it would lie in; default: in none.")


class Namespace(TypedDict):
    """Where projects lie: a user's name, or a path that GitLab would call a group."""

    id: int
    name: str
    path: str
    kind: Literal["user", "group"]
    full_path: str
    parent_id: int | None
    avatar_url: None
    web_url: Url


class Existence(TypedDict):
    """Whether there is a namespace, and which path is free in its place."""

    exists: bool
    suggests: list[str]


def namespace_fields(namespace: namespaces.Namespace, base: str) -> Namespace:
    """A namespace as GitLab shows it."""
    last, grouped = namespace.full_path.rpartition("/")[2], namespace.owner_id is None
    return {
        "id": namespace.id,
        "name": last,
        "path": last,
        "kind": "group" if grouped else "user",
        "full_path": namespace.full_path,
        "parent_id": namespace.parent_id,
        "avatar_url": None,
        "web_url": f"{base}/{'groups/' if grouped else ''}{namespace.full_path}",
    }


@router.get("", summary="List namespaces")
async def list_namespaces(
    request: Request, call: ApiCall, query: NamespaceQuery = parameters(NamespaceQuery)
) -> Listing[Namespace]:
    """One's own, and those with projects that one is a member of; for administrators all."""
    narrowed, base = query.narrowed, base_url(request)
    page = await call.search(lambda registry, caller: namespaces.page(registry, caller, narrowed, query.request))
    return listing(request, page, lambda namespace: namespace_fields(namespace, base))


@router.get("/{namespace}", summary="Show a namespace")
async def show_namespace(request: Request, call: ApiCall, namespace: NamespaceKey) -> Namespace:
    """By id, or by URL-encoded path whatever its case: one's own, or one with a project that one sees."""
    found = await call.read(lambda registry, caller: namespaces.show(registry, caller, parse_key(namespace)))
    return namespace_fields(found, base_url(request))


@router.get("/{namespace}/exists", summary="Whether a namespace exists")
async def namespace_exists(
    call: ApiCall, namespace: NamespaceKey, query: ExistenceQuery = parameters(ExistenceQuery)
) -> Existence:
    """By its path; if so, with a path that is free."""
    exists, suggests = await call.search(
        lambda registry, caller: namespaces.existence(registry, caller, _decoded(namespace), query.parent_id)
    )
    return {"exists": exists, "suggests": suggests}


def _decoded(segment: str) -> str:
    try:
        return decode_segment(segment)
    except ValueError as error:
        raise NotFound("Namespace") from error
