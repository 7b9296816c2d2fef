"""What TAB offers at each place of a command line, as data for the scripts of the four shells.

What a value is shows in its metavar: TOPIC, GROUP, CONTEXT, FILE and DIR are names and paths, `a|b|c` in lower case a fixed choice.
"""

from __future__ import annotations

import dataclasses

from ev_cli.output import FORMATS
from ev_cli.summaries import ALIASES, VERB_ALIASES
from generate.tree import Argument, Noun, Option, Verb

TOPICS, GROUPS, CONTEXTS, FILES, ANYTHING = "topics", "groups", "contexts", "files", "anything"
_OF_METAVAR = {
    "TOPIC": TOPICS,
    "GROUP": GROUPS,
    "CONTEXT": CONTEXTS,
    "FILE": FILES,
    "DIR": FILES,
    "SOURCE": FILES,
    "TARGET": FILES,
    "FORM": ",".join(FORMATS),
    "SHELL": "bash,zsh,fish,powershell,install",
}
_OF_OPTION = {"context": CONTEXTS, "compression": "none,gzip,snappy,lz4,zstd", "acks": "all,1,0"}
_OF_NOUN = {"topic": TOPICS, "group": GROUPS, "context": CONTEXTS}


@dataclasses.dataclass(frozen=True, slots=True)
class Offer:
    """One spelled option with what follows it: "" for a flag, a kind of name, ANYTHING, or choices with commas between them."""

    spellings: tuple[str, ...]
    kind: str
    help: str
    metavar: str
    repeatable: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """One argument with what may stand there."""

    kind: str
    metavar: str
    repeatable: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Command:
    """One leaf with all the spellings of its words."""

    noun: str
    nouns: tuple[str, ...]
    verbs: tuple[str, ...]
    help: str
    options: tuple[Offer, ...]
    places: tuple[Place, ...]


HELP = Offer(("-h", "--help"), "", "Show what can be typed here.", "", False)


def commands(tree: list[Noun]) -> list[Command]:
    return [_command(noun, verb) for noun in tree for verb in noun.verbs]


def _command(noun: Noun, verb: Verb) -> Command:
    nouns = (noun.name, *[alias for alias, name in ALIASES.items() if name == noun.name])
    verbs = (verb.name, *[alias for alias, name in VERB_ALIASES.items() if name == verb.name]) if verb.name else ()
    options = tuple(_offer(option) for option in verb.options if not option.hidden)
    places = tuple(_place(argument, noun.name) for argument in verb.arguments)
    return Command(noun.name, nouns, verbs, verb.paragraphs[0], (*options, HELP), places)


def _offer(option: Option) -> Offer:
    spellings = tuple(sorted(option.spellings, key=len))
    kind = "" if option.kind in ("flag", "count") else _OF_OPTION.get(option.name) or _kind(option.metavar)
    return Offer(spellings, kind, option.help, option.metavar, option.kind in ("list", "count"))


def _place(argument: Argument, noun: str) -> Place:
    bare = argument.metavar.strip("[]\u2026")
    kind = _OF_NOUN.get(noun, ANYTHING) if bare in ("GLOB", "NAME") else _kind(argument.metavar)
    return Place(kind, argument.metavar, argument.places != 1)


def _kind(metavar: str) -> str:
    """What a value is."""
    choices = metavar.split("|")
    if len(choices) > 1 and all(choice and choice == choice.lower() and choice.isascii() for choice in choices):
        return ",".join(choices)
    bare = metavar.strip("[]\u2026").rpartition("/]")[2].split("[")[0].split(":")[0].split("|")[0].split("=")[0].split(" ")[0]
    return _OF_METAVAR.get(bare.strip("\u2026"), ANYTHING)


def choices_of(kind: str) -> list[str]:
    """The words of a fixed choice; none for a kind of name."""
    return [] if kind in ("", TOPICS, GROUPS, CONTEXTS, FILES, ANYTHING) else kind.split(",")
