"""What a host answers, read by one who does not trust it."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import Any

from envhub.errors import EnvRaisedError, WorkerProtocolError
from envhub.faults import error_for
from envhub.worker import roster
from envhub.worker.faults import Fault
from envhub.worker.trouble import harmless

KINDS = {roster.SYNC, roster.ASYNC, roster.WHOLE, roster.CALLABLE}

Told = Mapping[str, Any]


def read_reply(reply: Told) -> Told:
    """An answer that is no error.

    Raises:
        EnvHubError: the repo cannot be loaded, or does not keep the contract.
        EnvRaisedError: it raised an exception of its own.
        Exception: it raised one of Python's.
        WorkerProtocolError: the answer makes no sense.
    """
    if "fault" in reply or "raised" in reply:
        raise _error(reply)
    return reply


def read_tasks(reply: Told) -> Sequence[Told]:
    """The tasks that a host tells of.

    Raises:
        WorkerProtocolError: they are not described as tasks are.
    """
    tasks = read_reply(reply).get("tasks")
    if isinstance(tasks, list) and tasks and all(map(_is_task, tasks)):
        return tasks
    raise WorkerProtocolError("the env's process tells nonsense", why=f"{tasks!r:.200}")


def read_pid(reply: Told) -> int:
    """The process id that a host tells.

    Raises:
        WorkerProtocolError: it is none.
    """
    pid = read_reply(reply).get("pid")
    if type(pid) is not int or pid < 1:
        raise WorkerProtocolError("the env's process tells nonsense", why=f"{pid!r:.200}")
    return pid


def _is_task(told: Any) -> bool:
    return (
        isinstance(told, dict)
        and isinstance(told.get("suite"), str)
        and type(told.get("task")) in {str, int}
        and type(told.get("num_envs")) is int
        and told["num_envs"] > 0
        and told.get("kind") in KINDS
    )


def _error(reply: Told) -> BaseException:
    try:
        return _fault(reply) if "fault" in reply else _raised(reply["raised"])
    except (KeyError, TypeError, AttributeError) as error:
        return WorkerProtocolError("the env's process tells nonsense", why=str(error))


def _fault(reply: Told) -> BaseException:
    told = {name: harmless(str(value)) for name, value in reply["fault"].items()}
    error = error_for(Fault(**told))
    if reply["traceback"]:
        error.add_note(f"in the env's process:\n{harmless(str(reply['traceback']))}")
    return error


def _raised(told: Told) -> BaseException:
    name, text, trace = (harmless(str(told[key])) for key in ("type", "text", "traceback"))
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            error = kind(text)
        except TypeError:  # one like UnicodeDecodeError, which takes more than a text
            kind = None
        else:
            error.add_note(f"in the env's process:\n{trace}")
            return error
    return EnvRaisedError(f"make_env raised {name}: {text}", why=trace)
