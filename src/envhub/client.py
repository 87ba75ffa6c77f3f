"""The client: settings, tokens, store, policy and lock in one place; ref in, environments out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from envhub import moves
from envhub.calls import naming_packages
from envhub.envdict import EnvDict
from envhub.errors import ArgumentError, LockError, LockMismatchError
from envhub.fetch import Source, fetch
from envhub.history import History
from envhub.hubs.base import Commit, Hub
from envhub.hubs.bundle import BUNDLE, BundleFile
from envhub.hubs.registry import hub_for
from envhub.inspection.glance import glance
from envhub.isolation.sandbox import builds
from envhub.isolation.world import World
from envhub.lockfile import Lock, explain, find_lock
from envhub.logbook import Entry, Logbook
from envhub.make import AUTO, INLINE, LEVELS, check_counts, make
from envhub.manifest import read_manifest, read_permissions
from envhub.parameters import EVERYTHING, Choice, check
from envhub.permissions import NONE, Permissions
from envhub.pins import Pin
from envhub.refs import Ref, parse
from envhub.requirements import LockedRequirements
from envhub.resolve import resolve
from envhub.settings import Settings
from envhub.store import Store
from envhub.trust import SILENCE, Allowed, Consent, consent, decide, grant_for, require
from envhub.trustfile import FILE, Policy, edit
from envhub.uvprogram import Uv
from envhub.vector.options import Options
from envhub.wishes import Wishes
from envhub.worlds import Preparer

PLAIN = Wishes()


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
        self.logbook = Logbook(self.settings.home / "runs.jsonl")
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
        return resolve(ref, self.hub(ref), self.store, offline=self._offline(ref))

    def _offline(self, ref: Ref) -> bool:
        """Whether a ref must come from the cache; what lies on this machine need not."""
        return self.settings.offline and ref.kind != "local"

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
            offline=self._offline(pin.ref),
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
        verdict = decide(pin, self.policy, said, moved=moved, asked=asked)
        is_clear = isinstance(verdict, Allowed)
        return require(verdict, pin, "" if is_clear else glance(pin, self.hub(pin.ref), self.store))

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
        if (last := self.history.last(pin)) and last.commit != pin.commit:
            moves.announce(source, last, self.hub(pin.ref), self.store)
        return source, allowed

    def world(
        self, source: Source, allowed: Allowed, *, isolation: str = AUTO, wishes: Wishes = PLAIN
    ) -> World | None:
        """Source + Allowed → World: what an env declares is installed, unless it is there.

        Args:
            source: the verified files.
            allowed: the consent to run them.
            isolation: the level; `"inline"` needs no world.
            wishes: what the user adds to what the env declares, and allows.

        Raises:
            EnvHubError: something cannot be had; see `envhub.worlds.Preparer.prepare`.
        """
        if isolation == INLINE and wishes.extra_requirements:
            raise ArgumentError(
                "extra_requirements need a venv of the env's own",
                why="nothing is installed into the Python that this program runs under",
                hint='isolation="auto"',
            )
        if isolation not in {AUTO, *LEVELS} - {INLINE}:
            return None
        return self._preparer(wishes, source.pin).prepare(
            source,
            permissions=allowed.permissions,
            level=isolation,
            locked=self._worlds(source.pin),
            date=partial(self._date, source.pin),
        )

    def packages(self, source: Source, *, wishes: Wishes = PLAIN) -> LockedRequirements | None:
        """The packages that an env would run with; `None` if that are the caller's.

        Raises:
            EnvHubError: they cannot be had; see `envhub.worlds.Preparer.prepare`.
        """
        pin, preparer = source.pin, self._preparer(wishes, source.pin)
        return preparer.packages(source, locked=self._worlds(pin), date=partial(self._date, pin))

    def _worlds(self, pin: Pin) -> Sequence[LockedRequirements]:
        """What is locked for a pin: in its bundle, or in the lock file."""
        hub = self.hub(pin.ref)
        if isinstance(hub, BundleFile):
            return hub.bundle.find(pin.ref.path)[0].worlds
        path = self.lock_path
        entry = Lock.read(path).entry(pin.ref) if path and path.is_file() else None
        return entry.worlds if entry else ()

    @property
    def _has_venvs(self) -> bool:
        return self.settings.isolation in {AUTO, "venv"}

    def _preparer(self, wishes: Wishes, pin: Pin) -> Preparer:
        fence = builds.words if self.settings.sandbox != "off" else None
        uv = replace(Uv.from_settings(self.settings), fence=fence)
        hub = self.hub(pin.ref)
        if isinstance(hub, BundleFile):
            uv = replace(uv, offline=True, links=hub.bundle.wheels)
        return Preparer(uv, wishes, strict=self.locked)

    def _date(self, pin: Pin) -> datetime | None:
        """When a commit was made; not asked for offline, where no index is asked either."""
        if self.settings.offline:
            return None
        commit = Commit(pin.hub, pin.repo, pin.repo_type, pin.commit)
        return self.hub(pin.ref).date(pin.ref, commit)

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
        isolation: str = AUTO,
        sandbox: str = AUTO,
        vector: Options | None = None,
        wishes: Wishes = PLAIN,
        choice: Choice = EVERYTHING,
        cfg: object | None = None,
        **params: Any,
    ) -> EnvDict:
        """Load a ref's environments; see `envhub.make_env`."""
        check_counts(n_envs, use_async_envs)
        said: dict[str, Any] = {"trust_remote_code": trust_remote_code, "permissions": permissions}
        source, allowed = self.prepare(ref, **said)
        check(read_manifest(source.root, source.pin.path), params, choice)
        level = self.settings.isolation if isolation == AUTO else isolation
        world = self.world(source, allowed, isolation=level, wishes=wishes)
        given = {"n_envs": n_envs, "use_async_envs": use_async_envs, **params, **said}
        own = world is not None and world.level == "venv"
        with (
            self.logbook.failing(allowed),
            naming_packages(str(ref), wishes, given) if own else nullcontext(),
        ):
            envs = make(
                source,
                allowed,
                n_envs=n_envs,
                use_async_envs=use_async_envs,
                isolation=level,
                cfg=cfg,
                params={**source.pin.ref.params, **params},
                choice=choice,
                world=world,
                vector=vector,
                sandbox=self.settings.sandbox if sandbox == AUTO else sandbox,
            )
        self.note(allowed, envs.level, str(envs.sandbox))
        return envs

    def note(self, allowed: Allowed, level: str, sandbox: str = "") -> None:
        """Note that a pin's code ran, at which level and in which sandbox."""
        self.history.remember(allowed.pin)
        self.logbook.add(Entry.of(allowed, level, sandbox))

    def lock(
        self, refs: Iterable[str | Ref], path: Path | None = None, *, wishes: Wishes = PLAIN
    ) -> Lock:
        """Resolve refs anew and write what they mean into the lock file, beside what it has.

        That is the pin and, for this Python and platform, the packages. The files are fetched,
        since they say which packages; nothing is run or installed. Where the settings say that
        envs run with the caller's packages, none are locked.

        Args:
            refs: what to lock.
            path: the lock file, if it is not the one in force.
            wishes: what the user adds to what the envs declare, and allows.
        """
        target = path or self.lock_path or Path.cwd() / "envhub.lock"
        held = Lock.read(target) if target.is_file() else Lock()
        pins = [self.resolve_anew(ref) for ref in refs]
        lock = held.with_pins(pins)
        for pin in pins if self._has_venvs else ():
            packages = self._lock_packages(pin, wishes)
            entries = [entry for entry in lock.entries if entry.ref == str(pin.ref)]
            lock = lock.with_entries(entry.with_world(packages) for entry in entries)
        lock.write(target)
        return lock

    def _lock_packages(self, pin: Pin, wishes: Wishes) -> LockedRequirements | None:
        source = self.fetch(pin)
        if pin.repo_type == BUNDLE:
            return self.packages(source, wishes=wishes)
        return self._preparer(wishes, pin).lock(source, partial(self._date, pin))

    def sync(self, *, trust_remote_code: bool = False, wishes: Wishes = PLAIN) -> list[Source]:
        """Have everything that the lock file has, so that it loads offline.

        Args:
            trust_remote_code: consent to install what the envs declare; the policy may have it.
            wishes: what the user allows.

        Raises:
            UntrustedError: an env declares packages, and nobody consented; all files are there.
        """
        path = self.lock_path
        if path is None or not path.is_file():
            raise LockError(
                "there is no envhub.lock here or in a parent folder", hint="envhub lock owner/name"
            )
        said = consent(trust_remote_code)
        entries = Lock.read(path).entries
        sources = [self.fetch(self._resolve_locked(e.pin.ref, e.pin, path)) for e in entries]
        for entry, source in zip(entries, sources, strict=True):
            if entry.worlds and self._has_venvs:
                self.world(source, self.allow(source.pin, said), wishes=wishes)
        return sources


def _as_ref(ref: str | Ref) -> Ref:
    return ref if isinstance(ref, Ref) else parse(ref)
