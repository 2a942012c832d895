"""GitLab's packages API: what was uploaded, to list and to delete."""

from __future__ import annotations

from typing import Literal, NotRequired

from fastapi import Request, Response
from pydantic import Field
from typing_extensions import TypedDict

from modelyard.clock import iso
from modelyard.registry import tables
from modelyard.registry.files.packages import PackageFilter
from modelyard.routes.gitlab.face import gitlab_router
from modelyard.routes.http.answers import Listing, Sha256, Timestamp, Url
from modelyard.routes.http.call import ApiCall
from modelyard.routes.http.listing import Needle, PageQuery, listing
from modelyard.routes.http.params import parameters
from modelyard.routes.http.path_params import ProjectKey, RecordId
from modelyard.routes.http.routing import Traits
from modelyard.services.files import packages
from modelyard.terms.paths import parse_id, stored_form
from modelyard.wire.paths import parse_project

router = gitlab_router("/projects/{project}/packages", "packages")

PACKAGE_TYPE: Literal["ml_model"] = "ml_model"
# GitLab's words; only packages of models, and of these only `default` and `hidden` ones, exist here.
PackageType = Literal[
    "cargo",
    "composer",
    "conan",
    "debian",
    "generic",
    "golang",
    "helm",
    "maven",
    "ml_model",
    "npm",
    "nuget",
    "pypi",
    "rpm",
    "rubygems",
    "terraform_module",
]
PackageStatus = Literal["default", "hidden", "processing", "error", "pending_destruction", "deprecated"]


class PackageQuery(PageQuery):
    """How a listing of packages is narrowed and ordered."""

    package_type: PackageType = Field("ml_model", description="Only packages of models exist here.")
    package_name: Needle | None = Field(None, description="Found anywhere in the name.")
    package_version: str | None = Field(None, description="Exactly this version.")
    status: PackageStatus = "default"
    order_by: Literal["created_at", "name", "version", "type"] = "created_at"
    sort: Literal["asc", "desc"] = "asc"


class FileQuery(PageQuery):
    """How a listing of files is ordered."""

    order_by: Literal["id", "created_at", "file_name"] = "id"
    sort: Literal["asc", "desc"] = "asc"


class PackageLinks(TypedDict):
    """Paths of a package on this server."""

    web_path: Url
    delete_api_path: Url


class PackageVersion(TypedDict):
    """Another version of a package."""

    id: int
    version: str | None
    created_at: Timestamp
    tags: list[str]


class Package(TypedDict):
    """The files of one version or candidate; `versions` where it is shown alone."""

    id: int
    name: str
    version: str | None
    package_type: Literal["ml_model"]
    status: str
    _links: PackageLinks
    created_at: Timestamp
    last_downloaded_at: Timestamp | None
    tags: list[str]
    pipelines: list[str]
    versions: NotRequired[list[PackageVersion]]


class PackageFile(TypedDict):
    """A file; those before it of the same name are files, too."""

    id: int
    package_id: int
    created_at: Timestamp
    file_name: str
    size: int
    file_md5: None
    file_sha1: None
    file_sha256: Sha256
    pipelines: list[str]


def package_fields(package: tables.Package) -> Package:
    """A package as GitLab shows it."""
    own = f"{router.prefix.format(project=package.project_id)}/{package.id}"
    return {
        "id": package.id,
        "name": package.name,
        "version": package.version,
        "package_type": PACKAGE_TYPE,
        "status": package.status,
        "_links": {"web_path": own, "delete_api_path": own},
        "created_at": iso(package.created_at),
        "last_downloaded_at": iso(package.last_downloaded_at),
        "tags": [],
        "pipelines": [],
    }


def _version_fields(package: tables.Package) -> PackageVersion:
    return {"id": package.id, "version": package.version, "created_at": iso(package.created_at), "tags": []}


def file_fields(file: tables.PackageFile) -> PackageFile:
    """A file as GitLab shows it: its name percent-encoded as one component."""
    return {
        "id": file.id,
        "package_id": file.package_id,
        "created_at": iso(file.created_at),
        "file_name": stored_form(file.name),
        "size": file.size,
        "file_md5": None,
        "file_sha1": None,
        "file_sha256": file.sha256,
        "pipelines": [],
    }


@router.get("", summary="List packages")
@Traits(public=True, makes=("package_id", "/0/id"))
async def list_packages(
    request: Request, call: ApiCall, project: ProjectKey, query: PackageQuery = parameters(PackageQuery, public=True)
) -> Listing[Package]:
    """One package for each version and for each candidate that has files."""
    ref = parse_project(project)
    narrowed = PackageFilter(
        query.package_name, query.package_version, query.status, query.order_by, query.sort == "desc"
    )
    none = query.package_type != PACKAGE_TYPE
    page = await call.search_public(
        lambda registry, caller: packages.page(registry, caller, ref, narrowed, query.request, none=none)
    )
    return listing(request, page, package_fields)


@router.get("/{package_id}", summary="Show a package")
@Traits(public=True, follows="package_id")
async def show_package(call: ApiCall, project: ProjectKey, package_id: RecordId) -> Package:
    """For whoever may read the project; with the newest other versions of the same name."""
    ref = parse_project(project)
    package, others = await call.search_public(
        lambda registry, caller: packages.show(registry, caller, ref, parse_id(package_id))
    )
    return {**package_fields(package), "versions": [_version_fields(other) for other in others]}


@router.delete("/{package_id}", status_code=204, summary="Delete a package")
async def delete_package(call: ApiCall, project: ProjectKey, package_id: RecordId) -> Response:
    """With all its files; its version or candidate stays."""
    ref = parse_project(project)
    await call.write(lambda registry, caller: packages.delete(registry, caller, ref, parse_id(package_id)))
    return Response(status_code=204)


@router.get("/{package_id}/package_files", summary="List a package's files")
@Traits(public=True, follows="package_id")
async def list_files(
    request: Request,
    call: ApiCall,
    project: ProjectKey,
    package_id: RecordId,
    query: FileQuery = parameters(FileQuery, public=True),
) -> Listing[PackageFile]:
    """All of them, also those that a newer file of the same name hides."""
    ref = parse_project(project)
    page = await call.search_public(
        lambda registry, caller: packages.page_of_files(
            registry, caller, ref, parse_id(package_id), query.request, query.order_by, descending=query.sort == "desc"
        )
    )
    return listing(request, page, file_fields)


@router.delete("/{package_id}/package_files/{file_id}", status_code=204, summary="Delete a file")
async def delete_file(call: ApiCall, project: ProjectKey, package_id: RecordId, file_id: RecordId) -> Response:
    """The file before it of the same name is served again."""
    ref = parse_project(project)
    await call.write(
        lambda registry, caller: packages.delete_file(registry, caller, ref, parse_id(package_id), parse_id(file_id))
    )
    return Response(status_code=204)
