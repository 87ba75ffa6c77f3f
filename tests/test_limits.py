"""What a repo may bring is limited by its listing, and by what arrives."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import envhub
from envhub.errors import HubError
from envhub.fetch import fetch
from envhub.hubs.git import GitRepo
from envhub.hubs.hfhttp import MAX_ANSWER
from envhub.hubs.huggingface import HuggingFaceHub
from envhub.refs import parse
from envhub.resolve import resolve
from envhub.settings import NO_MORE, Limits, Settings
from envhub.store import Store
from envhub.testing import ServedHub, repos, serve_hub
from envhub.testing.web import Reply, Request, serve

FILES: dict[str, str | bytes | None] = {"env.py": "x = 1\n", "assets/deep/mesh.bin": b"mesh"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedHub]:
    with serve_hub(tmp_path / "hub") as hub:
        hub.add("u/r", FILES, tag="v1")
        yield hub


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


@pytest.mark.parametrize("kind", ["hub", "git"])
@pytest.mark.parametrize("what", ["files", "size", "name", "depth"])
def test_limits(served: ServedHub, store: Store, tmp_path: Path, kind: str, what: str) -> None:
    """A repo that brings too much is refused before anything of it is downloaded."""
    ref = parse("u/r@v1" if kind == "hub" else f"git+{served.git_url('u/r')}@v1")
    hub = HuggingFaceHub(served.url) if kind == "hub" else GitRepo(ref.location, cache=tmp_path)
    pin = resolve(ref, hub, store)
    served.requests.clear()
    small = dataclasses.replace(NO_MORE, **{what: 0})
    with pytest.raises(HubError, match="the limit is 0") as caught:
        fetch(pin, hub, store, limits=small)
    assert f"ENVHUB_MAX_{what.upper()}=" in caught.value.hint
    assert served.requests == []
    source = fetch(pin, hub, store)
    assert fetch(pin, hub, store, limits=small) == source  # what is there is there


def test_listing_without_an_end(served: ServedHub, store: Store) -> None:
    """A hub that lists files for ever is read up to the limit, and no further."""
    served.page = 2
    hub = HuggingFaceHub(served.url, limits=Limits(files=1))
    with pytest.raises(HubError, match="the limit is 1"):
        resolve(parse("u/r@v1"), hub, store)
    assert len([r for r in served.requests if "/tree/" in r.path]) == 2


@pytest.mark.parametrize(
    ("body", "says"),
    [(b"[]", "0 files"), (b"[" + b" " * MAX_ANSWER + b"]", "longer than")],
    ids=["empty", "long"],
)
def test_pages_without_an_end(tmp_path: Path, body: bytes, says: str) -> None:
    """A listing of empty pages ends with the first; a page as long as a disk is not read."""

    def answer(request: Request) -> Reply:
        sha = f'{{"sha": "{"a" * 40}"}}'.encode()
        link = {"Link": f'<{url}{request.path}?cursor=1>; rel="next"'}
        return Reply(200, body, link) if "/tree/" in request.path else Reply(200, sha)

    with serve(answer) as url:
        hub = HuggingFaceHub(url)
        commit = hub.resolve(parse("u/r"))
        if says == "0 files":
            assert hub.files(parse("u/r"), commit) == ()
        else:
            with pytest.raises(HubError) as caught:
                hub.files(parse("u/r"), commit)
            assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "amount"),
    [("5", 5), ("20k", 20_000), ("3M", 3_000_000), (" 2 GB ", 2 * 10**9), ("1T", 10**12)],
)
def test_amounts(text: str, amount: int) -> None:
    """A number may have a letter behind it."""
    found = Settings.from_environ({"ENVHUB_MAX_SIZE": text, "ENVHUB_MAX_FILES": text}).limits
    assert (found.size, found.files) == (amount, amount)
    assert (found.name, found.depth) == (NO_MORE.name, NO_MORE.depth)


@pytest.mark.parametrize("text", ["-1", "1.5G", "many", "1X", "9" * 20])
def test_no_amounts(text: str) -> None:
    """Anything else is an error that names the variable, not a limit that nobody meant."""
    with pytest.raises(ValueError, match=f"ENVHUB_MAX_SIZE={text}"):
        Limits.from_environ({"ENVHUB_MAX_SIZE": text})


@given(st.integers(0, 999), st.sampled_from("kMGT"))
def test_letters_are_thousands(number: int, letter: str) -> None:
    """Each letter is a thousand times the one before, and its case does not matter."""
    power = "kMGT".index(letter) + 1
    for text in (f"{number}{letter}", f"{number}{letter.swapcase()}B"):
        found = Limits.from_environ({"ENVHUB_MAX_SIZE": text})
        assert found.size == number * 1000**power


def test_the_way_out_works(hub: ServedHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable that the error names lets the repo through."""
    hub.add("u/r", {**repos.COUNTER, "a/b/c/d.txt": "deep"})
    monkeypatch.setenv("ENVHUB_MAX_DEPTH", "2")
    with pytest.raises(HubError, match="a file 3 folders deep; the limit is 2") as caught:
        envhub.make_env("u/r", trust_remote_code=True)
    name, _, amount = caught.value.hint.split()[0].partition("=")
    monkeypatch.setenv(name, amount)
    envhub.make_env("u/r", trust_remote_code=True).close()


def test_folders_have_no_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies on this machine already is not downloaded."""
    monkeypatch.setenv("ENVHUB_MAX_FILES", "0")
    folder = repos.write(repos.COUNTER, tmp_path / "mine")
    envhub.make_env(str(folder), trust_remote_code=True).close()
