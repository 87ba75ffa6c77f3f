"""The one line: `envhub.make_env`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from envhub.client import Client
from envhub.envdict import EnvDict
from envhub.make import AUTO
from envhub.parameters import Choice
from envhub.refs import Ref
from envhub.vector.options import Options
from envhub.wishes import COMMIT, Wishes


def make_env(
    ref: str | Ref,
    n_envs: int = 1,
    use_async_envs: bool = False,
    *,
    trust_remote_code: bool = False,
    permissions: Sequence[str] | None = None,
    isolation: str = AUTO,
    sandbox: str = AUTO,
    vector: Options | None = None,
    extra_requirements: Sequence[str] = (),
    allow_build: Sequence[str] = (),
    allow_python_download: bool = False,
    exclude_newer: str = COMMIT,
    suite: str | None = None,
    task: str | int | None = None,
    lazy: str = "all",
    cfg: object | None = None,
    token: str | None = None,
    endpoint: str | None = None,
    cache: str | Path | None = None,
    offline: bool | None = None,
    timeout: float | None = None,
    **params: Any,
) -> EnvDict:
    """Load environments from a ref, ready to step.

    Args:
        ref: `owner/name[@revision][:path]`, a pasted address, `git+https://…`, `./folder`, …
        n_envs: how many copies each vector env steps, ≥ 1.
        use_async_envs: step them in parallel processes.
        trust_remote_code: consent to run the repo's code, for this call.
        permissions: exactly what it gets beyond its own files, like `["network"]`; what it asks for
            besides, it does without. `None` leaves that to the policy.
        isolation: `"auto"`, or the name of one level; `"inline"` is the caller's own process.
        sandbox: `"auto"`: the strongest that this machine has, `"require"`: that or an error,
            `"off"`: none. What was reached is on the result.
        vector: how many workers step the envs, what happens when one fails, and the like.
        extra_requirements: packages to install beside those that the env declares.
        allow_build: names of packages that may be built from source, which runs their code.
        allow_python_download: whether a Python may be downloaded if none here suits the env.
        exclude_newer: packages of which day: `"commit"` is that of the env's commit, `"never"` is
            today, or a time like `"2025-01-31"`.
        suite: the only suite that is wanted. A `make_env` that takes `suite` by that name is told;
            of what any other returns, the rest is left out.
        task: the only task that is wanted, in the same way.
        lazy: `"all"`: a task that was used lives until it is closed; `"one"`: until another one is
            used, and is built anew when its turn comes again.
        cfg: passed on to the repo's `make_env` if it takes a `cfg`.
        token: token for the hub of this ref; sent nowhere else.
        endpoint: the hub that `owner/name` means.
        cache: folder of the cache.
        offline: open no socket; the cache must have everything.
        timeout: seconds that a silent connection may last.
        **params: passed on to the repo's `make_env`, which must take them by name; checked against
            the parameters of its manifest before anything is installed or run.

    Returns:
        `{suite: {task_id: VectorEnv}}`, each with `num_envs == n_envs`.

    Raises:
        EnvHubError: one of the tree in `envhub.errors`; whatever the repo's own `make_env` raises
            comes through as it is.

    Examples:
        >>> envs = envhub.make_env("./examples/cartpole", n_envs=2, trust_remote_code=True)
        >>> envs.only.reset(seed=0)[0].shape
        (2, 4)
    """
    client = Client(endpoint=endpoint, token=token, cache=cache, offline=offline, timeout=timeout)
    return client.make_env(
        ref,
        n_envs,
        use_async_envs,
        trust_remote_code=trust_remote_code,
        permissions=permissions,
        isolation=isolation,
        sandbox=sandbox,
        vector=vector,
        wishes=Wishes(extra_requirements, allow_build, allow_python_download, exclude_newer),
        choice=Choice(suite, task, lazy),
        cfg=cfg,
        **params,
    )
