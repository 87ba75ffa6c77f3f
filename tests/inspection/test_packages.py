"""What a repo's requirements would bring is looked at name by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envhub.inspection.findings import Finding
from envhub.inspection.packages import _is_slip, neighbour, popular, read_requirements
from envhub.testing import repos
from envhub.testing.packages import serve_index, wheel
from envhub.uvprogram import Uv

ENV = {"env.py": "def make_env(n_envs=1, use_async_envs=False): ...\n"}


def read(folder: Path, files: dict[str, str], index: Uv | None = None) -> list[Finding]:
    """The findings of a repo with some files."""
    repos.write({**ENV, **files}, folder)
    return read_requirements(folder, "env.py", index)[1]


SLIPS = {
    "nunpy": "numpy",  # another letter
    "numppy": "numpy",  # one more
    "gymnasum": "gymnasium",  # one less
    "reqeusts": "requests",  # swapped
    "mujoc0": "mujoco",  # a digit that looks alike
    "python-requests": "requests",  # decorated
    "gym-nasium": "gymnasium",  # separated
    "gymnasium": "",
    "my-own-simulator": "",
    "abcd": "",
}


@pytest.mark.parametrize(("name", "near"), SLIPS.items(), ids=SLIPS)
def test_slips(name: str, near: str) -> None:
    """A name that is one slip away from a well-known one is told with it."""
    assert ("" if name in popular() else neighbour(name)) == near


@pytest.mark.parametrize("name", ["gymnasium", "mujoco", "torch", "numpy", "gym-pusht", "ale-py"])
def test_well_known(name: str) -> None:
    """The packages of this field are known."""
    assert name in popular()


@given(st.text("abc", min_size=1, max_size=6), st.text("abc", min_size=1, max_size=6))
def test_slip_is_symmetric_and_small(one: str, other: str) -> None:
    """One edit or one swap apart: checked against all that one edit or swap can make."""
    edits = {other[:k] + other[k + 1 :] for k in range(len(other))}
    for k in range(len(other) + 1):
        edits |= {other[:k] + char + other[k + j :] for char in "abc" for j in (0, 1)}
    edits |= {other[:k] + other[k + 1] + other[k] + other[k + 2 :] for k in range(len(other) - 1)}
    assert _is_slip(one, other) is (one in edits and one != other)


def test_places(tmp_path: Path) -> None:
    """Each finding is at the line that says so, wherever the repo says it."""
    text = "# what it needs\ngymnasium==1.0\n\nNunpy>=1\nmy_own_thing == 1.0  # mine\n"
    found = read(tmp_path / "a", {"requirements.txt": text})
    assert [(f.where, f.kind, f.what) for f in found] == [
        ("requirements.txt:4", "squat", "nunpy>=1, is it numpy?"),
        ("requirements.txt:4", "unpinned", "nunpy>=1"),
        ("requirements.txt:5", "unknown", "my-own-thing==1.0"),
    ]
    toml = '[project]\nname = "x"\ndependencies = [\n  "torch",\n]\n[tool.envhub]\n'
    [found_one] = read(tmp_path / "b", {"pyproject.toml": toml})
    assert (found_one.where, found_one.kind) == ("pyproject.toml:4", "unpinned")
    script = "# /// script\n# dependencies = ['torch']\n# ///\n"
    [found_one] = read(tmp_path / "c", {"env.py": script})
    assert found_one.where == "env.py:2"


@pytest.mark.parametrize(
    ("files", "kind", "path"),
    [
        ({"requirements.txt": "-e ./src\n"}, "refused", "requirements.txt"),
        ({"requirements.txt": "git+https://host/x\n"}, "refused", "requirements.txt"),
        ({"envhub.toml": "nonsense = 1\n"}, "manifest", "envhub.toml"),
        ({"envhub.toml": "= 1\n"}, "manifest", "envhub.toml"),
        ({"env.py": "# /// script\n# [nonsense\n# ///\n"}, "manifest", "env.py"),
    ],
)
def test_refused(tmp_path: Path, files: dict[str, str], kind: str, path: str) -> None:
    """What envhub would not install is told now, not when it is loaded."""
    [found] = read(tmp_path, files)
    assert (found.kind, found.path) == (kind, path)


def test_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, envhub_home: Path) -> None:
    """If asked, the user's package index says what it does not have, and what was taken back."""
    packages = tmp_path / "packages"
    for version in ("1.0", "2.0"):
        wheel(packages, "my-sim", version)
    taken_back = {"my_sim-2.0-py3-none-any.whl": "it eats files"}
    with serve_index(packages, yanked=taken_back) as url:
        monkeypatch.setenv("UV_DEFAULT_INDEX", url)
        uv = Uv(envhub_home)
        odd = {"requirements.txt": "my-sim==2.0\nmy-simm==1.0\n"}
        found = read(tmp_path / "odd", odd, uv)
        fine = read(tmp_path / "fine", {"requirements.txt": "my-sim==1.0\n"}, uv)
    assert [(f.kind, f.what) for f in found if f.kind != "unknown"] == [
        ("yanked", "my-sim==2.0: it eats files"),
        ("not-there", "my-simm==1.0"),
    ]
    assert [f.kind for f in fine] == ["unknown"]
