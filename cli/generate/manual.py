"""Write the manual pages of the commands, man/ev.1 and man/ev-NOUN.1, from the command tree: `python -m generate.manual`.

The pages of section 5 and 7 (ev-log, ev-config, ev-formats, ev-pipelines) are written by hand.
"""

from __future__ import annotations

from ev import __version__
from ev_cli.exits import ALWAYS, MEANINGS, WITH_ENGINE
from generate.tree import ROOT, Noun, Option, Verb, is_example, nouns

MANUAL = ROOT / "man"
VERBS_OF_RECORDS = ("produce", "consume", "tail", "get", "trace", "redrive")
"""Commands of one word that have a page of their own."""

ENVIRONMENT = (
    ("EV_BOOTSTRAP", "Addresses of the cluster to speak to, as -b."),
    ("EV_CONTEXT", "The context to speak to, as -C."),
    ("EV_DATA_DIR", "The local engine's data directory. With EV_LISTEN and EV_CONFIG it isolates an engine completely."),
    ("EV_LISTEN", "Where the local engine shall listen, [NAME://]HOST:PORT; port 0 is any."),
    ("EV_INSECURE", "1 lets the local engine listen where others reach it, as --insecure."),
    ("EV_CONFIG", "The configuration file."),
    ("EV_AUTOSTART", "0 forbids to start the local engine on first use."),
    (
        "EV_TIMEOUT, EV_OUTPUT, ...",
        "Any option by its long name, in capitals with underscores, where it is not given: a text, a number, or 1 and 0 for what has no "
        "value. It comes before what the project and the context say. Not so --yes, --json and what chooses the engine, nor the names "
        "that a handler is told its record with, see ev-pipelines(7).",
    ),
    ("EV_LOG_SEGMENT_BYTES, ...", "Any setting of the engine, in capitals with underscores, when it is started."),
    ("NO_COLOR", "No colour, wherever stdout goes."),
    ("FORCE_COLOR, CLICOLOR_FORCE", "Colour, even where stdout is no terminal."),
)


def pages() -> dict[str, str]:
    """The text of every page by its file name."""
    tree = nouns()
    found = {"ev.1": _overview(tree)}
    for noun in tree:
        found[f"ev-{noun.name}.1"] = _page(noun)
    return found


def _title(name: str) -> str:
    return f'.TH {name.upper()} 1 "" "ev {__version__}" "ev manual"\n'


def _overview(tree: list[Noun]) -> str:
    text = _title("ev") + ".SH NAME\nev \\- event streaming for your shell\n"
    text += (
        ".SH SYNOPSIS\n.B ev\n.RI [ OPTIONS ]\n.I VERB\n.RI [ ARGUMENTS ]\n.br\n.B ev\n.RI [ OPTIONS ]\n.I NOUN VERB\n.RI [ ARGUMENTS ]\n"
    )
    text += ".SH DESCRIPTION\nApache Kafka's job, local by default. The local engine starts by itself when a command needs it;\n"
    text += ".B \\-b\n.I HOST:PORT\nspeaks to a cluster instead. Options that every command takes may stand before or after the verb.\n"
    text += "stdout is data, stderr is talk.\n.SH COMMANDS\n"
    for noun in tree:
        for verb in noun.verbs:
            text += f".TP\n.B ev {' '.join([noun.name, verb.name]).strip()}\n{_roff(_first_line(verb.help))}\n"
    text += ".SH ENVIRONMENT\n" + "".join(f".TP\n.B {_roff(name)}\n{_roff(what)}\n" for name, what in ENVIRONMENT)
    text += ".SH EXIT STATUS\n" + "".join(f".TP\n.B {status}\n{_roff(what)}\n" for status, what in MEANINGS.items())
    pages = [f"ev-{noun.name}" for noun in tree]
    others = [".BR ev-formats (7)", ".BR ev-pipelines (7)", ".BR ev-config (5)", ".BR ev-log (5)"]
    return text + ".SH SEE ALSO\n" + ",\n".join([*[f".BR {name} (1)" for name in pages], *others]) + "\n"


def _page(noun: Noun) -> str:
    text = _title(f"ev-{noun.name}") + f".SH NAME\nev\\-{noun.name} \\- {_roff(noun.summary[0].lower() + noun.summary[1:].rstrip('.'))}\n"
    text += ".SH SYNOPSIS\n" + ".br\n".join(_synopsis(noun, verb) for verb in noun.verbs)
    if not noun.verbs[0].name:
        text += f".SH DESCRIPTION\n{_paragraphs(noun.verbs[0].help)}" + _options(noun.verbs[0], ".SH")
    else:
        text += ".SH COMMANDS\n"
        for verb in noun.verbs:
            text += f".SS ev {noun.name} {verb.name}\n{_paragraphs(verb.help)}" + _options(verb, ".PP\n")
    return text + _exits(noun) + ".SH SEE ALSO\n.BR ev (1),\n.BR ev-formats (7),\n.BR ev-pipelines (7)\n"


def _exits(noun: Noun) -> str:
    """Those that any of its verbs may end with beside the usual ones."""
    special = sorted({code for verb in noun.verbs for code in verb.exits} - {*ALWAYS, *WITH_ENGINE})
    text = ".SH EXIT STATUS\nSee\n.BR ev (1)" + ".\n"
    for code in special:
        who = [verb.name for verb in noun.verbs if code in verb.exits]
        of = f" ({', '.join(who)})" if noun.verbs[0].name else ""
        text += f".TP\n.B {code}\n{_roff(MEANINGS[code] + of)}\n"
    return text


def _synopsis(noun: Noun, verb: Verb) -> str:
    words = []
    for argument in verb.arguments:
        name = f"\\fI{_roff(argument.metavar)}\\fR"
        words.append(name if argument.required else f"[{name}]")
    return f".B ev {' '.join([noun.name, verb.name]).strip()}\n[\\fIOPTIONS\\fR] {' '.join(words)}\n"


def _options(verb: Verb, heading: str) -> str:
    """The arguments and options, in the groups of the help."""
    groups: dict[str, list[Option]] = {}
    for option in verb.options:
        if not option.hidden:
            groups.setdefault(option.panel, []).append(option)
    text = ""
    for panel, options in groups.items():
        title = panel or "Options"
        text += f'.SH "{title.upper()}"\n' if heading == ".SH" else f".PP\n\\fI{_roff(title)}\\fR\n"
        for option in options:
            spellings = ", ".join(f"\\fB{_roff(spelling)}\\fR" for spelling in sorted(option.spellings, key=len))
            value = f" \\fI{_roff(option.metavar)}\\fR" if option.metavar else ""
            text += f".TP\n{spellings}{value}\n{_roff(option.help)}\n"
    return text


def _paragraphs(text: str) -> str:
    """The paragraphs of a docstring; one that is a command is set as such."""
    found = []
    for paragraph in text.split("\n\n"):
        words = " ".join(paragraph.split())
        found.append(f".PP\n.RS 4\n\\fB{_roff(words)}\\fR\n.RE\n" if is_example(words) else f".PP\n{_roff(words)}\n")
    return "".join(found)


def _first_line(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split())


def _roff(text: str) -> str:
    """Text that means itself: backslashes, hyphens, and dots at the start of a line."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("\u2026", "...").replace("'", "\\(aq")
    return f"\\&{escaped}" if escaped.startswith((".", "\\(aq")) else escaped


if __name__ == "__main__":
    written = pages()
    for stale in MANUAL.glob("*.1"):
        if stale.name not in written:
            stale.unlink()
    for file_name, page in written.items():
        (MANUAL / file_name).write_text(page)
