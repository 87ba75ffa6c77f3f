"""The hub's routes: paths, and the functions that answer them."""

from __future__ import annotations

from envhub.server.routes import (
    admissions,
    commit,
    device,
    files,
    git,
    info,
    lfs,
    locks,
    operations,
    pages,
    refs,
    repos,
    search,
    trees,
    users,
    xet,
)

ROUTES = [
    route
    for module in (
        operations,
        users,
        repos,
        search,
        info,
        trees,
        refs,
        commit,
        admissions,
        xet,
        lfs,
        locks,
        device,
        git,
        files,
        pages,
    )
    for route in module.ROUTES
]
