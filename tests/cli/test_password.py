"""`user password`: from standard input, for administrators alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from modelyard.registry.engine import Database
from tests.commands import environment_of, finished, run
from tests.databases import database_url

ROOT = "root"  # the administrator's name


def given(folder: Path, name: str, text: str) -> subprocess.CompletedProcess[str]:
    return finished(("user", "password", name), text, cwd=folder, env=environment_of(folder))


def digests(folder: Path) -> list[str | None]:
    database = Database(database_url(folder / "data"))
    try:
        return [database.read_now(lambda registry: registry.passwords.digest(1))]
    finally:
        database.close()


def test_an_administrator_s_password_is_set_replaced_and_removed(folder: Path) -> None:
    for text in ("a long enough one\n", "another, without an end"):
        done = given(folder, ROOT, text)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (digest,) = digests(folder)
    assert digest is not None
    assert digest.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert run(folder, "user", "password", ROOT, "--remove").returncode == 0
    assert digests(folder) == [None]
    again = run(folder, "user", "password", ROOT, "--remove")
    assert (again.returncode, again.stderr) == (1, "modelyard: 404 Password Not Found\n")


@pytest.mark.parametrize("text", ["", "short\n", "x" * 1001, "has root in it, and is long\n"])
def test_a_password_that_is_easily_guessed_or_endless_is_refused_in_one_line(folder: Path, text: str) -> None:
    done = given(folder, ROOT, text)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "password must" in done.stderr
    assert digests(folder) == [None]


def test_only_administrators_have_passwords(folder: Path) -> None:
    assert run(folder, "user", "create", "ada").returncode == 0
    done = given(folder, "ada", "a long enough one\n")
    assert (done.returncode, "is for administrators alone" in done.stderr) == (1, True)
    assert given(folder, "nobody", "a long enough one\n").returncode == 1
