"""Loading: private packages, siblings, and what is said when a file cannot be imported."""

from __future__ import annotations

import ast
import importlib
import multiprocessing
import pickle
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from envhub.testing.repos import Repo, write
from envhub.worker import contain, files, load, package, repos
from envhub.worker.faults import Fault

WORKER = sorted(Path(repos.__file__).parent.glob("*.py"))

Loader = Callable[..., ModuleType]


def place(
    root: Path, entry: str = "env.py", *, repo: str = "u/r", version: str = "1"
) -> repos.Place:
    return repos.Place(str(root.resolve()), entry, repo, "model", "https://hub.test", version)


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., repos.Repo]:
    """Write a repo and open it."""

    def opened(repo: Repo, entry: str = "env.py", name: str = "tree") -> repos.Repo:
        return repos.open_repo(place(write(repo, tmp_path / name), entry))

    return opened


@pytest.fixture
def loaded(opened: Callable[..., repos.Repo]) -> Loader:
    """Write a repo and import its entry file."""

    def loaded(repo: Repo, entry: str = "env.py", name: str = "tree") -> ModuleType:
        return load.entry(opened(repo, entry, name))

    return loaded


IMPORTS: dict[str, tuple[Repo, str]] = {
    "relative": ({"env.py": "from .helpers import X", "helpers.py": "X = 1"}, "env.py"),
    "absolute": ({"env.py": "from helpers import X", "helpers.py": "X = 1"}, "env.py"),
    "whole": ({"env.py": "import helpers\nX = helpers.X", "helpers.py": "X = 1"}, "env.py"),
    "renamed": ({"env.py": "import a.b as c\nX = c.X", "a/b.py": "X = 1"}, "env.py"),
    "dotted": ({"env.py": "import a.b\nX = a.b.X", "a/__init__.py": "", "a/b.py": "X=1"}, "env.py"),
    "submodule": ({"env.py": "from a import b\nX = b.X", "a/b.py": "X = 1"}, "env.py"),
    "package": ({"env.py": "from a import X", "a/__init__.py": "X = 1"}, "env.py"),
    "beside": ({"e/env.py": "from h import X", "e/h.py": "X = 1", "h.py": "X = 2"}, "e/env.py"),
    "at the root": ({"e/env.py": "from h import X", "h.py": "X = 1"}, "e/env.py"),
    "above": ({"e/env.py": "from ..h import X", "h.py": "X = 1"}, "e/env.py"),
    "own package": (
        {"env.py": "from a import X", "a/__init__.py": "from a.b import X", "a/b.py": "X = 1"},
        "env.py",
    ),
    "package of the root": ({"env.py": "from . import X", "__init__.py": "X = 1"}, "env.py"),
    "in a function": (
        {"env.py": "def f():\n import h\n return h.X\nX = f()", "h.py": "X = 1"},
        "env.py",
    ),
    "path": (
        {
            "env.py": "import sys\nfrom pathlib import Path\n"
            "sys.path.insert(0, str(Path(__file__).parent / 'lib'))\nfrom h import X",
            "lib/h.py": "X = 1",
        },
        "env.py",
    ),
    "by name": (
        {"env.py": "import importlib\nX = importlib.import_module('h').X", "h.py": "X = 1"},
        "env.py",
    ),
    "by name, from": (
        {
            "env.py": "from importlib import import_module as i\nX = i('.h', __package__).X",
            "h.py": "X=1",
        },
        "env.py",
    ),
    "not itself": ({"json5x.py": "try:\n import json5x\nexcept ImportError:\n X = 1"}, "json5x.py"),
    "standard library first": (
        {"env.py": "import queue\nX = int(hasattr(queue, 'Queue'))", "queue.py": ""},
        "env.py",
    ),
    "installed before a bare folder": (
        {"env.py": "import numpy\nX = int(hasattr(numpy, 'array'))", "numpy/model.xml": ""},
        "env.py",
    ),
    "own file before installed": ({"env.py": "from numpy import X", "numpy.py": "X = 1"}, "env.py"),
    "a name that is none": ({"My Env-v1.0.py": "X = 1"}, "My Env-v1.0.py"),
    "a folder that is none": (
        {"my-envs/2d.py": "from .h import X", "my-envs/h.py": "X = 1"},
        "my-envs/2d.py",
    ),
    "a file and a folder": ({"env.py": "X = 1", "env/__init__.py": "X = 2"}, "env.py"),
    "a package": ({"pkg/__init__.py": "from .h import X", "pkg/h.py": "X = 1"}, "pkg/__init__.py"),
}


@pytest.mark.parametrize(("repo", "entry"), IMPORTS.values(), ids=IMPORTS)
def test_imports(loaded: Loader, repo: Repo, entry: str) -> None:
    """Every usual way to import a sibling works, and finds what the author meant."""
    before = list(sys.path), set(sys.modules)
    module = loaded(repo, entry)
    assert module.X == 1
    assert sys.path == before[0]
    added = {name for name in set(sys.modules) - before[1] if not name.startswith(repos.PREFIX)}
    assert added == {name for name in added if name not in {"h", "a", "helpers", "env"}}


def test_same_place_loads_once(loaded: Loader) -> None:
    """Loading again gives the same module."""
    repo = {"env.py": "import random\nX = object()"}
    assert loaded(repo) is loaded(repo)


def test_names_never_meet(loaded: Loader) -> None:
    """Files of two repos have names of their own, and so have their equally named siblings."""
    one = loaded({"env.py": "from h import X", "h.py": "X = 1"}, name="one")
    two = loaded({"env.py": "from h import X", "h.py": "X = 2"}, name="two")
    assert (one.X, two.X) == (1, 2)
    assert one.__name__ != two.__name__
    assert "h" not in sys.modules


def test_odd_names_are_told_apart() -> None:
    """File names that only differ in signs that no identifier has get different module names."""
    stems = ["a-b", "a b", "a.b", "a_b", "1a", "_1a", "ä-b"]
    parts = [files.module_part(stem) for stem in stems]
    assert len(set(parts)) == len(stems)
    assert all(part.isidentifier() for part in parts)
    assert files.module_parts("envs/My-v1.py") == f"envs.{files.module_part('My-v1')}"


def test_no_bytecode(loaded: Loader, tmp_path: Path) -> None:
    """Bytecode in the tree is neither run nor written."""
    repo = {"env.py": "from h import X", "h.py": "X = 'poison'"}
    root = write(repo, tmp_path / "tree")
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", root, "--invalidation-mode", "unchecked-hash"],
        check=True,
    )
    poisoned = sorted(root.rglob("*.pyc"))
    assert poisoned
    assert loaded({**repo, "h.py": "X = 'source'"}).X == "source"
    assert sorted(root.rglob("*.pyc")) == poisoned


def test_pickles_by_name(loaded: Loader) -> None:
    """Classes and functions of a repo can be pickled."""
    module = loaded({"env.py": "class A:\n pass\ndef f():\n pass"})
    assert pickle.loads(pickle.dumps((module.A, module.f))) == (module.A, module.f)


def test_what_code_puts_into_sys_modules_stays_its_own(loaded: Loader) -> None:
    """A repo that fills `sys.modules` by itself finds the module again; nobody else does."""
    idiom = (
        "import importlib.util, sys, pathlib\n"
        "file = pathlib.Path(__file__).parent / 'lib' / 'errors.py'\n"
        "spec = importlib.util.spec_from_file_location('errors', file)\n"
        "sys.modules['errors'] = module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "def later():\n import errors\n return errors is module\n"
        "def part():\n from errors import X\n return X\n"
    )
    module = loaded({"env.py": idiom, "lib/errors.py": "X = 1"})
    assert "errors" not in sys.modules
    assert module.later()
    assert module.part() == 1


def test_outsiders_find_a_repo_that_is_at_work(opened: Callable[..., repos.Repo]) -> None:
    """While a repo's code runs, a library's `import_module("pkg.h")` gets the private module."""
    repo = opened({"env.py": "", "pkg/__init__.py": "", "pkg/h.py": "X = 1"})
    with contain.working(repo):
        module = importlib.import_module("pkg.h")
    assert module.__name__ == f"{repo.package}.pkg.h"
    assert not {"pkg", "pkg.h"} & set(sys.modules)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("pkg.h")


FAULTS: dict[str, tuple[Repo, str, str]] = {
    "missing package": (
        {
            "env.py": "\nimport nowhere.sub",
            "requirements.txt": "nowhere>=3  # the\n# no\n\nb [x]\n",
        },
        "missing-dependency",
        r"env\.py:2 imports nowhere, .*requirements\.txt of u/r lists nowhere>=3, b \[x\].*"
        r"pip install 'nowhere>=3' 'b \[x\]'",
    ),
    "missing package, not listed": (
        {"env.py": "import nowhere"},
        "missing-dependency",
        r"u/r has no requirements\.txt.*pip install nowhere",
    ),
    "requirements with options": (
        {"env.py": "import nowhere", "requirements.txt": "-r more.txt\nnowhere\n"},
        "missing-dependency",
        r"pip install -r /.*/requirements\.txt",
    ),
    "missing sibling": (
        {"env.py": "from .helper import x", "helpers.py": ""},
        "load-failed",
        r"env\.py:1 imports helper, but u/r has no helper\.py.*helpers\.py",
    ),
    "exit": (
        {"env.py": "import sys\nsys.exit(3)"},
        "env-exited",
        r"env\.py:2 called sys\.exit\(3\)",
    ),
    "own exception": (
        {"env.py": "import h", "h.py": "\n\n1 / 0"},
        "load-failed",
        r"env\.py of u/r could not be imported.*h\.py:3: ZeroDivisionError: division by zero",
    ),
    "missing name": (
        {"env.py": "from math import pie"},
        "load-failed",
        r"cannot import name 'pie'",
    ),
    "bad syntax": (
        {"env.py": "import h", "h.py": "x = 1\ndef f(:\n  pass"},
        "load-failed",
        r"h\.py:2 is not valid Python.*def f\(:",
    ),
    "no factory": ({"env.py": "def make_envs(): ..."}, "no-make-env", r"near names.*make_envs"),
    "no factory at all": ({"env.py": "x = 1"}, "no-make-env", r"env\.py has no function make_env"),
    "factory that is none": ({"env.py": "make_env = 3"}, "no-make-env", r"is int, not a function"),
}


@pytest.mark.parametrize(("repo", "code", "message"), FAULTS.values(), ids=FAULTS)
def test_faults(opened: Callable[..., repos.Repo], repo: Repo, code: str, message: str) -> None:
    """What is wrong with a repo is said with the file, the line and the way out."""
    with pytest.raises(Fault) as caught:
        load.factory(opened(repo))
    fault = caught.value
    assert fault.code == code
    text = " ".join((fault.what, fault.why, fault.hint))
    assert re.search(message, text, re.DOTALL), text


def test_newer_syntax_in_a_repo(opened: Callable[..., repos.Repo]) -> None:
    """A file that needs a newer Python says which, and where."""
    with pytest.raises(
        Fault, match=r"h\.py:1 needs Python ≥ 3\.15, and this is Python 3"
    ) as caught:
        load.entry(opened({"env.py": "import h", "h.py": "lazy import json"}))
    assert caught.value.code == "python-version"


@pytest.mark.parametrize("path", WORKER, ids=lambda path: path.name)
def test_sealed_files_are_old_python(path: Path) -> None:
    """The files that run under the env's own interpreter parse in Python 3.8."""
    assert ast.parse(path.read_text(), feature_version=(3, 8))


def test_a_venv_inside_the_folder_is_not_of_the_repo(
    loaded: Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a project folder with a `.venv`, what is installed there stays what it is."""
    packages = write(
        {"installed_x.py": "X = 1", "assets/__init__.py": "X = 2"}, tmp_path / "tree/.venv"
    )
    monkeypatch.syspath_prepend(str(packages))
    module = loaded(
        {
            "env.py": "import installed_x\nimport importlib\n"
            "X = importlib.import_module('installed_x')\nimport assets\nA = assets.X",
            "assets/mesh.stl": "",
        }
    )
    assert module.X is sys.modules.pop("installed_x")
    assert module.A == sys.modules.pop("assets").X == 2
    assert str(packages) in sys.path


def test_extension_modules(opened: Callable[..., repos.Repo]) -> None:
    """A compiled sibling is found as a module of the private package."""
    suffix = files.SUFFIXES[1]
    repo = opened({"env.py": "", f"fast{suffix}": b""})
    name = repo.resolve("fast")
    assert name == f"{repo.package}.fast"
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin == str(Path(repo.place.root) / f"fast{suffix}")


def test_unknown_package() -> None:
    """A private name whose repo was never opened is an ordinary missing module."""
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(repos.PREFIX + "r_nobody_0.env")


def test_path_entries_of_every_kind(loaded: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what the repo put on `sys.path` and is its own goes, as often as it is there."""
    monkeypatch.setattr(sys, "path", [*sys.path, "", "/nowhere"])
    before = list(sys.path)
    text = (
        "import sys\nfrom pathlib import Path\nhere = Path(__file__).parent\n"
        "sys.path[:0] = [str(here), str(here), str(here / 'lib'), '/elsewhere']\nimport h\nX = h.X"
    )
    assert loaded({"env.py": text, "lib/h.py": "X = 1"}).X == 1
    assert sys.path == ["/elsewhere", *before]


def test_standard_library_of_old_pythons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python does not list its own modules, its folders do."""
    names = frozenset(sys.stdlib_module_names)
    monkeypatch.delattr(sys, "stdlib_module_names")
    found = package._list_standard()
    assert {"os", "sys", "json", "math", "queue", "_socket"} <= found & names
    assert "numpy" not in found


OWN_MISTAKES = {
    "a module that is only said to be missing": "raise ModuleNotFoundError('install it by hand')",
    "text that the code itself parses": "compile('x = = 1', 'user.txt', 'exec')",
    "any other": "raise LookupError('mine')",
}


@pytest.mark.parametrize("text", OWN_MISTAKES.values(), ids=OWN_MISTAKES)
def test_own_exceptions_of_a_call_are_not_explained(
    opened: Callable[..., repos.Repo], text: str
) -> None:
    """What the code raises for reasons of its own passes as it is."""
    repo = opened({"env.py": f"def f():\n    {text}"})
    module = load.entry(repo)
    kinds = (ImportError, SyntaxError, LookupError)
    with pytest.raises(kinds) as caught, load.explaining(repo):
        module.f()
    assert not isinstance(caught.value, Fault)


def test_lock_of_another_thread_does_not_survive_a_fork() -> None:
    """A child that is forked while another thread loads a repo can load, too."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with contain.LOCK:
            held.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    process = multiprocessing.get_context("fork").Process(target=_take_lock)
    process.start()
    process.join(30)
    done.set()
    thread.join()
    assert process.exitcode == 0


def _take_lock() -> None:
    with contain.LOCK:
        pass
