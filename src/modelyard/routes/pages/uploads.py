"""Files for a version or a run: a form that takes one, and what a script asks before it sends many."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from modelyard.access.identity import Identity
from modelyard.access.policy import Action
from modelyard.access.tokens import digest_of
from modelyard.errors import ApiError, Conflict, ParameterError
from modelyard.registry.files.locations import StoredFile
from modelyard.registry.repository import Registry
from modelyard.routes.http.transfers import files_of, store_named
from modelyard.routes.pages.forms import sentence
from modelyard.routes.pages.frame import View
from modelyard.routes.pages.holders import Holder, api_path, at_both, folder_in, hold, owner_of, request_for
from modelyard.routes.pages.security import page_headers
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.files.locating import Address
from modelyard.services.files.recording import Precondition
from modelyard.terms.paths import API, UPLOADS, parse_id
from modelyard.wire.paths import parse_file_name

subject = Subject()

TAKEN = "A file of that name is there already"


@at_both(subject, "/upload")
async def ask(request: Request) -> Response:
    """The form; with a script, a place to drop files and folders on."""
    return await _form(Visit(request))


@at_both(subject, "/upload", "POST")
async def take(request: Request) -> Response:
    """One file, as a browser's form brings it. Who may not write is told so before the form is read."""
    visit = Visit(request)
    await visit.identify()
    held = await visit.find(lambda registry, caller: hold(registry, caller, visit, Action.WRITE))
    request.scope["sender"] = digest_of(visit.credential or "")
    fields: dict[str, str] = {}

    def address_of(name: str, sent: Mapping[str, str]) -> tuple[Address, Precondition]:
        fields.update(sent)
        return Address(visit.project_path, owner_of(visit), _name(sent.get("folder", ""), name)), _unless_taken(sent)

    try:
        stored = await store_named(request, address_of, files_of(request))
    except ApiError as error:
        return await _form(visit, fields, sentence(error), error.status)
    above = stored.name.rpartition("/")[0]
    url = f"{held.files}/{visit.links.named(above)}" if above and held.files.endswith("/tree") else held.files
    return visit.redirect(url, f"{stored.name} has been uploaded")


@at_both(subject, "/upload/check")
async def check(request: Request) -> Response:
    """Where a file would go and what it would replace, or why it would be refused: asked before its first byte."""
    visit = Visit(request)
    await visit.identify()
    name, size = visit.query.get("name", ""), parse_id(visit.query.get("size", ""))
    encoded = quote(name, safe="/")
    held = await visit.find(lambda registry, caller: hold(registry, caller, visit, Action.WRITE))
    permit = await files_of(request).uploads.authorize(request_for(visit, parse_file_name(encoded)), max(size, 0))
    current = permit.current
    goes_on = request.app.state.uploads is not None
    told = {
        "url": api_path(visit, held.project.id, f"files/{encoded}"),
        "begin": api_path(visit, held.project.id, "uploads") if goes_on else None,
        "uploads": visit.links.to(f"{API}{UPLOADS}/"),
        "exists": {"sha256": current.sha256, "size": current.size} if current else None,
    }
    return JSONResponse(told, headers=page_headers(visit.secure, no_store=True))


def _name(folder: str, name: str) -> str:
    """The whole name of a file that was chosen for a folder. Raises ParameterError."""
    if not name:
        raise ParameterError("Choose a file first")
    inside = folder_in(folder)
    return parse_file_name(quote(f"{inside}/{name}" if inside else name, safe="/"))


def _unless_taken(fields: Mapping[str, str]) -> Precondition:
    """Refuses to put a file in the place of another, unless the form says so."""

    def hold_free(current: StoredFile | None) -> None:
        if current is not None and not fields.get("replace"):
            raise Conflict(f"{TAKEN}: choose to replace it, or another folder")

    return hold_free


async def _form(visit: Visit, fields: Mapping[str, str] | None = None, error: str = "", status: int = 200) -> Response:
    limit = visit.request.app.state.settings.max_file_size

    def view(registry: Registry, caller: Identity) -> View:
        holder: Holder = hold(registry, caller, visit, Action.WRITE)
        folder = (fields or {}).get("folder") or visit.query.get("folder", "")
        values = {"folder": folder, "replace": bool((fields or {}).get("replace")), "error": error, "limit": limit}
        return holder.view("Upload files", values)

    return await visit.show("files/upload.html", view, status=status)
