"""Whose an upload is: nobody else knows of it, whatever they may do to its file."""

from __future__ import annotations

from modelyard.access.identity import Identity, require_scope
from modelyard.access.policy import ProjectFacts
from modelyard.clock import now
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Upload
from modelyard.services.files.locating import Address, Located
from modelyard.services.resuming.claims import UploadNotFound


def forget(registry: Registry, caller: Identity, uid: str, project: ProjectFacts | None) -> None:
    """Remove the caller's upload of that uid, as the audit trail is told. Raises UploadNotFound."""
    upload = own(registry, caller, uid)
    registry.act(caller, project)
    registry.audit.note("upload_cancelled", upload, {"remove": "upload", "size": upload.size})
    registry.resumable.remove(upload.id)


def own(registry: Registry, caller: Identity, uid: str) -> Upload:
    """The caller's upload of that uid. Raises InsufficientScope, and UploadNotFound."""
    require_scope(caller, writing=True)
    upload = registry.resumable.by_uid(uid, now())
    if upload is None:
        raise UploadNotFound
    require_own(caller, upload)
    return upload


def require_own(caller: Identity, upload: Upload) -> None:
    """Raise InsufficientScope, and UploadNotFound for an upload that is not the caller's."""
    require_scope(caller, writing=True)
    if upload.user_id != caller.user_id or caller.job_project_id not in {None, upload.project_id}:
        raise UploadNotFound


def leads_to(located: Located, address: Address) -> bool:
    """Whether an upload is one to an address, whose project may be named by its path."""
    project, own = located.location.project, located.request.address
    names = {project.id, project.path.lower()} if project is not None else set()
    asked = address.project.lower() if isinstance(address.project, str) else address.project
    return asked in names and (own.owner, own.name) == (address.owner, address.name)
