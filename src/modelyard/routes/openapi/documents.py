"""The OpenAPI document, and a page that shows it."""

from __future__ import annotations

import asyncio

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse

from modelyard.routes.http.counted import counted

router = APIRouter(include_in_schema=False, dependencies=[counted()])

OPENAPI_PATH = "/openapi.json"
# People type their tokens into this page: it runs the script of this version, byte for byte, or none.
SWAGGER_UI = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5.35.0"
SCRIPT_DIGEST = "sha384-gjRm0bEPMeTmMh5jT2cHccIwCUZSTd8YC+j0d0sXw0MdGEfScduGpSyF3ZSSLkX9"
STYLE_DIGEST = "sha384-WlYgdmXYOOBWL5apwjDEZwN+U3HmXSSu5R6V5aGxEcf7z+KuRNwBhoxKVN1i3D5I"
PAGE = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>modelyard: API</title>
<link rel="stylesheet" href="{SWAGGER_UI}/swagger-ui.css" integrity="{STYLE_DIGEST}" crossorigin="anonymous">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{SWAGGER_UI}/swagger-ui-bundle.js" integrity="{SCRIPT_DIGEST}" crossorigin="anonymous"></script>
<script>SwaggerUIBundle({{url: "{OPENAPI_PATH}", dom_id: "#swagger-ui", deepLinking: true}})</script>
</body>
</html>
"""
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; img-src 'self' data:; base-uri 'none';"
    " frame-ancestors 'none'; form-action 'none'; style-src 'unsafe-inline' https://cdn.jsdelivr.net;"
    " script-src 'unsafe-inline' https://cdn.jsdelivr.net",
    "Referrer-Policy": "no-referrer",
}


@router.get(OPENAPI_PATH)
async def openapi(request: Request) -> Response:
    """The document. It takes 0.4 s to make, so that is done once, and beside the event loop."""
    state = request.app.state
    if state.openapi is None:
        state.openapi = asyncio.create_task(asyncio.to_thread(_document, request.app))
    return Response(await asyncio.shield(state.openapi), media_type="application/json")


def _document(app: FastAPI) -> bytes:
    return orjson.dumps(app.openapi())


@router.get("/docs")
async def docs() -> HTMLResponse:
    """Swagger UI, in a browser that reaches the Internet."""
    return HTMLResponse(PAGE, headers=PAGE_HEADERS)
