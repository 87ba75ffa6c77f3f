"""Pages for people: what there is, what a repo is, and what its owner decides."""

from __future__ import annotations

from envhub.server.routes.pages import (
    browse,
    device,
    diffs,
    env,
    home,
    owner,
    rules,
    sign_in,
    static,
    tokens,
)

ROUTES = [
    route
    for module in (static, home, sign_in, device, tokens, rules, browse, diffs, env, owner)
    for route in module.ROUTES
]
