"""What must not be published: tokens, passwords and private keys, known by name and form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_SIZE: Final = 20 << 20
"""Bytes of the largest file that is read; what people type by hand is smaller."""

_BEGIN: Final = 8192
_FEW: Final = 8  # different characters of something that is only there to be replaced

_NAMES: Final = {
    "variables of a machine": r"\.env(?:\.(?!example$|sample$|template$|dist$).+)?|\.envrc",
    "a private key": r"id_(?:rsa|dsa|ecdsa|ed25519)(?:_\w+)?",
    "passwords": r"[._]netrc|\.pypirc|\.npmrc|\.git-credentials|\.htpasswd|\.pgpass",
    "a store of keys": r".+\.(?:p12|pfx|kdbx|jks|keystore)",
}

# As their issuers say that they look; none of them is a word that anybody would write.
_FORMS: Final = {
    "a private key": rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----",
    "a token of a hub": rb"\bhf_[A-Za-z0-9_-]{30,}",
    "a token of GitHub": rb"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,})",
    "a token of GitLab": rb"\bglpat-[A-Za-z0-9_-]{20,}",
    "a key of AWS": rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a key of Google": rb"\bAIza[0-9A-Za-z_-]{35}\b",
    "a token of Slack": rb"\bxox[abeoprs]-[0-9A-Za-z-]{20,}",
    "a key of a language model": rb"\bsk-(?:ant-|proj-|svcacct-)?[A-Za-z0-9_-]{32,}",
    "a token of a package index": rb"\b(?:pypi-[A-Za-z0-9_-]{50,}|npm_[A-Za-z0-9]{36})",
    "a signed token": rb"\beyJ[A-Za-z0-9_-]{16,}\.eyJ[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    "a password in an address": rb"://[^\s/:@'\"<>{}$]{1,64}:[^\s/:@'\"<>{}$]{6,128}@[\w.-]",
    "a password": rb"(?i:api_?key|secret|token|passw(?:or)?d)['\"]?[ \t]*[:=][ \t]*"
    rb"(?:'[A-Za-z0-9/+_=.-]{16,200}'|\"[A-Za-z0-9/+_=.-]{16,200}\")",
}
_BY_NAME: Final = {kind: re.compile(form, re.IGNORECASE) for kind, form in _NAMES.items()}
_BY_FORM: Final = {kind: re.compile(form) for kind, form in _FORMS.items()}
_VALUE: Final = re.compile(rb"[A-Za-z0-9/+_=.-]+(?=['\"]?$)")


@dataclass(frozen=True, slots=True, order=True)
class Secret:
    """Something that looks like one. Its text is never repeated.

    Attributes:
        path: the file.
        line: where in it, from 1; 0 if its name says enough.
        kind: what it looks like, in words.
    """

    path: str
    line: int
    kind: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {self.kind}"


def find_secrets(root: Path, paths: Iterable[str]) -> Iterator[Secret]:
    """What looks like a secret in the files below a folder; of each line the first.

    Args:
        root: the folder.
        paths: the files in it.
    """
    for path in paths:
        name = path.rpartition("/")[2]
        kinds = [kind for kind, form in _BY_NAME.items() if form.fullmatch(name)]
        if kinds:
            yield Secret(path, 0, kinds[0])
        elif (root / path).stat().st_size <= MAX_SIZE:
            yield from _in_text(path, (root / path).read_bytes())


def _in_text(path: str, data: bytes) -> Iterator[Secret]:
    if b"\0" in data[:_BEGIN]:
        return
    found: dict[int, str] = {}
    for kind, form in _BY_FORM.items():
        for match in form.finditer(data):
            if _is_real(kind, match[0]):
                found.setdefault(data.count(b"\n", 0, match.start()) + 1, kind)
    for line, kind in sorted(found.items()):
        yield Secret(path, line, kind)


def _is_real(kind: str, text: bytes) -> bool:
    """Whether it could be meant: `hf_xxxxxxxx` and `password = "<your-password-here>"` are not."""
    if kind == "a private key":
        return True
    if kind == "a password in an address":
        password = text.rpartition(b"@")[0].rpartition(b":")[2]
        return password.lower() not in {b"password", b"passwd", b"secret", b"token"}
    if kind != "a password":
        return len(set(text.partition(b"_")[2] or text)) >= _FEW
    value = _VALUE.search(text)
    mixed = value and re.search(rb"\d", value[0]) and re.search(rb"[A-Za-z]", value[0])
    return bool(value and mixed and len(set(value[0])) >= _FEW)
