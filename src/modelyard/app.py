"""The one place where the parts are joined."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from modelyard import __version__
from modelyard.blobs.local import LocalBlobStore
from modelyard.blobs.store import BlobStore
from modelyard.registry.engine import Database
from modelyard.routes import failures, health, members, model_files, packages, projects, tokens, users, version
from modelyard.routes.mlflow import (
    artifacts,
    experiments,
    logged_models,
    model_versions,
    registered_models,
    run_logging,
    runs,
    server_info,
)
from modelyard.services.files import FileService
from modelyard.settings import Settings
from modelyard.wire.middleware import RawPath, RequestLog

# Routes that match any depth of path come last.
ROUTERS = (
    health,
    version,
    users,
    tokens,
    projects,
    members,
    packages,
    experiments,
    runs,
    run_logging,
    registered_models,
    model_versions,
    logged_models,
    artifacts,
    server_info,
    model_files,
)


def create_app(settings: Settings, store: BlobStore | None = None) -> FastAPI:
    """The application on a migrated database; `store` replaces the blob store that the settings name."""
    app = FastAPI(
        title="modelyard",
        version=__version__,
        description="A self-hosted model registry that speaks GitLab's model registry API.",
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.state.settings = settings
    app.state.database = Database(settings.effective_database_url)
    app.state.store = store or LocalBlobStore(settings.blob_root)
    app.state.files = FileService(app.state.database, app.state.store, settings.max_file_size)
    app.state.routes = [route for module in ROUTERS for route in module.router.routes]
    for module in ROUTERS:
        app.include_router(module.router)
    failures.install(app)
    app.add_middleware(RawPath)
    app.add_middleware(RequestLog)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.files.close()
    app.state.database.close()
