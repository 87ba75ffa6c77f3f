"""A repo's manifest: four places, one schema, and nothing in it that cannot be meant."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from envhub.errors import ManifestError, RequirementError
from envhub.manifest import Manifest, Parameter, parse_manifest, read_manifest
from envhub.permissions import Permissions

DOCS = Path(__file__).parents[1] / "docs" / "manifest.md"

TOML = 'requirements = ["six==1.0"]\nrequires-python = ">=3.9"\n'
PYPROJECT = """
[project]
name = "x"
dependencies = ["six==2.0"]
requires-python = ">=3.10"
[tool.uv]
index-url = "http://index.example"
[tool.envhub]
step = "wait"
"""
SCRIPT = """#!/usr/bin/env python
# /// script
# dependencies = ["six==3.0"]
# requires-python = ">=3.11"
#
# [tool.uv]
# index-url = "http://index.example"
#
# [tool.envhub]
# fork-safe = false
# ///
import six
"""


def parse(entry: str = "env.py", /, **files: str) -> Manifest:
    """The manifest of a repo with these files; `__` in a name stands for its dot."""
    named = {name.replace("__", "."): text.encode() for name, text in files.items()}
    return parse_manifest(named.get, entry)


def test_none() -> None:
    """A repo that says nothing has the manifest of defaults."""
    assert parse() == parse(env__py="x = 1\n") == Manifest()
    assert Manifest().permissions.words == ()
    assert Version("3.8") in Manifest().python


def test_order() -> None:
    """envhub.toml comes before pyproject.toml, that before the entry file, that before the rest."""
    files = {
        "envhub__toml": TOML,
        "pyproject__toml": PYPROJECT,
        "env__py": SCRIPT,
        "requirements__txt": "six==4.0",
    }
    found = []
    while files:
        found.append(parse(**files))
        del files[next(iter(files))]
    assert [each.requirements for each in found] == [(f"six=={n}.0",) for n in (1, 2, 3, 4)]
    assert [each.requires_python for each in found] == [">=3.9", ">=3.10", ">=3.11", ""]
    assert [each.step for each in found] == [None, "wait", None, None]
    assert [each.fork_safe for each in found] == [None, None, False, None]


@pytest.mark.parametrize(
    "files",
    [
        {"envhub__toml": 'entry = "a.py"'},
        {"pyproject__toml": "[tool.envhub]"},
        {"env__py": "# /// script\n# requires-python = '>=3.9'\n# ///\n"},
        {"pyproject__toml": '[project]\ndependencies = ["numpy"]'},
    ],
)
def test_requirements_file(files: dict[str, str]) -> None:
    """Where nothing says what to install, requirements.txt does, whatever else there is."""
    assert parse(**files, requirements__txt="six\n").requirements == ("six",)


def test_nothing_to_install() -> None:
    """An empty list says that nothing is needed, whatever requirements.txt says."""
    assert parse(envhub__toml="requirements = []", requirements__txt="six").requirements == ()


def test_own_table_wins() -> None:
    """What [tool.envhub] says comes before the standard's keys beside it."""
    text = PYPROJECT + 'requirements = ["numpy"]\nrequires-python = "==3.12.*"\n'
    manifest = parse(pyproject__toml=text)
    assert manifest.requirements == ("numpy",)
    assert manifest.requires_python == "==3.12.*"


def test_other_entry() -> None:
    """The script block is that of the entry file, and of no other."""
    assert parse("envs/pick.py", **{"envs/pick__py": SCRIPT}).requirements == ("six==3.0",)
    assert parse("envs/pick.py", env__py=SCRIPT) == Manifest()


def test_other_blocks() -> None:
    """A block of another type is none of ours; CRLF and a mark of UTF-8 are no matter."""
    other = SCRIPT.replace("# /// script", "# /// notebook")
    assert parse(env__py=other) == Manifest()
    both = "\ufeff" + (other + "\n" + SCRIPT).replace("\n", "\r\n")
    assert parse(env__py=both).requirements == ("six==3.0",)


def test_folder(tmp_path: Path) -> None:
    """A manifest is read from a folder; what is a folder itself is no file."""
    (tmp_path / "envhub.toml").mkdir()
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "pick.py").write_text(SCRIPT)
    assert read_manifest(tmp_path).requirements == ()
    assert read_manifest(tmp_path, "envs/pick.py").requirements == ("six==3.0",)


def test_only_what_is_needed() -> None:
    """Files are asked for only until one of them has the answer."""
    asked = []

    def read(path: str) -> bytes | None:
        asked.append(path)
        return TOML.encode() if path == "envhub.toml" else None

    parse_manifest(read)
    assert asked == ["envhub.toml"]


UNKNOWN = {
    "colour = 1": ("`colour`", "docs/manifest.md"),
    "startup_timeout = 3": ("`startup_timeout`", "did you mean 'startup-timeout'?"),
    "[permissions]\nnetwrk = true": (r"`netwrk` - at `\$\.permissions`", "'network'"),
    "[suites.a.tasks.b]\nhelp = 1": (r"at `\$\.suites\[\.\.\.\]\.tasks\[\.\.\.\]`", ""),
    "version = 2": (r"`\$\.version`", ""),
    "startup-timeout = 0": (r"> 0.*`\$\.startup-timeout`", ""),
    "startup-timeout = '1'": (r"Expected `float`, got `str`", ""),
    "fork-safe = 1": (r"`\$\.fork-safe`", ""),
    "step = 'fast'": (r"'fast' - at `\$\.step`", ""),
    "requirements = 'six'": (r"`\$\.requirements`", ""),
    "requires-python = '3.9 or so'": ("3.9 or so", ""),
    "[parameters.a]\ntype = 'array'": (r"'array'", ""),
}


@pytest.mark.parametrize(("text", "said"), UNKNOWN.items())
def test_not_understood(text: str, said: tuple[str, str]) -> None:
    """What envhub does not know is refused with its path, and the near key is named."""
    with pytest.raises(ManifestError, match=r"envhub\.toml says something") as caught:
        parse(envhub__toml=text)
    assert re.search(said[0], caught.value.why)
    assert said[1] in caught.value.hint


MEANINGLESS = {
    "entry = '../env.py'": "'../env.py', which is not inside",
    "entry = '/env.py'": "not inside the repo",
    "entry = ''": "not inside the repo",
    "preview = 'C:x.png'": "not inside the repo",
    "[permissions]\nwritable = ['~/logs']": "not inside the repo",
    r"[permissions]" + "\n" + r"writable = ['a\b']": "not inside the repo",
    "[env]\n'A=B' = '1'": "'A=B', which is no name",
    "[env]\n'' = '1'": "which is no name",
    '[env]\nA = "a\\u0000b"': "which no environment variable can be",
    "[accept]\n'1A' = '1'": "which is no name",
    "[permissions]\nenv = ['a b']": "which is no name",
    "[parameters.a]\ndefault = 1": "1 for parameters.a, which is no str",
    "[parameters.a]\ntype = 'int'\ndefault = true": "True for parameters.a, which is no int",
    "[parameters.a]\ntype = 'float'\ndefault = 2\nmax = 1": "which is more than 1",
    "[parameters.a]\ntype = 'int'\nmin = 1\nchoices = [0]": "which is less than 1",
    "[parameters.a]\nchoices = ['b']\ndefault = 'c'": "'c' for parameters.a, which is none of 'b'",
    "[suites.s.parameters.a]\ndefault = 1": "suites.s.parameters.a",
    "[suites.s.tasks.t.parameters.a]\ndefault = 1": "suites.s.tasks.t.parameters.a",
}


@pytest.mark.parametrize(("text", "said"), MEANINGLESS.items())
def test_cannot_be_meant(text: str, said: str) -> None:
    """A value that has the right type and cannot be meant is refused as well."""
    with pytest.raises(ManifestError, match=re.escape(said)):
        parse(envhub__toml=text)


BROKEN = [
    {"envhub__toml": "entry = "},
    {"pyproject__toml": "["},
    {"pyproject__toml": "tool = 3"},
    {"pyproject__toml": "project = 3\n[tool.envhub]"},
    {"pyproject__toml": "[tool]\nenvhub = 3"},
    {"env__py": "# /// script\n# nonsense\n# ///\n"},
    {"env__py": "# /// script\n# tool = 3\n# ///\n"},
    {"env__py": SCRIPT + SCRIPT},
]


@pytest.mark.parametrize("files", BROKEN)
def test_broken(files: dict[str, str]) -> None:
    """A file that is no TOML, or has something else where a table should be, is refused."""
    with pytest.raises(ManifestError):
        parse(**files)


def test_not_text() -> None:
    """A manifest that is no text is refused; an entry file that is none has no block."""
    with pytest.raises(ManifestError, match="no TOML"):
        parse_manifest({"envhub.toml": b"\xff"}.get)
    assert parse_manifest({"env.py": b"\xff# /// script\n"}.get) == Manifest()


@pytest.mark.parametrize(
    "files",
    [
        {"envhub__toml": 'requirements = ["git+https://git.example/a.git"]'},
        {"pyproject__toml": '[project]\ndependencies = ["a @ file:///a"]\n[tool.envhub]'},
        {"env__py": '# /// script\n# dependencies = ["-e ."]\n# ///\n'},
        {"requirements__txt": "--index-url elsewhere\nsix\n"},
    ],
)
def test_requirements_are_names(files: dict[str, str]) -> None:
    """Wherever requirements are written, only packages by name pass."""
    with pytest.raises(RequirementError, match="has '") as caught:
        parse(**files)
    assert caught.value.what.startswith(
        (next(iter(files)).replace("__", "."), "the script block of env.py")
    )


def test_parameter() -> None:
    """A parameter says of any value whether it can be had."""
    speed = Parameter(type="float", min=0, max=2)
    assert [speed.problem(value) for value in (0, 1.5, 2)] == ["", "", ""]
    assert speed.problem("1") == speed.problem(True) == "is no float"
    assert Parameter(type="bool").problem(False) == ""
    assert Parameter(type="bool").problem(0) == "is no bool"


def test_permissions_in_words() -> None:
    """What a repo asks for can be told to a person."""
    words = Permissions(network=True, writable=("logs",), env=("SUMO_HOME",)).words
    assert words == ("network", "write:logs", "env:SUMO_HOME")
    assert Permissions.of(reversed(words)).words == words


@given(st.binary(max_size=60), st.sampled_from(["envhub.toml", "pyproject.toml", "env.py"]))
def test_any_bytes(data: bytes, name: str) -> None:
    """Whatever a file holds, a manifest or one of our two errors comes of it."""
    try:
        parse_manifest({name: data}.get)
    except (ManifestError, RequirementError) as error:
        assert error.what  # noqa: PT017 - either of two errors, or none


def example() -> Manifest:
    return parse(envhub__toml=DOCS.read_text().partition("```toml\n")[2].partition("```")[0])


def test_documented_example() -> None:
    """The example of docs/manifest.md is a manifest, and says something for every key but one."""
    manifest = example()
    said = msgspec.to_builtins(manifest)
    assert set(Manifest.__struct_encode_fields__) - set(said) == {"version"}
    assert manifest.suites["balance"].tasks["0"].description == "Balance the pole."
    assert manifest.permissions.words[:3] == ("network", "gpu", "display")


def test_documented_keys() -> None:
    """docs/manifest.md has a line for every key, in the order of the class."""
    text = DOCS.read_text()
    keys = re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE)
    assert keys == [*Manifest.__struct_encode_fields__, *Permissions.__struct_encode_fields__]
    listed = re.search(r"\| `parameters` .*", text)
    assert listed is not None
    assert set(Parameter.__struct_encode_fields__) <= set(re.findall(r"`(\w+)`", listed[0]))


@pytest.mark.parametrize("table", ["env", "accept"])
@pytest.mark.parametrize(
    "name",
    ["LD_PRELOAD", "ld_library_path", "PYTHONPATH", "PATH", "HOME", "HF_TOKEN", "GLIBC_TUNABLES"],
)
def test_reserved_variables(table: str, name: str) -> None:
    """Nothing is set that would change how a process starts, before it has given up its rights."""
    toml = f'[{table}]\n{name} = "x"\n'.encode()
    with pytest.raises(ManifestError, match="not the env's to set"):
        parse_manifest({"envhub.toml": toml}.get)


def test_usual_variables() -> None:
    """What simulators ask for can be set."""
    names = ("MUJOCO_GL", "SDL_VIDEODRIVER", "SUMO_HOME", "OMNI_KIT_ACCEPT_EULA", "XLA_FLAGS")
    toml = "[env]\n" + "".join(f'{name} = "x"\n' for name in names)
    assert tuple(parse_manifest({"envhub.toml": toml.encode()}.get).env) == names
