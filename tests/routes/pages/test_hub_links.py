"""Links that Hugging Face's clients print lead to the pages of what they name."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import pytest

from tests.conftest import Account
from tests.live import LiveServer
from tests.routes.pages.conftest import SignIn
from tests.routes.pages.yard import Yard

FOLDER, FILE = "a%20folder", "a%20folder/w%C3%A9ights.bin"


@pytest.fixture
def place(yard: Yard) -> str:
    """The page of a version of the project's only model, that has one file in a folder."""
    model, version = yard.model("churn"), yard.version("churn")
    yard.put(version, "a folder/wéights.bin", b"weights")
    return yard.shown(model, version)


def commit_of(yard: Yard, server: LiveServer) -> str:
    headers = {"Authorization": f"Bearer {yard.owner.token}"}
    return str(httpx2.get(f"{server.url}/api/models/{yard.path}", headers=headers).json()["sha"])


def test_printed_links_lead_to_the_version_its_folders_and_files(yard: Yard, server: LiveServer, place: str) -> None:
    for revision in ("main", "1.0.0", "v1.0.0", commit_of(yard, server)):
        for asked, there in (
            (f"commit/{revision}", place),
            (f"tree/{revision}", place),
            (f"tree/{revision}/{FOLDER}", f"{place}/tree/{FOLDER}"),
            (f"blob/{revision}/{FILE}", f"{place}/blob/{FILE}"),
        ):
            answer = yard.browser.get(yard.url(f"/{asked}"))
            assert (answer.status_code, answer.headers.get("location")) == (303, there), asked
            assert yard.browser.get(there).status_code == 200


def test_the_long_name_of_a_model_leads_to_its_page(yard: Yard, place: str) -> None:
    model = place.partition("/versions/")[0]
    answer = yard.browser.get(f"/{yard.path.replace('/', '__')}/churn")
    assert (answer.status_code, answer.headers["location"]) == (303, model)


def test_a_project_whose_path_is_such_a_name_comes_first(yard: Yard, root: httpx2.Client) -> None:
    made = root.post("/projects", json={"path": "churn", "namespace_path": yard.path.replace("/", "__")})
    assert made.status_code == 201, made.text
    answer = yard.browser.get(f"/{made.json()['path_with_namespace']}")
    assert answer.status_code == 404  # it is another's, and private


@pytest.mark.parametrize(
    "rest", ["/commit/9.9.9", "/tree/nowhere", f"/commit/{'0' * 40}", "/blob/%00/x", "/tree/%FF", "/commit/%2E%2E"]
)
def test_what_there_is_not_is_a_page_that_says_so(yard: Yard, place: str, rest: str) -> None:
    answer = yard.browser.get(yard.url(rest))
    assert answer.status_code == 404, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert place not in answer.text


def test_strangers_are_led_nowhere(
    yard: Yard, place: str, visitor: httpx2.Client, sign_in: SignIn, make_user: Callable[..., Account]
) -> None:
    assert place
    stranger = sign_in(make_user().token)
    for rest in ("/commit/main", "/tree/main", "/blob/main/x"):
        assert stranger.get(yard.url(rest)).status_code == 404
        answer = visitor.get(yard.url(rest))
        assert answer.status_code == visitor.get(yard.url()).status_code
        assert place not in answer.headers.get("location", "")


@pytest.mark.parametrize("name", ["%FF/churn", "root/%FF", "root/a%2Fb"])
def test_a_name_that_is_none_leads_nowhere(yard: Yard, name: str) -> None:
    assert yard.browser.get(f"/{name}/commit/main").status_code == 404
