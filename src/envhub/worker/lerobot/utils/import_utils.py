"""`lerobot.utils.import_utils`."""

from __future__ import annotations

import importlib.util
from importlib import metadata
from typing import Optional, Tuple, Union


def is_package_available(
    pkg_name: str, import_name: Optional[str] = None, return_version: bool = False
) -> Union[bool, Tuple[bool, str]]:
    """Whether a distribution is installed and its module can be imported.

    Args:
        pkg_name: name of the distribution, as pip knows it.
        import_name: name of its module, if it is another one.
        return_version: return `(available, version)`; the version is `"N/A"` if there is none.
    """
    version = "N/A"
    found = importlib.util.find_spec(import_name or pkg_name) is not None
    if found:
        try:
            version = metadata.version(pkg_name)
        except metadata.PackageNotFoundError:
            found = False
    return (found, version) if return_version else found


def require_package(pkg_name: str, extra: str, import_name: Optional[str] = None) -> None:
    """Raise ImportError, with the line that installs it, if a package is missing."""
    if not is_package_available(pkg_name, import_name):
        raise ImportError(
            f"{pkg_name!r} is not installed\n→ pip install 'lerobot[{extra}]'", name=import_name
        )
