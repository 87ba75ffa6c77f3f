"""What a commit in a bare repo on this machine consists of, and the bytes of its files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from envhub import proc
from envhub.errors import HubError
from envhub.hubs.gitprogram import ENVIRON, command, git
from envhub.hubs.lfs import MAX_POINTER, Pointer
from envhub.pins import File

_EXECUTABLE, _LINK, _SUBMODULE = "100755", "120000", "160000"
_MAX_HOPS = 40  # links on the way to one file; as many as Linux follows
_CHUNK = 1 << 20

Read = Callable[[str], Iterator[bytes]]
"""Gives the bytes of a blob, piece by piece."""


@dataclass(frozen=True, slots=True)
class Item:
    """One file of a commit.

    Attributes:
        path: where it is in the repo.
        mode: git's file mode, six octal digits.
        blob: git's hash of what it keeps of the file.
        size: bytes of that.
        pointer: what the file stands for, if it is an LFS pointer.
    """

    path: str
    mode: str
    blob: str
    size: int
    pointer: Pointer | None = None

    @property
    def file(self) -> File:
        """The file as hubs list it."""
        if self.pointer:
            return File(self.path, f"sha256:{self.pointer.oid}", self.pointer.size)
        return File(self.path, f"sha1:{self.blob}", self.size)

    @property
    def is_executable(self) -> bool:
        """Whether git says that it can be run."""
        return self.mode == _EXECUTABLE


def read_tree(repo: Path, commit: str, subdirectory: str | None) -> tuple[Item, ...]:
    """The files of a commit below a folder, with links replaced by what they lead to.

    Args:
        repo: a bare git directory that has the commit.
        commit: its full hash.
        subdirectory: the folder; paths are relative to it. A link may lead out of it, but not
            out of the repo.

    Raises:
        HubError: there are submodules, or a link leaves the repo.
    """
    listed = {item.path: item for item in _list(repo, commit)}
    prefix = f"{subdirectory}/" if subdirectory else ""
    inside = [item for item in listed.values() if item.path.startswith(prefix)]
    for item in inside:
        if item.mode == _SUBMODULE:
            raise HubError(
                f"{item.path!r} is a submodule, which envhub does not follow",
                why="its commit is not covered by the pin of the repo",
                hint="the owner of the repo can copy the files in: git subtree add",
            )
    with reading(repo) as read:
        links = {i.path: _text(read, i) for i in listed.values() if i.mode == _LINK}
        tree = _Tree(listed, links)
        found = [copy for item in inside for copy in tree.copies(item)]
        return tuple(_with_pointer(read, item, prefix) for item in found)


@contextmanager
def reading(repo: Path) -> Iterator[Read]:
    """A function that reads blobs, one after the other, for as long as the block runs."""
    with proc.talk(command("cat-file", "--batch", folder=repo), env=ENVIRON) as (ask, answer):

        def read(blob: str) -> Iterator[bytes]:
            ask.write(f"{blob}\n".encode())
            ask.flush()
            head = answer.readline().split()
            left = int(head[2]) if len(head) == 3 else -1
            while left > 0 and (chunk := answer.read(min(left, _CHUNK))):
                left -= len(chunk)
                yield chunk
            if left:
                raise HubError(
                    f"the clone {repo} lacks the object {blob}", hint=f"remove it: rm -r {repo}"
                )
            answer.read(1)

        yield read


def _list(repo: Path, commit: str) -> Iterable[Item]:
    listing = git("ls-tree", "-r", "-z", "-l", "--full-tree", commit, folder=repo).stdout
    for line in listing.decode(errors="surrogateescape").split("\0")[:-1]:
        head, _, path = line.partition("\t")
        mode, _, blob, size = head.split()
        yield Item(path, mode, blob, 0 if size == "-" else int(size))


def _text(read: Read, item: Item) -> str:
    return b"".join(read(item.blob)).decode(errors="surrogateescape")


def _with_pointer(read: Read, item: Item, prefix: str) -> Item:
    data = b"".join(read(item.blob)) if 0 < item.size <= MAX_POINTER else b""
    return replace(item, path=item.path.removeprefix(prefix), pointer=Pointer.parse(data))


@dataclass(frozen=True)
class _Tree:
    """Files by their path, and where the links among them point to."""

    items: Mapping[str, Item]
    links: Mapping[str, str]

    def copies(self, item: Item, chain: tuple[str, ...] = ()) -> Iterator[Item]:
        """The files that stand where `item` is: itself, or what a link leads to.

        A link that leads nowhere stands for nothing.
        """
        if item.mode != _LINK:
            yield item
            return
        target = self._follow(item.path)
        if target is None:
            return
        if target in self.items:
            yield replace(self.items[target], path=item.path)
            return
        if target in chain or f"{item.path}/".startswith(f"{target}/" if target else ""):
            raise HubError(f"the link {item.path!r} leads to a folder that holds it")
        for path, inner in self.items.items():
            if path.startswith(f"{target}/"):
                moved = item.path + path.removeprefix(target)
                for copy in self.copies(inner, (*chain, target)):
                    yield replace(copy, path=moved + copy.path.removeprefix(path))

    @cached_property
    def folders(self) -> frozenset[str]:
        """All folders."""
        parents = (PurePosixPath(path).parents for path in self.items)
        return frozenset(str(folder) for each in parents for folder in each)

    def _follow(self, link: str) -> str | None:
        """The path that a link leads to, with the links on the way followed.

        As for the kernel, a way through a file or through nothing leads nowhere.
        """
        done: list[str] = []
        ahead = link.split("/")[::-1]
        hops = 0
        while ahead:
            part = ahead.pop()
            if done and "/".join(done) not in self.folders:
                return None
            here = "/".join([*done, part])
            if part == ".":
                continue
            if part == ".." and done:
                done.pop()
            elif here in self.links and hops < _MAX_HOPS:
                hops += 1
                ahead += _parts(link, self.links[here])[::-1]
            elif part == ".." or here in self.links:
                raise _leaves(link, self.links[link])
            else:
                done.append(part)
        return "/".join(done)


def _parts(link: str, text: str) -> list[str]:
    if text.startswith("/") or "\\" in text:
        raise _leaves(link, text)
    return [part or "." for part in text.split("/")]


def _leaves(link: str, text: str) -> HubError:
    return HubError(
        f"the link {link!r} leads to {text!r}, which is not in the repo",
        why="only what lies in the repo is covered by its pin",
        hint="the owner of the repo can put the file itself there",
    )
