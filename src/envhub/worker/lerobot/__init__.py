"""Stands in for LeRobot where it is not installed: the names that env repos import from it.

The modules are called as LeRobot's are (`lerobot.envs.configs` is `envs/configs.py` here), so this
tree is the list of what stands in. Whoever finds a name missing needs LeRobot itself. It is never
put in LeRobot's place where LeRobot is installed.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import Dict

__version__ = "0.6.1+envhub"
"""The version of LeRobot whose names these are; the local part tells the two apart."""


def modules() -> Dict[str, ModuleType]:
    """All modules of this tree by the names that LeRobot gives them, for `sys.modules`."""
    found = pkgutil.walk_packages(__path__, __name__ + ".")
    names = [__name__, *(info.name for info in found)]
    return {"lerobot" + name[len(__name__) :]: importlib.import_module(name) for name in names}
