"""A folder becomes a commit: what is sent, what is not, and what is said about it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from huggingface_hub import CommitOperationAdd, HfApi, constants
from tests.publish.conftest import LARGE, As

import envhub
from envhub import Client, card, proc, tree
from envhub.errors import (
    AlreadyThereError,
    ArgumentError,
    EntryNotFoundError,
    HubError,
    HubUnreachableError,
    LoadError,
    ManifestError,
    MissingDependencyError,
    NotAllowedError,
    OfflineError,
    RefError,
    RepoNotFoundError,
    RequirementError,
    SecretError,
)
from envhub.publish import push
from envhub.testing import OwnHub, repos

TOKEN = "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"
TOML = 'requires-python = ">=3.8"\npermissions = {network = true}\n'


def card_of(api: HfApi, name: str) -> str:
    return Path(api.hf_hub_download(name, card.FILE)).read_text()


def test_publish_and_load(ada: Client, name: str, folder: Path) -> None:
    """A folder is published, and the line that was printed loads exactly it."""
    done = push(folder, name, tag="v1.0", client=ada)
    assert done.created
    assert {file.path for file in done.sent} == {"README.md", "env.py", "notes.txt"}
    assert done.line == f'envhub.make_env("{name}@{done.commit}", trust_remote_code=True)'
    assert done.page == f"{ada.settings.endpoint}/{name}"
    pin = ada.resolve(f"{name}@v1.0")
    assert (pin.commit, pin.digest) == (done.commit, done.digest)
    with ada.make_env(f"{name}@{done.commit}", 2, trust_remote_code=True) as envs:
        assert envs.only.reset(seed=3)[0].tolist() == [[0, 3], [0, 4]]


def test_folder_stays(ada: Client, name: str, folder: Path) -> None:
    """Publishing changes nothing in the folder."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    push(folder, name, client=ada)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.suffix != ".pyc" and p.is_file()} == (
        before
    )


def test_only_what_changed(ada: Client, name: str, folder: Path) -> None:
    """The next push sends what is new, removes what is gone, and makes no empty commit."""
    first = push(folder, name, client=ada)
    again = push(folder, name, tag="v1.0", client=ada)
    assert (again.sent, again.kept, again.commit) == ((), 3, first.commit)
    assert push(folder, name, tag="v1.0", client=ada).commit == first.commit
    (folder / "notes.txt").unlink()
    (folder / "more.txt").write_text("more\n")
    last = push(folder, name, message="More\n\nand why", client=ada)
    assert [file.path for file in last.sent] == ["more.txt"]
    assert (last.removed, last.created) == (("notes.txt",), False)
    log = ada.hub(last.ref).log(last.ref, ada.hub(last.ref).resolve(last.ref), 1)
    assert log[0].title == "More"


@pytest.mark.envhub_leaves("hf_xet keeps its connections for the next upload")
def test_large_files(ada: Client, name: str, folder: Path, api: HfApi) -> None:
    """A large file is kept outside git, and is not sent again."""
    (folder / "mesh.bin").write_bytes(bytes(range(256)) * (LARGE // 200))
    push(folder, name, client=ada, check=False)
    (file,) = api.get_paths_info(name, ["mesh.bin"])
    assert getattr(file, "lfs", None) is not None
    assert [file.path for file in push(folder, name, client=ada, check=False).sent] == []
    source = ada.fetch(ada.resolve(name))
    assert (source.root / "mesh.bin").read_bytes() == (folder / "mesh.bin").read_bytes()


@pytest.mark.envhub_leaves("hf_xet keeps its connections for the next upload")
def test_attributes(ada: Client, name: str, folder: Path, api: HfApi) -> None:
    """What git-lfs is to fetch is said first by the folder, and from then on by the hub."""
    (folder / ".gitattributes").write_text("*.txt -text\n")
    (folder / "mesh.odd").write_bytes(bytes(LARGE + 1))
    push(folder, name, client=ada, check=False)
    lines = Path(api.hf_hub_download(name, ".gitattributes")).read_text().splitlines()
    assert (lines[0], lines[1].split()[:2]) == ("*.txt -text", ["/mesh.odd", "filter=lfs"])
    assert push(folder, name, client=ada, check=False).sent == ()
    (folder / ".gitattributes").unlink()
    assert push(folder, name, client=ada, check=False).removed == ()


def test_card(ada: Client, name: str, folder: Path, api: HfApi) -> None:
    """The card says what the env was found to be; what its author wrote stays."""
    (folder / card.FILE).write_text("---\nlicense: mit # yes\n---\n# Counter\n")
    (folder / "envhub.toml").write_text(TOML)
    push(folder, name, client=ada)
    text = card_of(api, name)
    assert text.startswith("---\nlicense: mit # yes\nlibrary_name: envhub\ntags:\n- envhub\n")
    assert text.endswith("---\n# Counter\n")
    assert card.facts_of(text) == {
        "version": 1,
        "entry": "env.py",
        "observation": "Box(-1, 2.14748e+09, (2,), int64)",
        "action": "Discrete(2)",
        "actions": "discrete",
        "pixels": False,
        "suites": {"hub_env": 1},
        "requires-python": ">=3.8",
        "permissions": ["network"],
    }
    info = api.model_info(name)
    assert (info.library_name, "envhub" in (info.tags or [])) == ("envhub", True)


def test_unchecked(ada: Client, name: str, tmp_path: Path, api: HfApi) -> None:
    """Without the check nothing of the folder runs, and the card has what the manifest says."""
    canary = tmp_path / "canary"
    folder = repos.write(repos.canary(canary), tmp_path / "env")
    (folder / "envhub.toml").write_text('[suites.a.tasks.0]\ndescription = "x"\n')
    done = push(folder, name, check=False, client=ada)
    assert done.found is None
    assert not canary.exists()
    assert card.facts_of(card_of(api, name)) == {
        "version": 1,
        "entry": "env.py",
        "suites": {"a": 1},
    }
    push(folder, name, client=ada)
    assert canary.exists()


def test_in_its_own_process(ada: Client, folder: Path) -> None:
    """The check runs the env in a process of its own, if the settings do not say otherwise."""
    with (folder / "env.py").open("a") as file:
        file.write(f"import os\nassert os.getpid() != {os.getpid()}, 'not its own process'\n")
    with pytest.raises(LoadError, match="not its own process"):
        push(folder, "ada/inline", client=ada)
    user = Client(replace(ada.settings, isolation="process"), lock=False)
    assert push(folder, "ada/process", client=user, dry_run=True).found


@pytest.mark.heavy
@pytest.mark.envhub_leaves("hf_xet keeps its connections for the next upload")
def test_interrupted(
    served: OwnHub, ada: Client, tokens: dict[str, str], name: str, folder: Path
) -> None:
    """Killed in the middle, again and again: the repo stays whole, and the next push ends."""
    mesh = np.random.default_rng(0).bytes(150_000_000)
    words = [sys.executable, "-m", "envhub", "push", str(folder), "--to", name, "--no-check"]
    env = {**os.environ, "ENVHUB_ENDPOINT": served.url, "ENVHUB_TOKEN": tokens["ada"]}
    first = push(folder, name, client=ada, check=False)
    (folder / "mesh.bin").write_bytes(mesh)
    data = served.inside.folder
    for _ in range(2):
        before = tree.size(data)
        with subprocess.Popen([*words, "-q"], env=env) as pushing:
            while pushing.poll() is None and tree.size(data) < before + 20_000_000:
                time.sleep(0.01)
            pushing.kill()
        assert ada.resolve(name).commit == first.commit
    assert [file.path for file in push(folder, name, client=ada, check=False).sent] == ["mesh.bin"]
    assert (ada.fetch(ada.resolve(name)).root / "mesh.bin").read_bytes() == mesh


def test_dry_run(ada: Client, name: str, folder: Path) -> None:
    """A dry run checks and compares, and sends nothing."""
    done = push(folder, name, dry_run=True, tag="v1.0", client=ada)
    assert (done.commit, done.digest, len(done.sent)) == ("", "", 3)
    with pytest.raises(RepoNotFoundError):
        ada.resolve(name)


def test_private(as_user: As, name: str, folder: Path) -> None:
    """A private repo is hidden from others; one that was public becomes private before a push."""
    ada, bob = as_user("ada"), as_user("bob")
    push(folder, name, client=ada)
    assert bob.resolve(name)
    push(folder, name, private=True, client=ada)
    with pytest.raises(RepoNotFoundError):
        bob.resolve(name)
    push(folder, name, private=True, client=ada)


@pytest.mark.parametrize(
    ("files", "places"),
    [
        ({"env.py": f"\nTOKEN = '{TOKEN}'\n"}, ["env.py:2: a token of a hub"]),
        ({".env": "A=1", "a/id_ed25519": ""}, [".env: variables", "a/id_ed25519: a private key"]),
        ({f"{n}.txt": TOKEN for n in range(25)}, ["0.txt:1", "… 5 more"]),
    ],
    ids=["token", "names", "many"],
)
def test_secrets(ada: Client, name: str, tmp_path: Path, files: Any, places: list[str]) -> None:
    """What looks like a secret is not sent: its place is told, its text is not."""
    folder = repos.write({**repos.COUNTER, **files}, tmp_path / "env")
    with pytest.raises(SecretError) as caught:
        push(folder, name, client=ada)
    assert all(place in caught.value.why for place in places)
    assert TOKEN not in str(caught.value)
    assert "--allow-secret" in caught.value.hint
    push(folder, name, allow_secrets=list(files), client=ada, check=False)


def test_what_belongs(ada: Client, name: str, folder: Path, api: HfApi) -> None:
    """Bytecode, git's own files and what .gitignore names stay here; the lock goes along."""
    repos.write(
        {".gitignore": "*.log\n", "a.log": "", "envhub.lock": "", "__pycache__/x.pyc": "x"}, folder
    )
    push(folder, name, client=ada)
    assert set(api.list_repo_files(name)) == {
        *(".gitattributes", ".gitignore", "README.md", "env.py", "envhub.lock", "notes.txt"),
    }


def test_check_sees_what_is_sent(ada: Client, name: str, tmp_path: Path) -> None:
    """An env that needs a file which .gitignore leaves out fails here, and not for others."""
    folder = repos.write({**repos.ASSET, ".gitignore": "assets/limit.txt\n"}, tmp_path / "env")
    with pytest.raises(LoadError, match=r"No such file.*limit\.txt") as caught:
        push(folder, name, client=ada)
    assert caught.value.hint == ".gitignore leaves out assets/limit.txt"


BAD: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "no folder": (None, {}, RepoNotFoundError, "does not exist"),
    "no env": ({"README.md": "# x"}, {}, EntryNotFoundError, "envhub init"),
    "no env but code": ({"x.py": ""}, {}, EntryNotFoundError, "x.py"),
    "no yaml": ({**repos.COUNTER, "README.md": "---\na: [\n---\n"}, {}, ManifestError, "YAML"),
    "latin": ({**repos.COUNTER, "README.md": b"caf\xe9"}, {}, ManifestError, "no UTF-8"),
    "manifest": ({**repos.COUNTER, "envhub.toml": "x = 1"}, {}, ManifestError, "unknown field"),
    "requirement": (
        {**repos.COUNTER, "requirements.txt": "-e ."},
        {},
        RequirementError,
        "installs a folder",
    ),
    "import": (repos.BROKEN_IMPORT, {}, MissingDependencyError, 'requirements = ["a-package'),
    "raises": (repos.RAISES, {}, ZeroDivisionError, "the factory failed"),
    "tag": (repos.COUNTER, {"tag": "v 1"}, RefError, "v 1"),
}


@pytest.mark.parametrize("case", BAD)
def test_not_published(ada: Client, name: str, tmp_path: Path, case: str) -> None:
    """A folder that others could not load is refused, in words about that folder."""
    files, options, kind, words = BAD[case]
    folder = tmp_path / "my-env"
    if files is not None:
        repos.write(files, folder)
    with pytest.raises(kind) as caught:
        push(folder, name, client=ada, **options)
    assert words in str(caught.value)
    assert "parcels" not in str(caught.value)
    with pytest.raises(RepoNotFoundError):
        ada.resolve(name)


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("./folder", "not a repo on a hub"),
        ("git+https://host/repo", "not a repo on a hub"),
        ("ada/env@v1.0", "ada/env --tag v1.0"),
        ("ada/env:env.py", "names more than a repo"),
        ("spaces/ada/env", "env repos are models"),
    ],
)
def test_wrong_target(ada: Client, folder: Path, to: str, words: str) -> None:
    """What cannot be written to is told before anything is read."""
    with pytest.raises(ArgumentError) as caught:
        push(folder, to, client=ada)
    assert words in str(caught.value)


def test_no_rights(as_user: As, served: OwnHub, name: str, folder: Path) -> None:
    """Without a token, with a wrong one, and with somebody else's nothing is written."""
    push(folder, name, client=as_user("ada"))
    (folder / "new.txt").write_text("new")
    with pytest.raises(NotAllowedError, match="no token") as caught:
        push(folder, name, client=as_user(""))
    assert f"ENVHUB_ENDPOINT={served.url} ENVHUB_TOKEN=" in caught.value.hint
    with pytest.raises(NotAllowedError, match="refused"):
        push(folder, name, client=Client(endpoint=served.url, token="hf_" + "wrong" * 8))
    for target in (name, "ada/brand-new"):
        with pytest.raises(NotAllowedError, match="rights") as caught:
            push(folder, target, client=as_user("bob"))
        assert "ask ada" in caught.value.hint
    with pytest.raises(HubError, match="nobody named"):
        push(folder, "nobody/env", client=as_user("bob"))


def test_no_network(ada: Client, folder: Path) -> None:
    """A hub that does not answer, and offline mode."""
    with pytest.raises(HubUnreachableError, match="could not be reached"):
        push(folder, "ada/x", client=Client(endpoint="http://127.0.0.1:1", token="hf_x"))
    with pytest.raises(OfflineError, match="while offline"):
        push(folder, "ada/x", client=Client(ada.settings, offline=True))


def test_tokens_stay_where_they_belong(
    served: OwnHub, tokens: dict[str, str], folder: Path
) -> None:
    """Neither the stored token nor that of the endpoint in force goes to another hub."""
    stored = Path(constants.HF_TOKEN_PATH)
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_text(tokens["ada"])
    other = replace(Client().settings, endpoint="http://127.0.0.1:1", token=tokens["ada"])
    with pytest.raises(NotAllowedError, match="no token"):
        push(folder, f"hub+{served.url}/ada/leak", client=Client(other, lock=False))


def test_tags_stay(ada: Client, name: str, folder: Path) -> None:
    """A tag that others may have loaded is not moved, neither before nor after the files differ."""
    push(folder, name, tag="v1.0", client=ada)
    (folder / "notes.txt").write_text("changed\n")
    with pytest.raises(AlreadyThereError, match=r"'v1\.0' already") as caught:
        push(folder, name, tag="v1.0", client=ada)
    assert f"envhub tag --rm {name} v1.0" in caught.value.hint
    push(folder, name, tag="v1.1", client=ada)
    with pytest.raises(AlreadyThereError):
        push(folder, name, tag="v1.0", client=ada)


@pytest.mark.parametrize("readme", [None, "# mine\n"])
def test_files_of_others_stay(
    ada: Client, name: str, folder: Path, api: HfApi, readme: str | None
) -> None:
    """What envhub did not put there goes only if that is asked for."""
    api.create_repo(name)
    texts = {"weights.txt": "a model", **({"README.md": readme} if readme else {})}
    files = [CommitOperationAdd(path, text.encode()) for path, text in texts.items()]
    api.create_commit(name, files, commit_message="by hand")
    with pytest.raises(AlreadyThereError, match=r"weights\.txt"):
        push(folder, name, client=ada)
    assert push(folder, name, replace=True, client=ada).removed == ("weights.txt",)


def test_somebody_was_faster(ada: Client, name: str, folder: Path, api: HfApi) -> None:
    """A commit that came in between is not overwritten."""
    push(folder, name, client=ada)
    (folder / "notes.txt").write_text("mine\n")

    def interfere(doing: str) -> None:
        if doing.startswith("sending"):
            theirs = CommitOperationAdd("notes.txt", b"theirs\n")
            api.create_commit(name, [theirs], commit_message="theirs")

    with pytest.raises(AlreadyThereError, match="somebody has changed"):
        push(folder, name, client=ada, say=interfere)
    assert push(folder, name, client=ada).sent


def test_the_same_repo_in_git(
    ada: Client, tokens: dict[str, str], name: str, folder: Path, tmp_path: Path
) -> None:
    """git and hf see what was pushed: the same files, the same tag, the same commit."""
    done = push(folder, name, tag="v1.0", client=ada)
    url, token = ada.settings.endpoint, tokens["ada"]
    address = f"{url}/{name}".replace("://", f"://ada:{token}@")
    proc.run(["git", "clone", "-q", address, tmp_path / "clone"], timeout=60)
    asked = ("git", "rev-parse", "v1.0^{commit}", "HEAD")
    assert proc.run(asked, cwd=tmp_path / "clone").text.split() == [done.commit] * 2
    assert (tmp_path / "clone" / "env.py").read_bytes() == (folder / "env.py").read_bytes()
    hf = Path(sys.executable).with_name("hf")
    words = (hf, "download", name, "--revision", "v1.0", "--local-dir", tmp_path / "hf")
    proc.run(words, env={"HF_ENDPOINT": url, "HF_TOKEN": token}, timeout=60)
    front = yaml.safe_load((tmp_path / "hf" / "README.md").read_text().split("---")[1])
    assert front["envhub"]["entry"] == "env.py"


def test_public_function(
    served: OwnHub, tokens: dict[str, str], name: str, folder: Path, monkeypatch: Any
) -> None:
    """`envhub.push` takes hub and token from the environment variables, ours or Hugging Face's."""
    monkeypatch.setenv("ENVHUB_ENDPOINT", served.url)
    monkeypatch.setenv("ENVHUB_TOKEN", tokens["ada"])
    assert envhub.push(folder, name).created
    monkeypatch.setenv("HF_ENDPOINT", served.url)
    with pytest.raises(NotAllowedError) as caught:
        envhub.push(folder, name)
    assert caught.value.hint.startswith("hf auth login   # or HF_TOKEN=")
    monkeypatch.setenv("HF_TOKEN", tokens["ada"])
    assert not envhub.push(folder, name).created
