"""`HuggingFaceHub` against the served hub: what it resolves, lists, downloads, and says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from envhub import proc
from envhub.errors import (
    GatedRepoError,
    HubError,
    HubUnreachableError,
    OfflineError,
    RepoNotFoundError,
    RevisionNotFoundError,
)
from envhub.hubs.base import Commit
from envhub.hubs.huggingface import HuggingFaceHub
from envhub.pins import File, blob_id
from envhub.refs import parse
from envhub.testing import repos
from envhub.testing.hub import ServedHub, serve_hub
from envhub.testing.web import Answer, Reply, Request, serve


def client(hub: ServedHub, token: str | bool | None = None, timeout: float = 5) -> HuggingFaceHub:
    return HuggingFaceHub(hub.url, token=token, timeout=timeout)


def load(hub: HuggingFaceHub, text: str, into: Path) -> list[int]:
    """Resolve, list and download; returns what the progress callback was told."""
    ref = parse(text)
    commit = hub.resolve(ref)
    told: list[int] = []
    hub.download(ref, commit, hub.files(ref, commit), into, told.append)
    return told


def plain(body: bytes) -> Answer:
    """A server that says the same to everything and knows no ranges."""
    return lambda _: Reply(200, body, ranges=False)


def paths(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def commit(hub: ServedHub) -> str:
    """`user/repo` with two commits; the second is tagged v1.0 and on main."""
    hub.add("user/repo", {"env.py": "old = 1\n"})
    return hub.add("user/repo", {"env.py": "x = 1\n", "a b/ü#?.txt": "odd\n"}, tag="v1.0")


class TestResolve:
    @pytest.mark.parametrize(
        "revision", ["", "@main", "@v1.0", "@refs/heads/main", "@refs/tags/v1.0"]
    )
    def test_one_request_turns_a_name_into_the_full_commit(
        self, hub: ServedHub, commit: str, revision: str
    ) -> None:
        """Default branch, branch, tag and full ref each cost one request."""
        expected = Commit(hub.url, "user/repo", "model", commit)
        assert expected == client(hub).resolve(parse(f"user/repo{revision}"))
        assert len(hub.requests) == 1

    @pytest.mark.parametrize("branch", ["feature/x", "refs/pr/1", "v1.0-rc"])
    def test_slashes_in_a_revision_are_legal(
        self, hub: ServedHub, commit: str, branch: str
    ) -> None:
        """A branch with a slash and a pull request's ref resolve."""
        other = hub.add("user/repo", {"b.py": ""}, branch=branch)
        assert other == client(hub).resolve(parse(f"user/repo@{branch}")).id
        assert commit != other

    def test_full_commit_resolves_to_itself(self, hub: ServedHub, commit: str) -> None:
        """A full commit costs one request, which says that it exists."""
        assert commit == client(hub).resolve(parse(f"user/repo@{commit}")).id
        assert len(hub.requests) == 1

    @pytest.mark.parametrize("digits", [7, 12, 39])
    def test_abbreviated_commit_becomes_the_full_one(
        self, hub: ServedHub, commit: str, digits: int
    ) -> None:
        """As the public page's `@abc123def456` shows it; also for a commit below the tip."""
        hub.add("user/repo", {"env.py": "newer = 1\n"})
        assert commit == client(hub).resolve(parse(f"user/repo@{commit[:digits]}")).id

    def test_abbreviated_commit_on_a_side_branch_is_found(
        self, hub: ServedHub, commit: str
    ) -> None:
        """The history of every branch is searched, page by page."""
        side = hub.add("user/repo", {"env.py": "side\n"}, branch="side")
        for n in range(4):
            hub.add("user/repo", {"env.py": f"{n}\n"}, branch="side")
        hub.page = 2
        assert side == client(hub).resolve(parse(f"user/repo@{side[:10]}")).id

    def test_branch_named_like_an_abbreviated_commit_does_not_win(
        self, hub: ServedHub, commit: str
    ) -> None:
        """Whoever can push a branch cannot redirect an abbreviated commit that others use."""
        evil = hub.add("user/repo", {"env.py": "evil\n"}, branch=commit[:10])
        assert commit == client(hub).resolve(parse(f"user/repo@{commit[:10]}")).id
        assert evil != commit

    def test_tag_that_merely_looks_like_a_commit_is_a_tag(
        self, hub: ServedHub, commit: str
    ) -> None:
        """A date is made of hexadecimal digits too."""
        dated = hub.add("user/repo", {"env.py": "dated\n"}, tag="20261122")
        assert dated == client(hub).resolve(parse("user/repo@20261122")).id

    def test_unknown_abbreviated_commit_is_refused(self, hub: ServedHub, commit: str) -> None:
        """It is not taken for anything else, and the reason is told."""
        with pytest.raises(RevisionNotFoundError, match="begins like that"):
            client(hub).resolve(parse("user/repo@abcdef1234"))

    def test_ambiguous_abbreviation_lists_the_commits(self) -> None:
        """Several commits that begin alike are all named, none is chosen."""
        ids = ["abcdef1" + "0" * 33, "abcdef1" + "1" * 33]
        branch = b'{"branches": [{"name": "main", "targetCommit": "%s"}], "tags": []}'
        log = b'[{"id": "%s"}, {"id": "%s"}]' % (ids[0].encode(), ids[1].encode())

        def answer(request: Request) -> Reply:
            return Reply(200, branch % b"f" if request.path.endswith("/refs") else log)

        with serve(answer) as url, pytest.raises(RevisionNotFoundError, match="several") as caught:
            HuggingFaceHub(url).resolve(parse("models/user/repo@abcdef1"))
        assert all(commit in caught.value.hint for commit in ids)

    def test_search_of_an_endless_history_ends(
        self, hub: ServedHub, commit: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After the newest commits an abbreviated one is refused."""
        hub.add("user/repo", {"env.py": "newer\n"}, branch="main")
        old = client(hub)._history(Commit("", "user/repo", "model", None), parse("user/repo"))
        assert len(list(old)) > 3
        monkeypatch.setattr("envhub.hubs.huggingface._MAX_HISTORY", 1)
        with pytest.raises(RevisionNotFoundError, match="begins like that"):
            client(hub).resolve(parse(f"user/repo@{hub.add('user/x', {'a': ''})[:12]}"))

    @pytest.mark.parametrize(
        ("typed", "near"), [("v1.1", "v1.0"), ("mian", "main"), ("xyz", "main")]
    )
    def test_wrong_revision_lists_near_names(
        self, hub: ServedHub, commit: str, typed: str, near: str
    ) -> None:
        """Branches and tags that are similar, or else what there is, are in the hint."""
        with pytest.raises(RevisionNotFoundError, match=f"no revision '{typed}'") as caught:
            client(hub).resolve(parse(f"user/repo@{typed}"))
        assert near in caught.value.hint

    @pytest.mark.parametrize("repo_type", ["model", "space", "dataset"])
    def test_types_are_tried_until_one_has_the_repo(self, hub: ServedHub, repo_type: str) -> None:
        """Model, then space, then dataset; the type is recorded."""
        expected = hub.add("user/thing", repos.COUNTER, repo_type=repo_type)
        found = client(hub).resolve(parse("user/thing"))
        assert (expected, repo_type) == (found.id, found.repo_type)

    def test_typed_type_is_the_only_one_asked(self, hub: ServedHub) -> None:
        """`spaces/owner/name` is never answered by the model of that name."""
        hub.add("user/both", repos.COUNTER)
        space = hub.add("user/both", repos.SINGLE, repo_type="space")
        assert space == client(hub).resolve(parse("spaces/user/both")).id
        with pytest.raises(RepoNotFoundError):
            client(hub).resolve(parse("datasets/user/both"))

    def test_only_not_found_moves_on_to_the_next_type(self, hub: ServedHub, commit: str) -> None:
        """A hub in trouble, or a wrong revision, is not answered by another repo of that name."""
        hub.add("user/repo", repos.COUNTER, repo_type="space", tag="v7")
        with pytest.raises(RevisionNotFoundError):
            client(hub).resolve(parse("user/repo@v7"))
        hub.fail(500, on="/api/models/")
        with pytest.raises(HubUnreachableError):
            client(hub).resolve(parse("user/repo"))

    def test_other_commit_than_asked_for_is_refused(self, tmp_path: Path) -> None:
        """A hub that answers a full commit with another one is not believed."""
        asked = "a" * 40
        for answer in ("b" * 40, "main", asked[:12]):
            body = b'{"sha": "%s"}' % answer.encode()
            with serve(plain(body)) as url, pytest.raises(HubError, match="when asked for"):
                HuggingFaceHub(url).resolve(parse(f"user/repo@{asked}"))


class TestFiles:
    def test_listing_is_what_git_hashes(self, hub: ServedHub) -> None:
        """Regular files carry git's blob id, LFS files the SHA-256 and size of their bytes."""
        hub.lfs_over = 100
        hub.add("user/repo", {"env.py": "x = 1\n", "data/big.bin": b"\0" * 1000})
        ref, client_ = parse("user/repo"), client(hub)
        files = client_.files(ref, client_.resolve(ref))
        zeros = "541b3e9daa09b20bf85fa273e5cbd3e80185aa4ec298e765db87742b70138a53"
        expected = {
            File("env.py", blob_id(b"x = 1\n"), 6),
            File("data/big.bin", f"sha256:{zeros}", 1000),
        }
        assert expected == set(files)

    def test_long_listing_comes_page_by_page(self, hub: ServedHub) -> None:
        """Every page's link is followed, to the same hub."""
        hub.add("user/repo", repos.big(50, 8))
        hub.page = 7
        ref, client_ = parse("user/repo"), client(hub)
        files = client_.files(ref, client_.resolve(ref))
        assert set(repos.big(50, 8)) == {file.path for file in files}

    def test_link_to_the_next_page_cannot_lead_away(self, hub: ServedHub, tmp_path: Path) -> None:
        """Only the query of the link is used: the token stays with the hub that it is for."""
        hub.add("user/repo", repos.big(5, 8))
        hub.page = 2
        real = hub.url
        with serve_hub(tmp_path / "other") as other:
            ref, client_ = parse("user/repo"), client(hub, token=hub.token)
            commit = client_.resolve(ref)
            hub.url = other.url  # from now on its links point there
            assert len(client_.files(ref, commit)) == 6
            assert (real, []) == (client_.address, other.requests)


class TestTrouble:
    def test_gated_repo_names_the_page_to_visit(self, hub: ServedHub, tmp_path: Path) -> None:
        """Without access, with a stranger's token too; with access it loads."""
        hub.add("user/gated", repos.COUNTER, gated=True)
        for token in (None, hub.stranger):
            with pytest.raises(GatedRepoError) as caught:
                load(client(hub, token), "user/gated", tmp_path / "no")
            assert f"{hub.url}/user/gated" in caught.value.hint
        load(client(hub, hub.token), "user/gated", tmp_path / "yes")
        assert {"env.py"} == paths(tmp_path / "yes")

    def test_private_repo_looks_like_none(self, hub: ServedHub) -> None:
        """The message says so, and how to give a token; with it the repo resolves."""
        commit = hub.add("user/secret", repos.COUNTER, private=True)
        for token in (None, False, hub.stranger):
            with pytest.raises(RepoNotFoundError, match="private repo looks the same") as caught:
                client(hub, token).resolve(parse("user/secret"))
            assert "HF_TOKEN" in caught.value.hint
        assert commit == client(hub, hub.token).resolve(parse("user/secret")).id

    def test_token_that_nobody_issued_is_said_to_be_refused(self, hub: ServedHub) -> None:
        """It is not taken for a missing repo."""
        hub.add("user/repo", repos.COUNTER)
        with pytest.raises(HubError, match="status 401") as caught:
            client(hub, "hf_wrong").resolve(parse("user/repo"))
        assert not isinstance(caught.value, HubUnreachableError)
        assert "token" in caught.value.hint

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_server_in_trouble_counts_as_unreachable(self, hub: ServedHub, status: int) -> None:
        """So that what the cache has is used instead; it is not asked again and again."""
        hub.add("user/repo", repos.COUNTER)
        hub.fail(status)
        with pytest.raises(HubUnreachableError, match=str(status)):
            client(hub).resolve(parse("user/repo"))
        assert len(hub.requests) == 1

    def test_nobody_listening(self) -> None:
        """The address is in the message, and in the hub's `repr`."""
        assert "http://127.0.0.1:9" in repr(HuggingFaceHub("http://127.0.0.1:9/"))
        with pytest.raises(HubUnreachableError, match=r"http://127\.0\.0\.1:9"):
            HuggingFaceHub("http://127.0.0.1:9").resolve(parse("user/repo"))

    def test_silent_server_is_given_up_after_the_timeout(self, hub: ServedHub) -> None:
        """`timeout` holds for every request, the listing included."""
        hub.add("user/repo", repos.COUNTER)
        ref, client_ = parse("user/repo"), client(hub, timeout=0.2)
        commit = client_.resolve(ref)
        hub.hold()
        for ask in (lambda: client_.resolve(ref), lambda: client_.files(ref, commit)):
            with pytest.raises(HubUnreachableError, match="ReadTimeout"):
                ask()
        hub.release()

    def test_silent_server_during_a_download(self, hub: ServedHub, tmp_path: Path) -> None:
        """The same."""
        hub.add("user/repo", repos.COUNTER)
        ref, client_ = parse("user/repo"), client(hub, timeout=0.2)
        commit = client_.resolve(ref)
        files = client_.files(ref, commit)
        hub.hold()
        with pytest.raises(HubUnreachableError, match="ReadTimeout"):
            client_.download(ref, commit, files, tmp_path, lambda _: None)
        hub.release()

    @pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"sha": 1}', b"\xff", b""])
    def test_answer_that_is_none(self, body: bytes) -> None:
        """A page that is no hub is told apart from a repo that is missing."""
        with serve(plain(body)) as url, pytest.raises(HubError, match="none"):
            HuggingFaceHub(url).resolve(parse("user/repo"))

    def test_offline_switch_of_huggingface_hub_opens_no_socket(
        self, hub: ServedHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`HF_HUB_OFFLINE=1` is an error of its own."""
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(OfflineError):
            client(hub).resolve(parse("user/repo"))
        assert hub.requests == []

    def test_slow_down_is_obeyed(self, hub: ServedHub, monkeypatch: pytest.MonkeyPatch) -> None:
        """A 429 is asked again after a pause, here cut short."""
        hub.add("user/repo", repos.COUNTER)
        hub.fail(429)
        pauses: list[float] = []

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            hub.fail(None)

        monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", pause)
        assert client(hub).resolve(parse("user/repo")).id
        assert len(pauses) == 1


def test_httpx2_is_imported_by_nothing_but_a_request() -> None:
    """A load from the cache does not pay for it: the class alone does not import it."""
    code = "import sys, envhub.hubs.huggingface; sys.exit('httpx2' in sys.modules)"
    assert proc.run([sys.executable, "-c", code]).returncode == 0
