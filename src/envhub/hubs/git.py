"""Any git repo that the git program can reach, fetched one commit at a time."""

from __future__ import annotations

import difflib
import hashlib
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from envhub.errors import EntryNotFoundError, HubError, NotFoundError, RevisionNotFoundError
from envhub.hubs import lfs
from envhub.hubs.base import Commit, LogEntry, Progress, below
from envhub.hubs.gitprogram import git
from envhub.hubs.gitremote import Remote
from envhub.hubs.gittree import Item, read_tree, reading
from envhub.pins import File
from envhub.refs import Ref
from envhub.settings import NO_MORE, Limits

_COMMIT = re.compile(r"[0-9a-f]{40}")
_ABBREVIATED = re.compile(r"[0-9a-f]{7,39}")
_ALL = 2**31 - 1  # the depth that means the whole history


class GitRepo:
    """One git repo, as a hub.

    Args:
        url: `https`, `http`, `ssh` or `file`; a user name and a password in it are used and
            shown nowhere.
        cache: a folder for the bare repos that commits are fetched into.
        limits: how much a repo may bring.
    """

    live = False

    def __init__(self, url: str, *, cache: Path, limits: Limits = NO_MORE) -> None:
        self._remote = Remote.parse(url, limits)
        key = hashlib.sha256(self._remote.url.encode()).hexdigest()[:16]
        self._repo = cache / f"{key}.git"
        self._trees: dict[tuple[str | None, str | None], tuple[Item, ...]] = {}

    def __repr__(self) -> str:
        return f"GitRepo({self.address!r})"

    @property
    def address(self) -> str:
        """The URL, without user name and password."""
        return self._remote.url

    def resolve(self, ref: Ref) -> Commit:
        """Turn a ref into a full commit.

        An abbreviated commit is looked for in the history of all branches and tags; it is never
        taken for a branch.

        Raises:
            RepoNotFoundError: no such repo, or it is not open to us.
            RevisionNotFoundError: no such branch, tag or commit; near names are in the hint.
            HubUnreachableError: no answer.
            HubError: another failure of git.
        """
        return Commit(self.address, self._remote.name, "git", self._find(ref.revision))

    def files(self, ref: Ref, commit: Commit) -> tuple[File, ...]:
        """All files of a commit; the commit, without its history, is fetched for that.

        A link counts as a copy of the file that it leads to, an LFS pointer as the file that it
        stands for.

        Raises:
            EntryNotFoundError: the commit lacks the subdirectory.
            HubError: the commit has submodules, or a link that leaves the repo.
        """
        return tuple(item.file for item in self._items(ref, commit))

    def date(self, ref: Ref, commit: Commit) -> datetime | None:
        """When a commit was made; it is fetched for that.

        Raises:
            HubError: as for `files`.
        """
        self._ensure(commit.id or "")
        words = ("show", "--no-patch", "--format=%ct", commit.id or "")
        return datetime.fromtimestamp(int(git(*words, folder=self._repo).text), UTC)

    def log(self, ref: Ref, commit: Commit, most: int) -> tuple[LogEntry, ...]:
        """A commit and those before it, the newest first; fetched without files for that.

        Raises:
            HubError: as for `files`.
        """
        self._repo.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._repo.parent, prefix="log-") as name:
            folder = Path(name)
            _init(folder)
            spec = f"+{commit.id}:{_kept(commit.id or '')}"
            self._remote.fetch(folder, spec, depth=most, options=("--filter=tree:0",))
            form = "--format=%H%x00%ct%x00%an%x00%s"
            lines = git("log", f"-{most}", form, commit.id or "", folder=folder).text
        return tuple(_log_entry(line) for line in lines.splitlines())

    def download(
        self, ref: Ref, commit: Commit, files: Sequence[File], into: Path, progress: Progress
    ) -> None:
        """Write `files` below `into`; executable files stay executable.

        Raises:
            EntryNotFoundError: the bytes of an LFS file are gone.
            HubError: a failure of git, or of the LFS server.
        """
        asked = {file.path for file in files}
        items = {item: below(into, item.path) for item in self._items(ref, commit)}
        targets = {item: target for item, target in items.items() if item.path in asked}
        for folder in {target.parent for target in targets.values()}:
            folder.mkdir(parents=True, exist_ok=True)
        with reading(self._repo) as read:
            for item, target in targets.items():
                if not item.pointer:
                    _write(target, read(item.blob), progress)
        wanted = [lfs.Wanted(item.pointer, to) for item, to in targets.items() if item.pointer]
        self._download_lfs(wanted, progress)
        for item, target in targets.items():
            if item.is_executable:
                target.chmod(0o755)

    def _download_lfs(self, files: Sequence[lfs.Wanted], progress: Progress) -> None:
        if folder := self._remote.folder:
            lfs.copy(self._remote, folder, files, progress)
        elif files:
            # Late: httpx2 takes longer to import than all of envhub; few repos have LFS files.
            from envhub.hubs import lfshttp

            lfshttp.download(self._remote, files, progress)

    def _items(self, ref: Ref, commit: Commit) -> tuple[Item, ...]:
        key = (commit.id, ref.subdirectory)
        if key not in self._trees:
            self._ensure(commit.id or "")
            items = read_tree(self._repo, commit.id or "", ref.subdirectory)
            if not items and ref.subdirectory:
                raise self._no_folder(commit, ref.subdirectory)
            self._trees[key] = items
        return self._trees[key]

    def _no_folder(self, commit: Commit, asked: str) -> EntryNotFoundError:
        items = read_tree(self._repo, commit.id or "", None)
        folders = sorted({item.path.rpartition("/")[0] for item in items} - {""})
        near = difflib.get_close_matches(asked, folders) or folders[:5]
        hint = f"it has {', '.join(near)}" if near else "it has no folders"
        return EntryNotFoundError(f"{commit.repo} has no folder {asked!r}", hint=hint)

    def _find(self, revision: str | None) -> str:
        if revision and _COMMIT.fullmatch(revision):
            self._ensure(revision)
            return revision
        refs = self._remote.refs()
        short = revision and _ABBREVIATED.fullmatch(revision)
        found = self._find_abbreviated(revision or "", refs) if short else None
        names = [f"refs/tags/{revision}", f"refs/heads/{revision}"] if revision else ["HEAD"]
        if revision and revision.startswith("refs/"):
            names = [revision]
        found = found or next((refs[name] for name in names if name in refs), None)
        if found is None:
            raise self._no_revision(revision, refs)
        if not _COMMIT.fullmatch(found):
            raise HubError(
                f"{self.address} names its commits with SHA-256, which envhub cannot read"
            )
        return found

    def _no_revision(self, revision: str | None, refs: Mapping[str, str]) -> RevisionNotFoundError:
        if revision is None:
            what, why = f"{self.address} has no default branch", "it may have no commits yet"
        else:
            what, why = f"{self.address} has no revision {revision!r}", ""
            if _ABBREVIATED.fullmatch(revision):
                why = "no commit in the history of its branches and tags begins like that"
        names = [name.split("/", 2)[2] for name in refs if name.count("/") > 1]
        near = difflib.get_close_matches(revision or "main", names, n=5, cutoff=0.4) or names[:5]
        return RevisionNotFoundError(what, why=why, hint=f"it has {', '.join(near) or 'none'}")

    def _find_abbreviated(self, short: str, refs: Mapping[str, str]) -> str | None:
        """The commit that begins like `short`: the tip of a branch or tag, or one below."""
        found = {oid for oid in refs.values() if oid.startswith(short)}
        if not found:
            found = self._search(short)
        if len(found) > 1:
            raise RevisionNotFoundError(
                f"{short!r} is short for several commits of {self.address}",
                hint=f"type one of them in full: {', '.join(sorted(found))}",
            )
        return found.pop() if found else None

    def _search(self, short: str) -> set[str]:
        """Commits of the whole history, which is fetched without files where the remote can."""
        self._repo.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._repo.parent, prefix="search-") as name:
            folder = Path(name)
            _init(folder)
            self._remote.fetch(
                folder,
                "+refs/heads/*:refs/heads/*",
                "+refs/tags/*:refs/tags/*",
                depth=0,
                options=("--filter=tree:0",),
            )
            like = git("rev-parse", f"--disambiguate={short}", folder=folder).text
            form = "--batch-check=%(objectname) %(objecttype)"
            types = git("cat-file", form, folder=folder, stdin=f"{like}\n".encode()).text
        return {line.split()[0] for line in types.splitlines() if line.endswith(" commit")}

    def _ensure(self, commit: str) -> None:
        """Have a commit and its files in the cache."""
        if not _COMMIT.fullmatch(commit):
            raise HubError(f"{commit!r} is not a full commit hash")
        if self._has(commit):
            return
        self._repo.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self._repo}.lock"):
            if not self._has(commit):
                _init(self._repo)
                self._fetch(commit)

    def _has(self, commit: str) -> bool:
        if not (self._repo / "HEAD").is_file():
            return False
        name = f"{_kept(commit)}^{{commit}}"
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options", name)
        return git(*words, folder=self._repo, check=False).text == commit

    def _fetch(self, commit: str) -> None:
        try:
            self._remote.fetch(self._repo, f"+{commit}:{_kept(commit)}")
        except NotFoundError:
            raise
        except HubError:  # an old server that gives out nothing but the tips of its refs
            tips = (name for name, oid in self._remote.refs().items() if oid == commit)
            if tip := next(tips, None):
                self._remote.fetch(self._repo, f"+{tip}:{_kept(commit)}")
            else:
                self._remote.fetch(self._repo, "+refs/heads/*:refs/heads/*", depth=_ALL)
                git("update-ref", _kept(commit), commit, folder=self._repo, check=False)
        if not self._has(commit):
            raise RevisionNotFoundError(f"{self.address} has no commit {commit}")


def _log_entry(line: str) -> LogEntry:
    commit, date, author, title = line.split("\0", 3)
    return LogEntry(commit, title, author, datetime.fromtimestamp(int(date), UTC))


def _write(target: Path, chunks: Iterator[bytes], progress: Progress) -> None:
    with target.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
            progress(len(chunk))


def _kept(commit: str) -> str:
    """The ref that keeps a commit from being collected as garbage."""
    return f"refs/envhub/{commit}"


def _init(folder: Path) -> None:
    """Make a bare repo; in one that is there, remove the locks of a git that was killed."""
    git("init", "--quiet", "--bare", "--template=", folder)
    for lock in (*folder.glob("*.lock"), *folder.glob("refs/**/*.lock")):
        lock.unlink(missing_ok=True)
