"""Features, observations, packages and devices, as the stand-in for LeRobot has them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from envhub.worker.lerobot.configs.types import FeatureType, PolicyFeature
from envhub.worker.lerobot.envs import utils
from envhub.worker.lerobot.utils import device_utils, import_utils


def features(**shapes: tuple[int, ...]) -> SimpleNamespace:
    visual = {"image": FeatureType.VISUAL}
    return SimpleNamespace(
        features={
            name: PolicyFeature(visual.get(name, FeatureType.STATE), shape)
            for name, shape in shapes.items()
        },
        features_map={name: f"observation.{name}" for name in shapes},
    )


@pytest.mark.parametrize("shape", [(480, 640, 3), (3, 480, 640)])
def test_policy_features(shape: tuple[int, ...]) -> None:
    """Features get the policy's names, and images have their channels first."""
    found = utils.env_to_policy_features(features(image=shape, state=(14,)))
    assert found == {
        "observation.image": PolicyFeature(FeatureType.VISUAL, (3, 480, 640)),
        "observation.state": PolicyFeature(FeatureType.STATE, (14,)),
    }


@pytest.mark.parametrize(("shape", "said"), [((3, 4), "expected 3"), ((4, 4, 4), "cannot be told")])
def test_policy_features_of_no_image(shape: tuple[int, ...], said: str) -> None:
    """A shape that is no image's is named."""
    with pytest.raises(ValueError, match=said):
        utils.env_to_policy_features(features(image=shape))


IMAGE = np.full((2, 6, 5, 3), 255, np.uint8)
OBSERVATION = {
    "pixels": {"top": IMAGE, "wrist": IMAGE[0]},
    "agent_pos": np.zeros((2, 4)),
    "environment_state": np.zeros(3),
    "robot_state": {"eef": {"pos": np.zeros((2, 3)), "name": "left"}},
    "policy": np.zeros(2),
    "camera_obs": {"a": 1},
    "force": np.zeros(2),
    "text": "no array",
}
SHAPES = {
    "observation.images.top": (2, 3, 6, 5),
    "observation.images.wrist": (1, 3, 6, 5),
    "observation.state": (2, 4),
    "observation.environment_state": (1, 3),
    "observation.force": (1, 2),
}


def test_names() -> None:
    """Observations get LeRobot's names and form; what is no array is left out."""
    found = utils.name_observation(OBSERVATION)
    assert {key: found[key].shape for key in SHAPES} == SHAPES
    assert {found[key].dtype for key in SHAPES} == {np.dtype(np.float32)}
    assert found["observation.images.top"].max() == 1
    assert found["observation.camera_obs"] == {"a": 1}
    assert found["observation.robot_state"] is OBSERVATION["robot_state"]
    assert found["observation.policy"] is OBSERVATION["policy"]
    assert "observation.text" not in found
    assert set(utils.name_observation({"pixels": IMAGE})) == {"observation.image"}


@pytest.mark.parametrize("shape", [(2, 3, 6, 5), (2, 6, 5), (6,)])
def test_images_that_are_none(shape: tuple[int, ...]) -> None:
    """An image with channels first, or that is none, is refused with its shape."""
    with pytest.raises(ValueError, match=r"expected \(n, height, width, channels\) of uint8"):
        utils.name_observation({"pixels": np.zeros(shape, np.uint8)})
    with pytest.raises(ValueError, match="dtype float32"):
        utils.name_observation({"pixels": IMAGE.astype(np.float32)})


def test_preprocess() -> None:
    """A policy gets tensors; what was one stays on its device."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    doubles = torch.zeros(2, dtype=torch.float64)
    found = utils.preprocess_observation({**OBSERVATION, "touch": doubles})
    for key, shape in {**SHAPES, "observation.touch": (1, 2)}.items():
        assert found[key].shape == shape
        assert found[key].dtype == torch.float32
    assert found["observation.robot_state"]["eef"]["pos"].shape == (2, 3)
    assert torch.is_tensor(found["observation.robot_state"]["eef"]["pos"])
    assert found["observation.robot_state"]["eef"]["name"] == "left"
    assert found["observation.policy"] is OBSERVATION["policy"]


def test_device() -> None:
    """There is always a device."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    assert isinstance(device_utils.auto_select_torch_device(), torch.device)


def test_packages() -> None:
    """A package counts as available if it is a distribution that can be imported."""
    available = import_utils.is_package_available
    assert available("numpy") is True
    assert available("huggingface-hub", "huggingface_hub", return_version=True)[0] is True  # type: ignore[index]  # a tuple
    assert available("nobody_has_this", return_version=True) == (False, "N/A")
    assert available("json") is False
    import_utils.require_package("numpy", "extra")
    with pytest.raises(ImportError, match=r"pip install 'lerobot\[sim\]'"):
        import_utils.require_package("nobody_has_this", "sim")
