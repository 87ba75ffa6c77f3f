"""Serves the envs of one shard: hears commands, carries them out, answers."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from . import block, meter, protocol, trouble, whole
from .codec import Codec, CodecError, is_plain
from .description import describe, describe_whole
from .doorbell import Bell, HangupError
from .layout import Layout, Shape
from .places import Spot
from .reach import reach
from .replay import lose, replay
from .sameness import same_spaces
from .spaces import is_array, leaves
from .stepper import Block, Stepper

Factory = Callable[[], Any]
Answer = Tuple[int, bytes]


class Host:
    """One worker's envs and what can be asked of them.

    Args:
        bell: where commands come from and answers go.
        codec: how payloads are written.
        spot: number of this worker, and its envs.
        memory_fd: the block, which has no size before MAP.
        find: makes the shard's factories from the payload of BUILD.
    """

    def __init__(
        self,
        bell: Bell,
        codec: Codec,
        spot: Spot,
        memory_fd: int,
        find: Callable[[Any], Sequence[Factory]],
    ) -> None:
        self.bell = bell
        self.codec = codec
        self.spot = spot
        self.memory_fd = memory_fd
        self.find = find
        self.envs: List[Any] = []
        self.stepper: Any = None
        self._take: Callable[[], Any] = list
        # The slot that a command writes to, and the env that it is at.
        self._slot = 0
        self._row = 0
        self._meter: Optional[meter.Meter] = None
        self._handlers: Dict[int, Callable[[Any], Answer]] = {
            protocol.BUILD: self._build,
            protocol.MAP: self._map,
            protocol.RESET: self._reset,
            protocol.CALL: self._call,
            protocol.SET: self._set,
            protocol.REPLAY: self._replay,
            protocol.LOSE: self._lose,
        }

    def serve(self) -> None:
        """Carry out commands until CLOSE, or until the client is gone."""
        try:
            while self._serve_one():
                pass
        except HangupError:
            self.close()

    def close(self) -> None:
        """Close the envs; what they raise by it concerns nobody any more."""
        for env in self.envs:
            _close(env)
        self.envs = []

    def _serve_one(self) -> bool:
        sequence, command, slot, payload = self.bell.hear()
        if command == protocol.CLOSE:
            # Once at once, so that the client knows that this worker is alive.
            self.bell.ring(sequence, protocol.DONE, slot)
            self.close()
            self.bell.ring(sequence, protocol.DONE, slot)
            return False
        if command == protocol.STEP:
            status, answer = self._step(slot, payload)
        else:
            status, answer = self._handle(command, slot, payload)
        self.bell.ring(sequence, status, slot, answer)
        return True

    def _handle(self, command: int, slot: int, payload: bytes) -> Answer:
        self._slot, self._row = slot, 0
        try:
            told = self.codec.decode(payload) if payload else {}
            return self._handlers[command](told)
        except BaseException as error:  # noqa: BLE001 — whatever it is, the client is told
            return self._failed({self._row: error})

    def _failed(self, troubles: Dict[int, BaseException]) -> Answer:
        return protocol.FAILED, self.codec.encode({"troubles": self._tell(troubles)})

    def _tell(self, troubles: Dict[int, BaseException]) -> List[Dict[str, Any]]:
        lo = self.spot.lo
        return [trouble.tell(lo + row, error, self.codec) for row, error in troubles.items()]

    def _build(self, told: Any) -> Answer:
        self.envs = []
        for factory in self.find(told):
            self._row = len(self.envs)
            self.envs.append(factory())
        self._check_kind(batched=told["whole"])
        ready: Dict[str, Any] = {}
        if told["whole"]:
            ready = describe_whole(self.envs[0], self.codec)
        elif told.get("describe"):
            ready = describe(self.envs[0], self.codec)
        if told.get("spaces"):
            ready["spaces"] = [env.observation_space for env in self.envs]
        return protocol.DONE, self.codec.encode(ready)

    def _check_kind(self, *, batched: bool) -> None:
        for env in self._each():
            if batched and not is_vector(env):
                raise TypeError(f"the factory made {env}, which is no VectorEnv")
            if is_vector(env) and not batched:
                raise TypeError(
                    f"the factory made {env}, a VectorEnv that steps its own batch: "
                    "envhub.vector.BatchedVectorEnv hosts it whole"
                )

    def _map(self, told: Any) -> Answer:
        first = self.envs[0]
        of_one = told["observation_space"] if told["whole"] else first.observation_space
        action = told["action_space"] if told["whole"] else first.action_space
        sizes = told["num_envs"], told["num_workers"], told["slots"]
        layout = Layout(Shape(*sizes, leaves(of_one), action_of(action)))
        answer: Dict[str, Any] = {} if told["whole"] else dict(same_spaces(self.envs, told))
        answer["size"] = layout.size
        if layout.size == told["size"]:
            self._open(layout, told)
        return protocol.DONE, self.codec.encode(answer)

    def _open(self, layout: Layout, told: Any) -> None:
        memory = block.map_memory(self.memory_fd, layout.size)
        rows = slice(None) if told["whole"] else self.spot.rows
        if layout.actions is not None:
            # Copies: an env may keep its action, and the client writes the next one here.
            self._take = layout.actions.view(memory)[rows].copy
        if told["whole"]:
            self.stepper = whole.Whole(self.envs[0], layout, memory)
            self._take = self.stepper.lend or self._take
        else:
            here = Block(layout, memory, self.spot)
            self.stepper = Stepper(self.envs, told["mode"], here, recall=told["recall"])
        self._meter = meter.Meter() if told["measure"] else None

    def _step(self, slot: int, payload: bytes) -> Answer:
        actions = self.codec.decode(payload) if payload else self._take()
        if self._meter is None:
            self.stepper.step(actions, slot)
            return self._answer()
        self._meter.run(self.stepper.step, actions, slot)
        if self._meter.steps < meter.STEPS:
            return self._answer()
        told, self._meter = self._meter.tell(), None
        return self._answer(profile=told)

    def _reset(self, told: Any) -> Answer:
        self.stepper.reset(self._slot, told)
        return self._answer()

    def _answer(self, **more: Any) -> Answer:
        stepper = self.stepper
        if stepper.quiet and not more:
            return stepper.status, b""
        told = {**stepper.tell(), **more}
        payload = self._encode(told) if told else b""
        if not stepper.troubles:
            return stepper.status, payload
        failed = self._failed(stepper.troubles)
        for row in stepper.troubles:
            _close(self.envs[row])
        return failed

    def _encode(self, told: Dict[str, Any]) -> bytes:
        if not self.codec.trusted and "infos" in told:
            told["dropped"] = keep_plain(told["infos"])
        try:
            return self.codec.encode(told)
        except CodecError as error:
            self._blame(told, error)
            return b""

    def _blame(self, told: Dict[str, Any], error: CodecError) -> None:
        values = dict(told.get("infos", {}))
        for rows in told.get("objects", []):
            values.update(enumerate(rows))
        causes = {row: self._fault(value) for row, value in values.items()}
        self.stepper.troubles.update({row: cause for row, cause in causes.items() if cause})
        if not self.stepper.troubles:
            self.stepper.troubles[0] = error

    def _fault(self, value: Any) -> Optional[CodecError]:
        try:
            self.codec.encode(value)
        except CodecError as cause:
            return cause
        return None

    def _each(self) -> Iterator[Any]:
        """The envs one after the other; an error is blamed on the one at hand."""
        for row, env in enumerate(self.envs):
            self._row = row
            yield env

    def _call(self, told: Any) -> Answer:
        if "reach" in told:
            return self._reach(told)
        results = []
        for env in self._each():
            found = attribute(env, told["name"])
            results.append(found(*told["args"], **told["kwargs"]) if callable(found) else found)
        self.stepper.bind()
        return protocol.DONE, self.codec.encode({"results": results})

    def _reach(self, told: Any) -> Answer:
        results = []
        for row in told["rows"]:
            self._row = row
            results.append(reach(self.envs[row], attribute, told["reach"]))
        if self.stepper is not None:
            self.stepper.bind()
        return protocol.DONE, self.codec.encode({"results": results})

    def _set(self, told: Any) -> Answer:
        for env in self._each():
            set_attribute(env, told["name"], told["values"][self._row])
        self.stepper.bind()
        return protocol.DONE, b""

    def _replay(self, told: Any) -> Answer:
        parts = leaves(self.envs[0].observation_space)
        episodes = [_episode(told, row) for row in range(len(self.envs))]
        same = replay(self.stepper, parts, episodes)
        return protocol.DONE, self.codec.encode({"same": same})

    def _lose(self, told: Any) -> Answer:
        lose(self.stepper, told)
        return protocol.DONE, b""


def is_vector(env: Any) -> bool:
    """Whether this is a vector env; old Gymnasiums have it elsewhere, or not at all."""
    return hasattr(env, "single_observation_space")


def action_of(space: Any) -> Optional[Tuple[str, Tuple[int, ...]]]:
    """Type and shape of an action, if it is an array."""
    return (space.dtype.str, tuple(space.shape)) if is_array(space) else None


def attribute(env: Any, name: str) -> Any:
    """An attribute of an env or of what it wraps."""
    if hasattr(env, "get_wrapper_attr"):
        return env.get_wrapper_attr(name)
    return getattr(env, name)  # before Gymnasium 1.0, wrappers pass attributes on themselves


def set_attribute(env: Any, name: str, value: Any) -> None:
    """Set an attribute where it is, or on the outermost wrapper."""
    if hasattr(env, "set_wrapper_attr"):
        env.set_wrapper_attr(name, value)
    else:
        setattr(env.unwrapped, name, value)


def keep_plain(infos: Dict[int, Dict[Any, Any]]) -> List[str]:
    """Take out of infos what cannot cross a trust border; answers the keys."""
    dropped: Set[str] = set()
    for row, info in infos.items():
        infos[row] = {key: value for key, value in info.items() if is_plain(value)}
        dropped.update(str(key) for key in info.keys() - infos[row].keys())
    return sorted(dropped)


def _episode(told: Dict[str, Any], row: int) -> Optional[Dict[str, Any]]:
    episode: Optional[Dict[str, Any]] = told["episodes"][row]
    if episode is None:
        return None
    start = episode["start"]
    return {
        **episode,
        "actions": [batch[row] for batch in told["actions"][start:]],
        "rewards": [rewards[row] for rewards in told["rewards"][start:]],
        "flags": [(flags[0][row], flags[1][row]) for flags in told["flags"][start:]],
    }


def _close(env: Any) -> None:
    try:
        env.close()
    except BaseException as error:  # noqa: BLE001 — see Host.close
        del error
