"""The one seam through which odd values pass between processes.

Inside one trust domain they are pickled. Across a trust border they are JSON and raw arrays:
what comes from the other side is only ever numbers, text and lists of them, never code.
"""

from __future__ import annotations

import base64
import json
import math
import pickle
from typing import Any, Dict, List, Protocol, Tuple

import numpy as np

from . import spaces
from .gyms import GraphInstance, Space

# Marks a JSON object that stands for something which JSON lacks.
TAG = "$"


class CodecError(ValueError):
    """A value that cannot be carried, or bytes that carry none."""


class Codec(Protocol):
    """Values to bytes and back."""

    trusted: bool

    def encode(self, value: Any) -> bytes:
        """The value as bytes."""

    def decode(self, data: bytes) -> Any:
        """The value that the bytes carry."""


class Pickled:
    """For processes that trust each other: any Python value, functions and classes too."""

    trusted = True

    def encode(self, value: Any) -> bytes:
        """Pickle a value, by cloudpickle where plain pickle cannot.

        Raises:
            CodecError: neither can.
        """
        try:
            return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # noqa: BLE001 — a stranger's __reduce__ raises what it likes
            return self.encode_code(value, error)

    def encode_code(self, value: Any, error: Exception | None = None) -> bytes:
        """Pickle a value whose functions and classes the other side cannot import."""
        import cloudpickle  # slow to import, and seldom needed

        try:
            data: bytes = cloudpickle.dumps(value)
        except Exception as worse:  # noqa: BLE001 — as above, and it raises what it likes
            raise CodecError(f"cannot be pickled: {worse}") from (error or worse)
        return data

    def decode(self, data: bytes) -> Any:
        """Unpickle a value of a process of the same trust domain.

        Raises:
            CodecError: it cannot be unpickled here.
        """
        try:
            return pickle.loads(data)  # noqa: S301 — both ends belong to the same user's program
        except Exception as error:
            raise CodecError(f"cannot be unpickled: {type(error).__name__}: {error}") from error


class Plain:
    """For processes that do not trust each other: numbers, text, lists, dicts, arrays, spaces.

    The bytes are a length, JSON of that length, and the arrays one after the other.
    """

    trusted = False

    def encode(self, value: Any) -> bytes:
        """Write a plain value.

        Raises:
            CodecError: it holds something that is not plain.
        """
        arrays: List[bytes] = []
        try:
            head = json.dumps(_told(value, arrays), separators=(",", ":")).encode()
        except (ValueError, RecursionError) as error:
            raise CodecError(str(error)) from error
        return b"".join([len(head).to_bytes(4, "little"), head, *arrays])

    def decode(self, data: bytes) -> Any:
        """Read a plain value; nothing in it is believed but its numbers.

        Raises:
            CodecError: the bytes are no such value.
        """
        length = int.from_bytes(data[:4], "little")
        try:
            told = json.loads(data[4 : 4 + length])
            value, rest = _read(told, memoryview(data)[4 + length :])
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
            raise CodecError(f"no plain value: {error}") from error
        if len(rest):
            raise CodecError(f"{len(rest)} bytes too many")
        return value


def is_plain(value: Any) -> bool:
    """Whether `Plain` can carry the value."""
    try:
        _told(value, [])
    except (CodecError, RecursionError):
        return False
    return True


def _told(value: Any, arrays: List[bytes]) -> Any:
    if value is None or type(value) in (bool, int, str):
        return value
    if isinstance(value, float) and type(value) is float:
        return value if math.isfinite(value) else {TAG: "float", "is": repr(value)}
    if isinstance(value, (list, tuple)):
        items = [_told(item, arrays) for item in value]
        name = "graph" if isinstance(value, GraphInstance) else "tuple"
        return items if type(value) is list else {TAG: name, "of": items}
    if isinstance(value, dict):
        return _told_dict(value, arrays)
    return _told_special(value, arrays)


def _told_dict(value: Dict[Any, Any], arrays: List[bytes]) -> Any:
    if all(type(key) is str for key in value) and TAG not in value:
        return {key: _told(item, arrays) for key, item in value.items()}
    pairs = [[_told(key, arrays), _told(item, arrays)] for key, item in value.items()]
    return {TAG: "dict", "of": pairs}


def _told_special(value: Any, arrays: List[bytes]) -> Any:
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biufcSU":
        scalar = isinstance(value, np.generic)
        if not value.dtype.itemsize:  # text without letters
            value = np.asarray(value, value.dtype.kind + "1")
        arrays.append(np.ascontiguousarray(value).tobytes())
        shape = list(value.shape)
        return {TAG: "array", "dtype": value.dtype.str, "shape": shape, "scalar": scalar}
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        items = [_told(item, arrays) for item in value.reshape(-1).tolist()]
        return {TAG: "objects", "of": items, "shape": list(value.shape)}
    if isinstance(value, bytes):
        return {TAG: "bytes", "of": base64.b64encode(value).decode()}
    if isinstance(value, Space):
        return {TAG: "space", "of": spaces.describe(value)}
    raise CodecError(f"a {type(value).__name__} does not cross a trust border")


def _read(told: Any, rest: memoryview) -> Tuple[Any, memoryview]:
    if isinstance(told, list):
        return _read_list(told, rest)
    if not isinstance(told, dict):
        return told, rest
    if TAG not in told:
        value: Dict[Any, Any] = {}
        for key, item in told.items():
            value[key], rest = _read(item, rest)
        return value, rest
    return _read_special(told, rest)


def _read_list(told: List[Any], rest: memoryview) -> Tuple[List[Any], memoryview]:
    value = []
    for item in told:
        part, rest = _read(item, rest)
        value.append(part)
    return value, rest


def _read_special(told: Dict[str, Any], rest: memoryview) -> Tuple[Any, memoryview]:
    kind = told[TAG]
    if kind == "array":
        return _read_array(told, rest)
    if kind == "space":
        return spaces.rebuild(told["of"]), rest
    if kind == "float":
        return float(told["is"]), rest
    if kind == "bytes":
        return base64.b64decode(told["of"]), rest
    items, rest = _read_list(told["of"], rest)
    if kind == "objects":
        return _objects(items, told["shape"]), rest
    if kind in _COLLECTIONS:
        return _COLLECTIONS[kind](items), rest
    raise ValueError(f"an unknown mark {kind!r:.100}")


def _objects(items: List[Any], shape: List[int]) -> Any:
    """An array of Python objects: what Gymnasium before 1.0 made of infos."""
    flat = np.empty(len(items), object)
    for index, item in enumerate(items):
        flat[index] = item
    return flat.reshape([int(size) for size in shape])


def _read_array(told: Dict[str, Any], rest: memoryview) -> Tuple[Any, memoryview]:
    dtype = np.dtype(told["dtype"])
    if dtype.kind not in "biufcSU":
        raise ValueError(f"an array of {dtype}")
    shape = tuple(int(size) for size in told["shape"])
    size = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or size > len(rest):
        raise ValueError(f"an array of shape {shape} in {len(rest)} bytes")
    array = np.frombuffer(rest[:size], dtype).reshape(shape).copy()
    return (array[()] if told["scalar"] else array), rest[size:]


_COLLECTIONS: Dict[str, Any] = {
    "tuple": tuple,
    "dict": dict,
    "graph": lambda items: GraphInstance(*items),
}
