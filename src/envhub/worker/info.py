"""Infos of plain numbers, as records in shared memory.

Most infos are the same few keys with the same types of number at every step. Such a *kind* of info
is told to the client once; from then on an env's info is its kind and one cell of 8 bytes per key.
Every other info travels as an odd value.
"""

from __future__ import annotations

import struct
from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np

from .layout import CELLS

CELL = 8
STRIDE = CELLS * CELL
UNSEEN = object()
MAX_KINDS = 1000

# Types whose values Gymnasium gathers into an array of that type, with their struct formats.
# np.bool_ and complex numbers are not among them: Gymnasium makes those arrays of objects.
FORMATS: Dict[type, str] = {
    float: "d",
    int: "q",
    bool: "?",
    np.float64: "d",
    np.float32: "f",
    np.float16: "e",
    np.int8: "b",
    np.int16: "h",
    np.int32: "i",
    np.int64: "q",
    np.uint8: "B",
    np.uint16: "H",
    np.uint32: "I",
    np.uint64: "Q",
}
NAMES = {kind.__name__: kind for kind in FORMATS}


class Kind(NamedTuple):
    """A kind of info: its number, its keys, and for each key the type of the number."""

    number: int
    keys: Tuple[str, ...]
    types: Tuple[type, ...]

    def packer(self) -> struct.Struct:
        """What writes the numbers of such an info into its cells."""
        formats = (FORMATS[kind] for kind in self.types)
        return struct.Struct("=" + "".join(f"{f}{CELL - struct.calcsize(f)}x" for f in formats))

    def tell(self) -> List[Any]:
        """The kind as plain values."""
        return [self.number, list(self.keys), [kind.__name__ for kind in self.types]]


class Records:
    """The worker's half: writes the infos of its envs.

    Args:
        kinds: (m,) uint32, the kinds of this worker's envs.
        records: (m, 64) uint64, their cells.
    """

    def __init__(self, kinds: np.ndarray[Any, Any], records: np.ndarray[Any, Any]) -> None:
        self._kinds = kinds.data
        self._cells = records.data.cast("B")
        self._clear = bytes(self._kinds.nbytes)
        self._bytes = self._kinds.cast("B")
        self._known: Dict[Any, Any] = {}
        self.any = True  # whoever had this shard before may have left something in it
        self.news: List[List[Any]] = []

    def begin(self) -> None:
        """Forget the infos of the step before."""
        if self.any:
            self._bytes[:] = self._clear
            self.any = False

    def take(self, infos: Dict[int, Dict[Any, Any]]) -> None:
        """Write infos into the records of their rows, and leave those that are no plain numbers."""
        taken = [row for row, info in infos.items() if self.put(row, info)]
        for row in taken:
            del infos[row]

    def put(self, row: int, info: Dict[Any, Any]) -> bool:
        """Write an env's info into its record; answers False if it is not of plain numbers."""
        values = info.values()
        key = (tuple(info), tuple(map(type, values)))
        known = self._known.get(key, UNSEEN)
        if known is UNSEEN:
            known = self._learn(*key)
        if known is None:
            return False
        number, pack = known
        try:
            pack(self._cells, row * STRIDE, *values)
        except (struct.error, OverflowError):  # an int that needs more than 64 bits
            return False
        self._kinds[row] = number
        self.any = True
        return True

    def tell_news(self) -> List[List[Any]]:
        """The kinds that the client has not been told of yet."""
        news, self.news = self.news, []
        return news

    def _learn(self, keys: Tuple[Any, ...], types: Tuple[type, ...]) -> Any:
        if len(self._known) >= MAX_KINDS:
            return None
        known = None
        if is_plain(keys, types):
            kind = Kind(len(self._known) + 1, keys, types)
            self.news.append(kind.tell())
            known = kind.number, kind.packer().pack_into
        self._known[keys, types] = known
        return known


def is_plain(keys: Tuple[Any, ...], types: Tuple[type, ...]) -> bool:
    """Whether infos with these keys and types can be records.

    Keys that begin with `_` are Gymnasium's masks, and `final_obs` has rules of its own.
    """
    return (
        0 < len(keys) <= CELLS
        and all(kind in FORMATS for kind in types)
        and all(type(key) is str and not key.startswith("_") for key in keys)
        and "final_obs" not in keys
    )


def told(news: Any) -> Kind:
    """The kind that a worker has told of.

    Raises:
        ValueError: it is no such thing.
    """
    try:
        number, keys, names = news
        kind = Kind(int(number), tuple(keys), tuple(NAMES[name] for name in names))
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"no kind of info: {news!r:.200}") from error
    if len(kind.keys) != len(kind.types) or not is_plain(kind.keys, kind.types):
        raise ValueError(f"no kind of info: {news!r:.200}")
    return kind
