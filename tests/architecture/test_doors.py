"""The core touches files, time and chance only through its doors: shown over the syntax trees, not by trust."""

from __future__ import annotations

import ast
import pathlib
from collections.abc import Iterator

import pytest

ENGINE = pathlib.Path(__file__).resolve().parents[2] / "engine" / "ev"
INDOORS = ("wire", "log", "coordinators", "security", "broker")
FORBIDDEN_MODULES = frozenset(
    {
        "pathlib",
        "mmap",
        "time",
        "random",
        "secrets",
        "uuid",
        "io",
        "shutil",
        "tempfile",
        "fcntl",
        "glob",
        "fileinput",
        "linecache",
        "dbm",
        "shelve",
        "sqlite3",
        "datetime",
        "subprocess",
        "ctypes",
    }
)
PATH_ARITHMETIC = frozenset({"join", "basename", "dirname", "split", "splitext", "commonpath", "isabs", "normpath", "sep"})
HARMLESS_OS = frozenset({"path", "fspath", "fsencode", "fsdecode", "sep", "linesep", "strerror", "PathLike"})


def trespasses(source: str) -> list[str]:
    """What in this module goes past the doors, as `line N: what`."""
    return [f"line {line}: {what}" for line, what in walk(ast.parse(source))]


def walk(tree: ast.AST) -> Iterator[tuple[int, str]]:
    types_only = {id(inner) for node in ast.walk(tree) if is_type_checking(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in types_only:
            continue
        match node:
            case ast.Import(names=names):
                for alias in names:
                    if alias.name.partition(".")[0] in FORBIDDEN_MODULES:
                        yield node.lineno, f"import {alias.name}"
                    if (alias.name == "os" and alias.asname) or alias.name.startswith("os."):
                        yield node.lineno, f"import {alias.name} under another name"
            case ast.ImportFrom(module=str(module), names=names):
                if module.partition(".")[0] in FORBIDDEN_MODULES:
                    yield node.lineno, f"from {module} import"
                for alias in names:
                    if (module == "os" and alias.name not in HARMLESS_OS) or (module == "os.path" and alias.name not in PATH_ARITHMETIC):
                        yield node.lineno, f"from {module} import {alias.name}"
                    if module == "codecs" and alias.name == "open":
                        yield node.lineno, "from codecs import open"
            case ast.Name(id="open" | "__import__", ctx=ast.Load()):
                yield node.lineno, node.id
            case ast.Attribute(value=ast.Name(id="os"), attr=attribute) if attribute not in HARMLESS_OS:
                yield node.lineno, f"os.{attribute}"
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="os"), attr="path"), attr=name) if name not in PATH_ARITHMETIC:
                yield node.lineno, f"os.path.{name}"
            case ast.Attribute(value=ast.Name(id="codecs"), attr="open"):
                yield node.lineno, "codecs.open"


def is_type_checking(node: ast.AST) -> bool:
    """Whether the node is `if TYPE_CHECKING:`, whose imports never run (its `else` is not looked at, and none of ours has one)."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" and not node.orelse


def modules() -> list[pathlib.Path]:
    return sorted(path for layer in INDOORS for path in (ENGINE / layer).rglob("*.py"))


def test_the_core_uses_no_file_clock_or_chance_past_its_doors() -> None:
    """wire, log, coordinators, security and broker use no open, os file call, pathlib, mmap, time, random, uuid4 or secrets."""
    found = [f"{path.relative_to(ENGINE)} {what}" for path in modules() for what in trespasses(path.read_text())]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "handle = open('x')",
        "opener = open",
        "import os\nos.open('x', 0)",
        "import os\nos.unlink('x')",
        "import os\nos.urandom(3)",
        "import os as o",
        "import os.path as p",
        "from os import fsync",
        "from os.path import getsize",
        "import os\nos.path.exists('x')",
        "import pathlib",
        "from pathlib import Path",
        "import mmap",
        "import time",
        "from time import monotonic",
        "import random",
        "from uuid import uuid4",
        "import uuid\nuuid.uuid4()",
        "import secrets",
        "import io\nio.open('x')",
        "import codecs\ncodecs.open('x')",
        "__import__('time').time()",
        "def late():\n    import time",
    ],
)
def test_the_search_finds_what_it_is_for(source: str) -> None:
    """Each way around a door that a hurried author might take is seen."""
    assert trespasses(source)


@pytest.mark.parametrize(
    "source",
    [
        "def f(disk):\n    return disk.open('x')",
        "class Store:\n    def open(self): ...",
        "import os\nname = os.path.join('a', 'b')",
        "from os.path import join, basename",
        "def f(clock):\n    return clock.wall_ms()",
        "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from pathlib import Path",
    ],
)
def test_the_search_lets_the_doors_be_used(source: str) -> None:
    """Calls on the disk and clock that were passed in, path arithmetic and imports for types alone are ordinary."""
    assert trespasses(source) == []
