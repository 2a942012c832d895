"""Texts and numbers as pages write them: cards with their front matter, amounts, counts, measurements."""

from __future__ import annotations

import math
import re

import pytest
from starlette.convertors import CONVERTOR_TYPES

from modelyard.routes.pages.figures import amount, count, duration, number
from modelyard.routes.pages.forms import told
from modelyard.routes.pages.markdown import card
from modelyard.routes.pages.run_exports import written_cell
from tests.routes.pages.yard import Yard


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0.123456, "0.1235"), (12345678.0, "1.235e+07"), (1.0, "1"), (None, "NaN"), (math.nan, "NaN")),
        *((math.inf, "infinity"), (-math.inf, "minus infinity")),
    ],
)
def test_measurements_have_four_digits_and_what_is_none_a_word(value: float | None, text: str) -> None:
    assert number(value) == text


def test_amounts_and_counts_are_as_people_read_them() -> None:
    sizes = (0, 1023, 1024, 1536, 1024**2 - 1, 5 * 1024**4)
    assert [amount(size) for size in sizes] == ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "5.0 TiB"]
    assert [count(1, "file"), count(12_000, "file")] == ["1 file", "12\u202f000 files"]


def test_refusals_are_sentences() -> None:
    assert told("403 Forbidden - ask somebody") == "Ask somebody"
    assert told({"path": ["has already been taken"], "name": ["is odd"]}) == "Path has already been taken; name is odd"


@pytest.mark.parametrize(
    ("front", "chips", "fault"),
    [
        ("license: mit\ntags: [a, b, {c: d}]\nnested: {x: y}\nempty:\n", (("license", "mit"), ("tags", "a, b")), False),
        ("a: &x [1]\nb: *x\n", (), True),
        ("[" * 5000, (), True),
        ("a: !!python/object:os.system x", (), True),
        ("- a\n- b", (), True),
        ("x: " + "y" * 20_001, (), True),
        ("  \n", (), False),
    ],
)
def test_front_matter_is_shown_in_short_or_said_to_be_odd(
    front: str, chips: tuple[tuple[str, str], ...], fault: bool
) -> None:
    found = card(f"---\n{front}\n---\n# Text")
    assert (found.chips, bool(found.fault)) == (chips, fault)
    assert "<h2" in found.html


def test_what_has_no_end_is_no_front_matter() -> None:
    assert card("---\na: b").chips == ()
    assert card("---\na: b\n---").chips == (("a", "b"),)


def test_tags_of_a_model_are_set_and_removed_and_cards_of_versions_previewed(yard: Yard) -> None:
    model, version = yard.model(), yard.version()
    url = yard.url(f"/-/ml/models/{model}")
    assert yard.browser.post(f"{url}/tags", data={"key": "team", "value": "vision"}).status_code == 303
    assert "vision" in yard.browser.get(url).text
    assert yard.browser.post(f"{url}/tags", data={"key": "team", "remove": "1"}).status_code == 303
    assert "vision" not in yard.browser.get(url).text
    for place in (yard.url("/-/ml/models/new"), f"{url}/versions/new", yard.shown(model, version, "/edit")):
        shown = yard.browser.post(place, data={"name": "x", "description": "# Looked at", "preview": "1"})
        assert (shown.status_code, ">Looked at</h2>" in shown.text) == (200, True)
    assert yard.browser.get(yard.shown(model, version)).text.count("Looked at") == 0


def test_an_address_is_made_again_of_what_was_read_of_it() -> None:
    for kind, text in (("project", "a/b"), ("number", "17"), ("part", "a-b.c"), ("long_id", "a__b/c")):
        convertor = CONVERTOR_TYPES[kind]
        assert re.fullmatch(convertor.regex, text)
        assert convertor.to_string(convertor.convert(text)) == text


def test_a_cell_of_a_csv_has_all_digits_and_is_no_formula() -> None:
    written = [written_cell(cell) for cell in (None, "=1+1", "v1", 0.1 + 0.2, 3, math.nan, -math.inf)]
    assert written == ["", "'=1+1", "v1", "0.30000000000000004", "3", "NaN", "-Infinity"]


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(850, "850 ms"), (3_000, "3 s"), (7_512_000, "2 h 5 min"), (273_600_000, "3 d 4 h"), (-61_000, "-1 min 1 s")],
)
def test_a_duration_is_told_in_its_two_largest_units(milliseconds: int, text: str) -> None:
    assert duration(milliseconds) == text
