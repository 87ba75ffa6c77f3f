"""Which hub answers a ref, and who gets which token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from envhub.client import Client
from envhub.errors import HubError, NotFoundError
from envhub.hubs.registry import hub_for
from envhub.refs import parse
from envhub.settings import Settings
from envhub.testing import ServedHub, serve_hub

PLAIN = Settings(home=Path("/home/cache"), config=Path("/home/config"))


@pytest.mark.parametrize(
    ("ref", "kind", "address"),
    [
        ("u/r", "HuggingFaceHub", "https://default.example"),
        ("hf://u/r", "HuggingFaceHub", "https://huggingface.co"),
        ("https://huggingface.co/u/r", "HuggingFaceHub", "https://huggingface.co"),
        ("hub+https://other.example/u/r", "HuggingFaceHub", "https://other.example"),
        ("git+https://host/u/r@v1", "GitRepo", "https://host/u/r"),
        ("/some/folder", "LocalFolder", "file:///some/folder"),
        ("pypi:minigrid==3.2.0#MiniGrid-Empty-5x5-v0", "PackageIndex", "pypi"),
    ],
)
def test_hub(ref: str, kind: str, address: str) -> None:
    """Each family of refs has its hub, and the hub the right address."""
    hub = hub_for(parse(ref), replace(PLAIN, endpoint="https://default.example"))
    assert (type(hub).__name__, hub.address) == (kind, address)


def test_endpoint() -> None:
    """The caller's endpoint beats the settings', for refs that name none."""
    assert hub_for(parse("u/r"), PLAIN, endpoint="https://mine/").address == "https://mine"
    assert hub_for(parse("hf://u/r"), PLAIN, endpoint="https://mine").address != "https://mine"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedHub]:
    with serve_hub(tmp_path / "hub") as hub:
        yield hub


def sent(served: ServedHub, settings: Settings, token: str | None = None, ref: str = "") -> str:
    """The tokens that a hub sees when it is asked for a repo."""
    typed = parse(ref or f"hub+{served.url}/u/r")
    with pytest.raises((NotFoundError, HubError)):
        hub_for(typed, settings, token=token).resolve(typed)
    return ",".join(sorted({(r.token or "none").removeprefix("Bearer ") for r in served.requests}))


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine is logged in to Hugging Face."""
    monkeypatch.setenv("HF_TOKEN", "hf_stored")


@pytest.mark.usefixtures("stored")
def test_strangers_get_nothing(served: ServedHub) -> None:
    """A hub that somebody named gets neither Hugging Face's token nor the default hub's."""
    settings = replace(PLAIN, endpoint="https://mine.example", token="mine")
    assert sent(served, settings) == "none"


@pytest.mark.usefixtures("stored")
def test_own_hub(served: ServedHub) -> None:
    """The default hub gets its own token; without one it gets none."""
    settings = replace(PLAIN, endpoint=served.url, token="mine")
    assert sent(served, settings) == "mine"
    served.requests.clear()
    assert sent(served, replace(settings, token=None)) == "none"


@pytest.mark.usefixtures("stored")
def test_token_of_the_call(served: ServedHub) -> None:
    """The token that a call names goes to the hub of that call."""
    assert sent(served, PLAIN, token="given") == "given"


@pytest.mark.usefixtures("stored")
def test_hugging_face(served: ServedHub) -> None:
    """Hugging Face gets the stored token, also where another address stands for it."""
    settings = replace(PLAIN, endpoint=served.url, hf_endpoint=served.url)
    assert sent(served, settings, ref="u/r") == "hf_stored"
    served.requests.clear()
    assert sent(served, settings, ref="hf://u/r") == "hf_stored"


@pytest.mark.usefixtures("stored")
def test_token_without_a_hub(served: ServedHub) -> None:
    """A token that was set for another hub than Hugging Face is not sent to Hugging Face."""
    settings = replace(PLAIN, endpoint=served.url, hf_endpoint=served.url, token="mine")
    assert sent(served, settings, ref="u/r") == "hf_stored"


@pytest.mark.usefixtures("stored")
def test_endpoint_of_a_client(served: ServedHub, tmp_path: Path) -> None:
    """A client with another endpoint does not send it the token of the settings' endpoint."""
    settings = replace(PLAIN, home=tmp_path, endpoint="https://mine.example", token="mine")
    client = Client(settings, endpoint=f"{served.url}/", lock=False)
    with pytest.raises(NotFoundError):
        client.resolve("u/r")
    assert {request.token for request in served.requests} == {None}
