"""`lerobot.utils.device_utils`."""

from __future__ import annotations

from typing import Any


def auto_select_torch_device() -> Any:
    """The best `torch.device` of this machine: cuda, mps, xpu, else cpu."""
    import torch  # only whoever asks for a device has it

    for kind in (torch.cuda, torch.backends.mps, torch.xpu):
        if kind.is_available():
            return torch.device(kind.__name__.rpartition(".")[2])
    return torch.device("cpu")
