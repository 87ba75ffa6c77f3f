"""Permissions in words, and on their way from the user's word to the env's process."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import envhub
from envhub import Client
from envhub.errors import ManifestError, UntrustedError
from envhub.manifest import read_permissions
from envhub.permissions import NONE, Permissions, is_inside
from envhub.testing import repos

ASKING = """[permissions]
network = true
env = ["WANDB_MODE"]
"""
TELLING = repos.COUNTER["env.py"]
assert isinstance(TELLING, str)
SEES = TELLING.replace("import gymnasium", "import os\nimport gymnasium", 1).replace(
    "return np.array([self.count, self.seed]), {}",
    'return np.array([self.count, self.seed]), {"mode": os.environ.get("WANDB_MODE", "nothing")}',
)

words = st.one_of(
    st.sampled_from(["network", "gpu", "display"]),
    st.from_regex(r"\Aenv:[A-Z_][A-Z0-9_]{0,8}\Z"),
    st.from_regex(r"\Awrite:[a-z]{1,5}(/[a-z]{1,5}){0,2}\Z"),
)


@given(st.lists(words, max_size=8))
def test_words_are_permissions(asked: list[str]) -> None:
    """Words become permissions and words again; their order and repetition mean nothing."""
    permissions = Permissions.of(asked)
    assert set(permissions.words) == set(asked)
    assert Permissions.of(reversed(permissions.words)) == permissions
    assert Permissions.of([*asked, *asked]) == permissions


@given(st.text(max_size=20))
def test_any_word(word: str) -> None:
    """Any text is a permission's own word, or is refused by name."""
    try:
        assert Permissions.of([word]).words == (word,)
    except ValueError as error:
        assert repr(word) in str(error)  # noqa: PT017 - either of the two


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("logs", True),
        ("a/b", True),
        (".cache", True),
        ("", False),
        ("/etc", False),
        ("a//b", False),
        ("../x", False),
        ("a/..", False),
        ("~", False),
        ("~me/x", False),
        ("a\\b", False),
        ("C:", False),
        ("a\nb", False),
    ],
)
def test_inside(path: str, inside: bool) -> None:
    """A folder to write to lies in the repo, whatever the system makes of its name."""
    assert is_inside(path) is inside


@pytest.mark.parametrize(
    ("files", "asked"),
    [
        ({"envhub.toml": ASKING}, ("network", "env:WANDB_MODE")),
        ({"pyproject.toml": "[tool.envhub.permissions]\ngpu = true\n"}, ("gpu",)),
        (
            {"env.py": "# /// script\n# [tool.envhub.permissions]\n# display = true\n# ///\n"},
            ("display",),
        ),
        ({"requirements.txt": "-e ./src\n"}, ()),
        ({"envhub.toml": "requirements = ['git+https://x']\n"}, ()),
        ({}, ()),
    ],
)
def test_what_a_repo_asks_for(tmp_path: Path, files: repos.Repo, asked: tuple[str, ...]) -> None:
    """Its permissions are read wherever it says them, whatever else is wrong with it."""
    repos.write({"env.py": "", **files}, tmp_path)
    assert read_permissions(tmp_path).words == asked


@pytest.mark.parametrize(
    "text", ["permissions = 1", "[permissions]\nroot = true", "[permissions]\nenv = ['A B']"]
)
def test_what_it_cannot_ask_for(tmp_path: Path, text: str) -> None:
    """A permission that there is not, or that is no name, is an error."""
    repos.write({"env.py": "", "envhub.toml": text}, tmp_path)
    with pytest.raises(ManifestError):
        read_permissions(tmp_path)


def mode(folder: Path, permissions: list[str] | None = None) -> str:
    """What an env in its own process sees of a variable that the user has."""
    with envhub.make_env(
        str(folder), trust_remote_code=True, isolation="process", permissions=permissions
    ) as envs:
        _, info = envs.only.reset()
        return str(info["mode"][0])


@pytest.fixture
def seeing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repo that asks for a variable and for the network, and tells what it sees."""
    monkeypatch.setenv("WANDB_MODE", "online")
    return repos.write({"env.py": SEES, "envhub.toml": ASKING}, tmp_path / "seeing")


def test_granted_in_the_call(seeing: Path) -> None:
    """The env sees exactly what the call gives it."""
    with pytest.raises(UntrustedError, match="it asks for env:WANDB_MODE and network"):
        mode(seeing)
    assert mode(seeing, permissions=[]) == "nothing"
    assert mode(seeing, permissions=["env:WANDB_MODE"]) == "online"


def test_granted_in_the_policy(seeing: Path) -> None:
    """What was granted and denied for the repo holds for every call."""
    client = Client(lock=False)
    client.grant(str(seeing), allow=["env:WANDB_MODE"], deny=["network"])
    assert mode(seeing) == "online"
    client.grant(str(seeing), deny=["env:WANDB_MODE"])
    assert mode(seeing) == "nothing"
    _, first = client.logbook.last(2)
    assert first.permissions == ("env:WANDB_MODE",)
    assert NONE.words == ()
