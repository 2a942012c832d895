"""All pages, those whose paths match any depth last."""

from __future__ import annotations

from modelyard.routes.pages import (
    admin,
    archive,
    assets,
    audit,
    candidate_changes,
    candidates,
    compare_runs,
    curves,
    devices,
    experiments,
    files,
    hub_links,
    in_place,
    issuers,
    members,
    mlflow_links,
    models,
    project,
    projects,
    providers,
    publishers,
    raw,
    run_exports,
    run_table,
    run_views,
    search,
    settings,
    sign_in,
    sign_on,
    tokens,
    uploads,
    usage,
    versions,
)

_SITE = (
    assets,
    sign_in,
    sign_on,
    devices,
    settings,
    tokens,
    admin,
    issuers,
    providers,
    audit,
    search,
    projects,
    mlflow_links,
)
_RUNS = (experiments, run_exports, compare_runs, run_table, run_views, curves, candidate_changes, candidates)
_IN_PROJECTS = (models, versions, in_place, files, uploads, archive, raw, members, publishers, usage)
ROUTES = [route for module in (*_SITE, *_IN_PROJECTS, *_RUNS, hub_links, project) for route in module.subject.routes]
