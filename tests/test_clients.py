"""The testing hub, asked by older releases of `huggingface_hub`, each in its own environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from uv import find_uv_bin

from envhub import proc
from envhub.testing import repos
from envhub.testing.hub import ServedHub

SCRIPT = """
import sys
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.utils import (
    EntryNotFoundError,
    GatedRepoError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

url, token, cache = sys.argv[1:]
more = {"endpoint": url, "token": False, "cache_dir": cache}
api = HfApi(endpoint=url, token=False)
info = api.model_info("user/repo", revision="v1.0", files_metadata=True)
assert api.model_info("user/repo", revision="feature/x").sha != info.sha
refs = api.list_repo_refs("user/repo", include_pull_requests=True)
assert [tag.name for tag in refs.tags] == ["v1.0"]
assert [pull.ref for pull in refs.pull_requests] == ["refs/pr/1"]
assert len(list(api.list_repo_tree("user/repo", recursive=True))) == 6
assert {p.path for p in api.get_paths_info("user/repo", ["env.py", "none"])} == {"env.py"}
assert len(api.list_repo_commits("user/repo")) == 2
assert [m.id for m in api.list_models(author="user")] == ["user/gated", "user/repo"]
folder = Path(snapshot_download("user/repo", revision="v1.0", **more))
assert (folder / "data/big.bin").stat().st_size == 25600
file = Path(hf_hub_download("user/repo", "env.py", revision="refs/pr/1", **more))
assert file.read_text() == "pull"
assert api.whoami(token)["name"] == "owner"
assert api.model_info("user/secret", token=token).private
for call, kind in [
    (lambda: api.model_info("user/none"), RepositoryNotFoundError),
    (lambda: api.model_info("user/secret"), RepositoryNotFoundError),
    (lambda: api.model_info("user/repo", revision="none"), RevisionNotFoundError),
    (lambda: api.hf_hub_download("user/repo", "none.py"), EntryNotFoundError),
    (lambda: api.hf_hub_download("user/gated", "env.py"), GatedRepoError),
]:
    try:
        call()
    except kind:
        continue
    raise SystemExit(f"no {kind}")
"""


@pytest.mark.heavy
@pytest.mark.parametrize("version", ["0.36.2", "1.10.2", "1.29.0", "2.4.0"])
def test_unmodified_client(hub: ServedHub, tmp_path: Path, version: str) -> None:
    """Infos, listings, downloads and errors are those of the Hub for each of them."""
    hub.lfs_over = 10_000
    hub.add("user/repo", {"env.py": "first"})
    big = bytes(range(256)) * 100
    files: repos.Repo = {"env.py": "", "README.md": "", "data/big.bin": big, "data/deep/a b": "a"}
    hub.add("user/repo", files, tag="v1.0")
    hub.add("user/repo", {"env.py": "side"}, branch="feature/x")
    hub.add("user/repo", {"env.py": "pull"}, branch="refs/pr/1")
    hub.add("user/secret", repos.COUNTER, private=True)
    hub.add("user/gated", repos.COUNTER, gated=True)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    uv = ("run", "--no-project", "--isolated", "--with", f"huggingface_hub=={version}")
    proc.run([find_uv_bin(), *uv, "python", script, hub.url, hub.token, tmp_path / "cache"])
