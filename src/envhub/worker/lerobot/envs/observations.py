"""Gymnasium's observations under the names, and in the form, that LeRobot's policies take."""

from __future__ import annotations

from typing import Any, Callable, Dict, Tuple

import numpy as np

from ..configs.types import FeatureType, PolicyFeature
from ..utils.constants import OBS_ENV_STATE, OBS_IMAGE, OBS_IMAGES, OBS_PREFIX, OBS_STATE

_VECTORS = {"environment_state": OBS_ENV_STATE, "agent_pos": OBS_STATE}
_AS_THEY_ARE = {OBS_PREFIX + "policy", OBS_PREFIX + "camera_obs"}


def preprocess_observation(observations: Dict[str, Any]) -> Dict[str, Any]:
    """A batch of observations as torch tensors under LeRobot's names.

    Args:
        observations: what a vector env gave. `pixels` is an image batch `(n, h, w, c)` of uint8, or
            a dict of them by camera; `agent_pos` and `environment_state` are `(n, d)`; a missing
            batch dimension is added.

    Returns:
        `observation.image` or `observation.images.<camera>` as `(n, c, h, w)` float32 in [0, 1];
        `observation.state`, `observation.environment_state` and every other array as float32 under
        `observation.<name>`; `robot_state` with its arrays as they are, but tensors.

    Raises:
        ValueError: an image is not uint8 with its channels last.
    """
    import torch  # LeRobot's policies need it; an env's process never comes here

    return {
        key: value if key in _AS_THEY_ARE else _each_array(torch.from_numpy, value)
        for key, value in name_observation(observations).items()
    }


def name_observation(observations: Dict[str, Any]) -> Dict[str, Any]:
    """The same with numpy's arrays; what is a tensor already stays one, on its device."""
    found: Dict[str, Any] = {}
    for name, value in observations.items():
        if name == "pixels":
            found.update(_images(value))
        elif name == "robot_state" or _key(name) in _AS_THEY_ARE:
            found[_key(name)] = value
        elif isinstance(value, np.ndarray):
            floats = value.astype(np.float32)
            found[_key(name)] = floats[np.newaxis] if floats.ndim == 1 else floats
        elif hasattr(value, "unsqueeze"):  # a tensor
            floats = value.float()
            found[_key(name)] = floats.unsqueeze(0) if floats.dim() == 1 else floats
    return found


def _key(name: str) -> str:
    return _VECTORS.get(name, OBS_PREFIX + name)


def _images(pixels: Any) -> Dict[str, Any]:
    if not isinstance(pixels, dict):
        return {OBS_IMAGE: _image(OBS_IMAGE, pixels)}
    return {f"{OBS_IMAGES}.{name}": _image(name, value) for name, value in pixels.items()}


def _image(name: str, image: Any) -> Any:
    batch = image[np.newaxis] if image.ndim == 3 else image
    last = batch.ndim == 4 and batch.shape[3] < min(batch.shape[1:3])
    if not last or batch.dtype != np.uint8:
        raise ValueError(
            f"the image {name!r} has shape {image.shape} and dtype {image.dtype}; "
            "expected (n, height, width, channels) of uint8"
        )
    return np.ascontiguousarray(batch.transpose(0, 3, 1, 2), np.float32) / np.float32(255)


def _each_array(convert: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _each_array(convert, inner) for name, inner in value.items()}
    return convert(value) if isinstance(value, np.ndarray) else value


def env_to_policy_features(env_cfg: Any) -> Dict[str, PolicyFeature]:
    """The features of an env config under the policy's names, images with their channels first.

    Raises:
        ValueError: an image feature has no channels.
        KeyError: `features_map` lacks a feature.
    """
    return {
        env_cfg.features_map[name]: _policy_feature(name, feature)
        for name, feature in env_cfg.features.items()
    }


def _policy_feature(name: str, feature: Any) -> Any:
    if feature.type.value != FeatureType.VISUAL.value:
        return feature
    if len(feature.shape) != 3:
        raise ValueError(f"the image {name!r} has shape {feature.shape}; expected 3 dimensions")
    return type(feature)(type=feature.type, shape=_channels_first(name, tuple(feature.shape)))


def _channels_first(name: str, shape: Tuple[int, ...]) -> Tuple[int, ...]:
    if shape[2] < min(shape[:2]):
        return (shape[2], shape[0], shape[1])
    if shape[0] < min(shape[1:]):
        return shape
    raise ValueError(f"it cannot be told which dimension of {name!r} {shape} is the channels")
