"""GitLab's projects API."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from modelyard.access.policy import Visibility
from modelyard.clock import iso
from modelyard.registry.projects import ProjectFilter
from modelyard.registry.tables import Project
from modelyard.routes.call import ApiCall
from modelyard.routes.listing import PageQuery, listing
from modelyard.routes.params import documented, parameters, query_documented
from modelyard.routes.urls import base_url
from modelyard.services import projects
from modelyard.services.authentication import Seen
from modelyard.wire.paths import parse_project

router = APIRouter(prefix="/api/v4/projects", tags=["projects"])


class ProjectQuery(PageQuery):
    """How a listing of projects is narrowed and ordered."""

    search: str | None = Field(None, description="Found in name, path or description.")
    visibility: Visibility | None = None
    membership: bool = Field(False, description="Only projects that one is a member of.")
    owned: bool = Field(False, description="Only projects that one owns.")
    order_by: Literal["id", "name", "path", "created_at", "updated_at", "last_activity_at"] = "created_at"
    sort: Literal["asc", "desc"] = "desc"


class CreateProject(BaseModel):
    """Parameters of a new project: a name, a path, or both."""

    name: str | None = None
    path: str | None = None
    namespace_path: str | None = Field(None, description="Where it lies; default: one's own user name.")
    visibility: Visibility = Visibility.PRIVATE
    description: str | None = None


class UpdateProject(BaseModel):
    """Parameters of a changed project."""

    name: str | None = None
    path: str | None = None
    visibility: Visibility | None = None
    description: str | None = None


def project_fields(project: Project, base: str) -> dict[str, object]:
    """A project as GitLab shows it."""
    last = project.namespace_path.rpartition("/")[2]
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
        "archived": False,
        "creator_id": project.creator_id,
        "namespace": {"name": last, "path": last, "kind": "group", "full_path": project.namespace_path},
        "created_at": iso(project.created_at),
        "updated_at": iso(project.updated_at),
        "last_activity_at": iso(project.updated_at),
        "_links": {"self": f"{base}/api/v4/projects/{project.id}"},
    }


def _with_permissions(seen: Seen, base: str) -> dict[str, object]:
    project, facts = seen
    access = {"access_level": facts.role} if facts.role is not None else None
    return project_fields(project, base) | {"permissions": {"project_access": access, "group_access": None}}


@router.get("", summary="List projects", openapi_extra=query_documented(ProjectQuery))
async def list_projects(request: Request, call: ApiCall, query: ProjectQuery = parameters(ProjectQuery)) -> Response:
    """Those that the caller sees; anonymous callers see public ones."""
    narrowed = ProjectFilter(
        query.search, query.visibility, query.membership, query.owned, query.order_by, query.sort == "desc"
    )
    page = await call.read_public(lambda registry, caller: projects.page(registry, caller, narrowed, query.request))
    return listing(request, page, lambda project: project_fields(project, base_url(request)))


@router.post("", status_code=201, summary="Create a project", openapi_extra=documented(CreateProject))
async def create_project(
    request: Request, call: ApiCall, new: CreateProject = parameters(CreateProject)
) -> dict[str, object]:
    """The caller becomes its owner."""
    wanted = projects.NewProject(new.name, new.path, new.namespace_path, new.visibility, new.description or "")
    seen = await call.write(lambda registry, caller: projects.create(registry, caller, wanted))
    return _with_permissions(seen, base_url(request))


@router.get("/{project}", summary="Show a project")
async def show_project(request: Request, call: ApiCall, project: str) -> dict[str, object]:
    """By id, or by URL-encoded path whatever its case."""
    ref = parse_project(project)
    seen = await call.read_public(lambda registry, caller: projects.show(registry, caller, ref))
    return _with_permissions(seen, base_url(request))


@router.put("/{project}", summary="Change a project", openapi_extra=documented(UpdateProject))
async def update_project(
    request: Request, call: ApiCall, project: str, change: UpdateProject = parameters(UpdateProject)
) -> dict[str, object]:
    """Name and description as a maintainer, path and visibility as an owner."""
    ref = parse_project(project)
    wanted = projects.ProjectChange(change.name, change.path, change.visibility, change.description)
    seen = await call.write(lambda registry, caller: projects.update(registry, caller, ref, wanted))
    return _with_permissions(seen, base_url(request))


@router.delete("/{project}", status_code=202, summary="Delete a project")
async def delete_project(call: ApiCall, project: str) -> dict[str, str]:
    """As an owner; everything in it goes, and its bytes with the next garbage collection."""
    ref = parse_project(project)
    await call.write(lambda registry, caller: projects.delete(registry, caller, ref))
    return {"message": "202 Accepted"}
