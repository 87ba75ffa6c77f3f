"""What an env raised, as values that reach the client even if the exception cannot."""

from __future__ import annotations

import traceback
from typing import Any, Dict

from .codec import Codec, CodecError
from .faults import Fault

MAX_TEXT = 20_000


def tell(index: int, error: BaseException, codec: Codec) -> Dict[str, Any]:
    """An exception as plain values, with the exception itself where the other side may have it.

    Args:
        index: the env that raised it.
        error: the exception.
        codec: how values reach the other side.
    """
    told: Dict[str, Any] = {
        "index": index,
        "type": type(error).__name__,
        "text": _text(error),
        "traceback": _traceback(error),
        "pickled": None,
        "fault": error.as_dict() if isinstance(error, Fault) else None,
    }
    if codec.trusted:
        try:
            told["pickled"] = codec.encode(error)
        except CodecError:
            told["pickled"] = None
    return told


def harmless(text: str) -> str:
    """A stranger's text, in which codes that a terminal would obey can be seen instead."""
    return "".join(c if c in "\n\t" or c.isprintable() else repr(c)[1:-1] for c in text)


def _text(error: BaseException) -> str:
    try:
        return _short(str(error))
    except BaseException as worse:  # noqa: BLE001 — even its text is a stranger's code
        return f"(its text raised {type(worse).__name__})"


def _traceback(error: BaseException) -> str:
    try:
        return _short("".join(traceback.format_exception(type(error), error, error.__traceback__)))
    except BaseException:  # noqa: BLE001 — formatting asks the exception for its text
        where = "".join(traceback.format_tb(error.__traceback__))
        return _short(f"Traceback (most recent call last):\n{where}{type(error).__name__}\n")


def _short(text: str) -> str:
    if len(text) <= MAX_TEXT:
        return text
    half = MAX_TEXT // 2
    return f"{text[:half]}\n… {len(text) - MAX_TEXT} characters left out …\n{text[-half:]}"
