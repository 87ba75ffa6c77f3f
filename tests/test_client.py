"""The main path through the client: what each ref gives, over a hub on loopback."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import envhub
from envhub.client import Client
from envhub.errors import (
    ArgumentTypeError,
    ContractError,
    EntryNotFoundError,
    GatedRepoError,
    HubUnreachableError,
    LockError,
    LockMismatchError,
    OfflineError,
    RefError,
    RefMovedWarning,
    RepoNotFoundError,
    RevisionNotFoundError,
    UntrustedError,
)
from envhub.inspection import diff
from envhub.lockfile import Lock
from envhub.testing import ServedHub, repos
from envhub.trustfile import Grant, Policy, Rules


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of the test's own, so that no lock file of ours is found."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


pytestmark = pytest.mark.usefixtures("here")

NESTED = {
    **repos.CARTPOLE,
    "envs/pick.py": repos.CARTPOLE["env.py"],
    "envs/a@b.py": repos.CARTPOLE["env.py"],
    "envs/x/env.py": repos.CARTPOLE["env.py"],
    "env.txt": "no python",
}


def load(ref: str, n_envs: int = 1, **more: Any) -> envhub.EnvDict:
    """`envhub.make_env` with consent."""
    return envhub.make_env(ref, n_envs, trust_remote_code=True, **more)


@pytest.mark.parametrize(
    "form",
    [
        "u/r",
        "u/r@v1.0",
        "u/r@main",
        "u/r@feature/x",
        "u/r@{sha}",
        "u/r@{short}",
        "u/r:envs/pick.py",
        "u/r:envs/a@b.py",
        "u/r:envs/x",
        "u/r@v1.0:envs/pick.py",
        "hf://u/r@v1.0",
        "hf://u/r@v1.0/envs/pick.py",
        "{url}/u/r",
        "{url}/u/r/tree/v1.0",
        "{url}/u/r/blob/main/envs/pick.py",
        "hub+{url}/u/r@v1.0:envs/pick.py",
        "git+{git}@v1.0:envs/pick.py",
    ],
)
def test_every_form_of_ref_gives_stepping_envs(hub: ServedHub, form: str) -> None:
    """A1, A2, A8, A10, B4: all documented forms load, and the pin has the full commit."""
    sha = hub.add("u/r", NESTED, tag="v1.0")
    hub.add("u/r", {}, branch="feature/x", message="branch")
    ref = form.format(sha=sha, short=sha[:8], url=hub.url, git=hub.git_url("u/r"))
    with load(ref, 2) as envs:
        env = envs.only
        observation, _ = env.reset(seed=0)
        assert observation.shape == (2, 4)
        assert len(env.step(env.action_space.sample())[1]) == 2
    assert envs.pin.commit is not None
    assert len(envs.pin.commit) == 40
    assert "feature" in form or envs.pin.commit == sha


@pytest.mark.parametrize(
    "where", ["./repo", "{tmp}/repo", "file://{tmp}/repo", "./repo/envs/pick.py"]
)
def test_a_folder_is_a_repo(here: Path, where: str) -> None:
    """A3: folders load as they are, and their pins say that they may change."""
    repos.write(NESTED, here / "repo")
    with load(where.format(tmp=here)) as envs:
        assert envs.only.reset(seed=0)[0].shape == (1, 4)
    assert envs.pin.dirty


ERRORS = {
    "u/r@": RefError,
    "u/r:": RefError,
    "": RefError,
    "u/r:../../x.py": RefError,
    "u/r:/etc/x.py": RefError,
    "u/none": RepoNotFoundError,
    "u/r@v9": RevisionNotFoundError,
    "u/r@0123abc": RevisionNotFoundError,
    "u/r:evn.py": EntryNotFoundError,
    "u/r:env.txt": EntryNotFoundError,
    "u/r:envs": EntryNotFoundError,
    "u/private": RepoNotFoundError,
    "u/gated": GatedRepoError,
    "./nowhere": RepoNotFoundError,
}


@pytest.mark.parametrize(("ref", "error"), ERRORS.items(), ids=[repr(ref) for ref in ERRORS])
def test_bad_refs_get_an_error_of_their_own(
    hub: ServedHub, ref: str, error: type[envhub.EnvHubError]
) -> None:
    """A4–A7, A10, C7: each kind of wrong ref has its error, with a hint."""
    hub.add("u/r", NESTED)
    hub.add("u/private", NESTED, private=True)
    hub.add("u/gated", NESTED, gated=True)
    with pytest.raises(error) as caught:
        load(ref)
    assert caught.value.hint


def test_a_wrong_path_costs_no_download(hub: ServedHub) -> None:
    """C7: the answer comes from the listing and names what is near."""
    hub.add("u/big", {**NESTED, **repos.big(50)})
    with pytest.raises(EntryNotFoundError, match=r"env\.py"):
        load("u/big:envv.py")
    assert not [request for request in hub.requests if "/resolve/" in request.path]


def test_spaces_and_datasets_are_found(hub: ServedHub) -> None:
    """A9: model, then space, then dataset; the type is on the pin."""
    hub.add("u/space", NESTED, repo_type="space")
    hub.add("u/data", NESTED, repo_type="dataset")
    assert Client().resolve("u/space").repo_type == "space"
    assert Client().resolve("u/data").repo_type == "dataset"
    assert Client().resolve("spaces/u/space").repo_type == "space"


@pytest.mark.parametrize("consent", [False, None, "False", "True", 1], ids=repr)
def test_without_consent_nothing_runs(hub: ServedHub, tmp_path: Path, consent: object) -> None:
    """B1: no consent, or one that is no bool, and the repo is neither run nor downloaded."""
    canary = tmp_path / "canary"
    hub.add("u/r", repos.canary(canary))
    error = UntrustedError if consent is False else ArgumentTypeError
    with pytest.raises(error):
        envhub.make_env("u/r", trust_remote_code=consent)  # type: ignore[arg-type] # the wrong type is the test
    assert not canary.exists()
    assert not [request for request in hub.requests if "/resolve/" in request.path]


def test_with_consent_it_runs(hub: ServedHub, tmp_path: Path) -> None:
    """The control of the test above: the canary is real."""
    canary = tmp_path / "canary"
    hub.add("u/r", repos.canary(canary))
    load("u/r").close()
    assert canary.exists()


def test_a_moved_ref_is_announced_with_what_changed(hub: ServedHub) -> None:
    """B2: a branch that moved since it last ran warns, with a diff of code and requirements."""
    hub.add("u/r", {**NESTED, "requirements.txt": "numpy>1\n"})
    load("u/r").close()
    hub.add("u/r", {"helper.py": "x = 1\n", "requirements.txt": "numpy>2\nevil\n"})
    with pytest.warns(RefMovedWarning) as caught:
        load("u/r").close()
    text = str(caught[0].message)
    for part in ("added helper.py", "+ evil", "- numpy>1", "u/r@"):
        assert part in text
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load("u/r").close()


def test_what_is_pinned_does_not_move(hub: ServedHub) -> None:
    """B2: a full commit is never announced, whatever happens to the branch."""
    sha = hub.add("u/r", NESTED)
    load(f"u/r@{sha}").close()
    hub.add("u/r", {"helper.py": "x = 1\n"})
    load(f"u/r@{sha}").close()


def test_a_move_can_be_refused(hub: ServedHub) -> None:
    """With `moved = "refuse"`, new code needs a new grant."""
    hub.add("u/r", NESTED)
    load("u/r").close()
    hub.add("u/r", {"helper.py": "x = 1\n"})
    client = Client()
    Policy(rules=Rules(moved="refuse")).write(client.policy_path)
    with pytest.raises(UntrustedError, match="moved"):
        load("u/r")


def test_a_grant_is_enough_and_a_library_cannot_give_one(hub: ServedHub) -> None:
    """B5: the policy file decides, also over a `True` that some library passes."""
    hub.add("u/r", NESTED)
    client = Client()
    pin = client.resolve("u/r")
    Policy(rules=Rules(boolean=False)).write(client.policy_path)
    with pytest.raises(UntrustedError, match="does not take"):
        load("u/r")
    client.grant("u/r")
    envhub.make_env("u/r").close()
    assert client.policy.grants == (Grant(hub.url, "u/r", pin.commit or ""),)


def test_everything_about_the_hub_can_be_said(hub: ServedHub, tmp_path: Path) -> None:
    """C10: endpoint, token, cache, type, timeout and offline are arguments."""
    hub.add("lab/secret", NESTED, private=True)
    with pytest.raises(RepoNotFoundError):
        load("lab/secret", endpoint=hub.url)
    cache = tmp_path / "cache"
    more: dict[str, Any] = {"endpoint": hub.url, "token": hub.token, "cache": cache, "timeout": 5.0}
    load("models/lab/secret", **more).close()
    assert (cache / "sources").is_dir()
    load("models/lab/secret", **more, offline=True).close()


def test_what_is_cached_loads_while_the_hub_is_down(hub: ServedHub) -> None:
    """C+: a hub that answers 503 does not stop what the cache has."""
    hub.add("u/r", NESTED)
    load("u/r").close()
    hub.fail(503)
    load("u/r").close()
    with pytest.raises(HubUnreachableError):
        load("u/other")


def test_offline_needs_a_filled_cache(hub: ServedHub) -> None:
    """Offline, what is cached loads without a request and what is not says how to fill it."""
    hub.add("u/r", NESTED)
    with pytest.raises(OfflineError) as caught:
        load("u/r", offline=True)
    assert caught.value.hint
    load("u/r").close()
    seen = len(hub.requests)
    load("u/r", offline=True).close()
    assert len(hub.requests) == seen


def test_the_lock_decides_and_keeps_deciding(hub: ServedHub, here: Path) -> None:
    """A locked branch stays where it was locked, until it is locked anew."""
    first = hub.add("u/r", NESTED)
    Client().lock(["u/r"])
    second = hub.add("u/r", {"helper.py": "x = 1\n"})
    with load("u/r") as envs:
        assert envs.pin.commit == first
    assert Client(lock=False).resolve("u/r").commit == second
    assert Client().lock(["u/r"]).pins[0].commit == second
    assert (here / "envhub.lock").is_file()


def test_a_lock_that_disagrees_is_explained(hub: ServedHub, here: Path) -> None:
    """A digest that differs from the hub's stops the load and says which field differs."""
    hub.add("u/r", NESTED)
    Client().lock(["u/r"])
    path = here / "envhub.lock"
    digest = Lock.read(path).pins[0].digest
    path.write_text(path.read_text().replace(digest, "sha256:" + "0" * 64))
    with pytest.raises(LockMismatchError, match="digest") as caught:
        load("u/r")
    assert "envhub lock u/r" in caught.value.hint


def test_a_mirror_may_answer_for_the_hub_that_was_locked(hub: ServedHub, here: Path) -> None:
    """A lock made at another address of the same repo holds: the digest decides."""
    hub.add("u/r", NESTED)
    Client().lock(["u/r"])
    path = here / "envhub.lock"
    path.write_text(path.read_text().replace(hub.url, "https://hub.example"))
    assert Client().resolve("u/r").hub == hub.url


def test_an_edited_folder_no_longer_matches_its_lock(here: Path) -> None:
    """A folder is locked by its files."""
    repos.write(NESTED, here / "repo")
    Client().lock(["./repo"])
    load("./repo").close()
    (here / "repo" / "helper.py").write_text("x = 1\n")
    with pytest.raises(LockMismatchError, match="digest"):
        load("./repo")


def test_a_locked_client_takes_nothing_else(hub: ServedHub) -> None:
    """`locked=True` refuses refs that the lock file lacks."""
    hub.add("u/r", NESTED)
    with pytest.raises(LockError, match="envhub lock u/r"):
        Client(locked=True).resolve("u/r")


def test_sync_fills_the_cache(hub: ServedHub) -> None:
    """After `sync`, everything locked loads offline."""
    hub.add("u/r", NESTED, tag="v1")
    hub.add("u/s", repos.RELATIVE_IMPORT)
    Client().lock(["u/r@v1", "u/s"])
    assert len(Client().sync()) == 2
    hub.fail(503)
    load("u/s", offline=True).close()


def test_sync_without_a_lock_says_so() -> None:
    """There is nothing to sync where nothing is locked."""
    with pytest.raises(LockError, match=r"no envhub\.lock"):
        Client().sync()


def test_parameters_reach_the_factory(hub: ServedHub) -> None:
    """E4: keyword arguments go to `make_env`; what it does not take is refused by name."""
    hub.add("u/p", repos.PARAMETERS)
    load("u/p", limit=3).close()
    with pytest.raises(ContractError, match="limit"):
        load("u/p", limitt=3)


def test_the_package_itself_answers() -> None:
    """Public names are loaded on first use, and unknown ones are unknown."""
    assert envhub.Client is Client
    assert "make_env" in dir(envhub)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = envhub.nonsense


def test_a_diff_says_what_is_no_text_too(hub: ServedHub) -> None:
    """Binary files are named without line counts, and long lists are cut."""
    assets = {f"assets/{i}.bin": bytes([i]) for i in range(12)}
    first = hub.add("u/r", {**NESTED, "old.py": "a = 1\n"})
    second = hub.add("u/r", {**assets, "old.py": None})
    client = Client()
    old, new = (client.fetch(client.resolve(f"u/r@{sha}")) for sha in (first, second))
    text = diff(old, new).summary()
    assert text.splitlines()[0] == "13 files differ, 1 of them code"
    assert "removed old.py +0 −1" in text
    assert "… and 5 more" in text
    assert "requirements: unchanged" in text


def test_async_envs_are_async(hub: ServedHub) -> None:
    """`use_async_envs=True` gives Gymnasium's `AsyncVectorEnv` or a subclass of it."""
    hub.add("u/r", NESTED)
    with load("u/r", 2, use_async_envs=True) as envs:
        assert isinstance(envs.only, gym.vector.AsyncVectorEnv)
        assert envs.only.reset(seed=0)[0].shape == (2, 4)
