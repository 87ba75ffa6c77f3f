"""What a repo's code gets for huggingface_hub and importlib; nobody else gets it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import EntryNotFoundError

from envhub.testing import ServedHub
from envhub.testing.repos import write
from envhub.worker import load, repos

OLD = {"env.py": "", "a.txt": "old", "sub/b.txt": "old b"}
NEW = {"a.txt": "new", "sub/c.txt": "new c"}

Run = Callable[[str], ModuleType]


@pytest.fixture
def served(hub: ServedHub, monkeypatch: pytest.MonkeyPatch) -> ServedHub:
    """A hub with a repo of two commits, and another repo."""
    # The library read its variable when it was imported, which may have been in another test.
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
    monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", hub.url)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
        hub.url + "/{repo_id}/resolve/{revision}/{filename}",
    )
    hub.add("u/r", OLD, tag="v1")
    hub.add("u/r", NEW)
    hub.add("u/other", {"a.txt": "other"})
    return hub


@pytest.fixture
def run(served: ServedHub, tmp_path: Path) -> Run:
    """Run code as that of the repo `u/r`, pinned to its first commit."""
    commit = huggingface_hub.HfApi(endpoint=served.url).repo_info("u/r", revision="v1").sha

    def run(text: str) -> ModuleType:
        root = write({**OLD, "env.py": text}, tmp_path / "tree").resolve()
        return load.entry(
            repos.open_repo(
                repos.Place(str(root), "env.py", "u/r", "model", served.url, str(commit))
            )
        )

    return run


FILE = {
    "function": "from huggingface_hub import hf_hub_download as get",
    "module": "import huggingface_hub\nget = huggingface_hub.hf_hub_download",
    "submodule": "import huggingface_hub.file_download as f\nget = f.hf_hub_download",
    "from submodule": "from huggingface_hub.file_download import hf_hub_download as get",
    "method": "from huggingface_hub import HfApi\nget = HfApi().hf_hub_download",
    "method of module": "from huggingface_hub.hf_api import HfApi\nget = HfApi().hf_hub_download",
    "by name": "import importlib\nget = importlib.import_module('huggingface_hub').hf_hub_download",
}


@pytest.mark.parametrize("text", FILE.values(), ids=FILE)
def test_file_of_the_own_repo(run: Run, served: ServedHub, text: str) -> None:
    """A file of the repo itself is the pinned one, from disk, however the function is reached."""
    module = run(text)
    before = len(served.requests)
    assert Path(module.get("u/r", "a.txt")).read_text() == "old"
    assert Path(module.get(repo_id="u/r", filename="b.txt", subfolder="sub")).read_text() == "old b"
    assert len(served.requests) == before
    assert Path(module.get("u/other", "a.txt")).read_text() == "other"
    assert Path(module.get("u/r", "a.txt", revision="main")).read_text() == "new"


@pytest.mark.parametrize("name", ["c.txt", "sub", "../tree/nothing", "../../secret", "/etc/passwd"])
def test_file_that_is_not_in_the_commit(run: Run, tmp_path: Path, name: str) -> None:
    """A file that the commit lacks, or that is none of the repo's, is not found."""
    (tmp_path / "secret").write_text("")
    module = run(FILE["function"])
    with pytest.raises(EntryNotFoundError, match=r"is not in u/r at \w{40}"):
        module.get("u/r", name)


SNAPSHOT = """
from huggingface_hub import HfApi, hf_hub_download as one, snapshot_download as get
also = HfApi().snapshot_download
"""


def test_snapshot_of_the_own_repo(run: Run, tmp_path: Path) -> None:
    """All files of the repo itself are those of the pinned commit, where they are or copied."""
    module = run(SNAPSHOT)
    root = Path(module.__file__ or "").parent
    assert Path(module.get("u/r")) == Path(module.also(repo_id="u/r", repo_type="model")) == root
    copy = Path(module.get("u/r", local_dir=tmp_path / "copy", allow_patterns="*.txt"))
    assert sorted(path.name for path in copy.rglob("*.txt")) == ["a.txt", "b.txt"]
    file = module.one("u/r", "sub/b.txt", local_dir=tmp_path / "one")
    assert file == str(tmp_path / "one" / "sub" / "b.txt")
    assert Path(file).read_text() == "old b"


LISTS: dict[str, str] = {
    "files": "X = sorted(huggingface_hub.list_repo_files('u/r'))",
    "method": "X = sorted(huggingface_hub.HfApi().list_repo_files('u/r'))",
    "tree": "X = sorted(f.path for f in huggingface_hub.list_repo_tree('u/r', recursive=True)"
    " if hasattr(f, 'size'))",
    "exists": "X = [f for f in ('a.txt', 'env.py', 'sub/b.txt', 'sub/c.txt')"
    " if huggingface_hub.file_exists('u/r', f)]",
}


@pytest.mark.parametrize("text", LISTS.values(), ids=LISTS)
def test_questions_about_the_own_repo(run: Run, text: str) -> None:
    """What the hub is asked about the repo itself is asked for the pinned commit."""
    files = set(run(f"import huggingface_hub\n{text}").X)
    assert {name for name in files if not name.startswith(".")} == set(OLD)


def test_everybody_else_has_the_library(run: Run) -> None:
    """The library itself is untouched, and the repo sees all else of it as it is."""
    text = "import huggingface_hub as h\nfrom huggingface_hub import HfApi\nh.mark = 3"
    before = huggingface_hub.hf_hub_download, huggingface_hub.HfApi
    module: Any = run(text)
    assert (huggingface_hub.hf_hub_download, huggingface_hub.HfApi) == before
    assert vars(huggingface_hub).pop("mark") == 3
    assert module.h.__version__ == huggingface_hub.__version__
    assert dir(module.h) == dir(huggingface_hub)
    assert module.h.hf_hub_download is module.h.hf_hub_download
    assert module.h.hf_hub_download.__doc__ == huggingface_hub.hf_hub_download.__doc__
    assert issubclass(module.HfApi, huggingface_hub.HfApi)
    assert module.h.utils.__name__ == "huggingface_hub.utils"
    with pytest.raises(AttributeError, match="nothing"):
        _ = module.h.nothing


def test_import_by_name(run: Run) -> None:
    """`importlib` finds siblings at any time, and is otherwise the real one."""
    module: Any = run("import importlib\ndef later(name): return importlib.import_module(name)")
    (Path(module.__file__).parent / "late.py").write_text("X = 1")
    assert module.later("late").__name__.startswith(repos.PREFIX)
    assert module.later("json") is importlib.import_module("json")
    assert module.importlib.util.find_spec("json") is not None
    assert module.importlib.invalidate_caches is importlib.invalidate_caches
