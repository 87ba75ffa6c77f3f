"""`lerobot.processor`."""

from ..absent import OnlyInLeRobot
from .pipeline import (
    DataProcessorPipeline,
    ObservationProcessorStep,
    PolicyProcessorPipeline,
    ProcessorStep,
    RobotProcessorPipeline,
)

__all__ = [
    "DataProcessorPipeline",
    "IsaaclabArenaProcessorStep",
    "LiberoProcessorStep",
    "ObservationProcessorStep",
    "PolicyProcessorPipeline",
    "ProcessorStep",
    "RobotProcessorPipeline",
]


class LiberoProcessorStep(OnlyInLeRobot):
    """LIBERO's robot state as LeRobot's policies want it."""


class IsaaclabArenaProcessorStep(OnlyInLeRobot):
    """Isaac Lab Arena's observations as LeRobot's policies want them."""
