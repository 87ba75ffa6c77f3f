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


def test_preprocess() -> None:
    """Observations become tensors under LeRobot's names, in LeRobot's form."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    image = np.full((2, 6, 5, 3), 255, np.uint8)
    found = utils.preprocess_observation(
        {
            "pixels": {"top": image, "wrist": image[0]},
            "agent_pos": np.zeros((2, 4)),
            "environment_state": np.zeros(3),
            "robot_state": {"eef": {"pos": np.zeros((2, 3)), "name": "left"}},
            "policy": "as it is",
            "camera_obs": {"a": 1},
            "force": torch.zeros(2, dtype=torch.float64),
            "text": "no array",
        }
    )
    assert found["observation.images.top"].shape == (2, 3, 6, 5)
    assert found["observation.images.wrist"].shape == (1, 3, 6, 5)
    assert found["observation.images.top"].max() == 1
    assert found["observation.state"].dtype == torch.float32
    assert found["observation.environment_state"].shape == (1, 3)
    assert found["observation.robot_state"]["eef"]["pos"].shape == (2, 3)
    assert found["observation.robot_state"]["eef"]["name"] == "left"
    assert found["observation.policy"] == "as it is"
    assert found["observation.camera_obs"] == {"a": 1}
    assert found["observation.force"].shape == (1, 2)
    assert found["observation.force"].dtype == torch.float32
    assert "observation.text" not in found
    assert set(utils.preprocess_observation({"pixels": image})) == {"observation.image"}


@pytest.mark.parametrize("shape", [(2, 3, 6, 5), (2, 6, 5), (6,)])
def test_preprocess_refuses(shape: tuple[int, ...]) -> None:
    """An image with channels first, or that is none, is refused with its shape."""
    pytest.importorskip("torch", reason="torch is not installed")
    with pytest.raises(ValueError, match="expected \\(n, height, width, channels\\) of uint8"):
        utils.preprocess_observation({"pixels": np.zeros(shape, np.uint8)})


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
