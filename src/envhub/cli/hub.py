"""`envhub hub`: users, tokens, backups and checks of a hub that `envhub serve` serves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from envhub.cli.look import Facts, Table
from envhub.cli.numbers import count, size_text
from envhub.cli.options import examples, output_options
from envhub.cli.output import Output
from envhub.errors import ArgumentError, MissingExtraError, StoreError

if TYPE_CHECKING:
    from envhub.server.hub import Hub

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("envhub-data"),
    show_default=True,
    help="The hub's folder.",
)


@contextmanager
def extra() -> Iterator[None]:
    """Do something with the server; what it needs and what it refuses is told in words.

    Raises:
        MissingExtraError: the packages that a hub needs are not installed.
        ArgumentError: the hub refused what was asked of it.
    """
    try:
        # Here, since the server is an optional extra.
        from envhub.server.hub import FOLDERS  # noqa: F401 - to see whether all is there
        from envhub.server.refusals import Refusal
    except ImportError as error:
        raise MissingExtraError(
            "a hub needs packages that are not installed",
            why=str(error),
            hint='pip install "gym-envhub[hub]"',
        ) from error
    try:
        yield
    except Refusal as refusal:
        raise ArgumentError(refusal.message) from refusal


@contextmanager
def opened(
    data: Path, *, public_url: str = "", validate: bool = False, mirror: str = ""
) -> Iterator[Hub]:
    """The hub in a folder, for as long as the block runs.

    Args:
        data: the folder.
        public_url: the address that others reach it by, if it is not that of `hub.toml`.
        validate: run the envs of new commits, even if `hub.toml` does not say so.
        mirror: be a mirror of that hub, if `hub.toml` does not say of which.

    Raises:
        MissingExtraError, ArgumentError: see `extra`.
    """
    with extra():
        # Here and below, since they need the extra, which was looked for just now.
        from envhub.server.config import Config, Upstream
        from envhub.server.hub import Hub

        data = data.absolute()
        config = Config.read(data)
        if public_url:
            config = msgspec.structs.replace(config, public_url=public_url)
        if validate:
            config = msgspec.structs.replace(config, validate=True)
        if mirror:
            upstream = msgspec.structs.replace(config.mirror or Upstream(mirror), url=mirror)
            config = msgspec.structs.replace(config, mirror=upstream)
        with closing(Hub(data, config)) as made:
            yield made


@click.group(
    epilog=examples(
        "envhub hub user add ada --data ./hub",
        "envhub hub backup ./backup --data ./hub",
        "envhub hub fsck --data ./hub",
    )
)
def hub() -> None:
    """Look after a hub of one's own, also while it runs."""


@hub.group(epilog=examples("envhub hub user add ada --data ./hub"))
def user() -> None:
    """Users of the hub."""


@user.command("add", epilog=examples("envhub hub user add ada --data ./hub --token-file ada.token"))
@click.argument("name")
@click.option("--email", default="", help="For the author of commits.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the token there instead of showing it; if it has one, that is the token.",
)
@data_option
@output_options
@click.pass_obj
def user_add(out: Output, /, name: str, *, email: str, token_file: Path | None, data: Path) -> None:
    """Make a user, and a token to sign in with."""
    given = token_file.read_text().strip() if token_file and token_file.exists() else None
    with opened(data) as made:
        made.accounts.add(name, email=email)
        secret = made.accounts.new_token(name, "first", secret=given)
    _tell_token(out, {"user": name}, secret, token_file)


@hub.group(epilog=examples("envhub hub org add lab --member ada:admin --data ./hub"))
def org() -> None:
    """Organisations of the hub."""


@org.command("add", epilog=examples("envhub hub org add lab --member ada:admin --data ./hub"))
@click.argument("name")
@click.option(
    "--member", "members", multiple=True, metavar="USER:ROLE", help="ROLE: read, write or admin."
)
@data_option
@output_options
@click.pass_obj
def org_add(out: Output, /, name: str, *, members: Sequence[str], data: Path) -> None:
    """Make an organisation, or change who is in it."""
    with opened(data) as opened_hub:
        accounts = opened_hub.accounts
        if accounts.find(name) is None:
            accounts.add(name, "org")
        pairs = [member.partition(":")[::2] for member in members]
        for member, role in pairs:
            accounts.join(name, member, role)
    told = ", ".join(f"{member} ({role})" for member, role in pairs)
    out.emit(
        {"org": name, "members": dict(pairs)},
        Facts("", [("organisation", name), ("members", told)]),
        brief=[name],
    )


@hub.group(epilog=examples("envhub hub token add ada laptop --days 90 --data ./hub"))
def token() -> None:
    """Tokens of the hub's users."""


@token.command(
    "add",
    epilog=examples(
        "envhub hub token add ada laptop --data ./hub",
        "envhub hub token add ada robot --scope lab/arm:read --days 30 --data ./hub",
    ),
)
@click.argument("user_name", metavar="USER")
@click.argument("name")
@click.option("--role", type=click.Choice(["read", "write"]), default="write", help="What it may.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="REPO:ROLE",
    help="Only this repo (owner/* for all of an owner's); ROLE: read, write or admin.",
)
@click.option("--days", type=float, help="How long it is good for; for ever if not said.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the token there instead of showing it.",
)
@data_option
@output_options
@click.pass_obj
def token_add(
    out: Output,
    /,
    user_name: str,
    name: str,
    *,
    role: str,
    scopes: Sequence[str],
    days: float | None,
    token_file: Path | None,
    data: Path,
) -> None:
    """Make a token for a user; an older one of that name is replaced."""
    with opened(data) as opened_hub:
        secret = opened_hub.accounts.new_token(
            user_name,
            name,
            "fine" if scopes else role,
            scopes=dict(scope.rpartition(":")[::2] for scope in scopes),
            seconds=None if days is None else days * 86400,
        )
    _tell_token(out, {"user": user_name, "name": name}, secret, token_file)


@token.command("ls", epilog=examples("envhub hub token ls ada --data ./hub"))
@click.argument("user_name", metavar="USER")
@data_option
@output_options
@click.pass_obj
def token_ls(out: Output, /, user_name: str, *, data: Path) -> None:
    """List a user's tokens; what they are is not known any more."""
    with opened(data) as opened_hub:
        found = [dict(row) for row in opened_hub.accounts.tokens(user_name)]
    rows = [
        (each["name"], each["role"], each["scopes"].strip("{}"), _day(each["expires"]))
        for each in found
    ]
    out.emit(
        {"user": user_name, "tokens": found},
        Table(("name", "role", "only", "until"), rows),
        brief=[each["name"] for each in found],
    )


@token.command("rm", epilog=examples("envhub hub token rm ada laptop --data ./hub"))
@click.argument("user_name", metavar="USER")
@click.argument("name")
@data_option
@output_options
@click.pass_obj
def token_rm(out: Output, /, user_name: str, name: str, *, data: Path) -> None:
    """Make a token worthless, at once."""
    with opened(data) as opened_hub:
        if not opened_hub.accounts.drop_token(user_name, name):
            raise ArgumentError(
                f"{user_name} has no token {name!r}", hint=f"envhub hub token ls {user_name}"
            )
    out.emit({"user": user_name, "removed": name}, f"removed {name} of {user_name}", brief=[name])


@hub.command(epilog=examples("envhub hub gc --data ./hub", "envhub hub gc --grace 0 --data ./hub"))
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=24.0,
    show_default=True,
    help="Hours; what is younger may be of an upload that is under way.",
)
@data_option
@output_options
@click.pass_obj
def gc(out: Output, /, *, grace: float, data: Path) -> None:
    """Remove uploads that no commit names, and pack repos; commits always stay."""
    with opened(data) as opened_hub:
        from envhub.server.cleaning import clean

        done = asdict(clean(opened_hub, grace * 3600))
    told = [(name, size_text(n) if name == "bytes" else n) for name, n in done.items()]
    out.emit(done, Facts("removed", told), brief=[done["bytes"]])


@hub.command(epilog=examples("envhub hub fsck --data ./hub", "envhub hub fsck --deep --data ./hub"))
@click.option("--deep", is_flag=True, help="Read every large file, and compare it with its hash.")
@data_option
@output_options
@click.pass_obj
def fsck(out: Output, /, *, deep: bool, data: Path) -> None:
    """Check the database, every repo and every large file."""
    with opened(data) as opened_hub:
        from envhub.server.checking import check

        found = list(check(opened_hub, deep=deep))
    out.emit({"problems": found}, *(found or ["all is well"]), brief=found)
    if found:
        raise StoreError(
            f"{data} has {count(len(found), 'problem')}",
            hint="envhub hub restore BACKUP --data NEW",
        )


@hub.command(epilog=examples("envhub hub backup ./backup-monday --data ./hub"))
@click.argument("target", type=click.Path(path_type=Path))
@data_option
@output_options
@click.pass_obj
def backup(out: Output, /, target: Path, *, data: Path) -> None:
    """Copy the hub into a new folder, whole, while it goes on."""
    with opened(data) as opened_hub:
        from envhub.server.backup import back_up

        repos = back_up(opened_hub, target.absolute())
    told = [("backup", target), ("repos", repos)]
    out.emit({"backup": str(target), "repos": repos}, Facts("", told), brief=[target])


@hub.command(epilog=examples("envhub hub restore ./backup-monday --data ./hub"))
@click.argument("source", type=click.Path(path_type=Path))
@data_option
@output_options
@click.pass_obj
def restore(out: Output, /, source: Path, *, data: Path) -> None:
    """Make a hub's folder from a backup, and check it."""
    with extra():
        from envhub.server.backup import restore as bring_back

        found = list(bring_back(source.absolute(), data.absolute()))
    out.emit(
        {"data": str(data), "problems": found},
        *(found or [f"{data} is as it was in {source}"]),
        brief=found,
    )


def _tell_token(out: Output, facts: dict[str, str], secret: str, file: Path | None) -> None:
    if file:
        file.touch(mode=0o600)
        file.write_text(secret + "\n")
    shown = str(file) if file else secret
    key = "token_file" if file else "token"
    told = [*facts.items(), (key.replace("_", " "), shown)]
    out.emit({**facts, key: shown}, Facts("", told), brief=[shown])


def _day(when: float | None) -> str:
    return "" if when is None else datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d")
