"""Files by the names that MLflow's clients make of theirs, when these have escapes; see `paths.shown_by_mlflow`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CompoundSelect, Select, bindparam, select, union_all

from modelyard.registry.base import Repository
from modelyard.registry.statements import built_once
from modelyard.registry.tables import PackageFile
from modelyard.terms.paths import shown_by_mlflow

BEGINNINGS = 20  # of a name, which one statement looks for
MAX_NAMES = 100  # that are looked at for each of them


class ShownNameRepository(Repository):
    """Finds what is kept under another name than it is shown by."""

    def kept_as(self, package_id: int, path: str) -> str | None:
        """The name of a file or directory that MLflow's clients show as `path`, though it has escapes; None if none.

        It is like `path` up to its first `%`, so ranges of the index on names find it: the longest beginnings first.
        """
        depth, connection = path.count("/") + 1, self.connection
        beginnings = [path[:length] for length in range(len(path), -1, -1)]
        for at in range(0, len(beginnings), BEGINNINGS):
            some = beginnings[at : at + BEGINNINGS]
            values = {f"beginning_{i}": some[min(i, len(some) - 1)] for i in range(BEGINNINGS)}
            for (name,) in connection.execute(_escaped_after(), values | {"package": package_id}):
                kept = "/".join(name.split("/")[:depth])
                if shown_by_mlflow(kept) == path:
                    return kept
        return None


@built_once
def _escaped_after() -> CompoundSelect[*tuple[Any, ...]]:
    """Files whose name goes on with a `%` after a beginning, of each of several some; built once."""
    after_percent = chr(ord("%") + 1)

    def some(number: int) -> Select[str]:
        beginning = bindparam(f"beginning_{number}", type_=PackageFile.name.type)
        named = (PackageFile.name >= beginning + "%") & (PackageFile.name < beginning + after_percent)
        mine = PackageFile.package_id == bindparam("package")
        found = select(PackageFile.name).where(mine, named).limit(MAX_NAMES).subquery()
        return select(found.c.name)

    return union_all(*map(some, range(BEGINNINGS)))
