"""Aliases, tags and stages on the pages of models and versions: in place with a script, by forms without; conflicts."""

from __future__ import annotations

import pytest

from tests.browsers import axe
from tests.live import LiveServer
from tests.routes.pages.conftest import Open
from tests.routes.pages.yard import Yard


@pytest.fixture
def shown(yard: Yard) -> str:
    """The page of a version of the model `iris`, which has one before."""
    model = yard.model()
    yard.alias("iris", "old", yard.version())
    return yard.shown(model, yard.version())


def test_a_change_that_is_refused_is_told_beside_what_was_typed(yard: Yard, shown: str) -> None:
    model = shown.partition("/versions/")[0]
    for page, rest, form, sentence, typed in (
        (shown, "/aliases", {"alias": "v1"}, "v1", 'value="v1"'),
        (shown, "/tags", {"key": "k" * 300, "value": "kept"}, "must have 1 to", 'value="kept"'),
        (model, "/tags", {"key": "", "value": "kept"}, "must have 1 to", 'value="kept"'),
        (shown, "/stage", {"stage": "Nowhere"}, "Invalid Model Version stage: Nowhere", '<option value="None"'),
    ):
        answer = yard.browser.post(page + rest, data=form)
        assert answer.status_code == 400, (rest, answer.text[-500:])
        assert 'role="alert"' in answer.text, rest
        assert f"Request id <code>{answer.headers['x-request-id']}</code>" in answer.text
        assert (sentence.lower() in answer.text.lower(), typed in answer.text) == (True, True), rest


def test_what_somebody_else_has_changed_meanwhile_is_shown_and_not_lost(yard: Yard, shown: str) -> None:
    for page in (shown, shown.partition("/versions/")[0]):
        yard.browser.post(f"{page}/tags", data={"key": "team", "value": "vision"})
        form = yard.browser.get(f"{page}?tag=team").text
        assert 'name="was" value="vision"' in form
        yard.browser.post(f"{page}/tags", data={"key": "team", "value": "theirs"})
        mine = {"key": "team", "value": "mine", "was": "vision"}
        refused = yard.browser.post(f"{page}/tags", data=mine)
        assert (refused.status_code, "Somebody else has given it" in refused.text) == (409, True)
        assert 'name="was" value="theirs"' in refused.text
        assert 'value="mine"' in refused.text
        assert yard.browser.post(f"{page}/tags", data=mine | {"was": "theirs"}).status_code == 303
        assert "<strong>team</strong> mine" in yard.browser.get(page).text
        yard.browser.post(f"{page}/tags", data={"key": "team", "remove": "1"})
        gone = yard.browser.post(f"{page}/tags", data=mine | {"was": "mine", "value": "again"})
        assert (gone.status_code, "Somebody else has removed it" in gone.text) == (409, True)
        assert 'name="was" value="' not in gone.text.partition('id="tag-key"')[0].rpartition("<details")[2]
    yard.browser.post(f"{shown}/stage", data={"stage": "Staging", "was": "None"})
    refused = yard.browser.post(f"{shown}/stage", data={"stage": "Production", "was": "None"})
    assert (refused.status_code, "set the stage to Staging meanwhile" in refused.text) == (409, True)
    assert '<option value="Production" selected' in refused.text
    refused = yard.browser.post(f"{shown}/aliases", data={"alias": "old", "remove": "1"})
    assert (refused.status_code, "names 1.0.0 meanwhile" in refused.text) == (409, True)
    assert yard.browser.post(f"{shown}/aliases", data={"alias": "none", "remove": "1"}).status_code == 303


def test_setting_a_stage_may_send_the_others_in_it_to_the_archive(yard: Yard) -> None:
    model = yard.model()
    first, second = yard.version(), yard.version()
    yard.browser.post(yard.shown(model, first, "/stage"), data={"stage": "Production"})
    form = {"stage": "Production", "was": "None", "archive": "1"}
    assert yard.browser.post(yard.shown(model, second, "/stage"), data=form).status_code == 303
    assert '<span class="badge">Archived</span>' in yard.browser.get(yard.shown(model, first)).text


def test_a_script_changes_the_page_in_place(yard: Yard, server: LiveServer, browse: Open, shown: str) -> None:
    with browse() as watched:
        watched.context.add_cookies([yard.cookie(server)])
        page = watched.page()
        page.goto(shown)
        page.evaluate("window.stayed = 1")
        page.get_by_label("Alias", exact=True).fill("champion")
        page.get_by_role("button", name="Set alias").click()
        page.get_by_role("status").get_by_text("champion names this version now").wait_for()
        assert page.locator("h1 .badge").inner_text() == "champion"
        assert page.get_by_label("Alias", exact=True).input_value() == ""
        assert page.evaluate("document.activeElement.id") == "alias-set"
        page.get_by_label("Stage").select_option("Production")
        page.get_by_role("button", name="Set stage").click()
        page.get_by_role("status").get_by_text("The stage is Production now").wait_for()
        page.get_by_text("Set a tag").click()
        page.get_by_label("Key", exact=True).fill("team")
        page.get_by_label("Value", exact=True).fill("vision")
        page.get_by_role("button", name="Set tag").click()
        page.get_by_role("link", name="Change the tag team").click()
        page.get_by_label("Value", exact=True).and_(page.locator("[value=vision]")).fill("nlp")
        page.get_by_role("button", name="Set tag").click()
        page.locator(".tag").get_by_text("nlp").wait_for()
        assert axe(page) == []
        watched.expected = ("status of 400",)
        page.get_by_label("Alias", exact=True).fill("v1")
        page.get_by_role("button", name="Set alias").click()
        page.get_by_role("alert").wait_for()
        assert page.get_by_label("Alias", exact=True).input_value() == "v1"
        page.get_by_role("button", name="Remove the alias champion").click()
        page.get_by_role("status").get_by_text("The alias champion has been removed").wait_for()
        page.get_by_role("button", name="Remove the tag team").click()
        page.get_by_role("status").get_by_text("The tag team has been removed").wait_for()
        assert page.get_by_role("alert").count() == 0
        assert page.evaluate("window.stayed") == 1
        page.reload()  # which shows no notice once more
        assert page.get_by_role("status").count() == 0
        assert page.locator("h1 .badge").inner_text() == "Production"
