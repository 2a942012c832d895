"""One request of a browser: who sends it, what it shows, what it changes, and where it leads."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from modelyard import origin
from modelyard.access.identity import ANONYMOUS, Identity, require_scope
from modelyard.access.policy import Action
from modelyard.access.tokens import digest_of, read_credential
from modelyard.errors import ApiError, Forbidden, TokenError, Unauthorized
from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from modelyard.routes.http.bodies import read_query
from modelyard.routes.http.browsing import BROWSER
from modelyard.routes.pages.assets import takes_gzip
from modelyard.routes.pages.forms import Form, read_form, sentence
from modelyard.routes.pages.frame import InProject, View, menu_of
from modelyard.routes.pages.links import Links
from modelyard.routes.pages.rendering import render
from modelyard.routes.pages.security import page_headers
from modelyard.routes.pages.subject import AGAIN
from modelyard.routes.pages.viewer import Viewer
from modelyard.services.people.authentication import authenticate, open_project
from modelyard.services.tracking.rows_quota import RowsQuota
from modelyard.services.traffic.searching import Searches
from modelyard.terms.paths import SIGN_IN, SIGN_ON
from modelyard.wire.cookies import end_session, read_cookies, set_cookie, text_of

T = TypeVar("T")

FLASH = "modelyard_notice"
MAX_FLASH = 300  # characters
FLASH_SECONDS = 60
GZIP_LEVEL = 5
FRAGMENT = "hx-request"  # the header by which htmx asks for a part of a page
CONTENT = "main#content"  # as htmx calls all of a page but its frame
GZIP = 31  # zlib's word for a window of 32 KiB and a gzip header

Work = Callable[[Registry, Identity], T]
# Shows the form that was sent as it was typed, with the sentence that refuses it and the status.
Again = Callable[["Visit", Form, str, int], Awaitable[Response]]


class Visit:
    """What an endpoint of pages is given to work with. Work runs on a thread, in one transaction, for the viewer."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.links = Links.of(request)
        self.secure = self.links.base.startswith("https:")
        self.cookies = read_cookies(request.scope["headers"])
        self.viewer = Viewer.of(self.cookies)
        self.credential = read_credential(request.scope["headers"])
        # What stands as a list there, as `name[]` says, no page asks for.
        self.query: Mapping[str, str] = {
            name: value for name, value in read_query(request).items() if type(value) is str
        }
        self._by_session = request.scope.get(BROWSER, False)
        self._ended: ApiError | None = None  # why the browser's session is none any more

    @property
    def session(self) -> str:
        """The secret of the browser's session; empty where the request has none, or another credential."""
        return (self.credential or "") if self._by_session else ""

    @property
    def project_path(self) -> str:
        """The project that the path names."""
        return str(self.request.path_params["project"])

    @property
    def fragment(self) -> bool:
        """Whether htmx asks for a part of a page, which does not show what a page shows once."""
        return FRAGMENT in self.request.headers and self.request.headers.get("hx-target") != CONTENT

    def number(self, name: str) -> int:
        """An id in the path."""
        return int(self.request.path_params[name])

    # What is read, and shown

    async def find(self, work: Work[T], *, begun: bool = False) -> T:
        """What `work` finds for the viewer, who may be anonymous. Raises TooDear, and TooManyRequests unless the answer
        has `begun`.
        """
        searches, credential = self._searches, self.credential
        return await searches.read(credential, lambda registry: work(registry, self._viewer(registry)), begun=begun)

    async def show(
        self,
        template: str,
        work: Work[View],
        *,
        status: int = 200,
        no_store: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """A page, or a fragment, of what `work` finds; made on the thread that finds it.

        `no_store`: nobody keeps it, as it shows a secret.
        """

        def made(registry: Registry) -> tuple[bytes, bool]:
            caller = self._viewer(registry)
            view = work(registry, caller)
            return self._packed(self._rendered(template, view, caller, status), compress=not no_store)

        body = await self._searches.read(self.credential, made)
        return self._answer(body, status, no_store=no_store, more=headers)

    # What is changed

    async def form(self, limit: int | None = None, again: Again | None = None, *, typed: bool = True) -> Form:
        """The fields of the form that was sent, in a session; whatever refuses it from here on is shown by `again`.

        `typed`: together with what was typed; else with an empty form.
        Raises Unauthorized without a session, and as `read_form`.
        """
        await self.identify()
        self.request.scope["sender"] = digest_of(self.credential or "")
        form = await read_form(self.request, limit)
        if again is not None:
            kept = form if typed else Form([])
            self.request.scope[AGAIN] = lambda error: again(self, kept, sentence(error), error.status)
        return form

    async def change(self, work: Work[T], *, any_scope: bool = False) -> T:
        """What `work` changes for a signed-in viewer, in one transaction; by a token that may write."""

        def changing(registry: Registry) -> T:
            caller = authenticate(registry, self.credential)
            if caller.anonymous:
                raise Unauthorized
            require_scope(caller, writing=not any_scope)
            return work(registry, caller)

        return await self._database.write(changing)

    async def change_in_project(self, work: Callable[[Registry, Identity, int], T], *, adds: bool = True) -> T:
        """`change` in the project of the path, whose id `work` is given, for who may write there; what `adds` to it
        needs room for rows.
        """
        rows: RowsQuota = self.request.app.state.rows

        def changing(registry: Registry, caller: Identity) -> T:
            project, _facts = open_project(registry, caller, self.project_path, Action.WRITE)
            if adds:
                rows.hold(registry, project.id)
            return work(registry, caller, project.id)

        return await self.change(changing)

    async def identify(self) -> Identity:
        """Who looks. Raises Unauthorized for an anonymous viewer."""
        caller = await self._database.read(self._viewer)
        if caller.anonymous:
            raise Unauthorized
        return caller

    def count_sign_in(self, way: str, *, accepted: bool) -> None:
        """Count somebody who came in in that way, or was refused."""
        self.request.app.state.metrics.sign_in(way, accepted=accepted)

    def redirect(self, url: str, notice: str = "") -> Response:
        """303 to a page, perhaps with a sentence that it shows once."""
        response = Response(status_code=303, headers={"Location": url} | page_headers(self.secure))
        if notice:
            value = set_cookie(FLASH, notice[:MAX_FLASH], secure=self.secure, seconds=FLASH_SECONDS)
            response.raw_headers.append((b"set-cookie", value.encode()))
        return response

    # How it is done

    @property
    def _searches(self) -> Searches:
        found: Searches = self.request.app.state.searches
        return found

    @property
    def _database(self) -> Database:
        found: Database = self.request.app.state.database
        return found

    def _viewer(self, registry: Registry) -> Identity:
        """Who looks: anonymous for whose session has ended, as they see that on the page."""
        try:
            return authenticate(registry, self.credential)
        except (Unauthorized, TokenError, Forbidden) as error:
            if not self._by_session:
                raise
            self._ended = error
            return ANONYMOUS

    def _rendered(self, template: str, view: View, caller: Identity, status: int) -> str:
        frame = frame_values(self.request, self.links, view, caller, self.notice)
        if status >= HTTPStatus.BAD_REQUEST:
            frame["refused"] = origin.current().request_id or ""
        return render(template, self.viewer, {**frame, **view.values})

    @property
    def notice(self) -> str:
        """The sentence that the page before wants shown, once."""
        return text_of(self.cookies.get(FLASH, ""))[:MAX_FLASH]

    def _packed(self, text: str, *, compress: bool) -> tuple[bytes, bool]:
        return packed(self.request, text, compress=compress)

    def _answer(
        self, body: tuple[bytes, bool], status: int, *, no_store: bool, more: Mapping[str, str] | None
    ) -> Response:
        response = page_response(body, status, self.secure, no_store=no_store, more=more)
        if FLASH in self.cookies and not self.fragment:
            response.raw_headers.append((b"set-cookie", set_cookie(FLASH, "", secure=self.secure, seconds=0).encode()))
        if self._ended is not None:
            response.raw_headers.append((b"set-cookie", end_session(secure=self.secure).encode()))
        return response


def frame_values(
    request: Request, links: Links, view: View, caller: Identity | None, notice: str = ""
) -> dict[str, Any]:
    """What the templates of all pages know. `caller`: None where nobody has looked who it is."""
    project: InProject | None = view.project
    return {
        "title": " · ".join([*view.title, *([project.path] if project else []), "modelyard"]),
        "links": links,
        "caller": caller,
        "project": project,
        "may": project.may if project else frozenset(),
        "menu": menu_of(project, links) if project else [],
        "crumbs": view.crumbs,
        "active": view.active,
        "notice": notice,
        "here": here(request),
        "refused": "",  # the request's id, on a page that shows a form again
    }


def here(request: Request) -> str:
    """The path and query of the page itself, to come back to; `/` where one signs in, or comes from doing so."""
    if request.scope["path"].startswith((SIGN_IN, SIGN_ON)):
        return "/"
    query = request.scope["query_string"].decode("latin-1")
    return str(request.scope["path"]) + (f"?{query}" if query else "")


def packed(request: Request, text: str, *, compress: bool = True) -> tuple[bytes, bool]:
    """A page as bytes, and whether they are compressed, where the client takes that."""
    content = text.encode()
    if not compress or not takes_gzip(request):
        return content, False
    compressor = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP)
    return compressor.compress(content) + compressor.flush(), True


def page_response(
    body: tuple[bytes, bool],
    status: int,
    secure: bool,
    *,
    no_store: bool = False,
    more: Mapping[str, str] | None = None,
) -> Response:
    """The answer with a page in it, and all headers that pages have."""
    content, compressed = body
    headers = page_headers(secure, no_store=no_store) | {"Content-Type": "text/html; charset=utf-8"}
    if compressed:
        headers["Content-Encoding"] = "gzip"
    return Response(content, status, headers | dict(more or {}))
