"""How a user's code types against envhub; mypy reads this file, nothing runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

from gymnasium.vector import VectorEnv

import envhub
from envhub import Client, EnvDict, EnvHubError, Pin, Ref
from envhub.errors import MissingDependencyError, UntrustedError
from envhub.fetch import Source
from envhub.shipping import Pushed
from envhub.trust import Allowed, Consent


def one_line() -> None:
    envs = envhub.make_env("owner/name@v1.0", n_envs=2, use_async_envs=True, trust_remote_code=True)
    assert_type(envs, EnvDict)
    assert_type(envs.pin, Pin)
    env = envs["suite"][0]
    observation, _ = env.reset(seed=0)
    del observation


def context_manager() -> None:
    with envhub.make_env("./folder", trust_remote_code=True, level=3, cfg=None) as envs:
        assert_type(envs, EnvDict)
        for suite, tasks in envs.items():
            assert_type(suite, str)
            for task, env in tasks.items():
                assert_type(task, int | str)
                assert_type(
                    env, Any
                )  # VectorEnv lacks call, get_attr and envs, which its kinds have


def single(envs: EnvDict) -> VectorEnv[Any, Any, Any]:
    env: VectorEnv[Any, Any, Any] = envs.only
    return env


def step_by_step(client: Client, ref: Ref | str) -> EnvDict:
    pin = client.resolve(ref)
    assert_type(pin, Pin)
    assert_type(client.fetch(pin), Source)
    assert_type(client.allow(pin, Consent(boolean=True)), Allowed)
    assert_type(pin.pinned_ref, str)
    return client.make_env(ref, 4, trust_remote_code=True)


def own_client() -> Client:
    return Client(endpoint="http://127.0.0.1:8000", token="secret", cache=Path("cache"))


def publishing() -> str:
    assert_type(envhub.init("./pick", "gymnasium:Hopper-v5"), tuple[Path, ...])
    done = envhub.push("./pick", "you/pick", tag="v1.0", private=True, allow_secrets=["notes.md"])
    assert_type(done, Pushed)
    assert_type(envhub.fork("them/pick@v1.0", "you/copy"), Pushed)
    assert_type(envhub.tag("you/pick", "best"), Pin)
    return done.line


def errors() -> str:
    try:
        envhub.make_env("owner/name")
    except UntrustedError as error:
        return error.hint
    except MissingDependencyError as error:
        assert_type(error.name, str | None)
        return error.why
    except EnvHubError as error:
        assert_type(error.as_dict(), dict[str, str])
        return error.code
    return ""


def wrong() -> None:
    envhub.make_env("owner/name", n_envs="2")  # type: ignore[arg-type]  # a number is wanted
    envhub.make_env("owner/name", trust_remote_code="yes")  # type: ignore[arg-type]  # a bool is
    envhub.push("./pick", "you/pick", tagged="v1.0")  # type: ignore[call-arg]  # there is no such one
    Client(offline="no")  # type: ignore[arg-type]  # a bool is wanted
