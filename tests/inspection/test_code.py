"""Every capability is found where it is, however it is spelt; what is none is left alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envhub.inspection.code import MAX_BYTES, _by_type, read_code
from envhub.inspection.findings import KINDS, Finding
from envhub.inspection.watched import MODULES, NAMES


def kinds(text: str, own: str = "you/env") -> list[tuple[str, str]]:
    """The findings of a file, by kind and what."""
    return [(found.kind, found.what) for found in read_code("env.py", text.encode(), own)]


FOUND = {
    # subprocess
    "import subprocess": ("subprocess", "import subprocess"),
    "import subprocess as sp\nsp.run": ("subprocess", "subprocess.run"),
    "from subprocess import Popen as P\nP([])": ("subprocess", "subprocess.Popen"),
    "import os\nos.system('ls')": ("subprocess", "os.system"),
    "import os as o\nf = o.execv": ("subprocess", "os.execv"),
    "from os import popen\npopen('ls')": ("subprocess", "os.popen"),
    "from os import *\nsystem('ls')": ("subprocess", "os.system"),
    "from subprocess import *": ("subprocess", "import subprocess"),
    "import os\ngetattr(os, 'system')('ls')": ("subprocess", "os.system"),
    "import importlib\nimportlib.import_module('os').system": ("subprocess", "os.system"),
    "__import__('os').popen('ls')": ("subprocess", "os.popen"),
    "def f():\n import asyncio\n asyncio.create_subprocess_exec": (
        "subprocess",
        "asyncio.create_subprocess_exec",
    ),
    # network
    "import requests": ("network", "import requests"),
    "import urllib.request as u\nu.urlopen('x')": ("network", "urllib.request.urlopen"),
    "from http.client import HTTPConnection": ("network", "import http.client.HTTPConnection"),
    "import torch\ntorch.hub.load('x', 'y')": ("network", "torch.hub.load"),
    "try:\n import socket\nexcept ImportError: pass": ("network", "import socket"),
    # native code
    "import ctypes": ("native-code", "import ctypes"),
    "from ctypes import CDLL\nCDLL('x')": ("native-code", "ctypes.CDLL"),
    # dynamic code
    "eval('1')": ("dynamic-code", "eval"),
    "f = exec": ("dynamic-code", "exec"),
    "import builtins\nbuiltins.exec('x')": ("dynamic-code", "builtins.exec"),
    "__builtins__['eval']": ("dynamic-code", "__builtins__"),
    "__import__('so' + 'cket')": ("dynamic-code", "__import__ of a computed name"),
    "from importlib import import_module as i\ni(name)": (
        "dynamic-code",
        "importlib.import_module of a computed name",
    ),
    "import os\ngetattr(os, 'sys' + 'tem')": ("dynamic-code", "getattr(os, …)"),
    "import subprocess\ngetattr(subprocess, x)": ("dynamic-code", "getattr(subprocess, …)"),
    "().__class__.__base__.__subclasses__()": ("dynamic-code", ".__subclasses__"),
    "make_env.__globals__['x']": ("dynamic-code", ".__globals__"),
    "import os\nos.__dict__['sys' 'tem']": ("dynamic-code", "os.__dict__"),
    "import os\nvars(os)['system']": ("dynamic-code", "vars(os)"),
    "import marshal\nmarshal.loads(b)": ("dynamic-code", "marshal.loads"),
    # pickles
    "import pickle\npickle.loads(b)": ("pickle", "pickle.loads"),
    "import pandas as pd\npd.read_pickle('x')": ("pickle", "pandas.read_pickle"),
    "import torch\ntorch.load('x')": ("pickle", "torch.load without weights_only=True"),
    "import torch\ntorch.load('x', weights_only=flag)": (
        "pickle",
        "torch.load without weights_only=True",
    ),
    "import numpy as np\nnp.load('x', allow_pickle=True)": (
        "pickle",
        "numpy.load with allow_pickle",
    ),
    "import numpy as np\nnp.load('x', **more)": ("pickle", "numpy.load with allow_pickle"),
    # hubs
    "import huggingface_hub as h\nh.snapshot_download('a/b')": (
        "hub-call",
        "snapshot_download without revision=",
    ),
    "from huggingface_hub import hf_hub_download\nhf_hub_download('a/b', 'c')": (
        "hub-call",
        "hf_hub_download without revision=",
    ),
    "api.hf_hub_download('a/b', 'c')": ("hub-call", "hf_hub_download without revision="),
    "from transformers import AutoModel\nAutoModel.from_pretrained('a/b')": (
        "hub-call",
        "from_pretrained without revision=",
    ),
    "REPO = 'you/env'": ("own-repo", "'you/env'"),
    # secrets and places
    "import os\nos.environ['HF_TOKEN']": ("secrets", "$HF_TOKEN"),
    "import os\nos.getenv('WANDB_API_KEY')": ("secrets", "$WANDB_API_KEY"),
    "from os import environ\nenviron.get('AWS_SECRET_ACCESS_KEY')": (
        "secrets",
        "$AWS_SECRET_ACCESS_KEY",
    ),
    "open('/home/me/.ssh/id_rsa')": ("secrets", "'/home/me/.ssh/id_rsa'"),
    "p = '~/.cache/huggingface/token'": ("secrets", "'~/.cache/huggingface/token'"),
    "import keyring": ("secrets", "import keyring"),
    "import os\ndict(os.environ)": ("environment", "os.environ"),
    "import os\nos.environ['DISPLAY']": ("environment", "$DISPLAY"),
    "import os\nos.getenv(name)": ("environment", "$…"),
    "open('/etc/hosts')": ("files", "'/etc/hosts'"),
    "p = '../other/file'": ("files", "'../other/file'"),
    "p = 'C:\\\\Windows'": ("files", "'C:\\\\Windows'"),
    "from pathlib import Path\nPath.home()": ("files", "pathlib.Path.home"),
    # what nobody can read
    "x = '" + "QUJD" * 600 + "'": ("blob", "2,400 characters"),
    "x = b'" + "\\x90" * 2100 + "'": ("blob", "2,100 characters"),
    "def f(:": ("unreadable", "invalid syntax (<unknown>, line 1)"),
}


@pytest.mark.parametrize(("text", "finding"), FOUND.items(), ids=[repr(t)[:40] for t in FOUND])
def test_found(text: str, finding: tuple[str, str]) -> None:
    """The capability is named, and by its real name."""
    assert finding in kinds(text)


HARMLESS = {
    "a docstring": '"""Writes to /etc/hosts, as you/env would."""',
    "a division": "x = a / b",
    "attributes of one's own": "self.system()\nself.run.eval()\nmodel.compile()\nmodel.eval()",
    "relative imports": "from .requests import get\nfrom . import socket\nget()\nsocket.socket()",
    "a path in the repo": "open('assets/robot.xml')",
    "a name in a scene": "site = '/robot/arm/gripper'",
    "weights": "import torch\ntorch.load('x', weights_only=True)",
    "an array": "import numpy as np\nnp.load('x')\nnp.load('y', allow_pickle=False)",
    "a pinned download": "import huggingface_hub as h\nh.snapshot_download('a/b', revision=c)",
    "a call with everything": "import huggingface_hub as h\nh.snapshot_download(**given)",
    "somebody else's method": "policy.from_pretrained('x')",
    "setting a variable": "import os\nos.environ['MUJOCO_GL'] = 'egl'",
    "a long text": "x = '" + "some words " * 300 + "'",
    "an import of one's own": "import numpy\nimport envs.pick",
    "one's own attributes": "vars(self)\nself.__dict__.update(x)\nvars()\ntype(x).__dict__",
    "getattr of an object": "getattr(env, name)\ngetattr(env, 'system')",
}


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS)
def test_harmless(text: str) -> None:
    """What every simulator does is no finding."""
    assert kinds(text) == []


def test_each_thing_once_with_its_first_line() -> None:
    """A name that is used often is one finding; its count says how often."""
    text = "import os\n\nos.system('a')\nif x:\n    os.system('b')\nos.kill(1, 2)\n"
    found = {each.what: each for each in read_code("a/env.py", text.encode())}
    assert (found["os.system"].where, found["os.system"].count) == ("a/env.py:3", 2)
    assert (found["os.kill"].line, found["os.kill"].count) == (6, 1)


def test_a_variable_is_not_also_the_whole_environment() -> None:
    """Reading one variable says that one, and nothing more."""
    text = "import os\nos.environ['A']\nos.environ.get('B')\nos.getenv('C')\n"
    assert sorted(kinds(text)) == [("environment", f"${name}") for name in "ABC"]


def test_encodings() -> None:
    """A file is read in the encoding that it names, as Python reads it."""
    text = "# coding: latin-1\nimport socket  # é\n"
    [found] = read_code("env.py", text.encode("latin-1"))
    assert found.what == "import socket"


@pytest.mark.parametrize(
    "data",
    [b"x" * (MAX_BYTES + 1), b"\0", b"\xff\xfe", b"# coding: nonsense\n", b"(" * 100_000],
    ids=["large", "nul", "utf-16", "coding", "deep"],
)
def test_unreadable(data: bytes) -> None:
    """What Python cannot read is said to be so, and breaks nothing."""
    assert "unreadable" in {found.kind for found in read_code("env.py", data)}


def test_long_chains() -> None:
    """A name with thousands of parts takes no time and means nothing."""
    text = "import os\nx" + ".a" * 900 + "\nos.system" + ".a" * 30
    assert ("subprocess", "os.system") in kinds(text)


def test_all_watched_kinds_are_known() -> None:
    """Each name stands for a kind that there is."""
    assert {*MODULES.values(), *NAMES.values()} <= set(KINDS)


def test_the_walk_finds_what_ast_finds() -> None:
    """All nodes of the kinds that matter are found, of this very file."""
    tree = ast.parse(Path(__file__).read_text(encoding="utf-8"))
    for kind, nodes in _by_type(tree).items():
        expected = [node for node in ast.walk(tree) if type(node) is kind]
        assert {*map(id, nodes)} == {*map(id, expected)}


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes(data: bytes) -> None:
    """Whatever a file holds, findings come of it that can be shown."""
    for found in read_code("env.py", data, "u/r"):
        assert isinstance(found, Finding)
        assert found.what.isprintable()


PIECES = [
    "os",
    "system",
    "getattr",
    "(",
    ")",
    ".",
    "\n",
    "'a'",
    "import ",
    "from ",
    " as x",
    "=",
    ",",
]


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_any_code(text: str) -> None:
    """Code that looks like what is watched for never breaks the reading of it."""
    for found in read_code("env.py", text.encode()):
        assert found.kind in KINDS
