from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

import pytest

from modelyard_client.credentials import Credentials, Login, require_token, server_url
from modelyard_client.errors import ClientError, NotIdentified, UsageMistake
from modelyard_client.local.places import cache_folder, state_folder
from modelyard_client.local.private import write_private


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("registry.example.com", "https://registry.example.com"),
        ("Registry.Example.com:8443/", "https://registry.example.com:8443"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("localhost", "http://localhost"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("http://a/b/", "http://a/b"),
        ("https://a/api/v4", "https://a"),
    ],
)
def test_a_server_is_named_with_and_without_a_scheme(text: str, url: str) -> None:
    assert server_url(text) == url


@pytest.mark.parametrize(
    "text", ["", "ftp://a", "http://", "http://a:x", "https://me:token@a", "http://a?b", "http://[a"]
)
def test_what_is_no_server_is_a_mistake(text: str) -> None:
    with pytest.raises(UsageMistake):
        server_url(text)


def test_what_is_kept_is_its_user_s_alone() -> None:
    credentials = Credentials()
    credentials.keep(Login("http://a", "secret"), "ada")
    assert stat.S_IMODE(credentials.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(credentials.path.parent.stat().st_mode) == 0o700
    assert credentials.find() == Login("http://a", "secret")
    assert "secret" not in repr(credentials.find())


def test_the_environment_comes_before_the_file_and_that_before_netrc(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    (home / ".netrc").write_text("machine a login x password of-netrc\n")
    (home / ".netrc").chmod(0o600)
    assert Credentials().find("http://a").token == "of-netrc"
    Credentials().keep(Login("http://a", "of-file"), "ada")
    assert Credentials().find("http://a").token == "of-file"
    (home / "token").write_text("of-a-file-of-its-own\n")
    monkeypatch.setenv("MODELYARD_TOKEN_FILE", str(home / "token"))
    assert Credentials().find("http://a").token == "of-a-file-of-its-own"
    monkeypatch.setenv("MODELYARD_TOKEN", "of-environment")
    assert Credentials().find("http://a").token == "of-environment"


def test_who_has_all_by_the_environment_needs_no_file_that_can_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = Credentials().path
    path.parent.mkdir(parents=True)
    path.write_text("{")
    monkeypatch.setenv("MODELYARD_TOKEN", "of-environment")
    assert Credentials().find("http://a") == Login("http://a", "of-environment")
    with pytest.raises(ClientError, match=r"credentials\.json"):
        Credentials().find()  # the server may be in it


def test_a_user_of_whom_no_home_is_known_has_the_environment_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(_uid: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.chdir(tmp_path)
    before = os.listdir()
    assert Credentials().find("http://a") == Login("http://a", None)
    with pytest.raises(ClientError, match="cannot be written"):
        Credentials().keep(Login("http://a", "1"), "ada")
    with pytest.raises(NotADirectoryError):
        write_private(state_folder() / "x", b"")
    with pytest.raises(NotADirectoryError):
        write_private(cache_folder() / "x", b"")
    assert os.listdir() == before  # and no folder named ~


def test_a_kept_token_goes_to_its_server_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    Credentials().keep(Login("http://a", "secret"), "ada")
    assert Credentials().find("http://b").token is None
    monkeypatch.setenv("MODELYARD_URL", "http://b")
    assert Credentials().find() == Login("http://b", None)


@pytest.mark.parametrize("content", [b"machine\n", b"machine a login x password \xff\x00\n"])
def test_a_broken_netrc_is_none(home: Path, content: bytes) -> None:
    (home / ".netrc").write_bytes(content)
    assert Credentials().find("http://a").token is None


def test_what_is_forgotten_is_gone_and_another_server_is_meant() -> None:
    credentials = Credentials()
    credentials.keep(Login("http://a", "1"), "ada")
    credentials.keep(Login("http://b", "2"), "ada")
    assert credentials.forget("http://b")
    assert credentials.find() == Login("http://a", "1")
    assert not credentials.forget("http://b")
    assert credentials.forget("http://a")
    with pytest.raises(UsageMistake, match="myd login"):
        credentials.find()


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"hosts": 3}', b"\xff"])
def test_a_file_of_tokens_that_cannot_be_read_is_told(content: bytes) -> None:
    credentials = Credentials()
    credentials.path.parent.mkdir(parents=True)
    credentials.path.write_bytes(content)
    with pytest.raises(ClientError, match=r"credentials\.json"):
        credentials.find()


def test_a_file_of_tokens_without_a_server_that_is_meant_has_none() -> None:
    credentials = Credentials()
    credentials.path.parent.mkdir(parents=True)
    credentials.path.write_text('{"default": 5, "hosts": {}}')
    with pytest.raises(UsageMistake, match="myd login"):
        credentials.find()


def test_a_file_of_tokens_that_cannot_be_written_is_told(home: Path) -> None:
    (home / "config").write_text("in the way")
    with pytest.raises(ClientError, match="cannot be"):
        Credentials().keep(Login("http://a", "1"), "ada")


def test_a_disk_without_room_leaves_tokens_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = Credentials()
    credentials.keep(Login("http://a", "1"), "ada")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ClientError, match="cannot be written"):
        credentials.keep(Login("http://b", "2"), "bob")
    assert credentials.find().token == "1"
    assert os.listdir(credentials.path.parent) == [credentials.path.name]


@pytest.mark.parametrize("text", ["", "  \n", "two words", "tök", "a\nb"])
def test_what_cannot_be_a_token_is_told(text: str) -> None:
    with pytest.raises(NotIdentified):
        require_token(text)


def test_a_file_of_a_token_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("MODELYARD_TOKEN_FILE", str(home / "nowhere"))
    with pytest.raises(NotIdentified, match="MODELYARD_TOKEN_FILE"):
        Credentials().find("http://a")
