"""`--env.type=envhub`: LeRobot's config of an env that envhub loads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gymnasium import spaces

import envhub
from envhub.errors import ArgumentError

if TYPE_CHECKING:
    from envhub.worker.lerobot.configs import FeatureType, PolicyFeature
    from envhub.worker.lerobot.envs.configs import EnvConfig
    from envhub.worker.lerobot.utils import constants
else:
    from lerobot.configs.types import FeatureType, PolicyFeature
    from lerobot.envs.configs import EnvConfig
    from lerobot.utils import constants

_VECTORS = {
    "agent_pos": (FeatureType.STATE, constants.OBS_STATE),
    "environment_state": (FeatureType.ENV, constants.OBS_ENV_STATE),
}


@EnvConfig.register_subclass("envhub")
@dataclass
class EnvHubConfig(EnvConfig):
    """An env repo, to be loaded by envhub.

    ```
    lerobot-eval --env.type=envhub --env.ref=user/repo@v1.0 --env.trust_remote_code=true …
    ```

    Attributes:
        ref: what to load, in any form that envhub knows.
        trust_remote_code: consent to run the repo's code; a grant of `envhub trust add` will do as
            well.
        isolation: where the repo's code runs, see `envhub.make_env`.
        params: arguments for the repo's `make_env`, by name.
        cfg: further attributes of this config, which the repo's `make_env` gets if it takes a
            `cfg`.
        features: what a policy sees; told by the env's spaces if nobody says it.
    """

    ref: str = ""
    trust_remote_code: bool = False
    isolation: str = "auto"
    params: dict[str, Any] = field(default_factory=dict)
    cfg: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["cfg"][name]
        except KeyError:
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self
            ) from None

    @property
    def gym_kwargs(self) -> dict[str, Any]:
        """Nothing: the repo's own `make_env` decides."""
        return {}

    def create_envs(self, n_envs: int, use_async_envs: bool = False) -> Any:
        """Load the envs: `{suite: {task: VectorEnv}}`, see `envhub.make_env`."""
        if not self.ref:
            raise ArgumentError("the env of type envhub has no ref", hint="--env.ref=owner/name")
        envs = envhub.make_env(
            self.ref,
            n_envs,
            use_async_envs,
            trust_remote_code=self.trust_remote_code,
            isolation=self.isolation,
            cfg=self,
            **self.params,
        )
        if not self.features:
            self._learn_features(next(env for _, env in envs.flat()))
        return envs

    def _learn_features(self, env: Any) -> None:
        """Take the features from the spaces of an env; other tasks have the same."""
        found = [*_observed(env.single_observation_space)]
        if isinstance(env.single_action_space, spaces.Box):
            shape = env.single_action_space.shape
            found.append((constants.ACTION, FeatureType.ACTION, shape, constants.ACTION))
        for name, kind, shape, key in found:
            self.features[name] = PolicyFeature(type=kind, shape=shape)
            self.features_map.setdefault(name, key)


def _observed(space: Any) -> Iterator[tuple[str, FeatureType, Any, str]]:
    """Name, kind, shape and policy key of each part of an observation that a policy can take."""
    for name, part in space.items() if isinstance(space, spaces.Dict) else ():
        if name == "pixels" and isinstance(part, spaces.Dict):
            for camera, image in part.items():
                key = f"{constants.OBS_IMAGES}.{camera}"
                yield f"pixels/{camera}", FeatureType.VISUAL, image.shape, key
        elif name == "pixels" and isinstance(part, spaces.Box):
            yield name, FeatureType.VISUAL, part.shape, constants.OBS_IMAGE
        elif isinstance(part, spaces.Box):
            kind, key = _VECTORS.get(name, (FeatureType.STATE, constants.OBS_PREFIX + name))
            yield name, kind, part.shape, key
