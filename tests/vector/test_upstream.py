"""Gymnasium's own tests of vector envs, unmodified, with our class in the place of theirs.

`ENVHUB_GYMNASIUM_TESTS` names a checkout of Gymnasium's repository (its release holds few tests).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = os.environ.get("ENVHUB_GYMNASIUM_TESTS", "")
FILES = (
    "tests/vector/test_async_vector_env.py",
    "tests/vector/test_autoreset_mode.py",
    "tests/vector/test_observation_mode.py",
    "tests/vector/test_vector_env.py",
    "tests/vector/test_vector_env_info.py",
    "tests/vector/test_vector_wrapper.py",
    "tests/envs/registration/test_make_vec.py",
    "tests/wrappers/vector/test_dict_info_to_list.py",
    "tests/wrappers/vector/test_normalize_observation.py",
    "tests/wrappers/vector/test_normalize_reward.py",
    "tests/wrappers/vector/test_record_episode_statistics.py",
    "tests/wrappers/vector/test_vectorize_transform.py",
)
SWAP = """
import gymnasium.vector
from envhub.vector import AsyncVectorEnv

gymnasium.vector.AsyncVectorEnv = AsyncVectorEnv
gymnasium.vector.async_vector_env.AsyncVectorEnv = AsyncVectorEnv
"""
# It demands an error for a custom space in shared memory; ours supports that.
REFUSED = {"test_custom_space_async_vector_env_shared_memory"}


@pytest.mark.skipif(not CHECKOUT, reason="ENVHUB_GYMNASIUM_TESTS names no checkout of Gymnasium")
@pytest.mark.timeout(900)
def test_gymnasium_accepts_our_class(tmp_path: Path) -> None:
    """Everything that Gymnasium's tests demand holds, but for one error that is no error here."""
    (tmp_path / "swap.py").write_text(SWAP)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    options = ["-q", "-rf", "-p", "swap", "-p", "no:cacheprovider", "--rootdir", CHECKOUT]
    options += ["-c", str(tmp_path / "pytest.ini")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *FILES],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{CHECKOUT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    failed = set(re.findall(r"^FAILED \S+::(\w+)", done.stdout, re.MULTILINE))
    passed = re.search(r"(\d+) passed", done.stdout)
    assert failed == REFUSED, done.stdout[-4000:] + done.stderr[-1000:]
    assert passed is not None
    assert int(passed.group(1)) > 300
