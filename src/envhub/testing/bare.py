"""One git repo on disk, as the testing hub keeps it: write a commit, read a tree."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from envhub.errors import ArgumentError
from envhub.hubs.gitprogram import git
from envhub.hubs.lfs import Pointer

Files = Mapping[str, str | bytes | None]
FIRST_COMMIT = 1767225600  # 2026-01-01: commits of the same files have the same hash in every run


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder of a tree.

    Attributes:
        path: where it is in the repo.
        kind: `blob` or `tree`.
        oid: git's hash.
        data: the bytes that git keeps (for an LFS file the pointer).
        lfs: what it stands for, if this is an LFS file.
    """

    path: str
    kind: str
    oid: str
    data: bytes = b""
    lfs: Pointer | None = None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of the history."""

    id: str
    time: int
    author: str
    title: str
    body: str


@dataclass
class BareRepo:
    """A bare git repo with its LFS files in `lfs/objects`, where git-lfs expects them.

    Attributes:
        folder: the git directory.
        id: `owner/name`.
        repo_type: `model`, `space` or `dataset`.
    """

    folder: Path
    id: str
    repo_type: str
    _trees: dict[str, dict[str, Entry]] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def options(self) -> dict[str, bool]:
        """Whether the repo is `private` or `gated`."""
        file = self.folder / "envhub.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def set_options(self, *, private: bool, gated: bool) -> None:
        """Make the repo private or gated, or neither."""
        options = {"private": private, "gated": gated}
        (self.folder / "envhub.json").write_text(json.dumps(options))

    def init(self) -> None:
        """Create the repo if it does not exist yet."""
        if not self.folder.exists():
            git("init", "--quiet", "--bare", "--template=", "--initial-branch=main", self.folder)
            names = ("http.receivepack", "uploadpack.allowAnySHA1InWant", "uploadpack.allowFilter")
            for key in names:
                git("config", key, "true", folder=self.folder)

    def refs(self) -> dict[str, str]:
        """Full names of all refs and the commits they lead to, annotated tags peeled."""
        form = "--format=%(refname) %(objectname) %(*objectname)"
        lines = git("for-each-ref", form, folder=self.folder).text.splitlines()
        return {words[0]: words[-1] for words in map(str.split, lines)}

    def find(self, revision: str) -> str | None:
        """The commit of a branch, tag, full ref or full hash; `None` for anything else."""
        if re.fullmatch(r"[0-9a-f]{40}", revision):
            return revision if revision in self._trees or self._is_commit(revision) else None
        refs = self.refs()
        names = (f"refs/heads/{revision}", f"refs/tags/{revision}", revision)
        return next((refs[name] for name in names if name in refs), None)

    def log(self, commit: str) -> list[LogEntry]:
        """The history of a commit, newest first."""
        text = git("log", "--format=%H%x00%ct%x00%an%x00%s%x00%b%x1e", commit, folder=self.folder)
        entries = [entry.strip("\n").split("\0") for entry in text.text.split("\x1e")]
        return [LogEntry(e[0], int(e[1]), *e[2:]) for e in entries if len(e) == 5]

    def tree(self, commit: str) -> dict[str, Entry]:
        """All files and folders of a commit, kept in memory."""
        with self._lock:
            if commit not in self._trees:
                self._trees[commit] = self._read_tree(commit)
            return self._trees[commit]

    def lfs_file(self, oid: str) -> Path:
        """Where the bytes of an LFS file are."""
        return Pointer(oid, 0).below(self.folder)

    def commit(self, files: Files, *, branch: str, message: str, lfs_over: int) -> str:
        """Add, change or (with `None`) delete files in one commit on top of a branch.

        Args:
            files: path in the repo → content.
            branch: its name, or a full ref such as `refs/pr/1`.
            message: of the commit.
            lfs_over: bytes from which on a file is kept as an LFS file.

        Returns:
            The full hash of the commit.
        """
        ref = branch if branch.startswith("refs/") else f"refs/heads/{branch}"
        parent = self.refs().get(ref) or self.refs().get("refs/heads/main")
        patterns = self._lfs_patterns(files, parent)
        stamp = FIRST_COMMIT + (len(self.log(parent)) if parent else 0)
        text = message.encode()
        stream = [b"feature done\ncommit %s\nmark :1\n" % ref.encode()]
        stream.append(b"committer envhub <envhub@example.com> %d +0000\n" % stamp)
        stream.append(b"data %d\n%s\n" % (len(text), text))
        if parent:
            stream.append(b"from %s\n" % parent.encode())
        for path, content in sorted(files.items()):
            stream.append(self._change(path, content, patterns, lfs_over))
        stream.append(b"get-mark :1\ndone\n")
        done = git("fast-import", "--quiet", "--force", folder=self.folder, stdin=b"".join(stream))
        return done.text

    def tag(self, name: str, commit: str) -> None:
        """Let a tag lead to a commit."""
        git("update-ref", "--", f"refs/tags/{name}", commit, folder=self.folder)

    def _is_commit(self, commit: str) -> bool:
        done = git("cat-file", "-t", commit, folder=self.folder, check=False)
        return done.text == "commit"

    def _lfs_patterns(self, files: Files, parent: str | None) -> list[str]:
        attributes = files.get(".gitattributes")
        if attributes is None and parent and ".gitattributes" in self.tree(parent):
            attributes = self.tree(parent)[".gitattributes"].data
        text = attributes.decode() if isinstance(attributes, bytes) else attributes or ""
        return [line.split()[0] for line in text.splitlines() if "filter=lfs" in line]

    def _change(
        self, path: str, content: str | bytes | None, patterns: list[str], over: int
    ) -> bytes:
        if '"' in path or "\n" in path:
            raise ArgumentError(f"the testing hub takes no such path: {path!r}")
        if content is None:
            return b"D %s\n" % path.encode()
        data = content.encode() if isinstance(content, str) else content
        name = path.rpartition("/")[2]
        if len(data) > over or any(fnmatch(path, p) or fnmatch(name, p) for p in patterns):
            data = self._store_lfs(data)
        return b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data)

    def _store_lfs(self, data: bytes) -> bytes:
        pointer = Pointer(hashlib.sha256(data).hexdigest(), len(data))
        file = pointer.below(self.folder)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return bytes(pointer)

    def _read_tree(self, commit: str) -> dict[str, Entry]:
        listing = git("ls-tree", "-r", "-t", "-z", "--full-tree", commit, folder=self.folder)
        rows = []
        for line in listing.stdout.decode().split("\0")[:-1]:
            head, _, path = line.partition("\t")
            rows.append((path, *head.split()[1:3]))
        blobs = self._read_blobs([oid for _, kind, oid in rows if kind == "blob"])
        return {
            path: Entry(path, kind, oid, blobs.get(oid, b""), Pointer.parse(blobs.get(oid, b"")))
            for path, kind, oid in rows
        }

    def _read_blobs(self, oids: list[str]) -> dict[str, bytes]:
        stdin = "".join(f"{oid}\n" for oid in oids).encode()
        out = git("cat-file", "--batch", folder=self.folder, stdin=stdin).stdout
        blobs, start = {}, 0
        for oid in oids:
            end = out.index(b"\n", start)
            size = int(out[start:end].split()[2])
            blobs[oid] = out[end + 1 : end + 1 + size]
            start = end + 2 + size
        return blobs
