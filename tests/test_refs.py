"""The grammar of refs: what is accepted, what is refused and how, and that nothing is lost."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from envhub.errors import RefError
from envhub.refs import Ref, parse

SHA = "0123456789abcdef0123456789abcdef01234567"

ACCEPTED = {
    "u/r": Ref("hub", "u/r"),
    "u/r@main": Ref("hub", "u/r", revision="main"),
    "u/r:custom_env.py": Ref("hub", "u/r", path="custom_env.py"),
    "u/r@v1.0:envs/my_env.py": Ref("hub", "u/r", revision="v1.0", path="envs/my_env.py"),
    f"u/r@{SHA}": Ref("hub", "u/r", revision=SHA),
    "u/r@feature/x": Ref("hub", "u/r", revision="feature/x"),
    "u/r@refs/pr/1": Ref("hub", "u/r", revision="refs/pr/1"),
    "u/r:envs/a@b.py": Ref("hub", "u/r", path="envs/a@b.py"),
    "u/r@v1:envs/a@b.py": Ref("hub", "u/r", revision="v1", path="envs/a@b.py"),
    "u/r:envs/x/": Ref("hub", "u/r", path="envs/x"),
    "u/r:./env.py": Ref("hub", "u/r", path="env.py"),
    "spaces/u/r@v1": Ref("hub", "u/r", repo_type="space", revision="v1"),
    "datasets/u/r": Ref("hub", "u/r", repo_type="dataset"),
    "hf://u/r": Ref("hub", "u/r", "hf"),
    "hf://spaces/u/r@v1/envs/a.py": Ref("hub", "u/r", "hf", "space", "v1", "envs/a.py"),
    "hf://u/r@refs/pr/1/env.py": Ref("hub", "u/r", "hf", None, "refs/pr/1", "env.py"),
    "hf://u/r@feature%2Fx": Ref("hub", "u/r", "hf", None, "feature/x"),
    "hf://u/r@v1:env.py": Ref("hub", "u/r", "hf", None, "v1", "env.py"),
    "https://huggingface.co/u/r": Ref("hub", "u/r", "https://huggingface.co"),
    "https://huggingface.co/u/r/tree/v1": Ref("hub", "u/r", "https://huggingface.co", None, "v1"),
    "https://huggingface.co/spaces/u/r/blob/feature%2Fx/envs/a.py": Ref(
        "hub", "u/r", "https://huggingface.co", "space", "feature/x", "envs/a.py"
    ),
    "https://lab.example/u/r@v1:env.py": Ref(
        "hub", "u/r", "https://lab.example", None, "v1", "env.py"
    ),
    "hub+http://127.0.0.1:8000/u/r@v1:env.py": Ref(
        "hub", "u/r", "http://127.0.0.1:8000", None, "v1", "env.py"
    ),
    "git+https://github.com/u/r@main": Ref("git", "https://github.com/u/r", revision="main"),
    "git+ssh://git@host/u/r.git@v1#subdirectory=envs:pick.py": Ref(
        "git", "ssh://git@host/u/r.git", "", None, "v1", "pick.py", "envs"
    ),
    "git+file:///srv/r.git@feature/x:env.py": Ref(
        "git", "file:///srv/r.git", revision="feature/x", path="env.py"
    ),
    "https://github.com/u/r": Ref("git", "https://github.com/u/r"),
    "https://github.com/u/r/tree/main/envs/a.py": Ref(
        "git", "https://github.com/u/r", revision="main", path="envs/a.py"
    ),
    "https://gitlab.com/u/r/-/tree/main": Ref("git", "https://gitlab.com/u/r", revision="main"),
    "https://github.com/u/r@v1:env.py": Ref(
        "git", "https://github.com/u/r", revision="v1", path="env.py"
    ),
    "./local_env": Ref("local", "./local_env"),
    "./a/env.py": Ref("local", "./a", path="env.py"),
    "./a:envs/b.py": Ref("local", "./a", path="envs/b.py"),
    "/abs/dir/": Ref("local", "/abs/dir"),
    "~/envs/x": Ref("local", "~/envs/x"),
    ".": Ref("local", "."),
    "file:///abs/dir": Ref("local", "/abs/dir"),
    "file:/abs/dir": Ref("local", "/abs/dir"),
    "C:\\envs\\x": Ref("local", "C:\\envs\\x"),
    "pypi:metaworld==3.1.1#MT1/reach-v3": Ref(
        "pypi", "metaworld", revision="3.1.1", path="MT1/reach-v3"
    ),
    "pypi:minigrid": Ref("pypi", "minigrid"),
    "pypi:shimmy[dm-control,atari]>=2,<3": Ref(
        "pypi", "shimmy[dm-control,atari]", revision=">=2,<3"
    ),
    "pypi:minigrid==3.*": Ref("pypi", "minigrid", revision="==3.*"),
    "pypi:minigrid===3.2.0": Ref("pypi", "minigrid", revision="===3.2.0"),
}

REFUSED = {
    "": "empty",
    " ": "empty",
    " u/r": "white space",
    "u/r\n": "white space",
    "u/r\x00": "control",
    "@": "empty",
    ":": "empty",
    "u": "owner/name",
    "u/r/s": "owner/name",
    "u/": "owner/name",
    "/": None,
    "-u/r": "owner/name",
    "u/r.git": "owner/name",
    "u/a--b": "owner/name",
    "u/..": "owner/name",
    "u/r@": "empty",
    "u/r@:env.py": "empty",
    "u/r@a@b": "a@b",
    "u/r@-x": "-x",
    "u/r@a..b": "a..b",
    "u/r@a b": "a b",
    "u/r@x.lock": "x.lock",
    "u/r@main~1": "main~1",
    "u/r:": "empty",
    "u/r:.": "empty",
    "u/r:a:b.py": "second colon",
    "u/r:/abs/outside.py": "not inside the repo",
    "u/r:../../x.py": "leaves the repo",
    "u/r:envs/../../x.py": "leaves the repo",
    "u/r:a\\b.py": "backslash",
    "u/r:a//b.py": "empty part",
    "u/r:env.py@v1.0": "before the revision",
    "git@github.com:u/r.git": "short form",
    "git+https://": "no host",
    "git+https:host/r": "//",
    "git+https://host/r#egg=x": "egg",
    "git+https://host/r@": "empty",
    "s3://bucket/x": "unknown scheme",
    "hf:u/r": "//",
    "hf://u/r@": "empty",
    "https://huggingface.co/u": "owner/name",
    "https://huggingface.co/u/r/discussions": "discussions",
    "https:///u/r": "host",
    "file:x": "folder",
    "pypi:": "package",
    "pypi:x#": "empty",
    "pypi:x==": "no package",
    "pypi:x @ https://host/x.whl": "no package",
    "pypi:./x": "no package",
    "./x:../y.py": "leaves the repo",
}


@pytest.mark.parametrize(("text", "ref"), ACCEPTED.items(), ids=ACCEPTED)
def test_every_form_is_parsed(text: str, ref: Ref) -> None:
    """Each documented form gives its value, and the value's text gives the value again."""
    assert parse(text) == ref
    assert parse(str(ref)) == ref


@pytest.mark.parametrize(("text", "part"), REFUSED.items(), ids=[repr(key) for key in REFUSED])
def test_what_is_no_ref_is_refused_by_name(text: str, part: str | None) -> None:
    """A refusal names the offending part and shows a form that works."""
    if part is None:
        assert parse(text).kind == "local"
        return
    with pytest.raises(RefError) as caught:
        parse(text)
    assert part in caught.value.what
    assert caught.value.hint
    assert isinstance(caught.value, ValueError)


def test_the_swapped_order_is_put_right_in_the_hint() -> None:
    """`path@revision` is answered with `@revision:path`."""
    with pytest.raises(RefError) as caught:
        parse("u/r:env.py@v1.0")
    assert caught.value.hint == "u/r@v1.0:env.py"


@pytest.mark.parametrize("junk", [None, 3, b"u/r", ["u/r"]])
def test_only_text_is_a_ref(junk: object) -> None:
    """Anything but a string is refused as such."""
    with pytest.raises(RefError, match="a ref is text"):
        parse(junk)  # type: ignore[arg-type] # the wrong type is the test


NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_]{0,8}[.-]?[A-Za-z0-9_])?", fullmatch=True)
SEGMENTS = st.from_regex(r"[A-Za-z0-9_+ é][A-Za-z0-9_.@ é-]{0,8}[A-Za-z0-9_é]", fullmatch=True)
PATHS = (
    st.lists(SEGMENTS, min_size=1, max_size=4)
    .map("/".join)
    .filter(lambda p: p.strip() == p and ".." not in p and ".py@" not in p)
)
REVISIONS = st.one_of(
    st.just(SHA),
    st.lists(NAMES, min_size=1, max_size=3).map("/".join),
    st.integers(1, 99).map(lambda n: f"refs/pr/{n}"),
).filter(lambda r: not r.endswith(".lock") and ".lock/" not in r)
HUB_REFS = st.builds(
    Ref,
    kind=st.just("hub"),
    location=st.tuples(NAMES, NAMES).map("/".join).filter(lambda r: not r.endswith(".git")),
    endpoint=st.sampled_from(["", "hf", "https://lab.example", "http://127.0.0.1:8000"]),
    repo_type=st.sampled_from([None, "model", "space", "dataset"]),
    revision=st.none() | REVISIONS,
    path=st.none() | PATHS,
).filter(lambda ref: ref.location.partition("/")[0] not in {"models", "spaces", "datasets"})
GIT_REFS = st.builds(
    Ref,
    kind=st.just("git"),
    location=st.tuples(
        st.sampled_from(["https://host", "ssh://git@host:22", "file:///srv"]), NAMES
    ).map("/".join),
    revision=st.none() | REVISIONS,
    path=st.none() | PATHS,
    subdirectory=st.none() | PATHS,
)
LOCAL_REFS = st.builds(
    Ref,
    kind=st.just("local"),
    location=st.tuples(st.sampled_from([".", "/srv", "~", ".."]), NAMES)
    .map("/".join)
    .filter(lambda folder: not folder.endswith(".py")),
    path=st.none() | PATHS,
)


PACKAGE_REFS = st.builds(
    Ref,
    kind=st.just("pypi"),
    location=NAMES,
    revision=st.none() | st.sampled_from(["3.2.0", "1!2.0rc1+cu12", ">=3,<4", "==3.*", "~=1.2"]),
    path=st.none() | PATHS,
)


@given(HUB_REFS | GIT_REFS | LOCAL_REFS | PACKAGE_REFS)
def test_formatting_loses_nothing(ref: Ref) -> None:
    """For every ref, parsing its text gives the same ref."""
    assert parse(str(ref)) == ref


@given(st.text(max_size=60) | st.from_regex(r"[uU@:/.#\\a-z+%-]{0,40}", fullmatch=True))
@example("hf://@")
@example("hf://u/r@/")
@example("https://[::1/u/r")
@example("git+file://#subdirectory=")
@example("http://host/u/@")
@example("https://github.com/:/@")
@example("./:")
@example("~")
@example("u/r@%00")
@example("hf://u/r@%00/x")
@example("file:%00")
def test_no_text_raises_anything_but_a_ref_error(text: str) -> None:
    """Every string is a ref, or a `RefError`; and what is a ref survives formatting."""
    with contextlib.suppress(RefError):
        ref = parse(text)
        assert parse(str(ref)) == ref
