"""GitLab's projects API."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, cast

from fastapi import Request
from pydantic import Field
from typing_extensions import TypedDict

from modelyard.access.identity import Identity
from modelyard.access.policy import ProjectFacts, Role, Visibility
from modelyard.clock import Milliseconds, iso
from modelyard.registry.base import MAX_INT64
from modelyard.registry.people.projects import ProjectFilter
from modelyard.registry.repository import Registry
from modelyard.routes.gitlab.face import gitlab_router
from modelyard.routes.gitlab.namespaces import Namespace, namespace_fields
from modelyard.routes.http.answers import Listing, Timestamp, Url
from modelyard.routes.http.call import ApiCall
from modelyard.routes.http.listing import Id, KeysetQuery, Moment, Needle, listing
from modelyard.routes.http.params import Parameters, parameters, stating
from modelyard.routes.http.path_params import ProjectKey, RecordId
from modelyard.routes.http.refusals import Message
from modelyard.routes.http.routing import Traits
from modelyard.routes.http.urls import base_url
from modelyard.services.people import projects
from modelyard.services.people.authentication import Seen
from modelyard.services.people.projects import Shown
from modelyard.terms.paging import Page
from modelyard.terms.paths import parse_id
from modelyard.wire.paths import parse_project

router = gitlab_router("/projects", "projects")


Name = Annotated[str, stating(maxLength=projects.MAX_NAME)]
Description = Annotated[str, stating(maxLength=projects.MAX_DESCRIPTION)]

NONE = "No project here"
STATISTICS = "Show how many bytes the files have, to whom is a reporter or more."


class ProjectQuery(KeysetQuery):
    """How a listing of projects is narrowed, ordered and shown."""

    search: Needle | None = Field(None, description="Found in name, path or description.")
    visibility: Visibility | None = None
    membership: bool = Field(False, description="Only projects that one is a member of.")
    owned: bool = Field(False, description="Only projects that one owns.")
    min_access_level: Role | None = Field(None, description="Only projects where one has at least this role.")
    last_activity_after: Moment = None
    last_activity_before: Moment = None
    updated_after: Moment = None
    updated_before: Moment = None
    archived: bool | None = Field(None, description=f"{NONE} is archived.")
    active: bool | None = Field(None, description="All are.")
    starred: bool = Field(False, description=f"{NONE} is.")
    imported: bool = Field(False, description=f"{NONE} is.")
    topic: str | None = Field(None, description=f"{NONE} has topics.")
    topic_id: Id = Field(None, description=f"{NONE} has topics.")
    marked_for_deletion_on: Moment = Field(None, description=f"{NONE} waits for its deletion.")
    with_issues_enabled: bool = Field(False, description=f"{NONE} has issues.")
    with_merge_requests_enabled: bool = Field(False, description=f"{NONE} has merge requests.")
    with_programming_language: str | None = Field(None, description=f"{NONE} has a repository.")
    simple: bool = Field(False, description="Show only what tells projects apart.")
    statistics: bool = Field(False, description=STATISTICS)
    order_by: Literal["id", "name", "path", "created_at", "updated_at", "last_activity_at"] = "created_at"

    @property
    def sized(self) -> bool:
        """Whether sizes are shown."""
        return self.statistics and not self.simple

    @property
    def narrowed(self) -> ProjectFilter:
        """The filter that is asked for; the last activity in a project is its last update."""
        nowhere = (
            self.archived,
            self.active is False,
            self.starred,
            self.imported,
            self.topic,
            self.topic_id is not None,
            self.marked_for_deletion_on is not None,
            self.with_issues_enabled,
            self.with_merge_requests_enabled,
            self.with_programming_language,
        )
        return ProjectFilter(
            search=self.search,
            visibility=self.visibility,
            membership=self.membership,
            owned=self.owned,
            least_role=self.min_access_level,
            ids=self.ids,
            updated=(
                max(_given(self.last_activity_after, self.updated_after), default=None),
                min(_given(self.last_activity_before, self.updated_before), default=None),
            ),
            none=any(nowhere),
            order_by=self.order_by,
            descending=self.descending,
        )


def _given(*moments: Milliseconds | None) -> list[Milliseconds]:
    return [moment for moment in moments if moment is not None]


class ShowProject(Parameters):
    """How a project is shown."""

    statistics: bool = Field(False, description=STATISTICS)


class CreateProject(Parameters):
    """Parameters of a new project: a name, a path, or both."""

    name: Name | None = None
    path: Name | None = None
    namespace_path: str | None = Field(None, description="Where it lies; default: one's own user name.")
    namespace_id: Id = Field(None, description="Where it lies, in place of `namespace_path`.")
    visibility: Visibility = Visibility.PRIVATE
    description: Description | None = None

    @property
    def wanted(self) -> projects.NewProject:
        """The project as the service takes it."""
        return projects.NewProject(
            self.name, self.path, self.namespace_path, self.namespace_id, self.visibility, self.description or ""
        )


class UpdateProject(Parameters):
    """Parameters of a changed project."""

    name: Name | None = None
    path: Name | None = None
    visibility: Visibility | None = None
    description: Description | None = None
    storage_limit: int | None = Field(
        None,
        ge=projects.DEFAULT_LIMIT,
        le=MAX_INT64,
        description="Bytes that the files may have, set by administrators; 0 = no limit, -1 = the server's default.",
    )


class SimpleProject(TypedDict):
    """What tells a project from others."""

    id: int
    name: str
    path: str
    name_with_namespace: str
    path_with_namespace: str
    description: str
    visibility: Annotated[str, stating(enum=list(Visibility))]
    web_url: Url
    default_branch: None
    namespace: Namespace
    created_at: Timestamp
    last_activity_at: Timestamp


class ProjectLinks(TypedDict):
    """URLs of a project."""

    self: Url


class ProjectAccess(TypedDict):
    """A role in a project."""

    access_level: int


class Permissions(TypedDict):
    """What the caller is in a project."""

    project_access: ProjectAccess | None
    group_access: None


class Statistics(TypedDict):
    """How many bytes the files of a project have."""

    storage_size: int
    packages_size: int


class FullProject(SimpleProject):
    """What is told of a project to whoever sees it."""

    archived: bool
    creator_id: int | None
    updated_at: Timestamp
    _links: ProjectLinks


class Project(FullProject):
    """A project, with what else the caller may know."""

    permissions: NotRequired[Permissions]
    storage_limit: NotRequired[int | None]
    statistics: NotRequired[Statistics]


ProjectListing = Listing[Project] | Listing[SimpleProject]  # the latter where `simple` asks for it


def simple_fields(shown: Shown, base: str) -> SimpleProject:
    """What tells a project from others, as GitLab shows it."""
    project = shown.project
    return {
        "id": project.id,
        "name": project.name,
        "path": project.path,
        "name_with_namespace": f"{' / '.join(project.namespace_path.split('/'))} / {project.name}",
        "path_with_namespace": project.full_path,
        "description": project.description,
        "visibility": project.visibility,
        "web_url": f"{base}/{project.full_path}",
        "default_branch": None,
        "namespace": namespace_fields(shown.namespace, base),
        "created_at": iso(project.created_at),
        "last_activity_at": iso(project.updated_at),
    }


def project_fields(shown: Shown, base: str) -> Project:
    """A project as GitLab shows it, with what else the caller may know."""
    project = shown.project
    full: FullProject = {
        **simple_fields(shown, base),
        "archived": False,
        "creator_id": project.creator_id,
        "updated_at": iso(project.updated_at),
        "_links": {"self": f"{base}{router.prefix}/{project.id}"},
    }
    fields = cast("Project", full)
    if shown.limit_shown:
        fields["storage_limit"] = project.storage_limit
    if shown.used is not None:
        fields["statistics"] = {"storage_size": shown.used, "packages_size": shown.used}
    return fields


def _with_permissions(shown: Shown, facts: ProjectFacts, base: str) -> Project:
    access: ProjectAccess | None = {"access_level": facts.role} if facts.role is not None else None
    return {**project_fields(shown, base), "permissions": {"project_access": access, "group_access": None}}


def _shown(registry: Registry, caller: Identity, seen: Seen, *, statistics: bool = False) -> tuple[Shown, ProjectFacts]:
    return projects.shown(registry, caller, [seen[0]], statistics=statistics)[0], seen[1]


@router.get("", summary="List projects")
@Traits(public=True)
async def list_projects(
    request: Request, call: ApiCall, query: ProjectQuery = parameters(ProjectQuery, public=True)
) -> ProjectListing:
    """Those that the caller sees; anonymous callers see public ones."""
    narrowed = query.narrowed
    page = await call.search_public(
        lambda registry, caller: projects.page(registry, caller, narrowed, query.request, statistics=query.sized)
    )
    return project_listing(request, query, page)


def project_listing(request: Request, query: ProjectQuery, page: Page[Shown]) -> ProjectListing:
    """The answer for one page of projects, as simple as it is asked for."""
    base = base_url(request)
    if query.simple:
        return listing(request, page, lambda shown: simple_fields(shown, base))
    return listing(request, page, lambda shown: project_fields(shown, base))


@router.post("", status_code=201, summary="Create a project")
@Traits(makes=("project", "/id"))
async def create_project(request: Request, call: ApiCall, new: CreateProject = parameters(CreateProject)) -> Project:
    """The caller becomes its owner."""
    seen = await call.write(
        lambda registry, caller: _shown(registry, caller, projects.create(registry, caller, new.wanted))
    )
    return _with_permissions(*seen, base_url(request))


@router.post("/user/{user_id}", status_code=201, summary="Create a project for a user")
async def create_project_for(
    request: Request, call: ApiCall, user_id: RecordId, new: CreateProject = parameters(CreateProject)
) -> Project:
    """For administrators; the user becomes its owner."""
    seen = await call.write(
        lambda registry, caller: _shown(
            registry, caller, projects.create_for(registry, caller, parse_id(user_id), new.wanted)
        )
    )
    return _with_permissions(*seen, base_url(request))


@router.get("/{project}", summary="Show a project")
@Traits(public=True, follows="project")
async def show_project(
    request: Request, call: ApiCall, project: ProjectKey, query: ShowProject = parameters(ShowProject, public=True)
) -> Project:
    """By id, or by URL-encoded path whatever its case."""
    ref, statistics = parse_project(project), query.statistics
    read = call.search_public if statistics else call.read_public
    seen = await read(
        lambda registry, caller: _shown(registry, caller, projects.show(registry, caller, ref), statistics=statistics)
    )
    return _with_permissions(*seen, base_url(request))


@router.put("/{project}", summary="Change a project")
@Traits(follows="project")
async def update_project(
    request: Request, call: ApiCall, project: ProjectKey, change: UpdateProject = parameters(UpdateProject)
) -> Project:
    """Name and description as a maintainer, path and visibility as an owner, `storage_limit` as an administrator."""
    ref = parse_project(project)
    wanted = projects.ProjectChange(
        change.name, change.path, change.visibility, change.description, change.storage_limit
    )
    seen = await call.write(
        lambda registry, caller: _shown(registry, caller, projects.update(registry, caller, ref, wanted))
    )
    return _with_permissions(*seen, base_url(request))


@router.delete("/{project}", status_code=202, summary="Delete a project")
@Traits(follows="project")
async def delete_project(call: ApiCall, project: ProjectKey) -> Message:
    """As an owner; everything in it goes, and its bytes with the next garbage collection."""
    ref = parse_project(project)
    await call.write(lambda registry, caller: projects.delete(registry, caller, ref))
    return {"message": "202 Accepted"}
