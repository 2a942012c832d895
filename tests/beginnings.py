"""What tests begin with, made by the services in one transaction: by requests it took a fifth of their time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TypeVar

from modelyard.access.identity import Identity
from modelyard.access.policy import Action
from modelyard.registry.repository import Registry
from modelyard.services.models.new_versions import NewVersion, create_version
from modelyard.services.models.registered import create_model
from modelyard.services.people import accounts, credentials, projects
from modelyard.services.people.authentication import authenticate, enter_project
from tests.live import LiveServer

T = TypeVar("T")

serial = itertools.count(1)  # of names that no other test has


class Beginnings:
    """Makes them as root, as the API's own endpoints do."""

    def __init__(self, server: LiveServer) -> None:
        self._state, self._root = server.app.state, server.root_token

    def user(self, name: str, *, admin: bool) -> tuple[int, str]:
        """A user's id, and a token that may do all that the user may."""

        def work(registry: Registry, root: Identity) -> tuple[int, str]:
            new = accounts.NewUser(name, name, f"{name}@example.com", admin)
            user = accounts.create(registry, root, new)
            wanted = credentials.NewToken("test", ("api",))
            return user.id, credentials.create_personal(registry, root, user.id, wanted)[1]

        return self._write(work)

    def project(self) -> int:
        """A private project's id."""
        return self._write(_add_project)

    def within(self, project_id: int, work: Callable[[Registry, Identity], T]) -> T:
        """What `work` makes in a project, as whoever may write there."""

        def entered(registry: Registry, _root: Identity) -> T:
            caller, _id = enter_project(registry, self._root, project_id, Action.WRITE)
            self._state.rows.hold(registry, project_id)
            return work(registry, caller)

        return self._write(entered)

    def version(self, project_id: int | None = None) -> tuple[int, int]:
        """The ids of a project, a new one unless it is named, and of a version of a new model there."""

        def work(registry: Registry, root: Identity) -> tuple[int, int]:
            chosen = project_id or _add_project(registry, root)
            caller, _id = enter_project(registry, self._root, chosen, Action.WRITE)
            self._state.rows.hold(registry, chosen)
            model = NewVersion(f"model-{next(serial)}")
            create_model(registry, caller, chosen, model.model, "", {})
            return chosen, create_version(registry, caller, chosen, model, lambda _none: None).version.id

        return self._write(work)

    def _write(self, work: Callable[[Registry, Identity], T]) -> T:
        made: T = self._state.database.write_now(lambda registry: work(registry, authenticate(registry, self._root)))
        return made


def _add_project(registry: Registry, root: Identity) -> int:
    return projects.create(registry, root, projects.NewProject(f"project-{next(serial)}"))[0].id
