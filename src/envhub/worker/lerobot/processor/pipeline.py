"""`lerobot.processor.pipeline`: steps in a row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Dict, Optional, Sequence


class ProcessorStep(ABC):
    """One step of a pipeline."""

    @abstractmethod
    def __call__(self, transition: Dict[str, Any]) -> Dict[str, Any]:
        """A transition, changed."""


class ObservationProcessorStep(ProcessorStep):
    """A step that changes nothing but the observation."""

    @abstractmethod
    def observation(self, observation: Dict[str, Any]) -> Dict[str, Any]:
        """An observation, changed."""

    def __call__(self, transition: Dict[str, Any]) -> Dict[str, Any]:
        """The transition with its observation changed."""
        return {**transition, "observation": self.observation(transition["observation"])}


class DataProcessorPipeline:
    """Steps in a row; without any, what comes in goes out."""

    def __init__(
        self, steps: Optional[Sequence[Any]] = None, name: str = "DataProcessorPipeline"
    ) -> None:
        self.steps = list(steps or [])
        self.name = name

    def __call__(self, data: Any) -> Any:
        """What the last step makes of it."""
        for step in self.steps:
            data = step(data)
        return data

    def __len__(self) -> int:
        return len(self.steps)

    def reset(self) -> None:
        """Reset the steps that keep something between calls."""
        for step in self.steps:
            getattr(step, "reset", lambda: None)()


PolicyProcessorPipeline = DataProcessorPipeline
RobotProcessorPipeline = DataProcessorPipeline
