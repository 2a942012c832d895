"""Ids of repositories: the clients' rule, and paths of projects in them."""

from __future__ import annotations

import pytest

from modelyard.terms.repositories import RepositoryId, is_commit, long_id, short_id


@pytest.mark.parametrize("text", ["a/b", "A.b-c_d/e.f", "_a/_", "a__b/c", "a" * 96 + "/" + "b" * 96, "first.last/m"])
def test_what_clients_take_is_an_id(text: str) -> None:
    assert str(RepositoryId.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "a/", "/a", "a/b/c", "a//b", "a--b/c", "a/b--c", "a..b/c", "a/b..c", "a/b.git", "-a/b", "a/b-"),
        *(".a/b", "a./b", "a b/c", "a@b/c", "a/b\n", "é/a", "a/\0", "a" * 97 + "/b", "a/" + "b" * 97, "a%2Fb/c"),
        *("api/b", "Datasets/b", "spaces/b", "v2/b"),
    ],
)
def test_what_clients_refuse_or_mean_otherwise_is_none(text: str) -> None:
    assert RepositoryId.parse(text) is None


@pytest.mark.parametrize("path", ["a/b", "a/b/c", "group/sub.group/p-1", "a/_b", "a/b_"])
def test_a_long_id_leads_back_to_its_project(path: str) -> None:
    found = long_id(path, "m")
    assert found is not None
    assert (found.primary_of, found.project, found.name) == (None, path, "m")


@pytest.mark.parametrize("path", ["a__b/c", "a/b__c", "a_/b", "a/b--c", "a" * 60 + "/" + "b" * 60])
def test_a_path_that_could_be_taken_for_another_has_no_long_id(path: str) -> None:
    assert long_id(path, "m") is None


@pytest.mark.parametrize("path", ["a__b/c", "a/b/c", "a/b--c", "spaces/c"])
def test_a_project_whose_path_says_something_else_has_no_short_id(path: str) -> None:
    assert short_id(path) is None


def test_a_short_id_is_the_path_of_its_project() -> None:
    found = short_id("a/b__c")
    assert found is not None
    assert found.primary_of == "a/b__c"


@pytest.mark.parametrize(
    ("text", "commit"), [("0a" * 20, True), ("0A" * 20, False), ("0a" * 19, False), ("0" * 41, False)]
)
def test_forty_hex_digits_are_a_commit(text: str, commit: bool) -> None:
    assert is_commit(text) is commit
