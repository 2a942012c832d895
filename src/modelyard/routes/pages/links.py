"""The addresses of pages, below the path at which a proxy has the server. Pages name no address in any other way."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from starlette.requests import Request

from modelyard.routes.http.urls import base_url
from modelyard.settings import Settings
from modelyard.terms.paths import file_path

# Below a project, as in GitLab.
MODELS, EXPERIMENTS, RUNS = "/-/ml/models", "/-/ml/experiments", "/-/ml/candidates"


@dataclass(frozen=True, slots=True)
class Links:
    """URLs: paths on this server, which begin with `prefix`, and absolute ones, which begin with `base`."""

    prefix: str
    base: str

    @classmethod
    def of(cls, request: Request) -> Links:
        """Those for whoever sent a request."""
        settings: Settings = request.app.state.settings
        return cls(urlsplit(settings.external_url or "").path, base_url(request))

    def to(self, path: str, **query: object) -> str:
        """Any path of this server, with a query of what is not None."""
        told = {name: value for name, value in query.items() if value is not None}
        return f"{self.prefix}{path}" + (f"?{urlencode(told)}" if told else "")

    def project(self, project: str, path: str = "", **query: object) -> str:
        """A project's page by its path, or one below it."""
        return self.to(f"/{project}{path}", **query)

    def models(self, project: str, path: str = "", **query: object) -> str:
        """The list of a project's models, or a page below it."""
        return self.project(project, f"{MODELS}{path}", **query)

    def model(self, project: str, model_id: int, path: str = "", **query: object) -> str:
        """A model's page, or one below it."""
        return self.models(project, f"/{model_id}{path}", **query)

    def version(self, project: str, model_id: int, version_id: int, path: str = "", **query: object) -> str:
        """A version's page, or one below it."""
        return self.model(project, model_id, f"/versions/{version_id}{path}", **query)

    def experiments(self, project: str, path: str = "", **query: object) -> str:
        """The list of a project's experiments, or a page below it."""
        return self.project(project, f"{EXPERIMENTS}{path}", **query)

    def experiment(self, project: str, iid: int, path: str = "", **query: object) -> str:
        """An experiment's page, or one below it."""
        return self.experiments(project, f"/{iid}{path}", **query)

    def runs(self, project: str, path: str = "", **query: object) -> str:
        """What a project's runs are below."""
        return self.project(project, f"{RUNS}{path}", **query)

    def run(self, project: str, iid: int, path: str = "", **query: object) -> str:
        """A run's page, or one below it."""
        return self.runs(project, f"/{iid}{path}", **query)

    def named(self, name: str) -> str:
        """The name of a file, or of a folder, as a part of a path."""
        return quote(name, safe="/")

    def file_api(self, project_id: int, owner: object, name: str) -> str:
        """The absolute URL of a file in the API."""
        return self.base + file_path(project_id, owner, name)


def own_path(text: str) -> str:
    """Where somebody is to be sent back to: a path on this server as it is, `/` for anything else.

    `//x` and `/\\x` are other hosts to browsers, which also leave out tabs and line feeds.
    """
    if not text.startswith("/") or text[1:2] in {"/", "\\"} or not (text.isprintable() and text.isascii()):
        return "/"
    return text
