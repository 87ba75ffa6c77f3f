"""`lerobot.configs`."""

from .types import FeatureType, NormalizationMode, PipelineFeatureType, PolicyFeature

__all__ = ["FeatureType", "NormalizationMode", "PipelineFeatureType", "PolicyFeature"]
