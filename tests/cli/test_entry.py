"""How the command ends where its own commands do not say so."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import click
import pytest

from modelyard.cli import accounts, entry


@pytest.fixture(autouse=True)
def _left_as_found(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the command sets for its process is the tests' own afterwards."""
    for name in entry.UNUSED:
        monkeypatch.setitem(sys.modules, name, sys.modules.get(name))
    mask = os.umask(0)
    os.umask(mask)
    yield
    os.umask(mask)


def ends_with(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(**_options: object) -> None:
        raise error

    monkeypatch.setattr(entry, "cli", fail)
    entry.main()


def test_who_breaks_a_question_off_ends_it_as_a_signal_would(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit) as ended:
        ends_with(monkeypatch, click.Abort())
    assert ended.value.code == 130


def test_a_mistake_of_ours_is_told_with_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        ends_with(monkeypatch, ZeroDivisionError())


def test_a_mistake_of_theirs_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        ends_with(monkeypatch, click.UsageError("No such command 'x'."))
    assert ended.value.code == 2
    assert capsys.readouterr().err == "modelyard: No such command 'x'.\n"


def test_a_password_is_asked_for_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, changed = list[str](), list[object]()

    def prompt(text: str, **_options: object) -> str:
        asked.append(text)
        return "a long enough one"

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(click, "prompt", prompt)
    monkeypatch.setattr(accounts, "change", changed.append)
    accounts.user.main(["password", "root"], standalone_mode=False)
    assert (asked, len(changed)) == (["Password"], 1)
