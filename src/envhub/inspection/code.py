"""What one Python file could do, by its syntax tree; nothing of it is run.

Names are followed through imports, `getattr` with a text, `import_module` with a text and star
imports. Whoever wants to hide something from this can: see docs/inspect.md.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Final

from envhub.inspection.findings import Finding, Found
from envhub.inspection.letters import read_letters
from envhub.inspection.watched import DOWNLOADS, HUB_MODULES, MODULES, NAMES

MAX_BYTES: Final = 4_000_000
"""Larger files are not read: nobody writes them by hand."""

_DEPTH = 16  # parts of a dotted name; more have no meaning
_BLOB = 2000
_IMPORTERS = {"__import__", "builtins.__import__", "importlib.import_module"}
_REFLECTION = {"__subclasses__", "__globals__", "__builtins__", "f_globals", "f_builtins"}
_ENVIRON = {"os.getenv", "os.environ.get", "os.environ.pop", "os.environ.setdefault", "os.getenvb"}
_SECRET = re.compile(r"(^|_)(TOKENS?|SECRETS?|PASSWORD|PASSWD|API_?KEY|CREDENTIALS?)($|_)", re.I)
_OUTSIDE = re.compile(
    r"~([/\\]|$)|/(etc|home|root|proc|sys|var|usr|tmp|dev|run|mnt|opt|Users)(/|$)"
    r"|[A-Za-z]:[\\/]\w|(.*[/\\])?\.\.[/\\]"
)
_PLACE = re.compile(r"[/\\~]|\.\w|id_|Login")
_SECRET_PLACE = re.compile(
    r"\.ssh\b|\.aws\b|\.netrc|\.git-credentials|\.gnupg|\.kube\b|\.pypirc|id_(rsa|ed25519|ecdsa)"
    r"|\.bash_history|huggingface[/\\]+(token|stored_tokens)|/etc/(passwd|shadow)|\.docker/config"
    r"|docker\.sock|/proc/(self|\d+|%d|\{)/?(environ|mem)|Login Data|cookies\.sqlite"
)


def read_code(path: str, data: bytes, own: str = "") -> list[Finding]:
    """Everything in a file that one would want to look at before running it.

    Args:
        path: the file's path in the repo.
        data: its bytes.
        own: the repo's own `owner/name`.
    """
    found = Found(path)
    if len(data) > MAX_BYTES:
        found.add("unreadable", 0, f"{len(data):,} bytes")
        return found.all()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a stranger's invalid escapes
            tree = ast.parse(data)
        _Reader(found, tree, own).read()
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        found.add("unreadable", getattr(error, "lineno", 0) or 0, str(error) or "too deep")
    read_letters(data, found)
    return found.all()


class _Reader:
    """Goes through a tree once for its imports, and once for what is done with them."""

    def __init__(self, found: Found, tree: ast.Module, own: str) -> None:
        self.found = found
        self.own = own if "/" in own else ""
        self.nodes = _by_type(tree)
        self.prose = {id(node.value) for node in self.nodes[ast.Expr]}
        self.aliases: dict[str, str] = {}
        self.done: set[int] = set()

    def read(self) -> None:
        for kind, handler in _HANDLERS.items():
            for node in self.nodes[kind]:
                handler(self, node)

    def import_(self, node: ast.Import) -> None:
        """`import a.b` names `a`, `import a.b as c` names `a.b`."""
        for alias in node.names:
            top = alias.name.partition(".")[0]
            self.aliases[alias.asname or top] = alias.name if alias.asname else top
            self._module(alias.name, node.lineno)

    def import_from(self, node: ast.ImportFrom) -> None:
        """What comes from the repo itself is read where it is."""
        if node.level or not node.module:
            return
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            self.aliases[alias.asname or alias.name] = full
            self._module(node.module if alias.name == "*" else full, node.lineno)
            if alias.name == "*":
                self.aliases |= dict(_inside(node.module))

    def _module(self, name: str, line: int) -> None:
        kind = _kind(name)
        if kind and name not in _IMPORTERS:
            self.found.add(kind, line, f"import {name}")

    def name(self, node: ast.AST, depth: int = _DEPTH) -> str:
        """The dotted name that an expression stands for; empty if it stands for none."""
        if isinstance(node, ast.Name):
            return self.aliases.get(node.id, node.id if node.id in NAMES else "")
        if not depth:
            return ""
        if isinstance(node, ast.Attribute):
            base = self.name(node.value, depth - 1)
            return f"{base}.{node.attr}" if base else ""
        return self._called_name(node, depth) if isinstance(node, ast.Call) else ""

    def _called_name(self, node: ast.Call, depth: int) -> str:
        """`getattr(os, "system")` and `import_module("os")` stand for what they give."""
        if isinstance(node.func, ast.Name) and node.func.id == "getattr" and len(node.args) > 1:
            base, attribute = self.name(node.args[0], depth - 1), _text(node.args[1])
            return f"{base}.{attribute}" if base and attribute else ""
        if self.name(node.func, depth - 1) in _IMPORTERS and node.args:
            return _text(node.args[0])
        return ""

    def attribute(self, node: ast.Attribute) -> None:
        """Also the ways around names: `().__class__.__base__.__subclasses__()` and the like."""
        if node.attr in _REFLECTION:
            self.found.add("dynamic-code", node.lineno, f".{node.attr}")
        elif node.attr == "__dict__" and self._is_watched(self.name(node.value)):
            self.found.add("dynamic-code", node.lineno, f"{self.name(node.value)}.__dict__")
        else:
            self.mention(node)

    @staticmethod
    def _is_watched(name: str) -> bool:
        return name in _WATCHED or bool(_kind(name))

    def mention(self, node: ast.Attribute | ast.Name) -> None:
        """A watched name, called or not."""
        if not (name := self.name(node)):
            return
        if id(node) in self.done or name in MODULES:
            return
        if name == "os.environ":
            self.found.add("environment", node.lineno, "os.environ")
        elif kind := _kind(name):
            self.found.add(kind, node.lineno, name)

    def call(self, node: ast.Call) -> None:
        """A call whose arguments decide."""
        name = self.name(node.func)
        self.done.update(_spine(node.func) if name in _ENVIRON | _IMPORTERS else ())
        if name in _IMPORTERS:
            self._imports(node, name)
        elif isinstance(node.func, ast.Name) and node.func.id == "getattr" and len(node.args) > 1:
            self._getattr(node)
        elif isinstance(node.func, ast.Name) and node.func.id == "vars" and node.args:
            if self._is_watched(base := self.name(node.args[0])):
                self.found.add("dynamic-code", node.lineno, f"vars({base})")
        elif name in _ENVIRON:
            self._variable(node.args[0] if node.args else None, node.lineno)
        elif name == "torch.load" and not _is_constant(node, "weights_only", True):
            self.found.add("pickle", node.lineno, "torch.load without weights_only=True")
        elif name == "numpy.load" and not _is_constant(node, "allow_pickle", False, None):
            self.found.add("pickle", node.lineno, "numpy.load with allow_pickle")
        else:
            self._download(node, name)

    def _imports(self, node: ast.Call, name: str) -> None:
        if module := _text(node.args[0]) if node.args else "":
            self._module(module, node.lineno)
        else:
            self.found.add("dynamic-code", node.lineno, f"{name} of a computed name")

    def _getattr(self, node: ast.Call) -> None:
        base, attribute = self.name(node.args[0]), _text(node.args[1])
        if attribute and (kind := _kind(f"{base}.{attribute}")):
            self.found.add(kind, node.lineno, f"{base}.{attribute}")
        elif not attribute and self._is_watched(base):
            self.found.add("dynamic-code", node.lineno, f"getattr({base}, …)")

    def _variable(self, node: ast.AST | None, line: int) -> None:
        name = _text(node)
        kind = "secrets" if _SECRET.search(name) else "environment"
        self.found.add(kind, line, f"${name or '…'}")

    def _download(self, node: ast.Call, name: str) -> None:
        last = node.func.attr if isinstance(node.func, ast.Attribute) else name.rpartition(".")[2]
        from_hub = name.startswith(HUB_MODULES) or (not name and last != "from_pretrained")
        pinned = any(word.arg in {"revision", None} for word in node.keywords)
        if last in DOWNLOADS and from_hub and not pinned:
            self.found.add("hub-call", node.lineno, f"{last} without revision=")

    def subscript(self, node: ast.Subscript) -> None:
        """`os.environ["NAME"]`; setting one is nobody's secret."""
        if self.name(node.value) == "os.environ":
            self.done.add(id(node.value))
            if isinstance(node.ctx, ast.Load):
                self._variable(node.slice, node.lineno)

    def constant(self, node: ast.Constant) -> None:
        """A text that names a place, or is too long for a person."""
        value = node.value
        if not isinstance(value, str | bytes) or id(node) in self.prose:
            return
        if len(value) > _BLOB and len(value.split(maxsplit=_BLOB // 100)) < _BLOB // 100:
            self.found.add("blob", node.lineno, f"{len(value):,} characters")
        if not isinstance(value, str) or not _PLACE.search(value):
            return
        if _SECRET_PLACE.search(value):
            self.found.add("secrets", node.lineno, repr(value))
        elif _OUTSIDE.match(value):
            self.found.add("files", node.lineno, repr(value))
        elif self.own and self.own in value:
            self.found.add("own-repo", node.lineno, repr(value))


_HANDLERS: Final[dict[type[ast.AST], Callable[[_Reader, Any], None]]] = {
    ast.Import: _Reader.import_,
    ast.ImportFrom: _Reader.import_from,
    ast.Call: _Reader.call,
    ast.Subscript: _Reader.subscript,
    ast.Attribute: _Reader.attribute,
    ast.Name: _Reader.mention,
    ast.Constant: _Reader.constant,
}
"""In this order: a name means something once all imports are known."""

_WATCHED: Final = {name.rpartition(".")[0] for name in NAMES} - {""}


def _by_type(tree: ast.Module) -> dict[type[ast.AST], list[Any]]:
    """The nodes that matter, by their type; quicker than `ast.walk` gives them."""
    found: dict[type[ast.AST], list[Any]] = {kind: [] for kind in (*_HANDLERS, ast.Expr)}
    ahead: list[Any] = [tree]
    while ahead:
        node = ahead.pop()
        if (kind := node.__class__) in found:
            found[kind].append(node)
        for field in node._fields:
            value = getattr(node, field, None)
            if value.__class__ is list:
                ahead += [each for each in value if isinstance(each, ast.AST)]
            elif isinstance(value, ast.AST) and value._fields:
                ahead.append(value)
    return found


def _kind(name: str) -> str:
    """The capability that a dotted name stands for, or nothing."""
    known = NAMES.get(name, "")
    while name and not known:
        known = MODULES.get(name, "")
        name = name.rpartition(".")[0]
    return known


def _inside(module: str) -> Iterator[tuple[str, str]]:
    """The watched names that `from module import *` brings."""
    for name in NAMES:
        before, _, last = name.rpartition(".")
        if before == module:
            yield last, name


def _spine(node: ast.AST) -> Iterator[int]:
    while isinstance(node, ast.Attribute):
        yield id(node)
        node = node.value
    yield id(node)


def _text(node: ast.AST | None) -> str:
    """The text that is written there, or nothing if it is computed."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _is_constant(node: ast.Call, keyword: str, *values: object) -> bool:
    """Whether a keyword has one of these values; `None` among them: or is not given."""
    given = next((word.value for word in node.keywords if word.arg == keyword), None)
    if given is None:
        return None in values and all(word.arg for word in node.keywords)
    return isinstance(given, ast.Constant) and any(given.value is value for value in values)
