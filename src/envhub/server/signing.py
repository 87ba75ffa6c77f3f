"""Passes: texts that only this hub can have written, each good for one purpose and a while."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from envhub.server.refusals import Refusal


class Signer:
    """Signs with a secret that never leaves the data folder.

    Args:
        path: the file of the secret, made (readable by its owner only) if it does not exist.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
            aside.touch(mode=0o600)
            aside.write_bytes(secrets.token_bytes(32))
            with suppress(FileExistsError):
                os.link(aside, path)  # the first of several processes wins
            aside.unlink()
        self._secret = path.read_bytes()

    def sign(self, purpose: str, seconds: float, **fields: Any) -> str:
        """A pass for a purpose, with fields that nobody can change."""
        words = {**fields, "for": purpose, "until": time.time() + seconds}
        body = _encode(json.dumps(words, separators=(",", ":")).encode())
        return f"{body}.{self._mac(body)}"

    def open(self, purpose: str, text: str) -> dict[str, Any]:
        """The fields of a pass.

        Raises:
            Refusal: 403, it is not ours, for something else, or has run out.
        """
        body, _, mac = text.partition(".")
        if not hmac.compare_digest(mac.encode(), self._mac(body).encode()):
            raise Refusal(403, "the signature is wrong")
        fields: dict[str, Any] = json.loads(_decode(body))
        if fields["for"] != purpose or fields["until"] < time.time():
            raise Refusal(403, "the signature is for something else, or has run out")
        return fields

    def _mac(self, body: str) -> str:
        return _encode(hmac.digest(self._secret, body.encode(), hashlib.sha256))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
