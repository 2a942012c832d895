"""Projects, packages and files, by the real python-gitlab client."""

from __future__ import annotations

import json
from typing import Any

import gitlab

from harness import SERVER, TOKEN, Yard, run


def connected() -> Any:
    return gitlab.Gitlab(SERVER, private_token=TOKEN)


def make_versions(yard: Yard, count: int) -> list[str]:
    base = f"/projects/{yard.project}/ml/mlflow/api/2.0/mlflow"
    yard.call("POST", f"{base}/registered-models/create?name=m")
    versions = []
    for _ in range(count):
        made = json.loads(yard.call("POST", f"{base}/model-versions/create?name=m"))
        versions.append(made["model_version"]["version"])
    return versions


def flow_the_client_signs_in(yard: Yard) -> None:
    server = connected()
    server.auth()
    assert server.user.username == "root"
    assert server.version()[0]
    for oauth in (gitlab.Gitlab(SERVER, oauth_token=TOKEN),):
        oauth.auth()
    wrong = gitlab.Gitlab(SERVER, private_token="myd_wrong")
    try:
        wrong.auth()
    except gitlab.exceptions.GitlabAuthenticationError:
        pass
    else:
        raise AssertionError("a wrong token was taken")


def flow_projects_go_by_path_and_by_id(yard: Yard) -> None:
    server = connected()
    project = server.projects.get(yard.path)
    assert project.id == yard.project
    assert server.projects.get(yard.project).path_with_namespace == yard.path
    lazy = server.projects.get(yard.path, lazy=True)
    assert list(lazy.packages.list(get_all=True)) == []
    assert yard.project in {each.id for each in server.projects.list(iterator=True)}
    try:
        server.projects.get("no/such")
    except gitlab.exceptions.GitlabGetError as error:
        assert error.response_code == 404
        assert "404 Project Not Found" in str(error)
    else:
        raise AssertionError("an unknown project was found")


def flow_packages_are_listed_over_three_pages_and_deleted(yard: Yard) -> None:
    make_versions(yard, 7)
    project = connected().projects.get(yard.path)
    found = project.packages.list(package_type="ml_model", per_page=3, get_all=True)
    assert len(found) == 7
    assert len(list(project.packages.list(per_page=3, iterator=True))) == 7
    page = project.packages.list(per_page=3, page=3)
    assert len(page) == 1
    shown = project.packages.get(found[0].id)
    assert (shown.name, shown.package_type, shown.status) == ("m", "ml_model", "default")
    shown.delete()
    assert len(project.packages.list(get_all=True)) == 6
    try:
        project.packages.get(found[0].id)
    except gitlab.exceptions.GitlabGetError as error:
        assert error.response_code == 404
    else:
        raise AssertionError("a deleted package is still there")


def flow_files_are_listed_over_three_pages_and_deleted(yard: Yard) -> None:
    (version,) = make_versions(yard, 1)
    for i in range(7):
        yard.put(version, f"dir/f{i}", b"x" * i)
    project = connected().projects.get(yard.project)
    (package,) = project.packages.list()
    files = package.package_files.list(per_page=3, get_all=True)
    assert [(file.file_name, file.size) for file in files] == [(f"dir%2Ff{i}", i) for i in range(7)]
    assert len(list(package.package_files.list(per_page=3, iterator=True))) == 7
    files[0].delete()
    assert len(package.package_files.list(get_all=True)) == 6


def flow_raw_requests_carry_bytes(yard: Yard) -> None:
    (version,) = make_versions(yard, 1)
    server = connected()
    path = f"/projects/{yard.project}/packages/ml_models/{version}/files/z.bin"
    server.http_put(path, post_data=b"\x00\x01bytes", raw=True)
    assert server.http_get(path, raw=True).content == b"\x00\x01bytes"


def make_user(server: Any, yard: Yard, name: str) -> Any:
    username = f"{name}-{yard.project}"
    fields = {"username": username, "name": name, "email": f"{username}@example.com", "reset_password": True}
    return server.users.create(fields)


def flow_users_are_deactivated_and_activated(yard: Yard) -> None:
    server = connected()
    user = make_user(server, yard, "ada")
    for change, state in (
        ("deactivate", "deactivated"),
        ("activate", "active"),
        ("block", "blocked"),
        ("unblock", "active"),
    ):
        assert getattr(user, change)() is True
        assert user.state == server.users.get(user.id).state == state
    user.block()
    for change, wrong in (
        ("deactivate", gitlab.exceptions.GitlabDeactivateError),
        ("activate", gitlab.exceptions.GitlabActivateError),
    ):
        try:
            getattr(user, change)()
        except wrong as error:
            assert error.response_code == 403
        else:
            raise AssertionError(f"a blocked user was {change}d")
    assert user.id in {each.id for each in server.users.list(blocked=True, iterator=True)}
    assert server.users.list(username=user.username, active=True) == []


def flow_members_are_found_with_those_that_are_inherited(yard: Yard) -> None:
    server = connected()
    project, user = server.projects.get(yard.project), make_user(server, yard, "grace")
    (found,) = server.users.list(username=user.username)
    project.members.create({"user_id": found.id, "access_level": gitlab.const.AccessLevel.DEVELOPER})
    everybody = project.members_all.list(get_all=True, per_page=1)
    assert [member.access_level for member in everybody] == [50, 30]
    assert project.members_all.get(user.id).username == user.username
    assert [member.id for member in project.members.list(user_ids=[user.id])] == [user.id]
    assert [each.source_id for each in user.memberships.list()] == [yard.project]
    user.delete()
    try:
        project.members_all.get(found.id)
    except gitlab.exceptions.GitlabGetError as error:
        assert error.response_code == 404
    else:
        raise AssertionError("a deleted user is still a member")


def flow_project_access_tokens_are_shown_and_rotated(yard: Yard) -> None:
    project = connected().projects.get(yard.project)
    made = project.access_tokens.create({"name": "ci", "scopes": ["api"], "access_level": 30})
    shown = project.access_tokens.get(made.id)
    assert (shown.name, shown.access_level, shown.active) == ("ci", 30, True)
    shown.rotate()
    bot = gitlab.Gitlab(SERVER, private_token=shown.token)
    bot.auth()
    mine = bot.projects.get(yard.project).access_tokens
    again = mine.rotate("self", expires_at="2099-01-01")
    assert (again["expires_at"], again["user_id"]) == ("2099-01-01", made.user_id)
    assert [token.id for token in project.access_tokens.list(state="active")] == [again["id"]]
    assert {token.id for token in project.access_tokens.list(revoked=True)} == {made.id, shown.id} - {again["id"]}
    assert len(project.access_tokens.list(get_all=True, per_page=1)) == 3


def flow_personal_access_tokens_are_narrowed(yard: Yard) -> None:
    server = connected()
    user = make_user(server, yard, "joan")
    token = user.personal_access_tokens.create({"name": "laptop", "scopes": ["read_api"]})
    assert [each.id for each in server.personal_access_tokens.list(user_id=user.id, search="lap")] == [token.id]
    assert server.personal_access_tokens.list(user_id=user.id, revoked=True) == []
    assert server.personal_access_tokens.list(user_id=user.id, last_used_before="2020-01-01") == []
    rotated = server.personal_access_tokens.get(token.id)
    rotated.rotate()
    (gone,) = server.personal_access_tokens.list(user_id=user.id, state="inactive")
    assert (gone.id, server.personal_access_tokens.get(rotated.id).active) == (token.id, True)


def flow_projects_are_made_in_namespaces_and_listed_by_user(yard: Yard) -> None:
    server = connected()
    server.auth()
    user = make_user(server, yard, "mary")
    namespace = server.namespaces.get(user.username)
    assert [each.id for each in server.namespaces.list(search=user.username)] == [namespace.id]
    made = server.projects.create({"name": "p", "namespace_id": namespace.id})
    assert (made.path_with_namespace, made.namespace["kind"]) == (f"{user.username}/p", "user")
    taken = server.namespaces.exists(user.username)
    assert (taken.exists, taken.suggests) == (True, [f"{user.username}1"])
    assert server.namespaces.exists(f"{user.username}-free").exists is False
    assert [project.id for project in user.projects.list()] == [made.id]
    assert [project.id for project in server.users.get(user.id).projects.list(simple=True, iterator=True)] == [made.id]
    assert server.projects.list(archived=True) == server.projects.list(starred=True) == []


def flow_a_project_is_made_for_a_user(yard: Yard) -> None:
    user = make_user(connected(), yard, "vera")
    made = user.projects.create({"name": "q", "visibility": "internal"})
    assert (made.path_with_namespace, made.visibility) == (f"{user.username}/q", "internal")


def flow_nothing_is_done_in_the_wrong_name(yard: Yard) -> None:
    server = connected()
    user = make_user(server, yard, "sofja")
    try:
        server.projects.create({"name": f"for-{user.username}"}, sudo=user.username)
    except gitlab.exceptions.GitlabCreateError as error:
        assert error.response_code == 403
    else:
        raise AssertionError("root made what the client believes to be another's")


def flow_projects_go_while_they_are_listed_by_keyset(yard: Yard) -> None:
    server = connected()
    user = make_user(server, yard, "emmy")
    for number in range(5):
        server.projects.create({"name": f"p{number}", "namespace_id": user.id})
    listed = user.projects.list(iterator=True, pagination="keyset", order_by="id", sort="asc", per_page=2)
    names = []
    for project in listed:
        names.append(project.name)
        server.projects.delete(project.id)
    assert names == [f"p{number}" for number in range(5)]


def flow_the_server_tells_its_metadata(yard: Yard) -> None:
    server = connected()
    metadata = server.http_get("/metadata")
    assert (metadata["version"], metadata["revision"]) == server.version()
    assert (metadata["enterprise"], metadata["kas"]["enabled"]) == (False, False)


if __name__ == "__main__":
    run(globals())
