"""A table of runs as its URL has it, and as a browser remembers it for one experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request

from modelyard.registry.search.runs import View as Lifecycle
from modelyard.services.tracking.run_columns import Column, parse_columns
from modelyard.services.tracking.run_tables import ATTRIBUTES, MAX_OPEN, MAX_PINNED, Wanted
from modelyard.terms.filters import MAX_LENGTH
from modelyard.terms.paths import NOBODY, parse_id
from modelyard.wire.cookies import set_cookie, text_of

REMEMBERED = "modelyard_table"  # the cookie with columns and order, at the path of each experiment
REMEMBERED_SECONDS = 365 * 86_400
MAX_REMEMBERED = 3_000  # bytes; browsers keep cookies of 4 KiB
USUAL = "usual"  # the columns that most runs have, as long as others are chosen

VIEWS = {"": Lifecycle.ACTIVE_ONLY, "deleted": Lifecycle.DELETED_ONLY, "all": Lifecycle.ALL}
SAVED = "modelyard.view."  # before the names of saved tables, among an experiment's tags
VIEW_NAMES = {view: name for name, view in VIEWS.items()}


def read_wanted(request: Request, cookies: Mapping[str, str]) -> Wanted:
    """The table that a URL asks for; its columns and order are the remembered ones where the URL has none."""
    return wanted_by(request.query_params.multi_items(), parse_qsl(text_of(cookies.get(REMEMBERED, ""))))


def saved_wanted(query: str, after: int | None) -> Wanted:
    """The table of a query that was saved."""
    return replace(wanted_by([("columns", "saved"), *parse_qsl(query)], []), after=after)


def wanted_by(pairs: Sequence[tuple[str, str]], kept: Sequence[tuple[str, str]]) -> Wanted:
    """The table of a query's fields, with columns and order of those that are `kept` where it has none."""
    query, columns = dict(pairs), _all(pairs, "c")
    query["filter"] = query.get("filter", "")[: MAX_LENGTH + 1]
    own = bool("columns" in query or columns)
    if not own:
        columns = _all(kept, "c")
    order = query if "sort" in query else dict(kept)
    return Wanted(
        columns=parse_columns([*columns, query.get("more", "")]) or None,
        pinned=parse_columns(_all(pairs if own or "pin" in query else kept, "pin"))[:MAX_PINNED],
        filter=query["filter"],
        sort=_sort(order.get("sort", "")),
        descending=order.get("dir", "desc") != "asc",
        view=VIEWS.get(query.get("view", ""), Lifecycle.ACTIVE_ONLY),
        flat=query.get("children") == "flat",
        parent=_iid(query.get("parent")),
        open=[iid for iid in map(parse_id, query.get("open", "").split(",")[:MAX_OPEN]) if iid != NOBODY],
        after=_iid(query.get("after")),
        differing=query.get("differing") == "1",
    )


def written(wanted: Wanted, **changed: object) -> str:
    """The query of a table with some fields of `Wanted` changed, with `?`; a new order begins at the first page."""
    return f"?{urlencode(pairs_of(replace(wanted, **changed)))}"  # type: ignore[arg-type] # fields by their names


def pairs_of(now: Wanted) -> list[tuple[str, str]]:
    """The fields of a table's query."""
    pairs = [
        *(("c", str(column)) for column in now.columns or ()),
        *(("pin", str(column)) for column in now.pinned),
        ("filter", now.filter),
        ("sort", now.sort),
        ("dir", "asc" if now.sort and not now.descending else ""),
        ("view", VIEW_NAMES[now.view]),
        ("children", "flat" if now.flat else ""),
        ("parent", "" if now.parent is None else str(now.parent)),
        ("open", ",".join(map(str, now.open))),
        ("after", "" if now.after is None else str(now.after)),
        ("differing", "1" if now.differing else ""),
    ]
    return [(name, value) for name, value in pairs if value]


def pinned(columns: Sequence[Column], column: Column) -> list[Column]:
    """The columns that stay in sight, with or without another one."""
    return [each for each in columns if each != column] if column in columns else [*columns, column][-MAX_PINNED:]


def folded(opened: Sequence[int], iid: int) -> list[int]:
    """The runs below which children are shown, with or without another one."""
    return [each for each in opened if each != iid] if iid in opened else [*opened, iid][-MAX_OPEN:]


def remembered(request: Request, wanted: Wanted, cookies: Mapping[str, str], path: str, *, secure: bool) -> str | None:
    """The `Set-Cookie` by which a browser remembers columns and order; None where it does so already."""
    if not {"c", "pin", "sort", "columns", "more"} & request.query_params.keys():
        return None
    pairs = [pair for pair in pairs_of(wanted) if pair[0] in ("c", "pin", "sort")]
    if not wanted.descending:
        pairs.append(("dir", "asc"))
    text = urlencode(pairs)
    cookie = set_cookie(REMEMBERED, text, secure=secure, seconds=REMEMBERED_SECONDS if text else 0, path=path)
    if text == text_of(cookies.get(REMEMBERED, "")) or len(cookie) > MAX_REMEMBERED:
        return None
    return cookie


def _all(pairs: Sequence[tuple[str, str]], name: str) -> list[str]:
    return [value for each, value in pairs if each == name and value]


def _sort(text: str) -> str:
    if text in ATTRIBUTES:
        return text
    columns = parse_columns([text])
    return str(columns[0]) if columns and columns[0].key else ""


def _iid(text: str | None) -> int | None:
    found = parse_id(text or "")
    return None if found == NOBODY else found
