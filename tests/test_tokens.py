"""A token is sent to the hub that it belongs to, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from envhub.client import Client
from envhub.errors import EnvHubError, HubError, RefError, RefMovedWarning, UntrustedError
from envhub.hubs.base import Hub
from envhub.hubs.huggingface import HuggingFaceHub
from envhub.hubs.registry import hub_for
from envhub.refs import parse
from envhub.settings import Settings
from envhub.testing import repos
from envhub.testing.hub import ServedHub, serve_hub
from envhub.testing.web import Reply, Request, serve

HF_SECRET = "hf_of_hugging_face"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[ServedHub]:
    """A second hub, with a repo of the same name."""
    with serve_hub(tmp_path / "other") as served:
        served.add("user/repo", repos.COUNTER)
        yield served


@pytest.fixture
def settings(hub: ServedHub, tmp_path: Path) -> Settings:
    """`hub` stands for Hugging Face here, and has a repo."""
    hub.add("user/repo", repos.COUNTER)
    return Settings(tmp_path / "home", tmp_path, endpoint=hub.url, hf_endpoint=hub.url)


def use(hub: Hub, text: str, into: Path) -> None:
    """Everything that a hub can do."""
    ref = parse(text)
    commit = hub.resolve(ref)
    hub.download(ref, commit, hub.files(ref, commit), into, lambda _: None)


def tokens(hub: ServedHub) -> set[str | None]:
    return {request.token for request in hub.requests}


@pytest.mark.parametrize("token", [None, False])
def test_no_token_means_none(
    hub: ServedHub, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    token: bool | None,
) -> None:  # fmt: skip
    """`huggingface_hub` would send the stored one to any address; we do not."""
    monkeypatch.setenv("HF_TOKEN", HF_SECRET)
    use(HuggingFaceHub(hub.url, token=token), "user/repo", tmp_path / "out")
    assert tokens(hub) == {None}


def test_stored_token_goes_to_hugging_face_only(
    hub: ServedHub, other: ServedHub, settings: Settings, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    """Another hub does not get it, however its refs are written."""
    monkeypatch.setenv("HF_TOKEN", hub.token)
    use(hub_for(parse("hf://user/repo"), settings), "hf://user/repo", tmp_path / "a")
    assert tokens(hub) == {f"Bearer {hub.token}"}
    elsewhere = replace(settings, endpoint=other.url)
    for n, text in enumerate(("user/repo", f"hub+{other.url}/user/repo")):
        use(hub_for(parse(text), elsewhere), text, tmp_path / f"b{n}")
    use(hub_for(parse("user/repo"), settings, endpoint=other.url), "user/repo", tmp_path / "c")
    assert tokens(other) == {None}


def test_own_token_goes_to_its_endpoint_only(
    hub: ServedHub, other: ServedHub, settings: Settings, tmp_path: Path
) -> None:
    """`ENVHUB_TOKEN` belongs to `ENVHUB_ENDPOINT`."""
    elsewhere = replace(settings, endpoint=other.url, token=other.token)
    use(hub_for(parse("user/repo"), elsewhere), "user/repo", tmp_path / "a")
    use(hub_for(parse("hf://user/repo"), elsewhere), "hf://user/repo", tmp_path / "b")
    assert tokens(other) == {f"Bearer {other.token}"}
    assert tokens(hub) == {None}


def test_hub_without_a_stored_token_is_asked_without(
    hub: ServedHub, settings: Settings, tmp_path: Path
) -> None:
    """Nobody has to log in to read what is public."""
    use(hub_for(parse("hf://user/repo"), settings), "hf://user/repo", tmp_path / "out")
    assert tokens(hub) == {None}


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_to_another_address_loses_the_token(
    hub: ServedHub, other: ServedHub, tmp_path: Path, status: int
) -> None:
    """A hub may send us elsewhere for anything; the other address does not learn the token."""
    seen: list[Request] = []

    def answer(request: Request) -> Reply:
        seen.append(request)
        return Reply(status, headers={"Location": f"{other.url}{request.path}?{request.query}"})

    with serve(answer) as url:
        use(HuggingFaceHub(url, token="hf_first"), "models/user/repo", tmp_path / "out")
    assert {request.token for request in seen} == {"Bearer hf_first"}
    assert len(seen) == 3
    assert tokens(other) == {None}


def test_lfs_file_from_a_storage_at_another_address(hub: ServedHub, tmp_path: Path) -> None:
    """As Hugging Face's own storage: a redirect to it, where no token arrives."""
    seen: list[Request] = []
    big = bytes(range(256)) * 50

    def storage(request: Request) -> Reply:
        seen.append(request)
        return Reply(200, big)

    hub.lfs_over = 1000
    hub.add("user/big", {"mesh.bin": big}, private=True)
    with serve(storage) as url:
        hub.cdn = url
        use(HuggingFaceHub(hub.url, token=hub.token), "user/big", tmp_path / "out")
    assert (tmp_path / "out/mesh.bin").read_bytes() == big
    assert [request.token for request in seen] == [None]


def test_endless_redirect_ends(tmp_path: Path) -> None:
    """As an error of the hub."""

    def answer(request: Request) -> Reply:
        return Reply(302, headers={"Location": request.path})

    with serve(answer) as url, pytest.raises(HubError, match="TooManyRedirects"):
        HuggingFaceHub(url, token="hf_first").resolve(parse("user/repo"))


def test_git_gets_no_token_of_a_hub(
    hub: ServedHub, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not even from the same address: git has its own ways to log in."""
    monkeypatch.setenv("HF_TOKEN", HF_SECRET)
    text = f"git+{hub.git_url('user/repo')}"
    use(hub_for(parse(text), settings, token="hf_given"), text, tmp_path / "out")
    assert tokens(hub) == {None}


def test_password_of_a_git_url_goes_to_its_host_only(
    hub: ServedHub, other: ServedHub, tmp_path: Path, settings: Settings
) -> None:
    """A redirect to another host does not take it along."""
    other.add("user/secret", repos.COUNTER, private=True)

    def answer(request: Request) -> Reply:
        where = f"{other.url}{request.path}?{request.query}"
        return Reply(302, headers={"Location": where})

    with serve(answer) as url:
        text = f"git+{url}/user/secret".replace("://", f"://me:{other.token}@")
        with pytest.raises(EnvHubError):
            hub_for(parse(text), settings).resolve(parse(text))
    assert tokens(other) == {None}


def test_no_error_says_a_token(hub: ServedHub, settings: Settings, tmp_path: Path) -> None:
    """Neither its words nor its `repr`, nor what caused it."""
    hub.add("user/gated", repos.COUNTER, gated=True)
    cases = ["user/gated", "user/none", "user/repo@none", f"git+{hub.url}/user/none"]
    for n, case in enumerate(cases):
        text = case.replace("://", f"://me:{hub.stranger}@")
        found = hub_for(parse(text), settings, token=hub.stranger)
        with pytest.raises(EnvHubError) as caught:
            use(found, text, tmp_path / str(n))
        error: BaseException | None = caught.value
        while error:
            assert hub.stranger not in f"{error!r} {error}"
            error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    ("text", "shown", "login"),
    [
        ("git+https://me:secret@h/u/r@v1:a.py", "git+https://h/u/r@v1:a.py", "me:secret"),
        ("git+https://secret@h:1/u/r", "git+https://h:1/u/r", "secret"),
        ("git+http://me:s@secret@h/u/r@v1", "git+http://h/u/r@v1", "me:s@secret"),
        ("https://me:secret@github.com/u/r", "git+https://github.com/u/r", "me:secret"),
        ("git+ssh://git:secret@h/u/r", "git+ssh://git@h/u/r", "git:secret"),
        ("git+ssh://git@h/u/r", "git+ssh://git@h/u/r", ""),
        ("git+https://h/u/r@feature/x", "git+https://h/u/r@feature/x", ""),
    ],
)
def test_ref_keeps_its_login_to_itself(text: str, shown: str, login: str) -> None:
    """It is used, and neither written, compared nor shown."""
    ref = parse(text)
    assert (shown, login) == (str(ref), ref.login)
    assert ref == parse(shown)
    assert "secret" not in f"{ref!r} {ref.at('v2')}"
    assert ref.at("v2").login == login


@pytest.mark.parametrize(
    "text",
    [
        "git+https://me:secret@h/u/r@",
        "git+https://me:secret@h/u/r:../x",
        "git+https://me:secret@",
        "hub+https://me:secret@h/u/r",
        "https://me:secret@huggingface.co/u/r",
        "https://me:secret@h/u/r/tree/",
        " git+https://me:secret@h/u/r",
    ],
)
def test_wrong_ref_with_a_login_is_refused_without_showing_it(text: str) -> None:
    """It is cut off before anything else is looked at."""
    with pytest.raises(RefError) as caught:
        parse(text)
    assert "secret" not in str(caught.value)


def test_nothing_that_a_load_leaves_behind_has_the_login(
    hub: ServedHub, envhub_home: Path, tmp_path: Path
) -> None:
    """Pin, lock file, policy, history, cache and warnings; and the refusal shows a line to copy."""
    hub.lfs_over = 2000
    hub.add("user/secret", {**repos.COUNTER, "mesh.bin": b"0" * 3000}, private=True)
    text = f"git+{hub.git_url('user/secret')}".replace("://", f"://me:{hub.token}@")
    client = Client(lock=tmp_path / "envhub.lock")
    with pytest.raises(UntrustedError) as caught:
        client.prepare(text)
    pin = client.resolve(text)
    client.grant(text)
    lock = client.lock([text])
    client.make_env(text).close()
    hub.add("user/secret", {"more.txt": "1"})
    with pytest.warns(RefMovedWarning) as moved:
        Client(lock=False).make_env(text, trust_remote_code=True).close()
    said = f"{caught.value} {pin!r} {pin.pinned_ref} {lock!r} {lock.dumps()} {moved[0].message}"
    assert hub.token not in said
    written = [path for path in envhub_home.parent.rglob("*") if path.is_file()]
    assert written
    assert not [path for path in written if hub.token.encode() in path.read_bytes()]
