"""`lerobot.envs.configs`: what is asked of an env, as a dataclass that knows how to make it."""

from __future__ import annotations

import abc
import importlib
from dataclasses import dataclass, field
from typing import Any, ClassVar, Dict, Optional, Tuple

import gymnasium as gym
from gymnasium.envs.registration import registry

from ..absent import OnlyInLeRobot
from ..configs.types import PolicyFeature
from ..processor import PolicyProcessorPipeline


class ChoiceRegistry:
    """Classes by name, as `draccus.ChoiceRegistry` keeps them: one table per direct subclass."""

    _choice_registry: ClassVar[Dict[str, Any]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not hasattr(cls, "_choice_registry"):
            cls._choice_registry = {}

    @classmethod
    def register_subclass(cls, name: str, choice_type: Optional[Any] = None) -> Any:
        """Register a class under a name, as a decorator or with both arguments.

        The newest wins: another version of the same repo registers the same name again.
        """

        def register(subclass: Any) -> Any:
            cls._choice_registry[name] = subclass
            return subclass

        return register if choice_type is None else register(choice_type)

    @classmethod
    def get_choice_class(cls, name: str) -> Any:
        """The class of a name; KeyError if there is none."""
        return cls._choice_registry[name]

    @classmethod
    def get_known_choices(cls) -> Dict[str, Any]:
        """All classes by their names."""
        return cls._choice_registry

    @classmethod
    def get_choice_name(cls, subcls: type) -> str:
        """The name of a class; ValueError if it was never registered."""
        for name, known in cls._choice_registry.items():
            if known is subcls:
                return name
        raise ValueError(f"{subcls.__name__} is not registered: no name was given to it")

    @classmethod
    def default_choice_name(cls) -> Optional[str]:
        """The name that is meant when none is given."""
        return None


@dataclass
class EnvConfig(ChoiceRegistry, abc.ABC):
    """Base of all env configs; subclasses are registered by `EnvConfig.register_subclass`."""

    task: Optional[str] = None
    fps: int = 30
    features: Dict[str, PolicyFeature] = field(default_factory=dict)
    features_map: Dict[str, str] = field(default_factory=dict)
    max_parallel_tasks: int = 1
    disable_env_checker: bool = True

    @property
    def type(self) -> str:
        """The name that the class was registered under."""
        return self.get_choice_name(type_of(self))

    @property
    def package_name(self) -> str:
        """The module whose import registers the env's id."""
        return f"gym_{self.type}"

    @property
    def gym_id(self) -> str:
        """The env's id for `gymnasium.make`."""
        return f"{self.package_name}/{self.task}"

    @property
    @abc.abstractmethod
    def gym_kwargs(self) -> Dict[str, Any]:
        """Arguments for `gymnasium.make`."""

    def create_envs(self, n_envs: int, use_async_envs: bool = False) -> Dict[str, Dict[int, Any]]:
        """Make the env as a vector: `{type: {0: VectorEnv}}`; suites of many tasks override this.

        Args:
            n_envs: how many copies the vector steps.
            use_async_envs: in parallel processes, if there is more than one copy.
        """
        # The spec and not the id, which means nothing in a process where nobody registered it.
        spec, kwargs = _spec(self.gym_id, self.package_name), dict(self.gym_kwargs)
        checker = self.disable_env_checker

        def make_one() -> gym.Env[Any, Any]:
            return gym.make(spec, disable_env_checker=checker, **kwargs)

        return {self.type: {0: _vector([make_one] * n_envs, use_async_envs)}}

    def get_env_processors(self) -> Tuple[Any, Any]:
        """What observations and actions go through on their way to and from a policy: nothing."""
        return PolicyProcessorPipeline(steps=[]), PolicyProcessorPipeline(steps=[])


type_of = type
"""The builtin, which `EnvConfig.type` hides inside the class."""


@dataclass
class HubEnvConfig(EnvConfig):
    """Base of configs whose env comes from a repo on a hub."""

    hub_path: Optional[str] = None

    @property
    def gym_kwargs(self) -> Dict[str, Any]:
        """Nothing: the repo's own `make_env` decides."""
        return {}


class AlohaEnv(OnlyInLeRobot):
    """LeRobot's config of gym-aloha."""


class PushtEnv(OnlyInLeRobot):
    """LeRobot's config of gym-pusht."""


class LiberoEnv(OnlyInLeRobot):
    """LeRobot's config of LIBERO."""


class HILSerlRobotEnvConfig(OnlyInLeRobot):
    """LeRobot's config of real robots."""


def _spec(gym_id: str, package: str) -> Any:
    """What is registered under an id, after the import of its package if need be."""
    if gym_id not in registry:
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"the env {gym_id!r} is in the package {package!r}, which is not installed",
                name=error.name,
            ) from error
    if gym_id not in registry:
        raise gym.error.NameNotFound(f"{package!r} was imported, but it has no env {gym_id!r}")
    return registry[gym_id]


def _vector(makers: Any, use_async_envs: bool) -> Any:
    """A vector with LeRobot's settings: the next episode starts in the step that ends one."""
    options: Dict[str, Any] = {}
    if hasattr(gym.vector, "AutoresetMode"):  # since Gymnasium 1.1
        options["autoreset_mode"] = gym.vector.AutoresetMode.SAME_STEP
    if use_async_envs and len(makers) > 1:
        return gym.vector.AsyncVectorEnv(makers, context="forkserver", **options)
    return gym.vector.SyncVectorEnv(makers, **options)
