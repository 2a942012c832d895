"""`issuer`: what an operator lists beside the API."""

from __future__ import annotations

import json
from pathlib import Path

from tests.commands import run
from tests.issuers import KEY

URL = "https://gitlab.example.com"
HERE = {"EXTERNAL_URL": "https://yard.example.com"}


def test_issuers_are_listed_changed_and_deleted(folder: Path) -> None:
    made = run(folder, "issuer", "create", "gitlab", "--kind", "gitlab", "--url", URL, **HERE)
    assert (made.returncode, made.stdout) == (0, "1\n"), made.stderr
    (folder / "jwks.json").write_text(json.dumps({"keys": [KEY.as_dict(private=False)]}))
    changed = run(
        folder,
        "issuer",
        "update",
        "gitlab",
        "--name",
        "ours",
        "--jwks",
        "jwks.json",
        "--algorithm",
        "RS256",
        "--reuse",
    )
    assert (changed.returncode, changed.stdout) == (0, ""), changed.stderr
    assert run(folder, "issuer", "list").stdout == f"ours\tgitlab\t{URL}\t{HERE['EXTERNAL_URL']}\n"
    (told,) = json.loads(run(folder, "issuer", "list", "--json").stdout)
    assert (told["id"], told["name"]) == (1, "ours")
    assert run(folder, "issuer", "delete", URL).returncode == 0
    assert run(folder, "issuer", "list", "--json").stdout == "[]\n"


def test_a_mistake_is_one_line(folder: Path) -> None:
    create = ("issuer", "create", "gitlab", "--kind", "gitlab", "--url")
    for arguments, settings, said in (
        ((*create, URL), {}, "audience must be there, or MODELYARD_EXTERNAL_URL be set"),
        ((*create, "http://gitlab.example.com"), HERE, "url must begin with https://"),
        ((*create, URL, "--ca", "missing.pem"), HERE, "'missing.pem' does not exist"),
        (("issuer", "delete", "nobody"), HERE, "404 Issuer Not Found"),
    ):
        done = run(folder, *arguments, **settings)
        assert (done.returncode != 0, done.stdout) == (True, "")
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
