"""The one place where the parts are joined."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from modelyard import __version__
from modelyard.blobs.local import LocalBlobStore
from modelyard.blobs.open import open_store
from modelyard.blobs.resumable import ResumableBlobStore
from modelyard.blobs.store import BlobStore
from modelyard.blobs.timed import TimedStore
from modelyard.connection.slow_clients import WATCH, Patience, Watch
from modelyard.metrics import Metrics
from modelyard.registry.engine import Database
from modelyard.routes.front import later, oauth
from modelyard.routes.front.direct import DirectRoutes
from modelyard.routes.front.foreign import Foreign
from modelyard.routes.front.head import HeadAsGet
from modelyard.routes.front.later import Later
from modelyard.routes.front.middleware import RawPath, RequestLog
from modelyard.routes.front.pacing import Pacing
from modelyard.routes.front.pages import Pages, refusal_page
from modelyard.routes.front.throttle import Gate
from modelyard.routes.gitlab import (
    audit,
    job_tokens,
    members,
    model_files,
    namespaces,
    packages,
    project_tokens,
    projects,
    tokens,
    users,
    version,
)
from modelyard.routes.http import failures
from modelyard.routes.http.bodies import Bodies
from modelyard.routes.http.browsing import REFUSAL_PAGE, RefusalPage
from modelyard.routes.http.known import Known
from modelyard.routes.http.routing import Route
from modelyard.routes.http.transfers import precondition_of
from modelyard.routes.hub.routers import ROUTERS as HUB
from modelyard.routes.mlflow import (
    artifacts,
    bulk,
    experiments,
    logged_models,
    model_versions,
    parts,
    registered_models,
    run_artifacts,
    run_logging,
    runs,
    server_info,
)
from modelyard.routes.openapi import documents
from modelyard.routes.operations import health, metrics
from modelyard.routes.uploads import going_on, tus
from modelyard.routes.uploads import parts as sent_parts
from modelyard.services.files.bypass import ProxyPath
from modelyard.services.files.remote import remote_of
from modelyard.services.files.transfers import Transfers
from modelyard.services.hub.commits import Commits
from modelyard.services.hub.committing import Committing
from modelyard.services.hub.contents import Contents
from modelyard.services.hub.files import HubFiles
from modelyard.services.hub.objects import Objects
from modelyard.services.hub.xet import Xet
from modelyard.services.resuming.beginning import Beginning, Bounds
from modelyard.services.resuming.parts import PartUploads
from modelyard.services.resuming.resumable_uploads import ResumableUploads
from modelyard.services.tracking.rows_quota import RowsQuota
from modelyard.services.traffic.searching import Searches
from modelyard.services.traffic.shares import Shares
from modelyard.services.traffic.throttling import Throttle, UploadSlots
from modelyard.services.traffic.usage import UsageWriter
from modelyard.settings import Settings
from modelyard.shared_counts import SharedCounts
from modelyard.wire.forwarded import Forwarded

# Routes that match any depth of path come last.
ROUTERS = (
    documents,
    health,
    metrics,
    version,
    users,
    tokens,
    project_tokens,
    job_tokens,
    namespaces,
    projects,
    members,
    audit,
    packages,
    experiments,
    runs,
    run_logging,
    bulk,
    registered_models,
    model_versions,
    logged_models,
    run_artifacts,
    parts,
    artifacts,
    server_info,
    tus,
    going_on,
    sent_parts,
    *HUB,
    model_files,
)


def all_routers() -> list[ModuleType]:
    """The modules of all APIs, also of those that nobody has asked for yet."""
    return [*ROUTERS, *later.modules()]


class Application(FastAPI):
    """FastAPI behind what every request passes: the log, the raw path, and the direct way of the file API."""

    def __init__(
        self,
        settings: Settings,
        throttle: Throttle,
        shares: Shares,
        counted: Metrics,
        **options: Any,  # noqa: ANN401 - FastAPI's own
    ) -> None:
        super().__init__(**options)
        routes = [route for module in ROUTERS for route in module.router.routes]
        gate = Gate(
            DirectRoutes(HeadAsGet(super().__call__, routes), self, routes), throttle, routes, Foreign(self, throttle)
        )
        paced = Pacing(gate, shares, settings.external_url)
        self._front: ASGIApp = Forwarded(RequestLog(RawPath(paced), counted.request), settings.trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or tell that the application starts or stops."""
        await self._front(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made when it is first asked for."""
        if self.openapi_schema is None:
            from modelyard.routes.openapi.completing import complete  # noqa: PLC0415 - most starts are never asked for it

            everything = self.all_routes()
            for route in everything:
                if isinstance(route, Route):
                    route.complete()
            document = get_openapi(
                title=self.title, version=self.version, description=self.description, routes=everything
            )
            complete(document, everything)
            self.openapi_schema = document
        return self.openapi_schema

    def all_routes(self) -> list[Any]:
        """The routes of all APIs, also of those that nobody has asked for yet."""
        return [*self.state.routes, *later.routes(), *oauth.routes()]

    def build_middleware_stack(self) -> ASGIApp:
        """FastAPI's layers but the outermost, which answers what is unexpected in plain text: `RequestLog` does it."""
        stack = super().build_middleware_stack()
        return stack.app if isinstance(stack, ServerErrorMiddleware) else stack


def create_app(settings: Settings, store: BlobStore | None = None, shared: SharedCounts | None = None) -> Application:
    """The application on a migrated database; `store` replaces the blob store that the settings name.

    `shared`: where a worker, one of several, counts what its metrics tell.
    """
    counted = Metrics(shared)
    shares = Shares(settings.fair_share / 100)
    throttle = Throttle(settings.rate_limit_anonymous, settings.rate_limit_token, settings.rate_limit_failed_logins)
    app = Application(
        settings,
        throttle,
        shares,
        counted,
        title="modelyard",
        version=__version__,
        description="A self-hosted model registry that speaks the APIs of GitLab, MLflow and Hugging Face.",
        openapi_url=None,  # `documents` has it
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.state.settings = settings
    app.state.throttle = throttle
    app.state.metrics = counted
    app.state.database = Database(settings.effective_database_url, counted.database, read_seconds=settings.read_timeout)
    app.state.searches = Searches(app.state.database, shares)
    app.state.store = store or open_store(settings)
    app.state.readiness = health.Readiness({"database": app.state.database, "blob_store": app.state.store})
    remote = remote_of(app.state.store, settings)
    timed = TimedStore(app.state.store, counted.store)
    app.state.files = Transfers(
        app.state.database,
        timed,
        remote,
        counted.transfer,
        max_file_size=settings.max_file_size,
        project_quota=settings.project_quota,
        proxy_path=_proxy_path(app.state.store, settings.x_accel_redirect),
    )
    app.state.uploads = _resumable(app, settings, counted) if isinstance(app.state.store, ResumableBlobStore) else None
    app.state.parts = PartUploads(app.state.database, app.state.files, app.state.uploads) if app.state.uploads else None
    app.state.commits = Commits(app.state.database)
    app.state.contents = Contents(timed, app.state.files.io, app.state.files.quota)
    app.state.objects = Objects(app.state.database, app.state.files)
    app.state.xet = Xet(app.state.objects)
    app.state.committing = Committing(app.state.database, app.state.files, app.state.commits, app.state.contents)
    app.state.hub_files = HubFiles(app.state.database, app.state.commits)
    app.state.rows = RowsQuota(settings.project_rows_quota)
    app.state.upload_slots = UploadSlots(settings.max_uploads_per_token)
    app.state.openapi = None
    app.state.usage = UsageWriter(app.state.database)
    app.state.bodies = Bodies()
    app.state.known = Known()
    app.state.routes = [route for module in ROUTERS for route in module.router.routes]
    app.router.routes.extend(app.state.routes)  # as they are: FastAPI would make each anew for where it is included
    app.state.pages = Pages() if settings.pages else None
    # After all else: what is hot is looked for first.
    app.state.later = Later(app.state.pages or app.router.default)
    app.state.oauth = app.router.default = oauth.OAuth(app.state.later)
    failures.install(app)
    return app


def _resumable(app: FastAPI, settings: Settings, counted: Metrics) -> ResumableUploads:
    bounds = Bounds(settings.upload_expiry, settings.max_unfinished_uploads)
    state = app.state
    beginning = Beginning(state.database, state.files, precondition_of, bounds)
    return ResumableUploads(state.database, state.store, state.files, counted.transfer, precondition_of, beginning)


def _proxy_path(store: BlobStore, root: str | None) -> ProxyPath | None:
    """How nginx finds the blobs of a local store whose root it has at the path `root`; None where it is not to."""
    if root is None or not isinstance(store, LocalBlobStore):
        return None
    return lambda digest: root + store.path_below_root(digest)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[dict[str, Watch | RefusalPage]]:
    settings: Settings = app.state.settings
    patience = Patience(settings.head_timeout, settings.stall_timeout, settings.min_transfer_rate)
    watch = Watch(patience, settings.max_connections)
    watching = asyncio.create_task(watch.run())
    app.state.usage.start()
    yield {WATCH: watch} | ({REFUSAL_PAGE: refusal_page} if settings.pages else {})
    watching.cancel()
    if app.state.parts is not None:
        await app.state.parts.stop()
    await app.state.usage.stop()
    app.state.bodies.close()
    app.state.files.close()
    app.state.database.close()
