"""Bring the end of tests/cli/contract.toml up to date: `python -m generate.contract`.

What was missing and is there now leaves `missing`; nothing is ever added to that. What is there and was not promised goes to `beyond`,
for whoever reads the change to judge. `keys`, on which programs build, is only added to.
"""

from __future__ import annotations

import tomllib
from typing import Any

from ev_cli.help_json import described
from generate.tree import ROOT

CONTRACT = ROOT / "tests" / "cli" / "contract.toml"
BORDER = "# == written by `python -m generate.contract` =="
Flags = dict[str, list[str]]


def contract() -> dict[str, Any]:
    return tomllib.loads(CONTRACT.read_text())


def promised(agreed: dict[str, Any]) -> Flags:
    """The flags of every command that is promised."""
    found: Flags = {}
    for name, command in agreed["commands"].items():
        flags = (command.get("flags", "") + " " + agreed["always"]).split()
        if not command.get("local") and not command.get("offline"):
            flags += agreed["engine"].split()
        for kind in ("table", "write"):
            if command.get(kind):
                flags += agreed[kind].split()
        found[name] = list(dict.fromkeys(flags))
    return found


def built() -> dict[str, list[list[str]]]:
    """The spellings of every option of every command that there is; hidden ones are nobody's business."""
    return {name: [option["spellings"] for option in command["options"] if not option["hidden"]] for name, command in leaves().items()}


def leaves() -> dict[str, dict[str, Any]]:
    """What --help-json says about every command, by its name without `ev`."""
    found = {}
    for command in described([])["commands"]:
        for leaf in command.get("commands", [command]):
            found[leaf["name"].removeprefix("ev ")] = leaf
    return found


def lacking(agreed: dict[str, Any], there: dict[str, list[list[str]]]) -> tuple[list[str], Flags]:
    """The promised commands that are not there, and the promised flags of commands that are."""
    wanted = promised(agreed)
    commands = [name for name in wanted if name not in there]
    flags = {name: [flag for flag in wanted[name] if not any(flag in one for one in there[name])] for name in wanted if name in there}
    return commands, {name: missing for name, missing in flags.items() if missing}


def unasked(agreed: dict[str, Any], there: dict[str, list[list[str]]]) -> tuple[list[str], Flags]:
    """The commands and flags that are there without having been promised."""
    wanted = promised(agreed)
    commands = [name for name in there if name not in wanted]
    may_be = agreed["may_be"].split()
    flags = {name: [one[-1] for one in there[name] if not set(one) & {*wanted[name], *may_be}] for name in there if name in wanted}
    return commands, {name: more for name, more in flags.items() if more}


def ending(agreed: dict[str, Any], there: dict[str, list[list[str]]], *, first: bool = False) -> str:
    """The generated end of the file. `first`: everything that lacks is listed, whether it was before or not."""
    before = agreed["missing"]
    commands, flags = lacking(agreed, there)
    if not first:
        commands = [name for name in commands if name in before["commands"]]
        flags = {name: [flag for flag in missing if _was_missing(before, name, flag)] for name, missing in flags.items()}
    text = _section("missing", commands, flags)
    return text + "\n" + _section("beyond", *unasked(agreed, there)) + "\n[keys]\n" + _keys(agreed["keys"])


def _keys(before: dict[str, str]) -> str:
    """The keys of the objects that each command writes as JSON: those that were promised, and then those that are new."""
    now = {name: leaf["json_keys"] for name, leaf in leaves().items()}
    names = dict.fromkeys([*before, *[name for name in now if now[name]]])
    merged = {name: dict.fromkeys([*before.get(name, "").split(), *now.get(name, [])]) for name in names}
    return "".join(f'"{name}" = "{" ".join(keys)}"\n' for name, keys in merged.items())


def _was_missing(before: dict[str, Any], name: str, flag: str) -> bool:
    """A flag was missing when it was listed, or when its whole command was."""
    return name in before["commands"] or flag in before["flags"].get(name, "").split()


def _section(title: str, commands: list[str], flags: Flags) -> str:
    text = f"[{title}]\ncommands = [" + "".join(f'\n    "{name}",' for name in commands) + ("\n" if commands else "") + "]\n"
    text += f"\n[{title}.flags]\n"
    return text + "".join(f'"{name}" = "{" ".join(listed)}"\n' for name, listed in flags.items() if listed)


def updated(text: str, *, first: bool = False) -> str:
    """The whole file with a new end."""
    head, border, rest = text.partition(BORDER)
    return head + border + rest.partition("\n")[0] + "\n\n" + ending(tomllib.loads(text), built(), first=first)


if __name__ == "__main__":
    CONTRACT.write_text(updated(CONTRACT.read_text()))
