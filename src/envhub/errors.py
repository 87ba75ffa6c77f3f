"""Every error that envhub raises, in one tree. This module imports nothing of envhub.

```
EnvHubError
├── RefError                 (ValueError)            ref-invalid
├── ArgumentError            (ValueError)            argument-invalid
│   └── ArgumentTypeError    (TypeError)             argument-type
├── NotFoundError            (LookupError)
│   ├── RepoNotFoundError                            repo-not-found
│   ├── RevisionNotFoundError                        revision-not-found
│   └── EntryNotFoundError   (FileNotFoundError)     entry-not-found
├── HubError                 (OSError)               hub-failed
│   ├── HubUnreachableError  (ConnectionError)       hub-unreachable
│   ├── OfflineError         (ConnectionError)       offline
│   ├── GatedRepoError       (PermissionError)       repo-gated
│   ├── NotAllowedError      (PermissionError)       not-allowed
│   └── AlreadyThereError    (FileExistsError)       already-there
├── StoreError               (OSError)               store-failed
│   ├── DiskFullError                                disk-full
│   ├── ReadOnlyStoreError   (PermissionError)       store-read-only
│   └── CorruptSourceError                           source-corrupt
├── UntrustedError           (RuntimeError)          untrusted
├── PolicyError              (ValueError)            policy-invalid
├── LockError                (ValueError)            lock-invalid
│   └── LockMismatchError    (RuntimeError)          lock-mismatch
├── ManifestError            (ValueError)            manifest-invalid
├── SecretError              (ValueError)            secret-found
├── RequirementError         (ValueError)            requirement-refused
├── InterpreterError         (RuntimeError)          python-not-found
├── InstallError             (RuntimeError)          install-failed
├── LoadError                (ImportError)           load-failed
│   ├── MissingDependencyError (ModuleNotFoundError) missing-dependency
│   ├── PythonVersionError                           python-version
│   └── EnvExitError         (RuntimeError)          env-exited
├── ContractError            (ValueError)            contract-broken
│   ├── NoFactoryError       (AttributeError)        no-make-env
│   ├── SignatureError       (TypeError)             make-env-signature
│   └── ResultError          (TypeError)             make-env-result
├── EnvFailedError           (RuntimeError)          env-failed
├── WorkerError              (RuntimeError)          worker-failed
│   ├── WorkerDiedError      (EOFError)              worker-died
│   ├── WorkerTimeoutError   (TimeoutError)          worker-timeout
│   ├── WorkerProtocolError                          worker-protocol
│   └── EnvRaisedError                               env-raised
├── IsolationError           (RuntimeError)          isolation-unavailable
├── MissingExtraError        (ImportError)           missing-extra
└── CommandError             (RuntimeError)          command-failed

RefMovedWarning              (UserWarning)
UnsandboxedWarning           (UserWarning)
```

Each error also inherits the built-in that people already catch, and carries four fields:
`code` (kebab-case, a section of docs/errors.md), `what` happened, `why`, and `hint`: the command or
the line that fixes it, with the user's own values in it.
"""

from __future__ import annotations

from typing import Any, ClassVar


class EnvHubError(Exception):
    """Base of all of envhub's errors; catch it to catch them all.

    Args:
        what: what happened, one sentence with the user's own values in it.
        why: the reason, if it is known.
        hint: the command or line that fixes it.
    """

    code: ClassVar[str] = "envhub-error"

    def __init__(self, what: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.what]
        if self.why:
            lines.append(self.why)
        lines += [f"→ {line}" for line in self.hint.splitlines()]
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), dict(self.__dict__)))

    def as_dict(self) -> dict[str, str]:
        """The four fields, as `--json` prints them."""
        return {"code": self.code, "what": self.what, "why": self.why, "hint": self.hint}


def _rebuild(kind: type[EnvHubError], fields: dict[str, Any]) -> EnvHubError:
    error = kind(fields["what"])
    error.__dict__.update(fields)
    return error


class RefError(EnvHubError, ValueError):
    """The text is not a ref; the message names the offending part and shows the right form."""

    code = "ref-invalid"


class ArgumentError(EnvHubError, ValueError):
    """An argument has a value that cannot work, like `n_envs=0`."""

    code = "argument-invalid"


class ArgumentTypeError(ArgumentError, TypeError):
    """An argument has the wrong type, like `trust_remote_code="False"`."""

    code = "argument-type"


class NotFoundError(EnvHubError, LookupError):
    """Something that the ref names does not exist where it was looked for."""

    code = "not-found"


class RepoNotFoundError(NotFoundError):
    """No such repo on that hub, or a private one that the token does not open."""

    code = "repo-not-found"


class RevisionNotFoundError(NotFoundError):
    """The repo has no such branch, tag or commit."""

    code = "revision-not-found"


class EntryNotFoundError(NotFoundError, FileNotFoundError):
    """The repo has no such file at that commit; near names are in the hint."""

    code = "entry-not-found"


class HubError(EnvHubError, OSError):
    """The hub answered with something that is no answer."""

    code = "hub-failed"


class HubUnreachableError(HubError, ConnectionError):
    """The hub could not be reached and the cache has nothing that would do."""

    code = "hub-unreachable"


class OfflineError(HubError, ConnectionError):
    """Offline mode is on and the cache lacks what was asked for."""

    code = "offline"


class GatedRepoError(HubError, PermissionError):
    """The repo exists, but its owner must let you in first."""

    code = "repo-gated"


class NotAllowedError(HubError, PermissionError):
    """The hub lets nobody write there without a token, or not with this one."""

    code = "not-allowed"


class AlreadyThereError(HubError, FileExistsError):
    """The hub has something under that name already, and it stays as it is."""

    code = "already-there"


class StoreError(EnvHubError, OSError):
    """The cache folder could not be read or written."""

    code = "store-failed"


class DiskFullError(StoreError):
    """The disk of the cache is full; what was there before is untouched."""

    code = "disk-full"


class ReadOnlyStoreError(StoreError, PermissionError):
    """The cache folder cannot be written and does not hold what was asked for."""

    code = "store-read-only"


class CorruptSourceError(StoreError):
    """Files in the cache are not those of the commit."""

    code = "source-corrupt"


class UntrustedError(EnvHubError, RuntimeError):
    """Nobody consented to run this repo at this commit; nothing of it was run or installed."""

    code = "untrusted"


class PolicyError(EnvHubError, ValueError):
    """`trust.toml` says something that envhub does not understand."""

    code = "policy-invalid"


class LockError(EnvHubError, ValueError):
    """`envhub.lock` cannot be read or lacks what was asked for."""

    code = "lock-invalid"


class LockMismatchError(LockError, RuntimeError):
    """The lock says one thing, the hub or the disk another."""

    code = "lock-mismatch"


class ManifestError(EnvHubError, ValueError):
    """The repo's manifest says something that envhub does not understand."""

    code = "manifest-invalid"


class SecretError(EnvHubError, ValueError):
    """Something that is to be published looks like a token, a password or a private key."""

    code = "secret-found"


class RequirementError(EnvHubError, ValueError):
    """A requirement is not a package by name, or asks for more than it may."""

    code = "requirement-refused"


class InterpreterError(EnvHubError, RuntimeError):
    """No Python of this machine suits the env."""

    code = "python-not-found"


class InstallError(EnvHubError, RuntimeError):
    """Requirements could not be resolved or installed; `why` has the last lines of uv."""

    code = "install-failed"


class LoadError(EnvHubError, ImportError):
    """The env's code could not be imported."""

    code = "load-failed"


class MissingDependencyError(LoadError, ModuleNotFoundError):
    """The env's code imports a package that is not installed; `name` is the module's name."""

    code = "missing-dependency"


class PythonVersionError(LoadError):
    """The env's code is written for another Python than the one that runs."""

    code = "python-version"


class EnvExitError(LoadError, RuntimeError):
    """The env's code called `sys.exit`."""

    code = "env-exited"


class ContractError(EnvHubError, ValueError):
    """The repo does not keep the contract of an env repo."""

    code = "contract-broken"


class NoFactoryError(ContractError, AttributeError):
    """The entry file has no `make_env`."""

    code = "no-make-env"


class SignatureError(ContractError, TypeError):
    """`make_env` does not take what it was to be called with."""

    code = "make-env-signature"


class ResultError(ContractError, TypeError):
    """`make_env` returned something that is no environment."""

    code = "make-env-result"


class EnvFailedError(EnvHubError, RuntimeError):
    """An env, or the policy in it, raised while the command line ran it."""

    code = "env-failed"


class WorkerError(EnvHubError, RuntimeError):
    """A worker process of a vector env failed, and nothing was to be done about it."""

    code = "worker-failed"


class WorkerDiedError(WorkerError, EOFError):
    """A worker process ended by itself, or by a signal."""

    code = "worker-died"


class WorkerTimeoutError(WorkerError, TimeoutError):
    """A worker process did not answer within the time that it was given."""

    code = "worker-timeout"


class WorkerProtocolError(WorkerError):
    """A worker process answered with something that is no answer."""

    code = "worker-protocol"


class EnvRaisedError(WorkerError):
    """An env raised an exception in its worker that cannot be had here; `why` is its traceback."""

    code = "env-raised"


class IsolationError(EnvHubError, RuntimeError):
    """The isolation level asked for cannot be had."""

    code = "isolation-unavailable"


class MissingExtraError(EnvHubError, ImportError):
    """An optional part of envhub is not installed."""

    code = "missing-extra"


class CommandError(EnvHubError, RuntimeError):
    """A program that envhub started failed; its last lines are in `why`."""

    code = "command-failed"


class RefMovedWarning(UserWarning):
    """A branch or tag points to another commit than when it last ran."""


class UnsandboxedWarning(UserWarning):
    """An env runs without a sandbox, because the machine has none."""
