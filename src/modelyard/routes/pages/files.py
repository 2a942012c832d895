"""Files of a version: folders, one file, what is found by its name, and the end of a file or a folder."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.access.policy import Action
from modelyard.errors import NotFound
from modelyard.registry.repository import Registry
from modelyard.routes.pages import snippets
from modelyard.routes.pages.frame import View, enter
from modelyard.routes.pages.previews import look
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.version_frame import VERSION, crumbs_of, opened, version_values
from modelyard.routes.pages.visit import Visit
from modelyard.services.files import artifacts, folders
from modelyard.services.models import overviews
from modelyard.terms.paths import MAX_NAME_BYTES, OwnerKind, OwnerRef, file_path
from modelyard.wire.paths import decode_segment

subject = Subject()


@subject.get(f"{VERSION}/tree")
@subject.get(VERSION + "/tree/{path:path}")
async def show_folder(request: Request) -> Response:
    """What lies in a folder of a version's files, or has a text in its name."""
    visit, folder = Visit(request), _name(request)
    wanted = visit.query.get("find", "").strip()

    def view(registry: Registry, caller: Identity) -> View:
        found, model, version = opened(visit, registry, caller)
        page = None if wanted else folders.page(registry, version.id, folder, visit.query.get("page"))
        content = page.content if page and not folder else None
        values = version_values(overviews.version_details(registry, model, version, content), "files") | {
            "folder": folder,
            "parts": _parts(folder),
            "page": page,
            "find": wanted,
            "found": folders.find(registry, version.id, wanted) if wanted else None,
            "most": folders.MAX_FOUND,
            "first": "page" not in visit.query,
            "upload": snippets.upload(visit.links, found, version.id),
        }
        title = [*([folder] if folder else ["Files"]), version.version, model.name]
        return View(title, values, found, crumbs_of(visit, found, model, version), "models")

    return await visit.show("files/tree.html", view)


@subject.get(VERSION + "/blob/{path:path}")
async def show_file(request: Request) -> Response:
    """A file: what is known of it, what is in it, and where its bytes are to be had."""
    visit, name = Visit(request), _name(request)
    shown = await look(visit, name)

    def view(registry: Registry, caller: Identity) -> View:
        found, model, version = opened(visit, registry, caller)
        file = folders.file(registry, version.id, name)
        values = {
            "model": model,
            "version": version,
            "file": file,
            "shown": shown,
            "scripts": visit.query.get("scripts") == "1",
            "name": name,
            "parts": _parts(name),
            "api_path": file_path(found.id, version.id, name),
            "api_url": visit.links.file_api(found.id, version.id, name),
        }
        crumbs = crumbs_of(visit, found, model, version, link=True)
        return View([name, version.version, model.name], values, found, crumbs, "models")

    return await visit.show("files/blob.html", view)


@subject.get(VERSION + "/delete_files/{path:path}")
async def ask_to_delete(request: Request) -> Response:
    """What goes with a file or a folder."""
    visit, name = Visit(request), _name(request)

    def view(registry: Registry, caller: Identity) -> View:
        found, model, version = opened(visit, registry, caller, Action.WRITE)
        content = folders.content(registry, version.id, name)
        values = {"model": model, "version": version, "name": name, "content": content, "parts": _parts(name)}
        crumbs = crumbs_of(visit, found, model, version, link=True)
        return View([f"Delete {name}", version.version, model.name], values, found, crumbs, "models")

    return await visit.show("files/delete.html", view)


@subject.post(VERSION + "/delete_files/{path:path}")
async def delete(request: Request) -> Response:
    """A file's end, or that of a folder with all that is in it."""
    visit, name = Visit(request), _name(request)
    await visit.form()

    def work(registry: Registry, caller: Identity, project_id: int) -> None:
        _model, version = overviews.version_by_id(registry, project_id, visit.number("model"), visit.number("version"))
        artifacts.delete_tree(registry, caller, project_id, OwnerRef(OwnerKind.VERSION, version.id), name)

    await visit.change_in_project(work, adds=False)
    links, above = visit.links, name.rpartition("/")[0]
    rest = f"/tree/{links.named(above)}" if above else "/tree"
    url = links.version(visit.project_path, visit.number("model"), visit.number("version"), rest)
    return visit.redirect(url, f"{name} has been deleted")


@subject.get("/{project:project}/-/packages/{package:number}")
async def show_package(request: Request) -> Response:
    """GitLab's address of a package: the files of its version."""
    visit = Visit(request)

    def work(registry: Registry, caller: Identity) -> str:
        found = enter(registry, caller, visit.project_path)
        package = registry.packages.by_id(found.id, visit.number("package"))
        if package is None or package.model_version_id is None:
            raise NotFound("Package")
        version = registry.versions.by_id(found.id, package.model_version_id)
        if version is None:
            raise NotFound("Package")
        return visit.links.version(found.path, version.model_id, version.id, "/tree")

    return visit.redirect(await visit.find(work))


@subject.get("/{project:project}/-/package_files/{file:number}/download")
async def download(request: Request) -> Response:
    """GitLab's address of a file's bytes."""
    visit = Visit(request)

    def work(registry: Registry, caller: Identity) -> str:
        found = enter(registry, caller, visit.project_path)
        file, package = folders.home_of(registry, found.id, visit.number("file"))
        if package.model_version_id is None:
            raise NotFound
        return visit.links.to(file_path(found.id, package.model_version_id, file.name))

    return visit.redirect(await visit.find(work))


def _name(request: Request) -> str:
    """The name in what is left of the path, decoded once. Raises NotFound for what none can be."""
    raw = str(request.path_params.get("path", ""))
    try:
        name = decode_segment(raw)
    except ValueError as error:
        raise NotFound from error
    if len(name.encode()) > MAX_NAME_BYTES or "\0" in name:
        raise NotFound
    return name


def _parts(name: str) -> list[tuple[str, str]]:
    """The folders on the way to a name, and itself: labels with whole names."""
    segments = name.split("/") if name else []
    return [(segment, "/".join(segments[: i + 1])) for i, segment in enumerate(segments)]
