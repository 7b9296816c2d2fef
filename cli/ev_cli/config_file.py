"""The configuration file as text: single changes keep its comments, its order and its owner's way to write.

    statements   [header]   key = value   (a value may take several lines)   comments and empty lines between them

A change is made in the text and then compared: what the new text says has to be what was wanted, to the last value. Where the text is
written in a way that this does not understand (inline tables, dotted keys), the whole file is written anew and its comments are lost,
which the caller is told.
"""

from __future__ import annotations

import os
import tomllib

from ev_cli.failures import Failure, UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Path = tuple[str, ...]

MODE = 0o600


class Section:
    """The lines of one [header], or of what stands before the first: each statement with the lines that it takes."""

    def __init__(self, path: Path, header: str) -> None:
        self.path = path
        self.header = header
        self.statements: list[tuple[str | None, str]] = []
        """(key or None for comments, empty lines and keys with dots; text)"""

    def text(self) -> str:
        return self.header + "".join([text for _, text in self.statements])

    def set(self, key: str, text: str) -> None:
        for index, (name, _) in enumerate(self.statements):
            if name == key:
                self.statements[index] = (key, text)
                return
        end = len(self.statements)
        while end > 0 and self.statements[end - 1][0] is None:
            end -= 1
        if end > 0 and not self.statements[end - 1][1].endswith("\n"):
            self.statements[end - 1] = (self.statements[end - 1][0], self.statements[end - 1][1] + "\n")
        self.statements.insert(end if end or self.header else 0, (key, text))

    def unset(self, key: str) -> None:
        self.statements = [statement for statement in self.statements if statement[0] != key]

    def take_tail(self) -> str:
        """The comments at the end, taken away: they are about what comes next when an empty line separates them from this."""
        index = len(self.statements)
        while index > 0 and self.statements[index - 1][0] is None and self.statements[index - 1][1].strip():
            index -= 1
        is_apart = 0 < index < len(self.statements) and not self.statements[index - 1][1].strip()
        tail = "".join(text for _, text in self.statements[index:]) if is_apart else ""
        if is_apart:
            del self.statements[index:]
        return tail


def sections_of(text: str) -> list[Section]:
    """The text in its parts, which are the text again when they are put together. The text is valid TOML."""
    sections = [Section((), "")]
    lines = text.splitlines(keepends=True)
    position = 0
    while position < len(lines):
        line = lines[position]
        stripped = line.strip()
        position += 1
        if stripped.startswith("["):
            sections.append(Section(_path_of(stripped), line))
            continue
        statement = line
        if stripped and not stripped.startswith("#"):
            while not _is_whole(statement) and position < len(lines):
                statement += lines[position]
                position += 1
        sections[-1].statements.append((_key_of(statement), statement))
    return sections


def _is_whole(statement: str) -> bool:
    try:
        tomllib.loads(statement)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _key_of(statement: str) -> str | None:
    found = tomllib.loads(statement)
    if len(found) != 1 or (isinstance(next(iter(found.values())), dict) and "{" not in statement.partition("=")[2]):
        return None
    return next(iter(found))


def _path_of(header: str) -> Path:
    """The names in [a."b c".d]; empty for what this does not change, like [[a]]."""
    if header.startswith("[["):
        return ("", header)
    names: list[str] = []
    below: Any = tomllib.loads(header)
    while isinstance(below, dict) and below:
        name, below = next(iter(below.items()))
        names.append(name)
    return tuple(names)


def edited(text: str, wanted: dict[str, Any]) -> tuple[str, bool]:
    """The text with the smallest change after which it says what is wanted, and whether its comments are still there."""
    new = _with_changes(text, wanted)
    try:
        if tomllib.loads(new) == wanted:
            return new, True
    except tomllib.TOMLDecodeError:
        pass
    return _written(wanted), "#" not in text


def renamed(text: str, old: Path, new: Path) -> str:
    """The text with the headers of a table, and of the tables in it, under another name."""
    sections = sections_of(text)
    for section in sections:
        if section.path[: len(old)] == old:
            path = (*new, *section.path[len(old) :])
            section.header = f"[{'.'.join(map(_name, path))}]{section.header.rpartition(']')[2]}"
    return "".join(section.text() for section in sections)


def _written(table: dict[str, Any]) -> str:
    import tomli_w

    return tomli_w.dumps(table)


def _statement(key: str, value: Any) -> str:
    """`key = value`, lists in one line."""
    if not isinstance(value, list):
        return _written({key: value})
    items = [_written({"x": item}).partition(" = ")[2].rstrip("\n") for item in value]
    return f"{_name(key)} = [{', '.join(items)}]\n"


def _with_changes(text: str, wanted: dict[str, Any]) -> str:
    sections = sections_of(text)
    if text and not text.endswith("\n"):
        last = sections[-1]
        if last.statements:
            last.statements[-1] = (last.statements[-1][0], last.statements[-1][1] + "\n")
        else:
            last.header += "\n"
    old = tomllib.loads(text)
    kept: list[Section] = []
    for section in sections:
        new = _at(wanted, section.path)
        if not isinstance(new, dict) and section.path:
            tail = section.take_tail()
            if tail and kept:
                kept[-1].statements.append((None, tail))
            continue
        kept.append(section)
        if isinstance(new, dict):
            _change(section, _at(old, section.path), new)
    there = {section.path for section in kept}
    for path, table in _tables(wanted, ()):
        if path not in there and _needs_header(path, table, _at(old, path)):
            _insert(kept, path, table)
    return "".join(section.text() for section in kept)


def _change(section: Section, old: Any, new: dict[str, Any]) -> None:
    before = old if isinstance(old, dict) else {}
    for key, value in before.items():
        if key not in new and not isinstance(value, dict):
            section.unset(key)
    for key, value in new.items():
        if not isinstance(value, dict) and before.get(key) != value:
            section.set(key, _statement(key, value))


def _needs_header(path: Path, table: dict[str, Any], old: Any) -> bool:
    """Whether a table that has no header gets one: it holds values of its own, or nothing at all."""
    return old != table and (not table or any(not isinstance(value, dict) for value in table.values()))


def _insert(sections: list[Section], path: Path, table: dict[str, Any]) -> None:
    """A new [header] behind the last one that is about the same thing, else at the end."""
    section = Section(path, f"[{'.'.join(map(_name, path))}]\n")
    for key, value in table.items():
        if not isinstance(value, dict):
            section.statements.append((key, _statement(key, value)))
    place = len(sections)
    for index, other in enumerate(sections):
        if other.path[:2] == path[:2] and len(path) > 2:
            place = index + 1
    before = sections[place - 1]
    tail = before.take_tail() if place < len(sections) else ""
    if before.text().strip() and not before.text().endswith("\n\n"):
        before.statements.append((None, "\n"))
    if tail:
        section.statements.append((None, f"\n{tail}"))
    sections.insert(place, section)


def _name(name: str) -> str:
    plain = name.replace("-", "").replace("_", "")
    if plain.isascii() and plain.isalnum():
        return name
    return _written({name: 1}).partition(" = ")[0]


def _tables(table: dict[str, Any], above: Path) -> list[tuple[Path, dict[str, Any]]]:
    found = []
    for name, value in table.items():
        if isinstance(value, dict):
            found.append(((*above, name), value))
            found += _tables(value, (*above, name))
    return found


def _at(table: dict[str, Any], path: Path) -> Any:
    found: Any = table
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


# -- the file ------------------------------------------------------------------------------------------------------------------------


def read_text(path: str) -> str:
    """The file's text; empty when there is none."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            text = file.read()
        tomllib.loads(text)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise UsageFailure(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageFailure(f"{path} is no TOML: {error}", "mend it with an editor") from None
    return text.replace("\r\n", "\n")


def write_text(path: str, text: str) -> None:
    """Put the text in the place of the file, all of it or nothing, readable for its owner alone. Links are followed."""
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    temporary = f"{target}.{os.getpid()}.new"
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        opened = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
        try:
            with open(opened, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, MODE)
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}", "EV_CONFIG or -F names another file") from None
