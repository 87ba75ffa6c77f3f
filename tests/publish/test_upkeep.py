"""Tags, forks and the end of a repo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from huggingface_hub import HfApi
from tests.publish.conftest import LARGE, As

from envhub import Client, card, upkeep
from envhub.errors import (
    AlreadyThereError,
    ArgumentError,
    HubUnreachableError,
    NotAllowedError,
    RefError,
    RepoNotFoundError,
    RevisionNotFoundError,
)
from envhub.publish import push
from envhub.testing import OwnHub, ServedHub, repos


def test_tags(ada: Client, name: str, folder: Path) -> None:
    """A tag names what a ref means now; made twice it is made once, and it is never moved."""
    first = push(folder, name, client=ada, check=False)
    assert upkeep.tag(name, "v1.0", client=ada).commit == first.commit
    assert upkeep.tag(name, "v1.0", client=ada).commit == first.commit
    (folder / "notes.txt").write_text("changed\n")
    second = push(folder, name, client=ada, check=False)
    with pytest.raises(AlreadyThereError, match=r"another commit"):
        upkeep.tag(name, "v1.0", client=ada)
    upkeep.tag(f"{name}@{first.commit[:8]}", "old", client=ada)
    upkeep.tag(name, "new", client=ada)
    found = {"v1.0": first.commit, "old": first.commit, "new": second.commit}
    assert upkeep.tags(name, client=ada) == found
    upkeep.untag(name, "old", client=ada)
    with pytest.raises(RevisionNotFoundError, match="has no tag 'old'") as caught:
        upkeep.untag(name, "old", client=ada)
    assert caught.value.hint == "it has new, v1.0"
    assert ada.resolve(f"{name}@{first.commit}").commit == first.commit


def test_no_tags(ada: Client, name: str, api: HfApi) -> None:
    """A repo without tags says so."""
    api.create_repo(name)
    with pytest.raises(RevisionNotFoundError) as caught:
        upkeep.untag(name, "v1", client=ada)
    assert caught.value.hint == "it has no tags"


def test_tag_of_another_type(ada: Client, name: str, api: HfApi) -> None:
    """What is a dataset is tagged as one."""
    api.create_repo(name, repo_type="dataset")
    api.upload_file(
        path_or_fileobj=b"def make_env(): ...", path_in_repo="env.py", repo_id=name,
        repo_type="dataset",
    )  # fmt: skip
    upkeep.tag(name, "v1", client=ada)
    assert list(upkeep.tags(f"datasets/{name}", client=ada)) == ["v1"]


@pytest.mark.parametrize("ref", ["./folder", "git+https://host/repo", "pypi:package"])
def test_only_on_hubs(ada: Client, ref: str) -> None:
    """Only repos on hubs have tags that can be written, and can be deleted."""
    for act in (upkeep.delete, upkeep.tags):
        with pytest.raises(ArgumentError, match="not a repo on a hub"):
            act(ref, client=ada)
    with pytest.raises(ArgumentError, match="not a repo on a hub"):
        upkeep.tag(ref, "v1", client=ada)


def test_refused(as_user: As, name: str, folder: Path) -> None:
    """Names that are none, repos that are not there, and the repos of others."""
    ada, bob = as_user("ada"), as_user("bob")
    push(folder, name, client=ada, check=False)
    with pytest.raises(RefError):
        upkeep.tag(name, "v 1", client=ada)
    with pytest.raises(RepoNotFoundError):
        upkeep.tag("ada/nothing", "v1", client=ada)
    with pytest.raises(NotAllowedError):
        upkeep.tag(name, "v1", client=bob)
    with pytest.raises(NotAllowedError):
        upkeep.delete(name, client=bob)
    assert ada.resolve(name)


def test_delete(ada: Client, name: str, folder: Path) -> None:
    """A deleted repo is gone; without a name there is nothing to delete."""
    push(folder, name, client=ada, check=False)
    with pytest.raises(ArgumentError, match="more than a repo"):
        upkeep.delete(f"{name}@v1", client=ada)
    upkeep.delete(name, client=ada)
    with pytest.raises(RepoNotFoundError):
        ada.resolve(name)
    with pytest.raises(RepoNotFoundError):
        upkeep.delete(name, client=ada)


def test_fork(as_user: As, name: str, folder: Path, tmp_path: Path, api: HfApi) -> None:
    """A fork has the files of one commit, says where they are from, and runs nothing of them."""
    ada, bob = as_user("ada"), as_user("bob")
    canary = tmp_path / "canary"
    repos.write(repos.canary(canary), folder)
    first = push(folder, name, client=ada, check=False)
    (folder / "notes.txt").write_text("changed\n")
    push(folder, name, client=ada, check=False)
    to = name.replace("ada/", "bob/")
    done = upkeep.fork(f"{name}@{first.commit}", to, tag="v1.0", client=bob)
    source = bob.fetch(bob.resolve(f"{to}@v1.0"))
    assert done.created
    assert (source.root / "notes.txt").read_text() == "of mine\n"
    origin = f"hub+{bob.settings.endpoint}/{name}@{first.commit}"
    assert card.facts_of(card.read(source.root))[card.ORIGIN] == origin
    assert not canary.exists()
    with pytest.raises(AlreadyThereError, match="is there already"):
        upkeep.fork(name, to, client=bob)
    again = push(source.root, to, client=bob, check=False, message="Mine now")
    assert card.facts_of(card.read(bob.fetch(bob.resolve(to)).root))[card.ORIGIN] == origin
    assert again.sent == ()


def test_fork_of_a_private_repo(as_user: As, name: str, folder: Path) -> None:
    """What was private stays so, though nobody says it."""
    ada, bob = as_user("ada"), as_user("bob")
    push(folder, name, private=True, client=ada, check=False)
    upkeep.fork(name, f"{name}-copy", client=ada)
    with pytest.raises(RepoNotFoundError):
        bob.resolve(f"{name}-copy")


@pytest.mark.envhub_leaves("hf_xet keeps its connections for the next upload")
def test_fork_from_elsewhere(ada: Client, name: str, hub: ServedHub, tmp_path: Path) -> None:
    """From another hub, which does not get the token of ours, and from a folder in git."""
    ignored: dict[str, str | bytes | None] = {
        ".gitignore": "*.bin\n",
        "kept.bin": bytes(LARGE + 1),
        "small.bin": b"x",
    }
    hub.add("them/env", {**repos.COUNTER, **ignored}, tag="v1.0")
    user = Client(ada.settings, lock=False, token=ada.settings.token)
    upkeep.fork(f"hub+{hub.url}/them/env@v1.0", name, client=user)
    assert ignored.keys() <= set(HfApi(endpoint=ada.settings.endpoint).list_repo_files(name))
    sent = [request.headers.get("authorization") for request in hub.requests]
    assert set(sent) == {None}
    origin = card.facts_of(card.read(ada.fetch(ada.resolve(name)).root))[card.ORIGIN]
    assert origin.startswith(f"hub+{hub.url}/them/env@")
    upkeep.fork(f"git+{hub.git_url('them/env')}", f"{name}-git", client=user)
    origin = card.facts_of(card.read(ada.fetch(ada.resolve(f"{name}-git")).root))[card.ORIGIN]
    assert origin.startswith(f"git+{hub.url}")


def test_full_refs(ada: Client, name: str, folder: Path) -> None:
    """A pin is told so that it means the same whatever the default hub of the reader is."""
    push(folder, name, client=ada, check=False)
    pin = ada.resolve(name)
    assert upkeep.full_ref(pin) == f"hub+{ada.settings.endpoint}/{name}@{pin.commit}"
    of_hf = replace(pin, ref=replace(pin.ref, endpoint="hf"))
    assert upkeep.full_ref(of_hf) == f"hf://{name}@{pin.commit}"


def test_no_answer(ada: Client) -> None:
    """A hub that is away."""
    away = Client(endpoint="http://127.0.0.1:1", token="hf_x")
    for act in (upkeep.tags, upkeep.delete):
        with pytest.raises(HubUnreachableError):
            act("ada/env", client=away)


def test_tags_that_stay(tmp_path: Path, envhub_hub: OwnHub) -> None:
    """Where a hub keeps tags for ever, its own words say so."""
    settings = replace(Client().settings, token=envhub_hub.token, hf_endpoint="http://127.0.0.1:1")
    user = Client(settings, lock=False)
    envhub_hub.add("you/env", repos.COUNTER, tag="v1")
    rules = msgspec.structs.replace(envhub_hub.inside.config, immutable_tags=True)
    envhub_hub.inside.config = rules
    with pytest.raises(NotAllowedError, match="tags of this hub stay"):
        upkeep.untag("you/env", "v1", client=user)
