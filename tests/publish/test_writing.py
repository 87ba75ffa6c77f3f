"""What a hub refuses, and what goes wrong on the way to it, in words that help."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # exported lazily
    are_progress_bars_disabled,
    enable_progress_bars,
)

from envhub import Client
from envhub.errors import AlreadyThereError, HubError, HubUnreachableError, NotAllowedError
from envhub.hubs.writing import Writer
from envhub.publish import push
from envhub.server.config import Config
from envhub.settings import HUGGING_FACE, Settings
from envhub.testing import OwnHub, ServedHub, own_hub, repos


def test_not_logged_in() -> None:
    """Who has not logged in to Hugging Face is told how, without asking it."""
    writer = Writer(HUGGING_FACE, True, "you/env")
    with pytest.raises(NotAllowedError, match="no token for this hub") as caught:
        writer.whoami()
    assert caught.value.hint.startswith("hf auth login")


@pytest.mark.envhub_leaves("hf_xet keeps its connections for the next upload")
def test_quota(tmp_path: Path) -> None:
    """A hub that is full says so, of a large file and of a small one."""
    rules = Config(
        durable=False, requests_per_minute=0, examine=False, lfs_over=100_000, quota=50_000
    )
    with own_hub(tmp_path / "hub", rules) as hub:
        settings = replace(Settings.from_environ(), endpoint=hub.url, token=hub.token)
        user = Client(settings, lock=False)
        folder = repos.write({**repos.COUNTER, "big.bin": bytes(200_000)}, tmp_path / "env")
        with pytest.raises(HubError, match="does not take what was sent") as caught:
            push(folder, "you/env", check=False, client=user)
        assert "larger than this hub allows" in caught.value.hint
        (folder / "big.bin").write_bytes(bytes(90_000))
        with pytest.raises(HubError, match="413"):
            push(folder, "you/env", check=False, client=user)


@pytest.mark.parametrize("error", [ConnectionError("it  broke"), RuntimeError("it\nbroke")])
def test_a_lost_connection(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """However hf_xet says that the network is gone, it is one error, and says what to do."""
    writer = Writer("http://127.0.0.1:1", "hf_x", "you/env")

    def lose(*_args: object, **_more: object) -> None:
        raise error

    # hf_xet tries for many minutes before it says so.
    monkeypatch.setattr(writer._api, "preupload_lfs_files", lose)
    with pytest.raises(HubUnreachableError, match="broke while you/env was sent") as caught:
        writer.commit({}, ["env.py"], "x", parent=None)
    assert (caught.value.why, caught.value.hint[:9]) == ("it broke", "try again")


def test_repos_that_cannot_be_seen(envhub_hub: OwnHub) -> None:
    """A repo may be there though it cannot be seen; it is not written to."""
    writer = Writer(envhub_hub.url, envhub_hub.token, "you/env")
    writer.create(private=True)
    with pytest.raises(AlreadyThereError, match="you/env is there already"):
        writer.create(private=False)
    assert writer.is_private()


def test_a_hub_that_fails(hub: ServedHub) -> None:
    """An error of the hub's own is told as what it is."""
    hub.fail(500)
    with pytest.raises(HubUnreachableError, match="status 500"):
        Writer(hub.url, "hf_x", "you/env").tags()
    hub.fail(404, on="commit")
    with pytest.raises(HubError, match="404"):
        Writer(hub.url, "hf_x", "you/env").commit({}, ["env.py"], "x", parent=None)


def test_bars(monkeypatch: pytest.MonkeyPatch, envhub_hub: OwnHub, tmp_path: Path) -> None:
    """huggingface_hub's bars are hidden while we write, and not longer."""
    bars = sys.modules["huggingface_hub.utils.tqdm"]
    monkeypatch.setattr(bars, "HF_HUB_DISABLE_PROGRESS_BARS", None)
    enable_progress_bars()
    file = tmp_path / "x.txt"
    file.write_text("x")
    seen = []
    for progress in (False, True):
        name = f"you/env{progress:d}"
        writer = Writer(envhub_hub.url, envhub_hub.token, name, progress=progress)
        writer.create(private=False)
        with writer._bars():
            seen.append(are_progress_bars_disabled())
        writer.commit({"x.txt": file}, [], "x", parent=None)
    assert seen == [True, False]
    assert not are_progress_bars_disabled()
