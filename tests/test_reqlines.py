"""Nothing but a package by name, with extras, versions and a marker, passes as a requirement."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envhub.errors import RequirementError
from envhub.reqlines import check_line, parse_lines

GOOD = {
    "six": "six",
    "  six  ": "six",
    "Zope.Interface": "zope-interface",
    "six (>=1)": "six>=1",
    "gym_aloha == 0.1.5": "gym-aloha==0.1.5",
    "gymnasium[MuJoCo,box2d] >=1.0,<2": "gymnasium[box2d,mujoco]<2,>=1.0",
    "torch==2.3.0+cpu": "torch==2.3.0+cpu",
    "six===1.0": "six===1.0",
    "numpy~=1.23,!=1.23.4": "numpy!=1.23.4,~=1.23",
    "six;python_version<'3.9'": 'six ; python_version < "3.9"',
    "txt": "txt",
}
BAD = {
    "-r other.txt": "includes another file",
    "--requirement=other.txt": "includes another file",
    "-c limits.txt": "includes another file",
    "-e .": "installs a folder",
    "--editable ./src": "installs a folder",
    "--index-url elsewhere": "option for pip",
    "--extra-index-url=elsewhere": "option for pip",
    "-f wheels": "option for pip",
    "--pre": "option for pip",
    "git+https://git.example/a.git": "is a repo",
    "hg+ssh://git.example/a": "is a repo",
    "https://files.example/six.whl": "is an address",
    "file:///six.whl": "is an address",
    "HTTPS://files.example/six.whl": "is an address",
    "six @ https://files.example/six.whl": "is an address",
    "six@file:///six.whl": "is an address",
    "six @ git+https://git.example/a.git": "is an address",
    "./six": "is a path",
    "../six": "is a path",
    "/srv/six": "is a path",
    "~/six": "is a path",
    "wheels/six": "is a path",
    r"wheels\six": "is a path",
    r"C:\six": "is a path",
    ".": "is a path",
    "six.whl": "is a file",
    "six.tar.gz": "is a file",
    "six.zip[extra]": "is a file",
    "other.txt": "is a file",
    "six #egg=x": "is no requirement",
    "six --hash=sha256:00": "is no requirement",
    "six 1.0": "is no requirement",
    "six===../six": "asks for no version",
    "six==1 ; nonsense": "is no requirement",
    "": "is no requirement",
    "six\n-e ./evil": "line break",
    "six ; python_version > '3\n-e ./evil'": "line break",
    "six ; sys_platform == 'a\x0b-e .'": "line break",
    "six ; sys_platform == 'a\u2028-e .'": "line break",
    "six\x00": "line break",
}


@pytest.mark.parametrize(("line", "normal"), GOOD.items())
def test_good(line: str, normal: str) -> None:
    """A package by name passes, in one form; that form passes as it is."""
    assert check_line("here", line) == normal
    assert check_line("here", normal) == normal


@pytest.mark.parametrize(("line", "problem"), BAD.items())
def test_bad(line: str, problem: str) -> None:
    """Everything else is refused, with the line, the place and what it is."""
    with pytest.raises(RequirementError, match=problem) as caught:
        check_line("here", line)
    assert repr(line.strip()) in caught.value.what
    assert caught.value.what.startswith("here has ")


PIECES = st.sampled_from(
    [
        *("six", "numpy", "==", ">=1", "~=2.0", "===", "[extra]", " ", "\t", "\n", "\r", ",", "\\"),
        *("@", "-e", "-r", "--index-url", "git+", "https://", "file:", "./", "../", "/", "~", ":"),
        *("#", ";", "python_version", "sys_platform", "'", '"', "1.0", "*", "(", ")", ".whl"),
        *("and", "or", "in", "extra", "\x0c", "\x85", "\u2028", "%0a", "$HOME", "${HOME}"),
    ]
)
LINES = st.one_of(st.lists(PIECES, max_size=8).map("".join), st.text(max_size=40))

NAME = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
VERSION = r"[<>=!~]=?=?[0-9a-z.+*!-]+"
SHAPE = re.compile(rf"{NAME}(\[{NAME}(,{NAME})*\])?({VERSION}(,{VERSION})*)?( ; (?P<marker>.+))?")


@given(LINES)
def test_nothing_else_passes(line: str) -> None:
    """Whatever is written, only name, extras, versions and a marker come out, on one line."""
    try:
        passed = check_line("here", line)
    except RequirementError:
        return
    shape = SHAPE.fullmatch(passed)
    assert shape is not None
    assert len(passed.splitlines()) == 1
    again = Requirement(passed)
    assert again.url is None
    assert check_line("here", passed) == passed


@given(
    st.text(string.ascii_letters + string.digits, min_size=1, max_size=20),
    st.lists(st.sampled_from(["==1.0", ">=1", "<3", "!=2.*", "~=1.4"]), max_size=2),
    st.lists(st.sampled_from(["a", "B_c", "d.e"]), max_size=2),
)
def test_names_pass(name: str, versions: list[str], extras: list[str]) -> None:
    """Every package with extras and versions passes and stays what it is."""
    listed = f"[{','.join(extras)}]" if extras else ""
    before = Requirement(f"{name}{listed}{','.join(versions)}")
    after = Requirement(check_line("here", str(before)))
    assert after.name == canonicalize_name(name)
    assert after.specifier == before.specifier
    assert after.extras == set(map(canonicalize_name, before.extras))


FILE = b"""\xef\xbb\xbf# what the env needs

gymnasium[mujoco]>=1.0   # the contract
numpy==2.0.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
six ; python_version < "3.9"\r
"""


def test_file() -> None:
    """Comments, empty lines, continued lines and hashes of a requirements.txt are passed over."""
    assert parse_lines("requirements.txt", FILE) == (
        "gymnasium[mujoco]>=1.0",
        "numpy==2.0.0",
        'six ; python_version < "3.9"',
    )


@pytest.mark.parametrize("data", [b"six\n-e .\n", b"\xff\xfes\0i\0x\0", b"six \\\n -e ."])
def test_bad_file(data: bytes) -> None:
    """One line that is no package refuses the file."""
    with pytest.raises(RequirementError, match=r"requirements\.txt has"):
        parse_lines("requirements.txt", data)
