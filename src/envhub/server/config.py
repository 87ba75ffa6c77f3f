"""What the host of a hub can set: `hub.toml` in the data folder."""

from __future__ import annotations

from pathlib import Path

import msgspec

from envhub.errors import ArgumentError


class Bucket(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bucket for large files: the table `[bucket]` of `hub.toml`.

    Attributes:
        name: of the bucket.
        endpoint: of what speaks like S3 elsewhere; AWS if empty.
        region: of the bucket.
        prefix: before the names of all objects.
        redirect: whether clients fetch files from the bucket themselves, by signed addresses; else
            the hub hands them on.
    """

    name: str
    endpoint: str = ""
    region: str = "us-east-1"
    prefix: str = ""
    redirect: bool = True


class Upstream(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The hub that this one is a mirror of: the table `[mirror]` of `hub.toml`.

    Attributes:
        url: of the other hub.
        seconds: after which branches and tags are asked for anew.
        owners: whose repos are mirrored; everybody's if empty.
        token_file: has the mirror's own token for what the other hub does not show to everybody.
    """

    url: str
    seconds: float = 60.0
    owners: tuple[str, ...] = ()
    token_file: str = ""

    def token(self) -> str:
        """The mirror's own token; empty if it has none.

        Raises:
            ArgumentError: there is no such file.
        """
        if not self.token_file:
            return ""
        try:
            return Path(self.token_file).read_text().strip()
        except OSError as error:
            raise ArgumentError(
                f"the token of the mirror cannot be read from {self.token_file}",
                why=str(error),
                hint="write it there, or take token_file out of hub.toml",
            ) from error


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rules of a hub; every field has a default, so the file need not exist.

    Attributes:
        public_url: the address under which others reach the hub; else what a request asked for.
        durable: wait for the disk at each commit, so that not even a power cut loses one.
        lfs_over: files of more bytes are kept outside git.
        max_file: bytes of the largest file.
        max_commit: bytes of the largest commit of small files.
        max_push: bytes of the largest push.
        quota: bytes that one owner's repos may hold together; 0 is no limit.
        requests_per_minute: of one user, or one address without a token; 0 is no limit.
        failures_per_minute: wrong tokens from one address before it has to wait.
        immutable_tags: a tag, once made, can be neither moved nor deleted.
        public_repos: whether repos may be seen without a token at all.
        examine: whether new commits are read in the background, to know what envs they have.
        validate: whether these envs are also run, caged.
        validate_seconds: that looking at one commit may take.
        validate_memory: bytes that an env may take while it runs.
        validate_bytes: of large files that an env may have and be run.
        validate_cache: bytes of the packages of envs that are kept for the next one.
        bucket: where large files are kept instead of in the data folder.
        mirror: the hub that this one is a mirror of.
    """

    public_url: str = ""
    durable: bool = True
    lfs_over: int = 1_000_000
    max_file: int = 50_000_000_000
    max_commit: int = 250_000_000
    max_push: int = 5_000_000_000
    quota: int = 0
    requests_per_minute: int = 6000
    failures_per_minute: int = 60
    immutable_tags: bool = False
    public_repos: bool = True
    examine: bool = True
    validate: bool = False
    validate_seconds: float = 300.0
    validate_memory: int = 2_000_000_000
    validate_bytes: int = 2_000_000_000
    validate_cache: int = 10_000_000_000
    bucket: Bucket | None = None
    mirror: Upstream | None = None

    @classmethod
    def read(cls, folder: Path) -> Config:
        """Read `hub.toml` of a data folder, if it is there.

        Raises:
            ArgumentError: it is not TOML, or has a field that there is not.
        """
        path = folder / "hub.toml"
        if not path.is_file():
            return cls()
        try:
            return msgspec.toml.decode(path.read_bytes(), type=cls)
        except msgspec.MsgspecError as error:
            fields = ", ".join(cls.__struct_fields__)
            raise ArgumentError(
                f"{path} cannot be used", why=str(error), hint=f"fields are: {fields}"
            ) from error
