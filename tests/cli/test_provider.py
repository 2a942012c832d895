"""`provider`: what an operator lists, and how mistakes are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import run

ROOT = "root"  # the administrator's name
EXTERNAL = "https://yard.example.com"
CREATE = ("provider", "create", "company", "--issuer", "https://id.example.com", "--client-id", "modelyard")


def test_a_provider_is_listed_given_groups_and_deleted(folder: Path) -> None:
    def done(*arguments: str) -> str:
        finished = run(folder, *arguments, EXTERNAL_URL=EXTERNAL)
        assert (finished.returncode, finished.stderr) == (0, ""), finished.stderr
        return str(finished.stdout)

    (folder / "secret").write_text("s")
    more = ("--client-secret-file", "secret", "--provision", "groups", "--groups-claim", "realm_access.roles")
    assert done(*CREATE, *more, "--algorithms", "RS256,ES256") == f"{EXTERNAL}/users/auth/company/callback\n"
    (shown,) = json.loads(done("provider", "list", "--json"))
    assert shown == {
        "name": "company",
        "issuer": "https://id.example.com",
        "client_id": "modelyard",
        "provision": "groups",
        "groups_claim": "realm_access.roles",
        "callback": f"{EXTERNAL}/users/auth/company/callback",
    }
    done("provider", "group", "company", "/staff")
    done("provider", "group", "company", "team", "--path", "vision/models", "--role", "reporter")
    done("provider", "group", "company", "team", "--path", "vision/models", "--role", "developer")
    done("provider", "group", "company", "ops", "--admin")
    groups = json.loads(done("provider", "groups", "company", "--json"))
    assert [(each["group"], each["gives"], each["path"]) for each in groups] == [
        ("ops", "admin", ""),
        ("staff", "entry", ""),
        ("team", "developer", "vision/models"),
    ]
    done("provider", "ungroup", "company", "team", "--path", "vision/models")
    done("provider", "ungroup", "company", "staff")
    assert done("provider", "groups", "company") == "ops\tadmin\n"
    done("provider", "link", "company", ROOT, "00u1")
    done("provider", "unlink", "company", "00u1")
    done("provider", "delete", "company")
    assert done("provider", "list") == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (CREATE, "MODELYARD_EXTERNAL_URL"),
        (("provider", "delete", "nobody"), "404 Provider Not Found"),
        (("provider", "groups", "nobody"), "404 Provider Not Found"),
        (("provider", "group", "nobody", "g"), "404 Provider Not Found"),
        (("provider", "group", "nobody", "g", "--path", "p"), "a role needs --path and --role"),
        (("provider", "group", "nobody", "g", "--path", "p", "--role", "owner", "--admin"), "--admin neither"),
        (("provider", "link", "nobody", ROOT, "x"), "404 Provider Not Found"),
    ],
)
def test_a_mistake_is_one_line(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    done = run(folder, *arguments)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)


def test_what_a_provider_does_not_have_is_told_and_what_is_there_is_not_listed_twice(folder: Path) -> None:
    assert run(folder, *CREATE, EXTERNAL_URL=EXTERNAL).returncode == 0
    for arguments, said in (
        (CREATE, "Another provider has this name already"),
        (("provider", "ungroup", "company", "nobody"), "404 Group Not Found"),
        (("provider", "unlink", "company", "nobody"), "404 Identity Not Found"),
        (("provider", "link", "company", "nobody", "x"), "404 User Not Found"),
        (("provider", "link", "company", ROOT, ""), "subject must have"),
        (("provider", "group", "company", "g", "--path", "a//b", "--role", "guest"), "path must be"),
        (("provider", "group", "company", ""), "group must be"),
    ):
        done = run(folder, *arguments, EXTERNAL_URL=EXTERNAL)
        assert (done.returncode, said in done.stderr) == (1, True), (arguments, done.stderr)
    assert run(folder, "provider", "link", "company", ROOT, "00u1").returncode == 0
    assert "linked to an account already" in run(folder, "provider", "link", "company", ROOT, "00u1").stderr
