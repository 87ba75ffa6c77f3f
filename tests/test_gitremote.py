"""The far end of a git repo: addresses, credentials, and what git's words mean."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from envhub import proc
from envhub.errors import (
    CommandError,
    EnvHubError,
    HubError,
    HubUnreachableError,
    RefError,
    RepoNotFoundError,
)
from envhub.hubs.base import Commit
from envhub.hubs.git import GitRepo
from envhub.hubs.gitprogram import ENVIRON, git
from envhub.hubs.gitremote import Remote
from envhub.refs import Ref
from envhub.settings import Limits
from envhub.testing import repos
from envhub.testing.hub import ServedHub
from envhub.testing.web import Reply, serve

REF = Ref("git", "https://host.example/x")


class TestAddress:
    @pytest.mark.parametrize(
        ("url", "shown", "name"),
        [
            ("https://me:secret@host.example/a/b.git", "https://host.example/a/b.git", "b"),
            ("https://secret@host.example:8443/a/b", "https://host.example:8443/a/b", "b"),
            ("http://127.0.0.1:80/b/", "http://127.0.0.1:80/b/", "b"),
            ("ssh://git@host.example/a/b.git", "ssh://git@host.example/a/b.git", "b"),
            ("ssh://git:secret@host.example/a/b", "ssh://git@host.example/a/b", "b"),
            ("file:///srv/b.git", "file:///srv/b.git", "b"),
        ],
    )
    def test_user_and_password_are_cut_off(self, url: str, shown: str, name: str) -> None:
        """The user name of ssh stays, since it is no secret and part of the address."""
        remote = Remote.parse(url)
        assert (shown, name) == (remote.url, remote.name)
        assert "secret" not in repr(remote)

    @pytest.mark.parametrize("url", ["git://h/x", "ext::sh -c id", "ftp://h/x", "-x", "", "h:x"])
    def test_other_protocols_are_refused(self, url: str) -> None:
        """Those that are not encrypted, or run commands."""
        with pytest.raises(RefError, match="not read over"):
            Remote.parse(url)

    def test_folder_of_a_repo_on_this_machine(self, tmp_path: Path) -> None:
        """With its files, or bare; odd characters are quoted in the URL."""
        git("init", "-q", tmp_path / "a b")
        git("init", "-q", "--bare", tmp_path / "c.git")
        assert tmp_path / "a b" / ".git" == Remote.parse(f"file://{tmp_path}/a%20b").folder
        assert tmp_path / "c.git" == Remote.parse(f"file://{tmp_path}/c.git").folder
        assert Remote.parse("https://host.example/x").folder is None


class TestLogin:
    @pytest.mark.parametrize("form", ["me:{}", "{}:", "{}", "me:{}%20x"])
    def test_password_in_the_url_opens_a_private_repo(
        self, hub: ServedHub, tmp_path: Path, form: str
    ) -> None:
        """User and password, or a token alone as people paste it; and it is shown nowhere."""
        hub.add("user/secret", repos.COUNTER, private=True)
        login = form.format(hub.token)
        repo = GitRepo(_with_login(hub, "user/secret", login), cache=tmp_path / "git")
        if "%20" in form:
            with pytest.raises(RepoNotFoundError, match="Authentication failed") as caught:
                repo.resolve(REF)
            assert hub.token not in str(caught.value)
        else:
            commit = repo.resolve(REF)
            assert repo.files(REF, commit)
            assert hub.token not in f"{commit} {repo} {repo.address}"
        assert _all_bytes(tmp_path / "git").count(hub.token.encode()) == 0

    def test_git_itself_finds_the_password(self, hub: ServedHub, tmp_path: Path) -> None:
        """The user's own credential helper works as it does for `git clone`."""
        hub.add("user/secret", repos.COUNTER, private=True)
        store = Path(os.environ["HOME"]) / "credentials"
        store.write_text(hub.url.replace("://", f"://me:{hub.token}@"))
        (store.parent / ".gitconfig").write_text(f"[credential]\n\thelper = store --file {store}\n")
        repo = GitRepo(hub.git_url("user/secret"), cache=tmp_path / "git")
        assert repo.files(REF, repo.resolve(REF))

    def test_nobody_is_asked_on_the_terminal(self, hub: ServedHub, tmp_path: Path) -> None:
        """A private repo is an error at once, and looks like none."""
        hub.add("user/secret", repos.COUNTER, private=True)
        with pytest.raises(RepoNotFoundError, match="not open to you") as caught:
            GitRepo(hub.git_url("user/secret"), cache=tmp_path).resolve(REF)
        assert "git ls-remote" in caught.value.hint

    def test_ssh_uses_the_users_ssh(
        self, hub: ServedHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`GIT_SSH_COMMAND` is honoured; here it runs the far end on this machine."""
        expected = hub.add("user/repo", repos.COUNTER)
        script = tmp_path / "ssh"
        script.write_text('#!/bin/sh\nfor last; do :; done\neval "$last"\n')
        script.chmod(0o755)
        monkeypatch.setenv("GIT_SSH_COMMAND", str(script))
        url = f"ssh://git@host.example{hub.folder}/models/user/repo.git"
        repo = GitRepo(url, cache=tmp_path / "git")
        assert expected == repo.resolve(REF).id
        assert repo.files(REF, repo.resolve(REF))


class TestTrouble:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (401, RepoNotFoundError),
            (403, RepoNotFoundError),
            (404, RepoNotFoundError),
            (429, HubUnreachableError),
            (500, HubUnreachableError),
            (503, HubUnreachableError),
            (418, HubError),
        ],
    )
    def test_status_of_the_server(
        self, tmp_path: Path, status: int, kind: type[EnvHubError]
    ) -> None:
        """What is missing, and what is in trouble, are told apart."""
        with serve(lambda _: Reply(status)) as url, pytest.raises(kind) as caught:
            GitRepo(f"{url}/user/repo", cache=tmp_path).resolve(REF)
        assert type(caught.value) is kind

    def test_nobody_listening(self, tmp_path: Path) -> None:
        """The address is in the message, git's own words are the reason."""
        with pytest.raises(HubUnreachableError, match=r"127\.0\.0\.1:9/x.*\n.*Failed to connect"):
            GitRepo("http://127.0.0.1:9/x", cache=tmp_path).resolve(REF)

    def test_page_that_is_no_git_repo(self, tmp_path: Path) -> None:
        """Any web page will do."""
        page = Reply(200, b"<!doctype html>\n<html>\n<body>\n</body></html>\n")
        with serve(lambda _: page) as url, pytest.raises(RepoNotFoundError):
            GitRepo(f"{url}/user/repo", cache=tmp_path).resolve(REF)

    def test_missing_folder(self, tmp_path: Path) -> None:
        """Git's long explanation stays in the reason."""
        with pytest.raises(RepoNotFoundError, match="no git repo"):
            GitRepo(f"file://{tmp_path}/none", cache=tmp_path / "git").resolve(REF)

    @pytest.mark.parametrize("commit", ["--upload-pack=x", "main", "a" * 39, ""])
    def test_commit_that_is_no_hash(self, tmp_path: Path, commit: str) -> None:
        """Nothing but a full hash is ever handed to `git fetch`."""
        repo = GitRepo("http://127.0.0.1:9/x", cache=tmp_path)
        with pytest.raises(HubError, match="not a full commit hash"):
            repo.files(REF, Commit("", "x", "git", commit))

    def test_missing_program(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without git the way out is told."""
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(EnvHubError, match="'git' was not found"):
            GitRepo("http://127.0.0.1:9/x", cache=tmp_path).resolve(REF)
        with pytest.raises(CommandError, match="was not found"), proc.talk(["git"]):
            pass


@pytest.mark.skipif(os.name != "posix", reason="there is no limit for files")
class TestPack:
    @pytest.mark.parametrize("count", [1, 150], ids=["one-file", "a-pack"])
    def test_more_than_it_may_bring(self, hub: ServedHub, tmp_path: Path, count: int) -> None:
        """Git is stopped while it fetches, and leaves nothing of it on the disk."""
        files = {f"{n}.bin": os.urandom(2_000_000 // count) for n in range(count)}
        hub.add("user/large", files)
        url = hub.git_url("user/large")
        small = GitRepo(url, cache=tmp_path / "git", limits=Limits(size=400_000))
        with pytest.raises(HubError, match="more than 400,000 bytes") as caught:
            small.files(REF, small.resolve(REF))
        assert "ENVHUB_MAX_SIZE=800000" in caught.value.hint
        left = [path.stat().st_size for path in (tmp_path / "git").rglob("*") if path.is_file()]
        assert sum(left) < 400_000
        whole = GitRepo(url, cache=tmp_path / "git")
        assert len(whole.files(REF, whole.resolve(REF))) == count


class TestProgram:
    def test_the_users_repo_is_out_of_reach(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Variables that a hook or an editor sets do not aim our git at their repo."""
        git("init", "-q", tmp_path / "users")
        monkeypatch.setenv("GIT_DIR", str(tmp_path / "users" / ".git"))
        monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
        with pytest.raises(CommandError, match="not a git repository"):
            git("rev-parse", "--git-dir", folder=tmp_path / "none")
        local = proc.run(["git", "rev-parse", "--local-env-vars"]).text.split()
        assert set(local) - {"GIT_INTERNAL_SUPER_PREFIX"} <= set(ENVIRON)

    def test_hooks_do_not_run(self, tmp_path: Path) -> None:
        """Neither those of a template nor those of the config."""
        hooks = tmp_path / "hooks"
        hooks.mkdir()
        (hooks / "reference-transaction").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        (hooks / "reference-transaction").chmod(0o755)
        home = Path(os.environ["HOME"])
        (home / ".gitconfig").write_text(f"[core]\n\thooksPath = {hooks}\n")
        git("init", "-q", "--bare", tmp_path / "x.git")
        tree = git("mktree", folder=tmp_path / "x.git").text
        env = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b"}
        env |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
        commit = git("commit-tree", "-m", "x", tree, folder=tmp_path / "x.git", env=env).text
        git("update-ref", "refs/heads/main", commit, folder=tmp_path / "x.git")
        assert not (tmp_path / "ran").exists()

    def test_failure_shows_the_command_without_our_options(self, tmp_path: Path) -> None:
        """What a user can type again."""
        with pytest.raises(CommandError, match=r"^`git ls-tree nonsense` failed"):
            git("ls-tree", "nonsense", folder=tmp_path)


def _with_login(hub: ServedHub, repo: str, login: str) -> str:
    return hub.git_url(repo).replace("://", f"://{login}@")


def _all_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
