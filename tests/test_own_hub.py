"""The embedded hub: what `envhub serve` serves, as a fixture, and the same to a test as `hub`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

import envhub
from envhub.errors import MissingExtraError
from envhub.server.config import Config
from envhub.settings import Settings
from envhub.testing import OwnHub, ServedHub, own_hub, repos, serve_hub
from envhub.testing.own import careless


@pytest.fixture(params=["hub", "envhub_hub"])
def any_hub(request: pytest.FixtureRequest) -> Any:
    """The hub in a folder, and envhub's own."""
    return request.getfixturevalue(request.param)


def test_owner_name_means_it(any_hub: ServedHub | OwnHub) -> None:
    """For settings read during the test."""
    settings = Settings.from_environ()
    assert any_hub.url == settings.endpoint == settings.hf_endpoint


def test_a_release_is_loaded(any_hub: ServedHub | OwnHub) -> None:
    """What `add` returns is the commit that the tag leads to, also after `main` moved on."""
    released = any_hub.add("me/counter", repos.COUNTER, tag="v1.0")
    moved = any_hub.add("me/counter", {"env.py": "raise SystemExit"})
    with envhub.make_env("me/counter@v1.0", n_envs=2, trust_remote_code=True) as envs:
        assert envs.pin.commit == released != moved
        assert envs.only.reset(seed=3)[0].tolist() == [[0, 3], [0, 4]]


def test_files(any_hub: ServedHub | OwnHub, tmp_path: Path) -> None:
    """A folder, a branch, a deleted file, a large one: as the unmodified client sees them."""
    folder = repos.write(repos.COUNTER, tmp_path / "env")
    api = HfApi(endpoint=any_hub.url, token=False)
    any_hub.add("me/env", folder)
    any_hub.add("me/env", {"env.py": None, "big.bin": b"0" * 20_000_000}, branch="other")
    assert "env.py" in api.list_repo_files("me/env")
    big = next(
        file for file in api.list_repo_tree("me/env", revision="other") if file.path == "big.bin"
    )
    assert getattr(big, "lfs", None) is not None
    assert "env.py" not in api.list_repo_files("me/env", revision="other")


def test_who_may_see(any_hub: ServedHub | OwnHub) -> None:
    """A private repo is hidden, and a gated one closed, to whoever has no token for it."""
    any_hub.add("you/secret", repos.COUNTER, private=True)
    any_hub.add("you/closed", repos.COUNTER, gated=True)
    nobody = HfApi(endpoint=any_hub.url, token=False)
    with pytest.raises(RepositoryNotFoundError):
        nobody.model_info("you/secret")
    with pytest.raises(GatedRepoError):
        nobody.auth_check("you/closed")
    owner = HfApi(endpoint=any_hub.url, token=any_hub.token)
    assert owner.model_info("you/secret").private
    owner.auth_check("you/closed")
    any_hub.add("you/secret", {"README.md": "now for all"}, private=False)
    assert not nobody.model_info("you/secret").private


def test_what_a_folder_has_besides(envhub_hub: OwnHub, tmp_path: Path) -> None:
    """Bytecode and git's own files are not published."""
    folder = repos.write(
        {**repos.COUNTER, "__pycache__/env.pyc": "", ".git/HEAD": ""}, tmp_path / "env"
    )
    envhub_hub.add("me/env", folder)
    api = HfApi(endpoint=envhub_hub.url, token=False)
    assert api.list_repo_files("me/env") == [".gitattributes", "env.py"]


@pytest.mark.parametrize("kind", ["model", "space", "dataset"])
def test_kinds(any_hub: ServedHub | OwnHub, kind: str) -> None:
    """Models, spaces and datasets."""
    commit = any_hub.add("me/thing", repos.COUNTER, repo_type=kind)
    api = HfApi(endpoint=any_hub.url, token=False)
    assert api.repo_info("me/thing", repo_type=kind).sha == commit


def test_publishing(envhub_hub: OwnHub, tmp_path: Path) -> None:
    """The unmodified client publishes to it; a user who may only read cannot."""
    folder = repos.write(repos.COUNTER, tmp_path / "env")
    api = HfApi(endpoint=envhub_hub.url, token=envhub_hub.token)
    api.create_repo("you/counter")
    commit = api.upload_folder(repo_id="you/counter", folder_path=folder).oid
    with envhub.make_env("you/counter", trust_remote_code=True) as envs:
        assert envs.pin.commit == commit
    assert HfApi(endpoint=envhub_hub.url).whoami(envhub_hub.token_of("bob"))["name"] == "bob"
    reader = HfApi(endpoint=envhub_hub.url, token=envhub_hub.token_of("you", "read"))
    with pytest.raises(Exception, match="403"):
        reader.create_tag("you/counter", tag="v1")


def test_without_pytest(tmp_path: Path) -> None:
    """It is a context manager, and what was published is there when it is served again."""
    with own_hub(tmp_path / "hub", careless()) as first:
        commit = first.add("me/counter", repos.COUNTER)
    with own_hub(tmp_path / "hub", Config(durable=False)) as second, serve_hub(tmp_path / "a"):
        pin = envhub.Client(endpoint=second.url).resolve("me/counter")
        assert (pin.commit, pin.hub) == (commit, second.url)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not installed what a hub needs is told the line that does."""
    for name in [*sys.modules]:
        if name.startswith(("envhub.server", "envhub.testing.own")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pygit2", None)
    with pytest.raises(MissingExtraError) as caught:
        envhub.testing.own_hub  # noqa: B018 - looking it up imports it
    assert caught.value.hint == 'pip install "gym-envhub[hub]"'
