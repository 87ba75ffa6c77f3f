"""New commits are looked at in the background, once each; no env can hurt the hub by that."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi
from tests.server.conftest import Running, populated, run_hub

from envhub import proc
from envhub.server import jobs
from envhub.server.commits import Author
from envhub.server.config import Config
from envhub.server.hub import Hub
from envhub.server.jobs import MOST_PER_REPO
from envhub.server.repos import Repo
from envhub.server.serving import served

HEAD = """
import gymnasium as gym
import numpy as np
"""
PLAIN = "def make_env(n_envs=1, use_async_envs=False):\n    return None\n"
ENV = (
    HEAD
    + """
class Camera(gym.Env):
    observation_space = gym.spaces.Dict({
        "camera": gym.spaces.Box(0, 255, (32, 48, 3), np.uint8),
        "state": gym.spaces.Box(-1, 1, (3,), np.float32),
    })
    action_space = gym.spaces.Discrete(4)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.seen(), {}

    def seen(self):
        camera = self.np_random.integers(0, 255, (32, 48, 3), np.uint8)
        return {"camera": camera, "state": np.zeros(3, np.float32)}

    def step(self, action):
        return self.seen(), 1.0, False, False, {}


def make_env(n_envs=1, use_async_envs=False):
    def envs():
        return gym.vector.SyncVectorEnv([Camera for _ in range(n_envs)])
    return {"look": {"near": envs(), "far": envs()}, "touch": {0: envs()}}
"""
)
SMALL = (
    HEAD
    + """
class Small(gym.Env):
    observation_space = gym.spaces.Box(-9, 9, (2,), np.float64)
    action_space = gym.spaces.Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2), {}

    def step(self, action):
        ODD
        return np.zeros(2), 0.0, False, False, {}

def make_env(n_envs=1, use_async_envs=False):
    return Small()
"""
)


def row(running: Running, name: str) -> Repo:
    repo = running.hub.repos.find("model", name)
    assert repo
    return repo


def block(running: Running, name: str, revision: str = "main", user: str = "ada") -> Any:
    return running.get(f"/api/models/{name}/revision/{revision}", user).json().get("env")


def looked_at(running: Running, files: dict[str, Any], **wanted: Any) -> tuple[str, Any]:
    """A repo with these files, and what the hub found."""
    name = running.new(**wanted)
    assert running.commit(name, files).status_code == 200
    assert running.hub.jobs.wait(100)
    return name, block(running, name)


def checks(found: Any) -> dict[str, Any]:
    return {check["name"]: check["ok"] for check in found["checks"]}


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A hub that reads new commits."""
    yield from run_hub(tmp_path_factory.mktemp("hub"), lfs_over=5000, examine=True)


@pytest.fixture(scope="module")
def checking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A hub that also runs them."""
    yield from run_hub(tmp_path_factory.mktemp("hub"), examine=True, validate=True)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One that gives them little time and memory."""
    folder = tmp_path_factory.mktemp("hub")
    few = 400_000_000
    yield from run_hub(folder, examine=True, validate=True, validate_seconds=9, validate_memory=few)


def test_every_door(reading: Running, git: Any) -> None:
    """A commit is read whichever way it came, and each once; info has what was found, by commit."""
    name = reading.new()
    assert block(reading, name) is None
    oid = reading.send_lfs(name, b"x" * 6000)
    large = {"path": "w.bin", "algo": "sha256", "oid": oid, "size": 6000}
    lines = [{"key": "lfsFile", "value": large}]
    assert reading.commit(name, {"env.py": PLAIN}, lines=lines).status_code == 200
    first = reading.head(name)
    git("clone", "clone", reading.remote(name), ".")
    git("clone", "checkout", "-qb", "dev")
    pushed = Path(git("clone", "rev-parse", "--show-toplevel").text)
    (pushed / "second.py").write_text(PLAIN)
    git("clone", "add", ".")
    git("clone", "commit", "-qm", "second")
    git("clone", "tag", "v1")
    git("clone", "push", "-q", "origin", "dev", "v1")
    second = git("clone", "rev-parse", "HEAD").text
    assert reading.hub.jobs.wait(60)
    assert block(reading, name, first)["entries"] == ["env.py"]
    assert block(reading, name, second)["entries"] == ["env.py", "second.py"]
    found = block(reading, name)
    assert (found["state"], found["commit"]) == ("read", first)
    tag = {"tag": "again"}
    assert reading.post(f"/api/models/{name}/tag/main", tag, "ada").status_code == 200
    assert reading.post(f"/api/models/{name}/branch/more", {}, "ada").status_code == 200
    assert reading.hub.jobs.wait(60)
    assert block(reading, name)["examined"] == found["examined"]


def test_search(reading: Running) -> None:
    """What was found can be filtered by and counted, and is in lists that ask for all."""
    manifest = 'requires-python = "==3.12.*"\nrequirements = ["mujoco==3.0"]\n'
    manifest += "[suites.a.tasks.one]\n[suites.a.tasks.two]\n"
    name, found = looked_at(reading, {"env.py": PLAIN, "envhub.toml": manifest})
    assert found["preview"] == ""
    filters = ("engine:mujoco", "python:3.12", "tasks:2", "tasks:>1", "permission:none")
    path = "/api/models?" + "&".join(f"filter={each}" for each in filters)
    listed = reading.get(f"{path}&full=true").json()
    assert [each["id"] for each in listed] == [name]
    assert listed[0]["env"] == found
    assert reading.get(f"{path}&filter=tasks:3").json() == []
    api = HfApi(endpoint=reading.url, token=False)
    assert vars(api.model_info(name))["env"] == found  # clients keep what they do not know
    assert [each.id for each in api.list_models(filter=["engine:mujoco", "tasks:>1"])] == [name]
    counted = reading.get("/api/models-facets?filter=engine:mujoco").json()
    assert counted["engine"] == {"mujoco": 1}
    assert counted["python"] == {"3.12": 1}
    assert reading.commit(name, {"envhub.toml": None}).status_code == 200
    assert reading.hub.jobs.wait(60)
    assert reading.get(path).json() == []


def test_no_env(reading: Running) -> None:
    """A repo without an env has no block; nor has one that is no model or space."""
    assert looked_at(reading, {"a.txt": "x"})[1] is None
    assert looked_at(reading, {"a.py": "x = 1"})[1] is None
    name = reading.new(type="dataset")
    reading.hub.jobs.add(reading.hub.repos.find("dataset", name) or row(reading, name), ["f" * 40])
    assert reading.hub.jobs.wait(1)


def test_own_preview(reading: Running) -> None:
    """A picture that the manifest names is the preview, where the repo has it."""
    files = {"env.py": PLAIN, "envhub.toml": 'preview = "look.mp4"', "look.mp4": b"film"}
    name, found = looked_at(reading, files)
    assert found["preview_type"] == "video/mp4"
    assert reading.get(found["preview"], "ada").content == b"film"
    assert reading.get(f"/api/models/{name}/preview/main", "ada").status_code == 404


def test_what_cannot_be_read(reading: Running) -> None:
    """A commit that is gone, and one with too many files, are told of, and nobody else waits."""
    name = reading.new()
    repo = row(reading, name)
    reading.hub.jobs.add(repo, ["1" * 40])
    assert reading.hub.jobs.wait(60)
    assert reading.hub.database.value("SELECT count(*) FROM jobs") == 0
    many = {f"f{number}.py": "" for number in range(3)}
    assert looked_at(reading, many)[1] is None


def test_checked(checking: Running) -> None:
    """An env is run: its spaces, speed, determinism and picture are known."""
    name, found = looked_at(checking, {"env.py": ENV}, private=True)
    assert found["state"] == "checked"
    names = ("manifest", "entry", "loads", "steps", "deterministic")
    assert checks(found) == dict.fromkeys(names, True)
    assert found["sandbox"] != "none"
    assert found["n_tasks"] == 3
    task = found["suites"]["look"]["tasks"]["near"]
    assert [leaf["path"] for leaf in task["observation"]] == ["camera", "state"]
    assert task["observation"][0]["shape"] == [32, 48, 3]
    assert task["action"] == [
        {"path": "", "kind": "Discrete", "shape": [], "dtype": "int64", "low": "0", "high": "3"}
    ]
    assert task["steps_per_second"] > 10
    assert found["suites"]["touch"]["tasks"]["0"]["checked"]
    for facet in ("action:discrete", "observation:pixels", "tasks:3", "checked:deterministic"):
        assert facet in found["facets"]
    picture = checking.get(found["preview"], "ada")
    assert (picture.headers["content-type"], picture.content[8:12]) == ("image/webp", b"WEBP")
    assert checking.get(found["preview"], "eve").status_code == 404
    assert checking.get(f"/api/models/{name}?expand=env", "ada").json()["env"] == found


def test_what_is_wrong(checking: Running) -> None:
    """An env that cannot be loaded is checked all the same, and its page says why."""
    _, found = looked_at(checking, {"env.py": "raise RuntimeError('no luck')\n" + PLAIN})
    assert found["state"] == "checked"
    failed = [check for check in found["checks"] if not check["ok"]]
    assert [check["name"] for check in failed] == ["loads"]
    assert "no luck" in failed[0]["text"]


HOSTILE: dict[str, tuple[str, str]] = {
    "hangs": ("while True: pass\n" + PLAIN, "loads"),
    "forks": ("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass\n", "loads"),
    "eats": ("x = []\nwhile True: x.append(bytearray(10_000_000))\n" + PLAIN, "loads"),
    "floods": ("while True: print('x' * 100_000)\n" + PLAIN, "loads"),
    "waits": (SMALL.replace("ODD", "import time; time.sleep(999)"), "steps"),
}


WIDE = "gym.spaces.Box(0, 255, (1_500_000_000,), np.uint8)"
LARGE = SMALL.replace("gym.spaces.Box(-9, 9, (2,), np.float64)", WIDE).replace("ODD", "")
HOSTILE["maps"] = (LARGE, "loads")
HEAVY = ("hangs", "floods", "maps", "waits")


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=pytest.mark.heavy if kind in HEAVY else ()) for kind in HOSTILE],
)
def test_hostile(strict: Running, kind: str) -> None:
    """An env that hangs, forks, eats memory or floods the log is ended; the hub goes on."""
    code, stage = HOSTILE[kind]
    name = strict.new()
    begin = time.monotonic()
    assert strict.commit(name, {"env.py": code}).status_code == 200
    assert block(strict, name)["state"] == "waiting"
    assert strict.hub.jobs.wait(60)
    assert time.monotonic() - begin < 45
    found = block(strict, name)
    failed = [check for check in found["checks"] if not check["ok"]]
    assert [check["name"] for check in failed] == [stage]
    assert strict.get("/healthz").status_code == 200
    assert not (strict.hub.folder / "jobs" / "now").exists()


def test_memory_outside(strict: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is outside of the cage is watched, too: an env could make that large as well."""
    monkeypatch.setattr(jobs, "_OWN_MEMORY", -370_000_000)
    _, found = looked_at(strict, {"env.py": SMALL.replace("ODD", "")})
    text = "\n".join(check["text"] for check in found["checks"] if not check["ok"])
    assert text == "it took more than 400,000,000 bytes of memory"


def test_rules(tmp_path: Path) -> None:
    """What is too large to be run is only read; packages of envs go when they are too much."""
    rules: dict[str, Any] = {"validate_bytes": 10, "validate_cache": 0, "lfs_over": 1000}
    for running in run_hub(tmp_path / "hub", examine=True, validate=True, **rules):
        old = running.hub.folder / "jobs" / "cache" / "old"
        old.parent.mkdir(parents=True)
        old.write_bytes(b"x")
        _, found = looked_at(running, {"env.py": PLAIN, "w.bin": b"x" * 2000})
        assert checks(found) == {"manifest": True, "entry": True, "loads": False}
        assert "its large files have 2,000 bytes" in found["checks"][-1]["text"]
        assert not old.exists()


def test_turns(tmp_path: Path) -> None:
    """Owners take turns, and nobody has more than some commits on the list."""
    hub, _ = populated(tmp_path / "hub", examine=True)
    with closing(hub):
        made = {}
        for user in ("ada", "bob"):
            owner = hub.accounts.find(user)
            assert owner
            author = Author(user, f"{user}@example.org")
            made[user] = hub.repos.create(
                "model", owner, "x", private=False, sdk=None, author=author
            )
        hub.jobs.add(made["ada"], [f"{number:040x}" for number in range(100)])
        hub.jobs.add(made["bob"], ["b" * 40])
        assert hub.database.value("SELECT count(*) FROM jobs") == MOST_PER_REPO + 1
        hub.database.change("UPDATE jobs SET tries = 2")
        hub.jobs.start()
        assert hub.jobs.wait(60)
        hub.jobs.stop()
        rows = hub.database.all(
            "SELECT repo, block FROM abouts WHERE sha != ? AND sha != ? ORDER BY examined",
            *(made["ada"].head, made["bob"].head),
        )
        assert [each["repo"] for each in rows[:2]].count(made["bob"].id) == 1
        assert "ended each time" in rows[0]["block"]


def test_stop_and_start(tmp_path: Path) -> None:
    """A hub that stops in the middle of a job begins it anew, and does not blame the env."""
    for running in run_hub(tmp_path / "hub", examine=True, validate=True):
        name = running.new()
        slow = "import time\ntime.sleep(1)\n" + SMALL.replace("ODD", "")
        assert running.commit(name, {"env.py": slow}).status_code == 200
        busy(running.hub.folder)
    with closing(again(tmp_path / "hub")) as hub:
        assert hub.database.value("SELECT tries FROM jobs") == 0
        with served(hub):
            assert hub.jobs.wait(100)
        repo = hub.repos.find("model", name)
        assert repo
        assert checks(hub.abouts.block(repo, repo.head))["deterministic"]


def again(folder: Path) -> Hub:
    """The hub in a folder, opened once more."""
    return Hub(folder, Config(durable=False, validate=True))


def busy(folder: Path) -> None:
    """Wait until the job is under way."""
    about = folder / "jobs" / "now" / "about.json"
    end = time.monotonic() + 60
    while not about.exists() and time.monotonic() < end:
        time.sleep(0.02)  # another process writes the file
    assert about.exists()


def test_killed_hub(tmp_path: Path) -> None:
    """When the hub is killed its env goes with it, and the next hub looks at the commit again."""
    hub, tokens = populated(tmp_path / "hub")
    hub.close()
    words = [sys.executable, "-m", "envhub", "serve", "--validate", "--quiet", "--port", "0"]
    output = (tmp_path / "url").open("w+b")
    with output:
        process = proc.start([*words, "--data", tmp_path / "hub"], output=output.fileno())
        try:
            url = address(tmp_path / "url")
            publish(url, tokens["ada"], "while True: pass\n" + PLAIN)
            busy(tmp_path / "hub")
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    with closing(again(tmp_path / "hub")) as opened:
        assert opened.database.value("SELECT tries FROM jobs") == 1
    end = time.monotonic() + 10
    while examiners(tmp_path) and time.monotonic() < end:
        time.sleep(0.05)  # the kernel ends them, and tells nobody
    assert examiners(tmp_path) == []


def address(path: Path) -> str:
    end = time.monotonic() + 60
    while "http" not in path.read_text() and time.monotonic() < end:
        time.sleep(0.05)  # another process writes the file
    return next(line for line in path.read_text().split() if line.startswith("http"))


def publish(url: str, token: str, code: str) -> None:
    api = HfApi(endpoint=url, token=token)
    api.create_repo("ada/evil")
    api.upload_file(path_or_fileobj=code.encode(), path_in_repo="env.py", repo_id="ada/evil")


def examiners(folder: Path) -> list[str]:
    """Processes that have to do with a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_text(errors="replace")
        except OSError:
            continue
        if str(folder) in words and "envhub" in words:
            found.append(words)
    return found
