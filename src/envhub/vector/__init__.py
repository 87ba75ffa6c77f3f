"""The client's end of the data plane: vector envs over shared memory, fast, exact, hard to kill.

```python
from envhub.vector import AsyncVectorEnv

envs = AsyncVectorEnv([make] * 64, num_workers=2, on_worker_failure="replay", step_timeout=10)
observations, infos = envs.reset(seed=0)
observations, rewards, terminations, truncations, infos = envs.step(actions)
```

Public names:

- `AsyncVectorEnv(env_fns, ...)`: subclass and drop-in of `gymnasium.vector.AsyncVectorEnv`, with
  all of its arguments and, by keyword only, `num_workers`, `step="cpu" | "uneven" | "wait"`,
  `batch_size`, `on_worker_failure="raise" | "restart" | "replay"`, `max_restarts`, `step_timeout`,
  `reset_timeout`, `start_timeout` (seconds), `start_method="auto" | "exec" | "fork" |
  "forkserver" | "spawn"`, `threads` (per worker, for BLAS and OpenMP) and `profile` (name of a
  cached profile).
  Beside `reset`, `step`, `call`, `get_attr`, `set_attr`, `render`, `close` and their `_async` and
  `_wait` halves it has `send(actions, env_ids=None)` and `recv(timeout=None)`, whose infos hold
  `"env_id"`; `workers`, a tuple of handles with `pid`, `lo`, `hi`, `is_alive()`; and `failures`, a
  tuple of what recovery dealt with.
- `BatchedVectorEnv(factory, ...)`: a `VectorEnv` that steps its own batch, hosted whole in one
  worker.
- `autotune(env_fns, ...)`: tries worker counts, with `step` and with `send` and `recv`; answers a
  `Tuning` of `Trial`s.
- `Options(...)`: what `AsyncVectorEnv` has beyond Gymnasium's arguments, as a value.
"""

from envhub.vector.async_env import AsyncVectorEnv
from envhub.vector.autotune import Trial, Tuning, autotune
from envhub.vector.batched import BatchedVectorEnv
from envhub.vector.options import Options

__all__ = ["AsyncVectorEnv", "BatchedVectorEnv", "Options", "Trial", "Tuning", "autotune"]
