"""The OpenAPI document as a page: Swagger UI, from files of this server. It is there without the others as well."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from modelyard.routes.pages.links import Links
from modelyard.routes.pages.rendering import render
from modelyard.routes.pages.security import page_headers
from modelyard.routes.pages.viewer import Viewer
from modelyard.wire.cookies import read_cookies


def show(request: Request, openapi: str) -> Response:
    """The page, for anybody; `openapi` is the path of the document."""
    links = Links.of(request)
    viewer = Viewer.of(read_cookies(request.scope["headers"]))
    text = render("docs.html", viewer, {"links": links, "openapi": openapi})
    headers = page_headers(links.base.startswith("https:"))
    return Response(text, headers=headers | {"Content-Type": "text/html; charset=utf-8"})
