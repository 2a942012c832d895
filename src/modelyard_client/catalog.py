"""Projects, models, versions and their files, as the server's API tells of them."""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import quote

from modelyard_client import rows
from modelyard_client.errors import ClientError, NotFound, Refused, UsageMistake
from modelyard_client.http.transport import Answer, Transport, understood
from modelyard_client.names import in_url
from modelyard_client.results import RemoteFile, User, Version
from modelyard_client.targets import CANDIDATE, Target
from modelyard_client.workers import each

PER_PAGE = 100
PAGES_AT_ONCE = 4
VERSIONS_AT_ONCE = 200
SEMANTIC = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")  # as far as is needed to tell it from an alias or a number
LISTINGS = 5  # at most, of a list from which rows go all the time


class Place(NamedTuple):
    """Whose files are meant: `owner` is a version's id or `candidate:<number>`; `package` as packages are named."""

    target: Target
    owner: str
    package: tuple[str, str]

    @property
    def files(self) -> str:
        """The path of its files below the API's base."""
        return f"{self.root}/files"

    @property
    def root(self) -> str:
        """The path below which files and uploads are."""
        return f"{_project(self.target.project)}/packages/ml_models/{quote(self.owner, safe=':')}"

    def file(self, name: str) -> str:
        """The path of one file."""
        return f"{self.files}/{in_url(name)}"


class Catalog:
    """Finds and makes what files lie in. All methods raise ClientError."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def user(self) -> User:
        """Whose token it is."""
        fields = self._transport.call("GET", "/user").json()
        with understood():
            return User(self._transport.login.url, fields["username"], fields["name"], fields["id"])

    def place(self, target: Target) -> Place:
        """Where a target's files are. Raises NotFound."""
        if target.is_candidate:
            number = (target.version or "").removeprefix(CANDIDATE)
            self._listed(target, f"{CANDIDATE}{number}")  # whoever has no files yet is in no list of packages
            return Place(target, f"{CANDIDATE}{number}", ("", f"candidate_{number}"))
        version = self._named(target) if target.version else self._newest(target)
        return Place(target, version.id, (target.model, version.version))

    def create(self, target: Target) -> Place:
        """Where a target's files are, or will be: project, model and version are made where they are not there.

        Raises NotFound for a candidate, and Refused for a version that cannot be made, before anything is.
        """
        there = self.place_or_none(target)
        if there is not None:
            return there
        self._ensure_project(target.project)
        self._make(target, "registered-models/create", {"name": target.model})
        tags = [{"key": "gitlab.version", "value": target.version}] if target.version else []
        self._make(target, "model-versions/create", {"name": target.model, "tags": tags})
        return self.place(target)

    def place_or_none(self, target: Target) -> Place | None:
        """Where a target's files are; None where that can be made. Raises as `create` does."""
        try:
            return self.place(target)
        except NotFound as error:
            if target.is_candidate:
                raise
            if target.version and not SEMANTIC.match(target.version):
                told = f"{target} is not there, and a version that is made is a semantic one, such as 1.0.0"
                raise Refused(told) from error
            return None

    def versions(self, target: Target) -> list[Version]:
        """The versions of a model, the newest first. Raises NotFound."""
        self._mlflow(target, "GET", "registered-models/get", query={"name": target.model})
        found: list[Version] = []
        name, token = target.model.replace("'", "''"), ""
        while True:
            query = {"filter": f"name='{name}'", "max_results": VERSIONS_AT_ONCE, "order_by": "version_number DESC"}
            page = self._mlflow(
                target, "GET", "model-versions/search", query=query | ({"page_token": token} if token else {})
            )
            with understood():
                found.extend(map(rows.version_of, page.get("model_versions", [])))
                token = page.get("next_page_token", "")
            if not token:
                return found

    def files(self, place: Place) -> list[RemoteFile]:
        """The current files, by name."""
        package = self._package(place)
        if package is None:
            return self._files_of_promoted(place) if place.target.is_candidate else []
        path = f"{_project(place.target.project)}/packages/{package}/package_files"
        return sorted({row.file.path: row.file for row in rows.files_of(self._rows(path))}.values())

    def remove_file(self, place: Place, name: str, *, sha256: str | None = None) -> None:
        """Remove a file, with those before it of the same name, or the one of that SHA-256 alone. Raises NotFound."""
        package = self._package(place)
        path = f"{_project(place.target.project)}/packages/{package}/package_files"
        there = [row for row in rows.files_of(self._rows(path)) if row.file.path == name] if package is not None else []
        there = [row for row in there if sha256 in {None, row.file.sha256}]
        if not there:
            raise NotFound(f"{place.target} has no file {name!r}")
        for row in there:  # the current one last: none of the others is served
            self._transport.call("DELETE", f"{path}/{row.id}", ok={204, 404})

    def remove_version(self, place: Place) -> None:
        """Remove a version, with its files."""
        if place.target.is_candidate:
            raise UsageMistake("A candidate goes with its run, by MLflow's client; name the files that are to go")
        body = {"name": place.target.model, "version": place.owner}
        self._mlflow(place.target, "DELETE", "model-versions/delete", body=body)

    def _named(self, target: Target) -> Version:
        try:
            query = {"name": target.model, "version": target.version or ""}
            found = self._mlflow(target, "GET", "model-versions/get", query=query)
        except (NotFound, Refused) as error:
            found = self._by_alias(target, error)
        with understood():
            return rows.version_of(found["model_version"])

    def _by_alias(self, target: Target, error: ClientError) -> Any:  # noqa: ANN401 - what was answered
        try:
            query = {"name": target.model, "alias": target.version or ""}
            return self._mlflow(target, "GET", "registered-models/alias", query=query)
        except (NotFound, Refused):
            raise error if isinstance(error, NotFound) else NotFound(error.sentence) from error

    def _newest(self, target: Target) -> Version:
        body = {"name": target.model}
        answer = self._mlflow(target, "POST", "registered-models/get-latest-versions", body=body)
        with understood():
            found = [rows.version_of(fields) for fields in answer.get("model_versions", [])]
        if not found:
            raise NotFound(f"{target} has no versions yet")
        return found[0]

    def _ensure_project(self, path: str) -> None:
        try:
            self._transport.call("GET", _project(path))
        except NotFound:
            namespace, _, name = path.rpartition("/")
            body = {"name": name, "path": name, "namespace_path": namespace, "visibility": "private"}
            try:
                self._transport.call("POST", "/projects", body=body, ok={201})
            except Refused as error:
                if "taken" not in error.sentence:  # by whoever was first
                    raise

    def _make(self, target: Target, call: str, body: dict[str, Any]) -> None:
        try:
            self._mlflow(target, "POST", call, body=body)
        except Refused as error:
            if "already" not in error.sentence:
                raise

    def _mlflow(self, target: Target, method: str, call: str, **options: Any) -> Any:  # noqa: ANN401 - its JSON
        path = f"{_project(target.project)}/ml/mlflow/api/2.0/mlflow/{call}"
        return self._transport.call(method, path, **options).json()

    def _package(self, place: Place) -> int | None:
        name, version = place.package
        path = f"{_project(place.target.project)}/packages"
        query: dict[str, str | int] = {"package_version": version}
        if name:
            query["package_name"] = name
        found = rows.ids_of(self._rows(path, query), name)
        found = found or rows.ids_of(self._rows(path, query | {"status": "hidden"}), name)[:1]
        return found[-1] if found else None

    def _files_of_promoted(self, place: Place) -> list[RemoteFile]:
        """The files of a candidate that has become a version, whose package is that version's from then on."""
        folders, found = [place.owner], []
        while folders:
            folder = folders.pop()
            for row in self._listed(place.target, folder):
                path = f"{folder}/{row['path']}"
                if row["is_dir"]:
                    folders.append(path)
                else:
                    found.append(path.removeprefix(f"{place.owner}/"))
        return [self.file(place, name) for name in sorted(found)]

    def file(self, place: Place, name: str) -> RemoteFile:
        """One file. Raises NotFound."""
        try:
            headers = self._transport.call("HEAD", place.file(name)).headers
        except NotFound as error:  # whose answer has no body to say so
            raise NotFound(f"{place.target} has no file {name!r}") from error
        sha256 = rows.digest_of(headers)
        if sha256 is None:
            raise Refused(f"The server tells no SHA-256 of {name!r}: is it a modelyard?")
        with understood():
            return RemoteFile(name, int(headers["Content-Length"]), sha256)

    def _listed(self, target: Target, path: str) -> list[dict[str, Any]]:
        listing = f"{_project(target.project)}/ml/mlflow/api/2.0/mlflow-artifacts/artifacts"
        listed = self._transport.call("GET", listing, query={"path": path}).json()
        with understood():
            return [{"path": str(row["path"]), "is_dir": bool(row["is_dir"])} for row in listed["files"]]

    def _rows(self, path: str, query: dict[str, str | int] | None = None) -> list[dict[str, Any]]:
        """All rows of a list; read again where some went meanwhile, as others moved to pages that had been read."""
        for _ in range(LISTINGS):
            found, steady = self._pages(path, {"per_page": PER_PAGE, **(query or {})})
            if steady:
                break
        return found

    def _pages(self, path: str, query: dict[str, str | int]) -> tuple[list[dict[str, Any]], bool]:
        """The rows of the first page, then those of the others, some at a time; and whether no row went meanwhile."""
        first = self._transport.call("GET", path, query=query)
        found, count, fewer = rows.list_of(first), rows.count_of(first, "X-Total"), False

        def page(number: int) -> tuple[int, Answer]:
            return number, self._transport.call("GET", path, query=query | {"page": number})

        others = range(2, rows.count_of(first, "X-Total-Pages") + 1)
        for _, answer in sorted(each(page, others, PAGES_AT_ONCE, self._transport.stop), key=lambda found: found[0]):
            found.extend(rows.list_of(answer))
            fewer |= rows.count_of(answer, "X-Total") < count
        return found, not fewer


def _project(path: str) -> str:
    return f"/projects/{quote(path, safe='')}"
