"""Find env repos: one question to several hubs at once, and what each of them answers.

Any hub that has `GET /api/models` with `search` and `filter` will do. A hub like ours knows what
its envs are, and filters by that itself (`envhub.server.facets`); of others it is read from their
cards, where `envhub push` has written it.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from itertools import chain, islice
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from envhub.errors import ArgumentError, EnvHubError, OfflineError
from envhub.hubs.huggingface import HuggingFaceHub
from envhub.hubs.listing import Block, Listed
from envhub.hubs.registry import token_for
from envhub.settings import Settings

TAG: Final = "envhub"
"""What env repos are tagged with, on every hub."""
MOST_READ: Final = 1000
"""Repos of one hub whose cards are read, where the hub does not know of enough that fit."""
ENGINES: Final = ("mujoco", "pybullet", "box2d", "brax", "genesis-world", "isaacsim", "sapien")
"""Packages that are simulators, by their names on package indexes."""
PIXELS: Final = "pixels"

_REPO: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_COUNT: Final = re.compile(r"(>=|<=|>|<|=|)\s*(\d{1,9})")
_COMPARE: Final[dict[str, Callable[[int, int], bool]]] = {
    "": operator.eq,
    "=": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_ACTIONS: Final = {"Discrete": "discrete", "MultiDiscrete": "discrete", "MultiBinary": "discrete"}


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for; all of it must fit.

    Attributes:
        words: of the name or the card.
        tags: of the repo.
        licence: of the repo, like `mit`.
        action: `discrete` or `continuous`.
        pixels: whether its observations must have pictures.
        tasks: how many it must have: `5`, `>10`, `<=3`; empty if that does not matter.
        python: a version that it must run under, like `3.11`.
        engine: the simulator below it, like `mujoco`.
        everything: also repos that do not say that they are envs.

    Raises:
        ArgumentError: `tasks` is no such number.
    """

    words: str = ""
    _: KW_ONLY
    tags: tuple[str, ...] = ()
    licence: str = ""
    action: str = ""
    pixels: bool = False
    tasks: str = ""
    python: str = ""
    engine: str = ""
    everything: bool = False

    def __post_init__(self) -> None:
        if self.tasks and not _COUNT.fullmatch(self.tasks):
            raise ArgumentError(
                f"{self.tasks!r} is no number of tasks", hint="say 5, '>10', '>=2', '<3' or '<=4'"
            )

    @property
    def common(self) -> list[str]:
        """What every hub can filter by."""
        own = [] if self.everything else [TAG]
        return [*own, *self.tags, *([f"license:{self.licence}"] if self.licence else [])]

    @property
    def facets(self) -> list[str]:
        """What a hub like ours can filter by, too."""
        parts = {
            "action": self.action,
            "observation": PIXELS if self.pixels else "",
            "tasks": self.tasks.replace(" ", ""),
            "python": self.python,
            "engine": self.engine,
        }
        return [f"{name}:{value}" for name, value in parts.items() if value]


@dataclass(frozen=True, slots=True)
class Traits:
    """What an env is, as far as anybody says.

    Attributes:
        actions: `discrete`, `continuous`; both if it has both.
        observations: `pixels` and others.
        n_tasks: 0 if nobody knows.
        python: the versions that it runs under; empty if it does not say.
        engines: simulators among its packages.
        licence: of the code.
    """

    actions: tuple[str, ...] = ()
    observations: tuple[str, ...] = ()
    n_tasks: int = 0
    python: str = ""
    engines: tuple[str, ...] = ()
    licence: str = ""

    def fit(self, query: Query) -> bool:
        """Whether they are what is looked for; what nobody says does not fit."""
        return (
            (not query.action or query.action in self.actions)
            and (not query.pixels or PIXELS in self.observations)
            and (not query.tasks or self._has_tasks(query.tasks))
            and (not query.python or self._runs_under(query.python))
            and (not query.engine or query.engine in self.engines)
        )

    def _has_tasks(self, wanted: str) -> bool:
        found = _COUNT.fullmatch(wanted)
        return bool(found and self.n_tasks and _COMPARE[found[1]](self.n_tasks, int(found[2])))

    def _runs_under(self, version: str) -> bool:
        try:
            return SpecifierSet(self.python).contains(version, prereleases=True)
        except InvalidSpecifier:
            return False


@dataclass(frozen=True, slots=True)
class Found:
    """A repo that fits.

    Attributes:
        hub: its address.
        repo: `owner/name`.
        ref: what loads it, whatever the default hub is.
        tags: as the hub lists them.
        traits: what the env is.
        downloads: as the hub counts them.
        modified: when it changed last.
        private: whether only some may see it.
        gated: whether its owner lets people in one by one.
    """

    hub: str
    repo: str
    ref: str
    tags: tuple[str, ...]
    traits: Traits
    downloads: int = 0
    modified: datetime | None = None
    private: bool = False
    gated: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What one hub answered.

    Attributes:
        hub: its address.
        found: in the hub's own order.
        error: why there is nothing, if the hub could not be asked.
    """

    hub: str
    found: tuple[Found, ...] = ()
    error: EnvHubError | None = field(default=None, compare=False)


def find(
    query: Query, hubs: Sequence[str] = (), *, settings: Settings | None = None, most: int = 30
) -> list[Answer]:
    """Ask hubs, all at the same time; one that is down keeps nobody from the others' answers.

    Args:
        query: what is looked for.
        hubs: addresses, or `hf` for Hugging Face; the hub that `owner/name` means if there is none.
        settings: what the environment variables say, if not given.
        most: repos of each hub.

    Returns:
        An answer per hub, in the order of `hubs`.

    Raises:
        OfflineError: the settings forbid to ask anybody.
    """
    settings = settings or Settings.from_environ()
    if settings.offline:
        raise OfflineError("a search asks hubs, and offline mode is on", hint="envhub cache ls")
    names = hubs or [settings.endpoint]
    addresses = list(dict.fromkeys(_address(name, settings) for name in names))
    with ThreadPoolExecutor(len(addresses)) as pool:
        return list(pool.map(lambda address: _ask(address, query, settings, most), addresses))


def _address(name: str, settings: Settings) -> str:
    if name == "hf":
        return settings.hf_endpoint
    if not re.fullmatch(r"https?://[^\s/]+(/[^\s]*)?", name):
        raise ArgumentError(
            f"{name!r} is no address of a hub", hint="say https://envs.lab.org, or hf"
        )
    return name.rstrip("/")


def _ask(address: str, query: Query, settings: Settings, most: int) -> Answer:
    token = token_for(address, settings, None)
    hub = HuggingFaceHub(address, token=token, timeout=settings.timeout)
    try:
        listed = islice(_fitting(hub, query, most), most)
        return Answer(address, tuple(_found(each, hub, settings) for each in listed))
    except EnvHubError as error:
        return Answer(address, error=error)


def _fitting(hub: HuggingFaceHub, query: Query, most: int) -> Iterator[Listed]:
    """The repos that fit: first those that the hub knows of, then those whose cards say so.

    To a hub that knows nothing of envs the facets are tags that nobody has.
    """
    page = min(most, 100)
    mine = hub.repos(query.words, [*query.common, *query.facets], page)
    if not query.facets:
        return _each_once(mine)
    others = islice(hub.repos(query.words, query.common), MOST_READ)
    fitting = (each for each in others if traits(each).fit(query))
    return _each_once(chain(mine, fitting))


def _each_once(listed: Iterable[Listed]) -> Iterator[Listed]:
    """Those that a ref can name."""
    seen = set()
    for each in listed:
        if each.id not in seen and _REPO.fullmatch(each.id):
            seen.add(each.id)
            yield each


def _found(listed: Listed, hub: HuggingFaceHub, settings: Settings) -> Found:
    known = {settings.hf_endpoint: "hf://", settings.endpoint: ""}
    prefix = known.get(hub.address, f"hub+{hub.address}/")
    return Found(
        hub=hub.address,
        repo=listed.id,
        ref=f"{prefix}{listed.id}",
        tags=listed.tags,
        traits=traits(listed),
        downloads=listed.downloads or 0,
        modified=listed.modified,
        private=listed.private,
        gated=bool(listed.gated),
    )


def traits(listed: Listed) -> Traits:
    """What an env is: as the hub found out, else as its tags and its card say."""
    env = listed.env or Block()
    facts = (listed.card or {}).get("envhub")
    card = _by_card(facts if isinstance(facts, dict) else {})
    pairs = [text.partition(":")[::2] for text in (*listed.tags, *env.facets)]

    def said(name: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value for key, value in pairs if key == name))

    return Traits(
        actions=said("action") or card.actions,
        observations=said("observation") or card.observations,
        n_tasks=env.n_tasks or card.n_tasks,
        python=env.python or card.python,
        engines=env.engines or said("engine") or card.engines,
        licence=next(iter(said("license")), ""),
    )


def _by_card(facts: dict[str, Any]) -> Traits:
    """What `envhub push` wrote; spaces are text there, like `Box(0, 255, (96, 96, 3), uint8)`."""
    action, seen = str(facts.get("action", "")), str(facts.get("observation", ""))
    kinds = re.findall(r"\b(MultiDiscrete|MultiBinary|Discrete|Box)\(", action)
    counts = facts.get("suites")
    tasks = counts.values() if isinstance(counts, dict) else ()
    return Traits(
        actions=tuple(dict.fromkeys(_ACTIONS.get(kind, "continuous") for kind in kinds)),
        observations=(PIXELS,) if re.search(r"\(\d+(, \d+)+\), uint8\)", seen) else (),
        n_tasks=sum(count for count in tasks if isinstance(count, int)),
        python=str(facts.get("requires-python") or ""),
        engines=tuple(_engines(facts.get("requirements"))),
    )


def _engines(lines: object) -> Iterator[str]:
    for line in lines if isinstance(lines, list) else ():
        try:
            name = Requirement(str(line)).name.lower()
        except InvalidRequirement:
            continue
        if name in ENGINES:
            yield name
