"""Which parts of a space live in shared memory, and how a space is told without pickling it."""

from __future__ import annotations

import base64
import math
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

from . import gyms
from .gyms import Space, spaces

ARRAY_SPACES = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)

# The longest array of bounds that is believed; the next bigger thing is an attack.
MAX_BYTES = 1 << 30

Path = Tuple[Any, ...]


class Leaf(NamedTuple):
    """A part of a space that has no parts: an array of fixed size, or an object.

    Attributes:
        path: the keys that lead to it from the whole observation.
        space: the space of this part.
        dtype: the type of its numbers, or `None` if it is an object.
        shape: the shape of one env's value.
    """

    path: Path
    space: Space[Any]
    dtype: Optional[np.dtype[Any]]
    shape: Tuple[int, ...]


def leaves(space: Space[Any], path: Path = ()) -> List[Leaf]:
    """The leaves of a space, in the order in which Gymnasium batches them."""
    if isinstance(space, spaces.Dict):
        return [leaf for key, part in space.spaces.items() for leaf in leaves(part, (*path, key))]
    if isinstance(space, spaces.Tuple):
        parts = enumerate(space.spaces)
        return [leaf for index, part in parts for leaf in leaves(part, (*path, index))]
    if is_array(space):
        return [Leaf(path, space, np.dtype(space.dtype), tuple(space.shape or ()))]
    return [Leaf(path, space, None, ())]


def is_array(space: Space[Any]) -> bool:
    """Whether the values of a space are numbers, always equally many."""
    return isinstance(space, ARRAY_SPACES) and np.dtype(space.dtype).kind in "biufc"


def pick(value: Any, path: Path) -> Any:
    """The part of an observation that a path leads to."""
    for key in path:
        value = value[key]
    return value


class OpaqueSpace(Space[Any]):
    """Stands for a space of a kind that this process does not know; anything may be in it."""

    def __init__(self, name: str) -> None:
        super().__init__(None, None)
        self.name = name

    def sample(self, mask: Any = None, probability: Any = None) -> Any:
        """Not possible: only the env's own process knows what is in this space."""
        raise NotImplementedError(f"a {self.name} cannot be sampled outside its own process")

    def contains(self, x: Any) -> bool:  # noqa: ARG002 — any object is contained
        """Anything is."""
        return True

    def __repr__(self) -> str:
        return f"OpaqueSpace({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OpaqueSpace) and other.name == self.name

    __hash__ = None  # type: ignore[assignment]  # like every space, it can change


def describe(space: Space[Any]) -> Dict[str, Any]:
    """A space as plain values that JSON can carry; a custom one as the nearest known kind."""
    for name, tell, _ in _kinds_of(space):
        return {"kind": name, **tell(space)}
    name = space.name if isinstance(space, OpaqueSpace) else type(space).__name__
    return {"kind": "Opaque", "name": name}


def known(space: Any) -> Space[Any]:
    """A space as one of Gymnasium's; one of another library, like the old `gym`, is rebuilt."""
    return space if isinstance(space, Space) else rebuild(describe(space))


def _kinds_of(space: Any) -> Iterator[Tuple[str, Any, Any]]:
    """How spaces like this are told and built; those of `gym` have the names of Gymnasium's."""
    for kind, entry in KINDS.items():
        if isinstance(space, kind):
            yield entry
    if not isinstance(space, Space):
        named = {entry[0]: entry for entry in KINDS.values()}
        yield from (named[base.__name__] for base in type(space).__mro__ if base.__name__ in named)


def rebuild(told: Dict[str, Any]) -> Space[Any]:
    """The space that `describe` told of.

    Raises:
        ValueError: it is no description of a space.
    """
    if not isinstance(told, dict) or "kind" not in told:
        raise ValueError(f"no description of a space: {told!r:.200}")
    name = told["kind"]
    if name == "Opaque":
        return OpaqueSpace(str(told.get("name")))
    for known, _, build in KINDS.values():
        if known == name:
            try:
                space: Space[Any] = build(told)
            except (KeyError, TypeError, ValueError, AssertionError, AttributeError) as error:
                raise ValueError(f"a wrong description of a {name}: {error}") from error
            return space
    raise ValueError(f"an unknown kind of space: {name!r:.200}")


def _numbers(array: Any) -> Dict[str, Any]:
    array = np.asarray(array)
    flat = array.reshape(-1)
    if flat.size and (flat == flat[0]).all():
        array = np.broadcast_to(flat[0], array.shape)
        flat = flat[:1]
    data = base64.b64encode(np.ascontiguousarray(flat).tobytes()).decode()
    return {"dtype": array.dtype.str, "shape": list(array.shape), "data": data}


def _array(told: Dict[str, Any]) -> Any:
    dtype = np.dtype(told["dtype"])
    if dtype.kind not in "biufc" or math.prod(told["shape"]) * dtype.itemsize > MAX_BYTES:
        raise TypeError(f"numbers of type {dtype} and shape {told['shape']}")
    flat = np.frombuffer(base64.b64decode(told["data"]), dtype)
    if flat.size == 1:
        return np.full(told["shape"], flat[0])
    return flat.reshape(told["shape"]).copy()


def _optional(told: Optional[Dict[str, Any]]) -> Optional[Space[Any]]:
    return None if told is None else rebuild(told)


def _tell_box(space: spaces.Box) -> Dict[str, Any]:
    dtype = np.dtype(space.dtype).str
    return {"low": _numbers(space.low), "high": _numbers(space.high), "dtype": dtype}


def _build_box(told: Dict[str, Any]) -> Space[Any]:
    dtype: Any = np.dtype(told["dtype"]).type
    return spaces.Box(_array(told["low"]), _array(told["high"]), dtype=dtype)


def _tell_discrete(space: spaces.Discrete) -> Dict[str, Any]:
    start = int(getattr(space, "start", 0))  # the old gym had none
    return {"n": int(space.n), "start": start, "dtype": np.dtype(space.dtype).str}


def _build_discrete(told: Dict[str, Any]) -> Space[Any]:
    dtype: Any = np.dtype(told["dtype"]).type
    # Before Gymnasium 1.2 the type cannot be chosen.
    extra = {} if dtype is np.int64 else {"dtype": dtype}
    return spaces.Discrete(int(told["n"]), start=int(told["start"]), **extra)


def _tell_multidiscrete(space: spaces.MultiDiscrete) -> Dict[str, Any]:
    start = getattr(space, "start", np.zeros_like(space.nvec))
    dtype = np.dtype(space.dtype).str
    return {"nvec": _numbers(space.nvec), "start": _numbers(start), "dtype": dtype}


def _build_multidiscrete(told: Dict[str, Any]) -> Space[Any]:
    dtype: Any = np.dtype(told["dtype"]).type
    # Before Gymnasium 0.29 there is no start, which then is 0.
    start = _array(told["start"])
    extra = {"start": start} if start.any() else {}
    return spaces.MultiDiscrete(_array(told["nvec"]), dtype=dtype, **extra)


def _tell_multibinary(space: spaces.MultiBinary) -> Dict[str, Any]:
    return {"n": space.n if isinstance(space.n, int) else list(space.shape)}


def _build_multibinary(told: Dict[str, Any]) -> Space[Any]:
    size = told["n"]
    return spaces.MultiBinary(size if isinstance(size, int) else [int(side) for side in size])


def _tell_text(space: spaces.Text) -> Dict[str, Any]:
    characters = "".join(space.character_list)
    return {"min": space.min_length, "max": space.max_length, "characters": characters}


def _build_text(told: Dict[str, Any]) -> Space[Any]:
    low, high = int(told["min"]), int(told["max"])
    return spaces.Text(high, min_length=low, charset=str(told["characters"]))


def _tell_graph(space: spaces.Graph) -> Dict[str, Any]:
    edges = None if space.edge_space is None else describe(space.edge_space)
    return {"nodes": describe(space.node_space), "edges": edges}


def _tell_dict(space: spaces.Dict) -> Dict[str, Any]:
    parts = [[key, describe(part)] for key, part in space.spaces.items()]
    return {"parts": parts, "sorted": bool(getattr(space, "sort_keys", True))}


def _build_dict(told: Dict[str, Any]) -> Space[Any]:
    space = spaces.Dict([(key, rebuild(part)) for key, part in told["parts"]])
    space.sort_keys = bool(told["sorted"])
    return space


def _build_sequence(told: Dict[str, Any]) -> Space[Any]:
    return spaces.Sequence(rebuild(told["of"]), stack=bool(told["stack"]))


KINDS: Dict[Any, Tuple[str, Any, Any]] = {
    spaces.Box: ("Box", _tell_box, _build_box),
    spaces.Discrete: ("Discrete", _tell_discrete, _build_discrete),
    spaces.MultiDiscrete: ("MultiDiscrete", _tell_multidiscrete, _build_multidiscrete),
    spaces.MultiBinary: ("MultiBinary", _tell_multibinary, _build_multibinary),
    spaces.Text: ("Text", _tell_text, _build_text),
    spaces.Dict: ("Dict", _tell_dict, _build_dict),
    spaces.Tuple: (
        "Tuple",
        lambda space: {"parts": [describe(part) for part in space.spaces]},
        lambda told: spaces.Tuple([rebuild(part) for part in told["parts"]]),
    ),
    spaces.Sequence: (
        "Sequence",
        lambda space: {
            "of": describe(space.feature_space),
            "stack": getattr(space, "stack", False),
        },
        _build_sequence,
    ),
    spaces.Graph: (
        "Graph",
        _tell_graph,
        lambda told: spaces.Graph(rebuild(told["nodes"]), _optional(told["edges"])),
    ),
}
if gyms.OneOf is not None:
    KINDS[gyms.OneOf] = (
        "OneOf",
        lambda space: {"parts": [describe(part) for part in space.spaces]},
        lambda told: gyms.OneOf([rebuild(part) for part in told["parts"]]),
    )
