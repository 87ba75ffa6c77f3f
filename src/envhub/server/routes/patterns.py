"""The beginnings that paths have in common."""

from __future__ import annotations

_KINDS = "datasets|spaces|kernels"
_NAMES = rf"(?P<owner>(?!(?:{_KINDS})/)[^/]+)/(?P<name>[^/]+)"

API = rf"/api/(?P<kinds>models|{_KINDS})/{_NAMES}"
SITE = rf"/(?:(?P<kinds>{_KINDS})/)?{_NAMES}"
LISTS = rf"/api/(?P<kinds>models|{_KINDS})"
REVISION = r"(?P<revision>[^/]+)"
PATH = r"(?P<path>.+)"
