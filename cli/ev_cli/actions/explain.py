"""ev explain: what error codes, settings and exit statuses mean, and what to do about them."""

from __future__ import annotations

from ev_cli import output
from ev_cli.failures import DONE, NOT_FOUND, Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ev.setting_types import Setting
    from ev.settings import ResourceSetting

    Facts = dict[str, Any]

# The settings of a group, and the engine's that each has its default from. A test holds this equal to the engine's own list.
GROUP_SETTINGS = {
    "consumer.assignment.interval.ms": "group.consumer.assignment.interval.ms",
    "consumer.heartbeat.interval.ms": "group.consumer.heartbeat.interval.ms",
    "consumer.session.timeout.ms": "group.consumer.session.timeout.ms",
}
WIDTH = 100


def explain(options: Any) -> int:
    everything = [*error_facts(), *setting_facts(), *exit_facts()]
    found = [facts for word in options.words for facts in meant(word, everything)] if options.words else everything
    if options.words and options.output is None and not options.json:
        output.write_text("\n".join(_text(facts) for facts in found))
        return DONE
    table = output.Table(("name", "kind", "code", "meaning"), ("remedy", "default"))
    for facts in found:
        table.add(**facts)
    output.show(table, options)
    return DONE


def meant(word: str, everything: list[Facts]) -> list[Facts]:
    """What a person means: a name in any spelling, a number (an error and an exit status, perhaps), exit:N."""
    spelled = word.strip().lower()
    bare = spelled.removeprefix("error").removeprefix("exit").lstrip(":_ ")
    if bare.removeprefix("-").isdecimal():
        kinds = ("exit status",) if spelled.startswith("exit") else ("error",) if spelled.startswith("error") else ("error", "exit status")
        found = [facts for facts in everything if facts["kind"] in kinds and facts["code"] == int(bare)]
    else:
        found = [facts for facts in everything if _same(facts["name"], spelled)]
    if found:
        return found
    from ev_cli.naming import nearest

    names = {str(facts["name"]).lower(): str(facts["name"]) for facts in everything}
    near = nearest(spelled, names)
    hint = f"did you mean {names[near]}?" if near else "`ev explain` alone lists what can be explained"
    raise Failure(f"{word!r} is no error, setting or exit status", hint, code=NOT_FOUND)


def _same(name: str, spelled: str) -> bool:
    """NotEnoughReplicas and NOT_ENOUGH_REPLICAS, EV_LOG_ROLL_MS and log.roll.ms are the same."""
    plain = name.lower().replace("_", "").replace(".", "")
    return spelled == name.lower() or plain in {
        form.replace("_", "").replace(".", "").replace("-", "")
        for form in (spelled, spelled.removeprefix("ev_"), spelled.removesuffix("exception"))
    }


def error_facts() -> list[Facts]:
    from ev.errors import MESSAGES, error_name, error_retriable
    from ev_cli.failures import exit_code_of
    from ev_cli.remedies import REMEDIES

    return [
        {
            "name": error_name(code),
            "kind": "error",
            "code": code,
            "meaning": _sentence(meaning),
            "remedy": REMEDIES[code],
            "retriable": error_retriable(code),
            "exit_status": exit_code_of(code) if code else 0,
        }
        for code, meaning in MESSAGES.items()
    ]


def setting_facts() -> list[Facts]:
    from ev.coarser_settings import COARSER
    from ev.settings import TOPIC_SETTINGS, rows

    by_name = {row.name: row for row in rows()}
    found = [
        _setting(row.name, "engine setting", row, f"ev server start --set {row.name}=VALUE, or in [server.settings]")
        for row in (*by_name.values(), *COARSER.values())
    ]
    found += [_topic_setting(name, setting) for name, setting in TOPIC_SETTINGS.items()]
    for name, above in GROUP_SETTINGS.items():
        facts = _setting(name, "group setting", by_name[above], f"ev config set group/NAME -c {name}=VALUE")
        found.append({**facts, "default_from": above})
    return found


def _topic_setting(name: str, setting: ResourceSetting) -> Facts:
    facts = _setting(name, "topic setting", setting.row, f"ev topic create T -c {name}=VALUE; ev topic alter T -c {name}=VALUE")
    return {**facts, "default_from": None if setting.broker is None else setting.broker.name}


def _setting(name: str, kind: str, row: Setting[Any], how: str) -> Facts:
    return {
        "name": name,
        "kind": kind,
        "code": None,
        "meaning": row.doc,
        "remedy": how,
        "default": row.render(row.default),
        "default_from": None,
        "values": row.bounds(),
        "unit": row.unit or None,
    }


def exit_facts() -> list[Facts]:
    from ev_cli.exits import MEANINGS
    from ev_cli.remedies import EXIT_REMEDIES

    return [
        {"name": f"exit:{status}", "kind": "exit status", "code": status, "meaning": meaning, "remedy": EXIT_REMEDIES[status]}
        for status, meaning in MEANINGS.items()
    ]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _text(facts: Facts) -> str:
    """One thing for a person to read."""
    match facts["kind"]:
        case "error":
            again = "trying again may help" if facts["retriable"] else "trying again does not help"
            title = f"{facts['name']} (error {facts['code']}; {again}; ev ends with {facts['exit_status']})"
        case "exit status":
            title = f"Exit status {facts['code']}"
        case kind:
            above = f", from {facts['default_from']}" if facts.get("default_from") else ""
            title = f"{facts['name']} ({kind}; {facts['values']}; default {facts['default'] or 'empty'}{above})"
    what = "How" if facts["kind"].endswith("setting") else "Do"
    return f"{title}\n{_wrapped(facts['meaning'], '  ')}{_wrapped(facts['remedy'], f'  {what}: ')}"


def _wrapped(text: str, first: str) -> str:
    import textwrap

    return textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False) + "\n"
