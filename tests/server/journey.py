"""What people do with a hub, through huggingface_hub of any version since 0.36, unmodified.

Run as a program, so that the client reads its environment anew and may be of another version:
`python journey.py ENDPOINT ADA_TOKEN BOB_TOKEN FOLDER`. Prints `ok` and the number of calls that
were checked.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import huggingface_hub as hf
from huggingface_hub import errors


class Journey:
    """One user's way through the hub."""

    def __init__(self, endpoint: str, ada: str, bob: str, folder: Path) -> None:
        self.api = hf.HfApi(endpoint=endpoint, token=ada)
        self.bob = hf.HfApi(endpoint=endpoint, token=bob)
        self.anonymous = hf.HfApi(endpoint=endpoint, token=False)
        self.endpoint = endpoint
        self.folder = folder
        self.repo = f"ada/journey-{folder.name.lower().replace('_', '-')}"
        self.calls = 0

    def check(self, truth: bool, what: object = "") -> None:
        self.calls += 1
        if not truth:
            raise AssertionError(f"call {self.calls}: {what}")

    def refused(self, kind: type[Exception], call: Callable[[], object], status: int = 0) -> None:
        """Make sure that a call is refused in the way that the client has a class for."""
        try:
            got: object = call()
        except kind as error:
            response = getattr(error, "response", None)
            found = getattr(response, "status_code", None)
            self.check(not status or found == status, f"status {found}, not {status}")
            return
        raise AssertionError(f"not refused: {got!r}")

    def create(self) -> None:
        self.check(self.api.whoami()["name"] == "ada")
        url = self.api.create_repo(self.repo)
        self.check(url.repo_id == self.repo, url)
        self.check(self.api.create_repo(self.repo, exist_ok=True).repo_id == self.repo)
        self.refused(errors.HfHubHTTPError, lambda: self.api.create_repo(self.repo), 409)
        self.check(self.api.repo_exists(self.repo))
        self.check(not self.api.repo_exists(f"{self.repo}-nowhere"))

    def upload(self) -> dict[str, bytes]:
        files = {
            "env.py": b"print('hi')\n",
            "README.md": b"---\nlibrary_name: envhub\ntags: [envhub, journey]\n---\n# A journey\n",
            "deep/er/a b+c.txt": "ünïcode".encode(),
            "empty.txt": b"",
            "big.bin": os.urandom(300_000),
            "picture.png": os.urandom(2_000),
        }
        source = self.folder / "source"
        for path, content in files.items():
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_bytes(content)
        before = self.api.model_info(self.repo).sha
        commit = self.api.upload_folder(repo_id=self.repo, folder_path=str(source))
        self.check(self.api.model_info(self.repo).sha == commit.oid != before)
        again = self.api.upload_folder(repo_id=self.repo, folder_path=str(source))
        self.check(again.oid == commit.oid, "an unchanged folder makes no commit")
        self.api.upload_file(
            path_or_fileobj=io.BytesIO(b"from memory"), path_in_repo="memory.txt", repo_id=self.repo
        )
        return {**files, "memory.txt": b"from memory"}

    def download(self, files: dict[str, bytes]) -> None:
        cache = str(self.folder / "cache")
        where: dict[str, Any] = {"endpoint": self.endpoint, "cache_dir": cache, "token": False}
        snapshot = Path(hf.snapshot_download(self.repo, **where))
        for path, content in files.items():
            self.check((snapshot / path).read_bytes() == content, path)
        sha = self.api.model_info(self.repo).sha
        pinned = hf.hf_hub_download(self.repo, "env.py", revision=sha, **where)
        self.check(Path(pinned).read_bytes() == files["env.py"])
        self.check(hf.hf_hub_download(self.repo, "env.py", revision=sha, **where) == pinned)
        meta = hf.get_hf_file_metadata(
            hf.hf_hub_url(self.repo, "big.bin", endpoint=self.endpoint), token=False
        )
        self.check(meta.commit_hash == sha and meta.size == len(files["big.bin"]), meta)

    def look(self, files: dict[str, bytes]) -> None:
        api, repo = self.api, self.repo
        self.check(set(api.list_repo_files(repo)) == {*files, ".gitattributes"})
        tree: dict[str, Any] = {
            entry.path: entry for entry in api.list_repo_tree(repo, recursive=True)
        }
        self.check("deep/er" in tree and tree["big.bin"].size == len(files["big.bin"]), tree)
        flat = [entry.path for entry in api.list_repo_tree(repo, "deep")]
        self.check(flat == ["deep/er"], flat)
        self.check(all(e.last_commit for e in api.list_repo_tree(repo, expand=True)))
        found = api.get_paths_info(repo, ["env.py", "deep", "nothing"])
        self.check([each.path for each in found] == ["env.py", "deep"], found)
        self.check(api.file_exists(repo, "env.py") and not api.file_exists(repo, "no.py"))
        info = api.model_info(repo, files_metadata=True)
        sizes = {each.rfilename: each.size for each in info.siblings or []}
        self.check(sizes["big.bin"] == len(files["big.bin"]), sizes)
        self.check("journey" in (info.tags or []) and info.library_name == "envhub", info.tags)
        few = api.model_info(repo, expand=["author", "private"])
        self.check(few.author == "ada" and few.private is False, few)
        commits = api.list_repo_commits(repo)
        self.check(len(commits) == 3 and commits[-1].title == "initial commit", commits)
        system = hf.HfFileSystem(endpoint=self.endpoint, token=False)
        self.check(system.cat_file(f"{repo}/env.py") == files["env.py"])
        self.check(system.cat_file(f"{repo}/big.bin", 10, 20) == files["big.bin"][10:20])

    def change(self, files: dict[str, bytes]) -> None:
        api, repo = self.api, self.repo
        parent = api.model_info(repo).sha
        operations: list[Any] = [
            hf.CommitOperationAdd("new.txt", b"new"),
            hf.CommitOperationDelete("deep/", is_folder=True),
            hf.CommitOperationCopy("big.bin", "copy.bin"),
        ]
        api.create_commit(repo, operations, commit_message="three", parent_commit=parent)
        cache = str(self.folder / "cache2")
        copied = hf.hf_hub_download(
            repo, "copy.bin", endpoint=self.endpoint, cache_dir=cache, token=False
        )
        self.check(Path(copied).read_bytes() == files["big.bin"])
        self.check(not api.file_exists(repo, "deep/er/a b+c.txt"))
        late = [hf.CommitOperationAdd("late.txt", b"late")]
        self.refused(
            errors.HfHubHTTPError,
            lambda: api.create_commit(repo, late, commit_message="late", parent_commit=parent),
            412,
        )
        api.delete_file("new.txt", repo)
        self.refused(errors.EntryNotFoundError, lambda: api.delete_file("new.txt", repo))
        self.refused(
            errors.HfHubHTTPError,
            lambda: api.create_commit(repo, late, commit_message="pr", create_pr=True),
        )
        self.check(not api.file_exists(repo, "late.txt"))

    def refs(self) -> None:
        api, repo = self.api, self.repo
        api.create_branch(repo, branch="dev/x")
        self.refused(errors.HfHubHTTPError, lambda: api.create_branch(repo, branch="dev/x"), 409)
        api.create_branch(repo, branch="dev/x", exist_ok=True)
        api.upload_file(
            path_or_fileobj=b"dev", path_in_repo="dev.txt", repo_id=repo, revision="dev/x"
        )
        self.check(api.file_exists(repo, "dev.txt", revision="dev/x"))
        self.check(not api.file_exists(repo, "dev.txt"))
        api.create_tag(repo, tag="v1.0", tag_message="first")
        api.create_tag(repo, tag="v1.1", revision="dev/x")
        self.refused(errors.HfHubHTTPError, lambda: api.create_tag(repo, tag="v1.0"), 409)
        refs = api.list_repo_refs(repo)
        self.check({each.name for each in refs.branches} == {"main", "dev/x"}, refs)
        self.check({each.name for each in refs.tags} == {"v1.0", "v1.1"}, refs)
        main = api.model_info(repo).sha
        self.check(api.model_info(repo, revision="v1.0").sha == main)
        api.delete_tag(repo, tag="v1.1")
        api.delete_branch(repo, branch="dev/x")
        self.refused(errors.RevisionNotFoundError, lambda: api.model_info(repo, revision="v1.1"))
        self.refused(errors.RevisionNotFoundError, lambda: api.model_info(repo, revision="dev/x"))

    def find(self) -> None:
        listed = list(self.anonymous.list_models(search=self.repo.partition("/")[2]))
        self.check([each.id for each in listed] == [self.repo], listed)
        tagged = self.anonymous.list_models(filter=["envhub", "journey"], author="ada", full=True)
        self.check(self.repo in [each.id for each in tagged])
        for number in range(3):
            self.api.create_repo(f"{self.repo}-page-{number}")
        pages = list(self.anonymous.list_models(search=f"{self.repo}-page", sort="created_at"))
        self.check(len(pages) == 3, pages)
        self.check(list(self.anonymous.list_datasets(author="ada")) == [])

    def hide(self) -> None:
        api, repo = self.api, self.repo
        api.update_repo_settings(repo, private=True)
        for other in (self.bob, self.anonymous):
            self.refused(errors.RepositoryNotFoundError, partial(other.model_info, repo))
        cache = str(self.folder / "cache3")
        where: dict[str, Any] = {"endpoint": self.endpoint, "cache_dir": cache}
        self.refused(
            (errors.RepositoryNotFoundError, errors.LocalEntryNotFoundError),  # type: ignore[arg-type]  # except takes tuples
            lambda: hf.hf_hub_download(repo, "env.py", token=False, **where),
        )
        self.check(bool(hf.hf_hub_download(repo, "env.py", token=self.api.token, **where)))
        api.update_repo_settings(repo, private=False, gated="manual")
        self.check(self.bob.model_info(repo).gated == "manual")
        self.refused(errors.GatedRepoError, lambda: self.bob.auth_check(repo))
        self.refused(errors.GatedRepoError, lambda: self.anonymous.auth_check(repo))
        api.grant_access(repo, "bob")
        self.bob.auth_check(repo)
        self.check([each.username for each in api.list_accepted_access_requests(repo)] == ["bob"])
        api.update_repo_settings(repo, gated=False)

    def refusals(self) -> None:
        api, repo = self.api, self.repo
        self.refused(errors.RepositoryNotFoundError, lambda: api.model_info("ada/nothing"))
        self.refused(errors.RepositoryNotFoundError, lambda: self.anonymous.model_info("no/thing"))
        self.refused(
            errors.EntryNotFoundError,
            lambda: hf.hf_hub_download(
                repo, "no.py", endpoint=self.endpoint, cache_dir=str(self.folder / "cache4")
            ),
        )
        wrong = hf.HfApi(endpoint=self.endpoint, token="hf_wrong_wrong_wrong_wrong")
        self.refused(OSError, wrong.whoami, 401)  # of requests in 0.36
        for other, status in ((self.bob, 403), (self.anonymous, 401)):
            self.refused(
                errors.HfHubHTTPError,
                partial(other.upload_file, path_or_fileobj=b"x", path_in_repo="x", repo_id=repo),
                status,
            )
        self.refused(errors.HfHubHTTPError, lambda: self.bob.create_repo("ada/mine"), 403)
        self.refused(errors.HfHubHTTPError, lambda: self.bob.delete_repo(repo), 403)

    def leave(self) -> None:
        api, repo = self.api, self.repo
        api.move_repo(repo, f"{repo}-moved")
        self.check(api.model_info(f"{repo}-moved").id == f"{repo}-moved")
        self.check(api.model_info(repo).id == f"{repo}-moved", "the old name still leads there")
        kinds: dict[str, dict[str, Any]] = {"dataset": {}, "space": {"space_sdk": "static"}}
        for kind, more in kinds.items():
            api.create_repo(repo, repo_type=kind, **more)
            api.upload_file(
                path_or_fileobj=b"x", path_in_repo="x.txt", repo_id=repo, repo_type=kind
            )
            self.check("x.txt" in api.list_repo_files(repo, repo_type=kind))
            api.delete_repo(repo, repo_type=kind)
        api.delete_repo(f"{repo}-moved")
        self.refused(errors.RepositoryNotFoundError, lambda: api.delete_repo(f"{repo}-moved"))
        api.delete_repo(f"{repo}-moved", missing_ok=True)

    def stations(self) -> Iterator[str]:
        self.create()
        yield "create"
        files = self.upload()
        yield "upload"
        self.download(files)
        yield "download"
        self.look(files)
        yield "look"
        self.change(files)
        yield "change"
        for station in (self.refs, self.find, self.hide, self.refusals, self.leave):
            station()
            yield station.__name__


def main() -> None:
    endpoint, ada, bob, folder = sys.argv[1:]
    journey = Journey(endpoint, ada, bob, Path(folder))
    for station in journey.stations():
        sys.stderr.write(f"{station}: {journey.calls} calls\n")
    sys.stdout.write(f"ok {journey.calls} with {hf.__version__}\n")


if __name__ == "__main__":
    main()
