"""Small env repos for tests, as dicts of files: path → content.

Give them to `ServedHub.add`, or to `write` for a folder on disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

Repo = Mapping[str, str | bytes]

_VECTOR = """
def make_env(n_envs: int = 1, use_async_envs: bool = False):
    kind = gym.vector.AsyncVectorEnv if use_async_envs else gym.vector.SyncVectorEnv
    return kind([{maker} for _ in range(n_envs)])
"""

_COUNTER = '''
class Counter(gym.Env):
    """Counts its steps and ends after `limit` of them; the observation is [count, seed]."""

    observation_space = gym.spaces.Box(-1, 2**31, (2,), np.int64)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, limit=10):
        self.limit = limit
        self.count = 0
        self.seed = -1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        self.seed = -1 if seed is None else seed
        return np.array([self.count, self.seed]), {}

    def step(self, action):
        self.count += 1
        observation = np.array([self.count, self.seed])
        return observation, float(action), self.count >= self.limit, False, {}
'''

_HEAD = "import gymnasium as gym\nimport numpy as np\n"
_CARTPOLE_ENV = "import gymnasium as gym\n" + _VECTOR.format(
    maker='lambda: gym.make("CartPole-v1")'
)

CARTPOLE: Final[Repo] = {
    "env.py": _CARTPOLE_ENV,
    "requirements.txt": "gymnasium\n",
    "README.md": "---\nlibrary_name: envhub\ntags:\n- envhub\n- gymnasium\n---\n\n# CartPole\n",
}
"""The smallest useful repo: `env.py` makes a vector of CartPole."""

COUNTER: Final[Repo] = {"env.py": _HEAD + _COUNTER + _VECTOR.format(maker="Counter")}
"""An env whose every number is known beforehand."""

SINGLE: Final[Repo] = {
    "env.py": _HEAD + _COUNTER + "\n\ndef make_env(n_envs=1, use_async_envs=False):\n"
    "    return Counter()\n"
}
"""`make_env` returns one plain `gymnasium.Env`, whatever `n_envs` is."""

SUITES: Final[Repo] = {
    "env.py": _HEAD
    + _COUNTER
    + """

def make_env(n_envs=1, use_async_envs=False):
    def vector(limit):
        return gym.vector.SyncVectorEnv([lambda: Counter(limit) for _ in range(n_envs)])

    return {"short": {0: vector(2), 1: vector(3)}, "long": {0: vector(100)}}
"""
}
"""Two suites with three tasks."""

RELATIVE_IMPORT: Final[Repo] = {
    "env.py": "from .counter import make_env\n",
    "counter.py": COUNTER["env.py"],
}
"""`env.py` imports a sibling relatively."""

SIBLING_IMPORT: Final[Repo] = {
    "env.py": "from counter import make_env\n",
    "counter.py": COUNTER["env.py"],
}
"""`env.py` imports a sibling by its bare name."""

ASSET: Final[Repo] = {
    "env.py": _HEAD
    + "from pathlib import Path\n\n"
    + "LIMIT = int((Path(__file__).resolve().parent / 'assets' / 'limit.txt').read_text())\n"
    + _COUNTER
    + _VECTOR.format(maker="lambda: Counter(LIMIT)"),
    "assets/limit.txt": "7\n",
    "assets/mesh.bin": bytes(range(256)) * 8,
}
"""`env.py` reads a file that lies beside it."""

NESTED: Final[Repo] = {
    "env.py": COUNTER["env.py"],
    "envs/pick.py": COUNTER["env.py"],
    "envs/place/env.py": COUNTER["env.py"],
    "notes.txt": "no code\n",
}
"""Several entry files, one of them in a folder of its own."""

PARAMETERS: Final[Repo] = {
    "env.py": _HEAD
    + _COUNTER
    + """

def make_env(n_envs=1, use_async_envs=False, *, cfg=None, limit=5):
    limit = (cfg or {}).get("limit", limit)
    return gym.vector.SyncVectorEnv([lambda: Counter(limit) for _ in range(n_envs)])
"""
}
"""`make_env` takes `cfg` and a parameter of its own."""

NO_FACTORY: Final[Repo] = {"env.py": "import gymnasium\n"}
"""`env.py` has no `make_env`."""

BROKEN_IMPORT: Final[Repo] = {
    "env.py": "import a_package_that_nobody_has\n\n" + str(COUNTER["env.py"]),
    "requirements.txt": "a-package-that-nobody-has>=3\n",
}
"""`env.py` needs a package that is not there."""

RAISES: Final[Repo] = {
    "env.py": "def make_env(n_envs=1, use_async_envs=False):\n"
    "    raise ZeroDivisionError('the factory failed')\n"
}
"""`make_env` fails with an exception of its own."""


def canary(file: Path) -> Repo:
    """A repo that leaves `file` behind as soon as any of its code runs.

    Args:
        file: does not exist yet; a test asserts that it still does not.
    """
    leave = f"from pathlib import Path\n\nPath({str(file)!r}).write_text('the code ran')\n"
    return {"env.py": leave + str(COUNTER["env.py"])}


def big(files: int = 50, size: int = 1000) -> Repo:
    """The counter with many assets of `size` bytes each, all different."""
    assets = {f"assets/{n:04}.bin": b"%08d" % n * (size // 8) for n in range(files)}
    return {**COUNTER, **assets}


def write(repo: Repo, folder: Path) -> Path:
    """Write a repo's files into a folder and return the folder."""
    for path, content in repo.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder
