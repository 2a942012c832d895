"""A hundred scripts in every text that pages show, and in whatever they are asked for: they are texts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from tests.conftest import Account
from tests.live import LiveServer
from tests.routes.pages.attacks import ATTACKS, acting
from tests.routes.pages.conftest import Open
from tests.routes.pages.tracked import World
from tests.routes.pages.yard import Yard

TOKENS = "/-/user_settings/personal_access_tokens"
pytestmark = pytest.mark.slow


def test_a_hundred_scripts_in_every_text_are_shown_as_texts(yard: Yard, server: LiveServer, browse: Open) -> None:
    params = [{"key": f"p{i}{re.sub(r'[^a-z0-9 ./_-]', '', text)}", "value": text} for i, text in enumerate(ATTACKS)]
    run = yard.run(params=params)
    front = "\n".join(f"k{i}: {text!r}" for i, text in enumerate(ATTACKS[:20]))
    card = f"---\n{front}\n---\n" + "\n\n".join(ATTACKS)
    about = {"description": "".join(ATTACKS)[:2000], "name": ATTACKS[0], "visibility": "public"}
    assert yard.api.put(f"/projects/{yard.id}", json=about).status_code == 200
    names = list(dict.fromkeys(name for text in ATTACKS if (name := re.sub(r"[/:\u202e]", "", text))))
    tags = [{"key": f"{i}{text}"[:200], "value": text} for i, text in enumerate(ATTACKS)]
    model = yard.model(names[0], description=card[:9000], tags=tags)
    other = yard.model(names[1][:200])
    version = yard.version(names[0], run_id=run, description=card[:9000], tags=tags)
    second = yard.version(names[0], description=card[100:9000])
    for name in names:
        yard.put(version, f"{name[:100]}/{name[:100]}", b"x")
    models, shown = f"/-/ml/models/{model}", f"/-/ml/models/{model}/versions/{version}"
    places = [
        *("", "/edit", "/-/delete", "/-/ml/models", f"/-/ml/models/{other}", models, f"{models}?tab=versions"),
        *(f"{models}/{each}" for each in ("edit", "delete", f"compare?from={version}&to={second}", "versions/new")),
        *(f"{shown}{each}" for each in ("", "/edit", "/delete", "/tree", "?tab=metrics", "?tab=use")),
        *(f"{shown}/{kind}/{quote(names[2][:100])}/{quote(names[2][:100])}" for kind in ("blob", "delete_files")),
    ]
    for place in places:
        answer = yard.browser.get(yard.url(place))
        assert answer.status_code == 200, place
        assert acting(answer.text) == [], place
    asked = (
        (models, "tab"),
        (f"{shown}/tree", "find"),
        *(("/-/ml/models", name) for name in ("filter", "sort", "page")),
    )
    for text in ATTACKS:
        for path, name in asked:
            answer = yard.browser.get(yard.url(path), params={name: text})
            assert answer.status_code in (200, 400)
            assert acting(answer.text) == []
    with browse() as watched:
        page = watched.page()
        page.on("dialog", lambda dialog: watched.faults.append(dialog.message))
        watched.context.add_cookies([yard.cookie(server)])
        for place in places:
            page.goto(yard.url(place))
        assert page.locator("#content").count() == 1


def test_a_hundred_scripts_are_texts_on_these_pages_too(
    yard: Yard, admin: httpx2.Client, root: httpx2.Client, make_user: Callable[..., Account]
) -> None:
    person = make_user()
    everything = "".join(ATTACKS)[:250]
    for text in (*ATTACKS[:25], everything):
        root.put(f"/users/{person.id}", json={"name": text[:255]})
        yard.api.post(
            f"/projects/{yard.id}/access_tokens",
            json={"name": text[:255], "scopes": ["api"], "description": text[:255]},
        )
    yard.api.post(f"/projects/{yard.id}/members", json={"user_id": person.id, "access_level": 30})
    yard.api.put(f"/projects/{yard.id}", json={"name": ATTACKS[0]})
    for path in ("/-/project_members", "/-/settings/access_tokens", "/-/usage_quotas", "/-/audit_events"):
        answer = yard.browser.get(yard.url(path))
        assert (answer.status_code, acting(answer.text)) == (200, []), path
    for path in ("/admin/users", "/admin/projects", "/admin/audit_logs", TOKENS, "/-/user_settings/profile"):
        assert acting(admin.get(path).text) == [], path
    for text in ATTACKS:
        for path, name in (("/search", "search"), ("/admin/users", "search"), ("/admin/users", "state")):
            answer = admin.get(path, params={name: text})
            assert (answer.status_code, acting(answer.text)) == (200, []), (path, text)
    typed = yard.browser.post(
        yard.url("/-/settings/access_tokens"), data={"name": everything, "description": everything}
    )
    assert (typed.status_code, acting(typed.text)) == (400, [])


def test_a_hundred_scripts_in_every_text_of_runs_are_shown_as_texts(world: World, admin: httpx2.Client) -> None:
    texts = [text for text in ATTACKS if len(text) <= 250]
    tags = dict(zip(texts, texts, strict=True))
    metrics: dict[str, list[float]] = {text: [1, 2] for text in texts}
    place = world.experiment("".join(ATTACKS[:4]))
    for text in ATTACKS[:25]:
        world.experiment(text)
    runs = [
        world.run(place, run_name=text, metrics=metrics, params=tags, tags=tags | {"mlflow.note.content": text})
        for text in (ATTACKS[0], ATTACKS[3])
    ]
    first, second = (run["iid"] for run in runs)
    for text in ATTACKS[:25]:
        dataset = {"name": text, "digest": "d", "source_type": text, "source": text, "schema": text}
        world.call("runs/log-inputs", run_id=runs[0]["run_id"], datasets=[{"dataset": dataset, "tags": []}])
    tabs = ("overview", "metrics", "params", "tags", "files", "children")
    places: list[tuple[str, dict[str, Any]]] = [
        *(("experiments", {}), (f"experiments/{place}/compare", {"runs": f"{first},{second}", "all": "1"})),
        *((f"candidates/{first}", {"tab": tab}) for tab in tabs),
        *(
            (f"experiments/{place}", {"filter": text, "tab": tab})
            for text in ATTACKS[:25]
            for tab in ("runs", "charts")
        ),
        *((f"candidates/{first}", {"tab": tab, "key": text}) for text in ATTACKS[:25] for tab in ("metrics", "params")),
    ]
    for begin in range(0, len(texts), 40):
        part = texts[begin : begin + 40]
        for kind in ("metric", "param", "tag", "min", "course"):
            places.append((f"experiments/{place}", {"c": [f"{kind}.{text}" for text in part]}))
        places.append((f"experiments/{place}", {"tab": "charts", "metric": part[:20]}))
    for place in (f"/{world.path}", "/"):
        assert acting(admin.get(place).text) == [], place
    for path, query in places:
        answer = admin.get(f"{world.pages}/{path}", params=query)
        assert answer.status_code in (200, 400), (path, query)
        assert acting(answer.text) == [], (path, query)
    assert "&lt;script&gt;alert(0)" in admin.get(f"{world.pages}/candidates/{first}?tab=tags").text
