"""What looks like a secret is found, and what only looks like one at first sight is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from envhub.credentials import MAX_SIZE, find_secrets
from envhub.testing import repos

# In two parts each, so that nobody who looks for secrets finds them here.
REAL = {
    "a token of a hub": "hf" + "_AbCdEfGhIjKlMnOpQrStUvWxYz01234567",
    "a token of a hub, ours": "hf" + "_nTK1HHO6-x_9fK2lqPzR4sVbW7dYcE3gJ5mN8oQ0",
    "a token of GitHub": "ghp" + "_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789",
    "a token of GitHub, fine": "github" + "_pat_" + "A1b2C3d4E5" * 6,
    "a token of GitLab": "glpat" + "-AbCdEfGhIjKlMnOpQrSt",
    "a key of AWS": "AKIA" + "IOSFODNN7EXAMPLE",
    "a key of Google": "AIza" + "SyA1b2C3d4E5f6G7h8I9j0KlMnOpQrStUvW",
    "a token of Slack": "xoxb" + "-123456789012-AbCdEfGhIjKl",
    "a key of a language model": "sk" + "-ant-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789",
    "a token of a package index": "pypi"
    + "-AgEIcHlwaS5vcmcCJDAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMD",
    "a signed token": "eyJ" + "hbGciOiJIUzI1NiJ9.eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmN",
    "a private key": "-----BEGIN " + "RSA PRIVATE KEY-----",
    "a password in an address": "url = 'https://ada:" + "s3cr3t-word@host/x'",
    "a password": "WANDB_API_KEY = '" + "0123456789abcdef0123456789abcdef01234567'",
    "a password, as in JSON": '"password": "' + 'correct1horse2battery"',
}
HARMLESS = [
    "hf_your_token_here",
    "hf_" + "x" * 34,
    "AKIA is how they begin",
    "https://user:password@host/repo",
    "https://${USER}:${TOKEN}@host",
    "http://host:8080/path@v1",
    "token = 'replace-me-with-your-own-token'",
    'password = os.environ["PASSWORD"]',
    'secret: "aaaaaaaaaaaaaaaa1"',
    "sha256 = '" + "ab12" * 16 + "'",
    "-----BEGIN PUBLIC KEY-----",
    "sk-learn is a package, scikit-learn-intelex-extension-and-more another",
]
NAMES = {
    ".env": True,
    "deploy/.env.local": True,
    ".env.example": False,
    "id_rsa": True,
    "id_ed25519.pub": False,
    ".netrc": True,
    "keys/store.p12": True,
    "environment.yml": False,
    "denv": False,
}


def found(folder: Path) -> list[str]:
    paths = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return [str(secret) for secret in find_secrets(folder, paths)]


@pytest.mark.parametrize("kind", REAL)
def test_real_ones(tmp_path: Path, kind: str) -> None:
    """Each is found where it is, and its text is not repeated."""
    repos.write({"a/b.py": f"# first\n\nx = 1  # {REAL[kind]}\n"}, tmp_path)
    assert found(tmp_path) == [f"a/b.py:3: {kind.partition(',')[0]}"]


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless(tmp_path: Path, text: str) -> None:
    """What is only there to be replaced, or is something else."""
    repos.write({"a.md": text}, tmp_path)
    assert found(tmp_path) == []


@pytest.mark.parametrize("name", NAMES)
def test_names(tmp_path: Path, name: str) -> None:
    """Some files are secrets by their name alone, whatever is in them."""
    repos.write({name: ""}, tmp_path)
    assert [text.partition(":")[0] for text in found(tmp_path)] == [name] * NAMES[name]


def test_one_per_line(tmp_path: Path) -> None:
    """A line that is two kinds of secret is told once; each line for itself."""
    token = REAL["a token of a hub"]
    repos.write({"a.py": f"token = '{token}'\ntoken = '{token}'\n"}, tmp_path)
    assert [text.partition(" ")[0] for text in found(tmp_path)] == ["a.py:1:", "a.py:2:"]


def test_what_is_not_read(tmp_path: Path) -> None:
    """Neither binary files nor very large ones, which nobody types by hand."""
    token = REAL["a token of a hub"].encode()
    repos.write({"weights.bin": b"\0" + token}, tmp_path)
    with (tmp_path / "large.csv").open("wb") as file:
        file.write(token)
        file.truncate(MAX_SIZE + 1)
    assert found(tmp_path) == []
