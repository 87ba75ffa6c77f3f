"""The client: settings, tokens, store, policy and lock in one place; ref in, environments out."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from envhub.envdict import EnvDict
from envhub.errors import LockError, LockMismatchError, RefMovedWarning
from envhub.fetch import Source, fetch
from envhub.history import History, Run
from envhub.hubs.base import Hub
from envhub.hubs.registry import hub_for
from envhub.inspection import diff
from envhub.lockfile import Lock, explain, find_lock
from envhub.make import AUTO, check_counts, make
from envhub.manifest import NONE, Permissions, read_permissions
from envhub.pins import Pin
from envhub.refs import Ref, parse
from envhub.resolve import resolve
from envhub.settings import Settings
from envhub.store import Store
from envhub.trust import SILENCE, Allowed, Consent, consent, decide, grant_for, require
from envhub.trustfile import FILE, Policy, edit


class Client:
    """Loads environments with one set of settings; `envhub.make_env` uses one with the defaults.

    Args:
        settings: what the environment variables say, if not given.
        endpoint: the hub that `owner/name` means.
        token: token for the hub of the refs that this client loads; sent nowhere else.
        cache: folder of the cache.
        offline: open no socket.
        timeout: seconds that a silent connection may last.
        lock: path of the lock file; `None` looks for `envhub.lock` here and in parent folders,
            `False` ignores it.
        locked: refuse refs that the lock file does not have.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        endpoint: str | None = None,
        token: str | None = None,
        cache: str | Path | None = None,
        offline: bool | None = None,
        timeout: float | None = None,
        lock: str | Path | bool | None = None,
        locked: bool = False,
    ) -> None:
        given = settings or Settings.from_environ()
        if endpoint and endpoint.rstrip("/") != given.endpoint:
            # The token of the settings belongs to their endpoint, not to this one.
            given = replace(given, endpoint=endpoint.rstrip("/"), token=None)
        changes: dict[str, Any] = {
            "home": Path(cache).expanduser().absolute() if cache else None,
            "offline": offline,
            "timeout": timeout,
        }
        self.settings = replace(given, **{k: v for k, v in changes.items() if v is not None})
        self.token = token
        self.locked = locked
        self.store = Store(self.settings.home)
        self.history = History(self.settings.home / "history.json")
        self._lock = lock

    @property
    def policy_path(self) -> Path:
        """Where the user's own policy file is, or would be."""
        return self.settings.config / FILE

    @property
    def policy(self) -> Policy:
        """What is in force: the user's policy file under that of the machine, read anew."""
        machine = Policy.read(self.settings.machine / FILE)
        return Policy.read(self.policy_path).under(machine)

    @property
    def lock_path(self) -> Path | None:
        """The lock file in force, if there is one."""
        if self._lock is False:
            return None
        if isinstance(self._lock, str | Path):
            return Path(self._lock)
        return self.settings.lock or find_lock(Path.cwd())

    def hub(self, ref: Ref) -> Hub:
        """The hub that answers a ref, with the token that belongs to it and no other."""
        return hub_for(ref, self.settings, token=self.token)

    def resolve(self, ref: str | Ref) -> Pin:
        """Ref → Pin: by the lock file if it has the ref, else by the hub.

        Raises:
            RefError, NotFoundError, HubError: see their docstrings.
            LockMismatchError: the lock file and the hub disagree about the same commit.
            LockError: `locked=True` and the lock file lacks the ref.
        """
        ref = _as_ref(ref)
        path = self.lock_path
        held = Lock.read(path).find(ref) if path and path.is_file() else None
        if held is not None and path is not None:
            return self._resolve_locked(ref, held, path)
        if self.locked:
            raise LockError(
                f"{str(ref)!r} is not in {path or 'envhub.lock'}", hint=f"envhub lock {ref}"
            )
        return self.resolve_anew(ref)

    def resolve_anew(self, ref: str | Ref) -> Pin:
        """Ref → Pin by the hub, whatever the lock file says."""
        ref = _as_ref(ref)
        return resolve(ref, self.hub(ref), self.store, offline=self.settings.offline)

    def _resolve_locked(self, ref: Ref, held: Pin, path: Path) -> Pin:
        actual = self.resolve_anew(ref.at(held.commit) if held.commit else ref)
        actual = replace(actual, ref=ref)
        # A mirror may answer for the hub that was locked: the digest decides.
        if replace(actual, hub=held.hub) != held:
            raise LockMismatchError(
                f"{str(ref)!r} is not what {path} says",
                why=explain(held, actual),
                hint=f"envhub lock {ref}   # if the change is wanted",
            )
        return actual

    def fetch(self, pin: Pin) -> Source:
        """Pin → Source: verified files on disk, downloaded only if the cache lacks them."""
        return fetch(
            pin,
            self.hub(pin.ref),
            self.store,
            offline=self.settings.offline,
            progress=self.settings.progress,
            limits=self.settings.limits,
        )

    def allow(self, pin: Pin, said: Consent = SILENCE, *, asked: Permissions = NONE) -> Allowed:
        """Pin → Allowed, by the policy or by this call's consent.

        Args:
            pin: what would run.
            said: the consent given with this call.
            asked: the permissions that the repo asks for, as far as they are known.

        Raises:
            UntrustedError: nobody consented to that.
        """
        last = self.history.last(pin)
        moved = last is not None and last.commit != pin.commit
        return require(decide(pin, self.policy, said, moved=moved, asked=asked), pin)

    def prepare(
        self,
        ref: str | Ref,
        *,
        trust_remote_code: bool = False,
        permissions: Sequence[str] | None = None,
    ) -> tuple[Source, Allowed]:
        """Ref → the two values that `make` needs; a ref that moved is announced.

        Args:
            ref: what to prepare.
            trust_remote_code: consent to run its code, for this call.
            permissions: exactly what it gets beyond its own files; `None` leaves it to the policy.

        Raises:
            ArgumentError: the consent is none, like `trust_remote_code="False"`.
            UntrustedError: nobody consented; without consent to run it, nothing was downloaded.
        """
        said = consent(trust_remote_code, permissions)
        pin = self.resolve(ref)
        self.allow(pin, said)
        source = self.fetch(pin)
        allowed = self.allow(pin, said, asked=read_permissions(source.root, pin.path))
        self._announce(source)
        return source, allowed

    def grant(self, ref: str | Ref, *, allow: Sequence[str] = (), deny: Sequence[str] = ()) -> Pin:
        """Remember in the user's policy file that a ref may run, at the commit it means now.

        Args:
            ref: what may run.
            allow: permissions that it gets, in words.
            deny: permissions that it does not get.
        """
        pin = self.resolve(ref)
        edit(self.policy_path, lambda policy: policy.with_grant(grant_for(pin, allow, deny)))
        return pin

    def make_env(
        self,
        ref: str | Ref,
        n_envs: int = 1,
        use_async_envs: bool = False,
        *,
        trust_remote_code: bool = False,
        permissions: Sequence[str] | None = None,
        isolation: str = "auto",
        cfg: object | None = None,
        **params: Any,
    ) -> EnvDict:
        """Load a ref's environments; see `envhub.make_env`."""
        check_counts(n_envs, use_async_envs)
        source, allowed = self.prepare(
            ref, trust_remote_code=trust_remote_code, permissions=permissions
        )
        envs = make(
            source,
            allowed,
            n_envs=n_envs,
            use_async_envs=use_async_envs,
            isolation=self.settings.isolation if isolation == AUTO else isolation,
            cfg=cfg,
            params={**source.pin.ref.params, **params},
        )
        self.history.remember(source.pin)
        return envs

    def lock(self, refs: Iterable[str | Ref], path: Path | None = None) -> Lock:
        """Resolve refs anew and write their pins into the lock file, beside those it has."""
        target = path or self.lock_path or Path.cwd() / "envhub.lock"
        held = Lock.read(target) if target.is_file() else Lock()
        lock = held.with_pins([self.resolve_anew(ref) for ref in refs])
        lock.write(target)
        return lock

    def sync(self) -> list[Source]:
        """Fetch everything that the lock file has, so that it loads offline."""
        path = self.lock_path
        if path is None or not path.is_file():
            raise LockError(
                "there is no envhub.lock here or in a parent folder", hint="envhub lock owner/name"
            )
        return [self.fetch(self._resolve_locked(p.ref, p, path)) for p in Lock.read(path).pins]

    def _announce(self, source: Source) -> None:
        """Warn if the ref points elsewhere than when it last ran, and say what changed."""
        pin = source.pin
        last = self.history.last(pin)
        if last is None or last.commit == pin.commit:
            return
        warnings.warn(
            f"{str(pin.ref)!r} moved since it last ran: {last.commit[:12]} → {pin.version[:12]}\n"
            f"{self._changes(source, last)}\n"
            f"→ to stay where you were: {pin.ref.at(last.commit)}",
            RefMovedWarning,
            stacklevel=5,
        )

    def _changes(self, source: Source, last: Run) -> str:
        old = replace(source.pin, ref=source.pin.ref.at(last.commit), commit=last.commit)
        try:
            before = fetch(
                replace(old, digest=last.digest), self.hub(old.ref), self.store, offline=True
            )
        except OSError:
            return "what changed is not known: the cache no longer has the old commit"
        return diff(before, source).summary()


def make_env(
    ref: str | Ref,
    n_envs: int = 1,
    use_async_envs: bool = False,
    *,
    trust_remote_code: bool = False,
    permissions: Sequence[str] | None = None,
    isolation: str = "auto",
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
        cfg: passed on to the repo's `make_env` if it takes a `cfg`.
        token: token for the hub of this ref; sent nowhere else.
        endpoint: the hub that `owner/name` means.
        cache: folder of the cache.
        offline: open no socket; the cache must have everything.
        timeout: seconds that a silent connection may last.
        **params: passed on to the repo's `make_env`, which must take them by name.

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
        cfg=cfg,
        **params,
    )


def _as_ref(ref: str | Ref) -> Ref:
    return ref if isinstance(ref, Ref) else parse(ref)
