"""`lerobot.configs.types`: what an observation or action is to a policy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Tuple


class FeatureType(str, Enum):
    """What a feature is to a policy."""

    STATE = "STATE"
    VISUAL = "VISUAL"
    ENV = "ENV"
    ACTION = "ACTION"
    REWARD = "REWARD"
    LANGUAGE = "LANGUAGE"


class PipelineFeatureType(str, Enum):
    """Which side of a processor pipeline a feature is on."""

    ACTION = "ACTION"
    OBSERVATION = "OBSERVATION"


class NormalizationMode(str, Enum):
    """How a feature is normalised."""

    MIN_MAX = "MIN_MAX"
    MEAN_STD = "MEAN_STD"
    IDENTITY = "IDENTITY"
    QUANTILES = "QUANTILES"
    QUANTILE10 = "QUANTILE10"


@dataclass
class PolicyFeature:
    """Type and shape of one feature, without the batch dimension."""

    type: FeatureType
    shape: Tuple[int, ...]
