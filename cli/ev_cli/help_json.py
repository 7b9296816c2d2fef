"""The command tree as one JSON object: what --help-json writes, for programs that build on ev."""

from __future__ import annotations

import ev
from ev_cli import output
from ev_cli.exits import MEANINGS
from ev_cli.failures import DONE, UsageFailure
from ev_cli.summaries import ALIASES, VERB_ALIASES
from ev_cli.tree import Argument, Noun, Option, Verb, nouns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def show(words: list[str]) -> int:
    """The whole tree, or what the words name of it."""
    output.show_json(described(words))
    return DONE


def described(words: list[str]) -> dict[str, Any]:
    """The root, a noun with its verbs, or one command."""
    tree = nouns()
    if not words:
        return {
            "name": "ev",
            "version": ev.__version__,
            "commands": [_noun(noun) for noun in tree],
            "aliases": {"nouns": ALIASES, "verbs": VERB_ALIASES},
            "exit_codes": {str(code): meaning for code, meaning in MEANINGS.items()},
        }
    name = ALIASES.get(words[0], words[0])
    found = next((noun for noun in tree if noun.name == name), None)
    if found is None:
        raise UsageFailure(f"there is no command {words[0]!r}", "`ev --help` lists them")
    if len(words) == 1 or not found.verbs[0].name:
        return _noun(found)
    wanted = VERB_ALIASES.get(words[1], words[1])
    verb = next((verb for verb in found.verbs if verb.name == wanted), None)
    if verb is None:
        raise UsageFailure(f"there is no command {name} {words[1]!r}", f"`ev {name} --help` lists them")
    return _verb(found, verb)


def _noun(noun: Noun) -> dict[str, Any]:
    if not noun.verbs[0].name:
        return {**_verb(noun, noun.verbs[0]), "summary": noun.summary}
    return {"name": f"ev {noun.name}", "summary": noun.summary, "commands": [_verb(noun, verb) for verb in noun.verbs]}


def _verb(noun: Noun, verb: Verb) -> dict[str, Any]:
    return {
        "name": f"ev {noun.name} {verb.name}".strip(),
        "summary": verb.paragraphs[0],
        "help": "\n\n".join(verb.paragraphs),
        "arguments": [_argument(argument) for argument in verb.arguments],
        "options": [_option(option) for option in verb.options],
        "exit_codes": list(verb.exits),
        "examples": verb.examples,
        "json_keys": verb.json_keys,
    }


def _argument(argument: Argument) -> dict[str, Any]:
    return {
        "name": argument.name,
        "metavar": argument.metavar,
        "help": argument.help,
        "required": argument.required,
        "repeatable": argument.places != 1,
    }


def _option(option: Option) -> dict[str, Any]:
    return {
        "name": option.name,
        "spellings": sorted(option.spellings, key=len),
        "kind": option.kind,
        "metavar": option.metavar,
        "help": option.help,
        "default": option.default,
        "hidden": option.hidden,
        "group": option.panel,
    }
