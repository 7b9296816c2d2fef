"""The dialogs that create, alter and delete topics, and change one of their settings."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ev_cli.protection import DESTROYS, WRITES
from ev_cli.units import duration_text, size_text
from ev_tui import amounts, changes
from ev_tui.widgets.dialog import Confirm, Field, Form

if TYPE_CHECKING:
    from ev.client.results import ConfigEntry
    from ev_tui.app import EvApp

Then = Callable[[], None]
Values = Mapping[str, str]


# -- create ----------------------------------------------------------------------------------------------------------------------


def create_topic(app: EvApp) -> None:
    if not app.may(WRITES):
        return

    def change(values: Values) -> changes.Change:
        return changes.create_topic(
            values["name"], number(values["partitions"]), number(values["replication"]), dict(settings(values["configs"]))
        )

    form = Form(
        "create a topic",
        (
            Field("name", "name", check=lambda text: None if text else "a topic has a name"),
            Field("partitions", "partitions", hint="the engine's default", check=wrong_number),
            Field("replication", "replication factor", hint="the engine's default", check=wrong_number),
            Field("configs", "settings", hint="retention.ms=86400000 cleanup.policy=compact", check=wrong_settings),
        ),
        lambda values: change(values).words,
    )
    app.push_screen(form, lambda values: None if values is None else make(app, change(values)))


def make(app: EvApp, change: changes.Change, then: Then | None = None) -> None:
    app.change(change.words, change.effect, change.do, then)


# -- alter -----------------------------------------------------------------------------------------------------------------------


def alter_topics(app: EvApp, names: Sequence[str], then: Then | None = None) -> None:
    """Partitions and settings of one topic, or of several at once."""
    if not names or not app.may(WRITES):
        return
    rows = [] if app.snapshot is None else [app.snapshot.topics[name] for name in names if name in app.snapshot.topics]
    now = sorted({row.partitions for row in rows})

    def change(values: Values) -> changes.Change:
        return changes.alter_topics(names, number(values["partitions"]), dict(settings(values["set"])), listed(values["unset"]))

    def preview(values: Values) -> str:
        wanted = number(values["partitions"])
        lines = []
        if wanted is not None:
            lines.append(f"partitions: {', '.join(map(str, now)) or '?'} → {wanted}, which cannot be taken back; keys may go elsewhere")
        lines += [f"{key} → {value}{meaning_of(key, value)}" for key, value in settings(values["set"])]
        lines += [f"{key} → the default" for key in listed(values["unset"])]
        return "\n".join(lines) or "nothing changes yet"

    form = Form(
        f"alter {changes.counted(names, 'topic')}",
        (
            Field("partitions", "partitions in all", hint=f"{', '.join(map(str, now))} now", check=wrong_number),
            Field("set", "settings", hint="retention.ms=86400000 cleanup.policy=compact", check=wrong_settings),
            Field("unset", "back to the default", hint="retention.ms", check=wrong_words),
        ),
        lambda values: change(values).words,
        text="" if len(names) == 1 else " ".join(names),
        preview=preview,
    )

    def done(values: dict[str, str] | None) -> None:
        if values is not None and any(text.strip() for text in values.values()):
            make(app, change(values), then)

    app.push_screen(form, done)


# -- delete ----------------------------------------------------------------------------------------------------------------------


def delete_topics(app: EvApp, names: Sequence[str], then: Then | None = None) -> None:
    if not names or not app.may(DESTROYS):
        return
    change = changes.delete_topics(names)
    rows = {} if app.snapshot is None else app.snapshot.topics
    lines = []
    for name in names:
        row = rows.get(name)
        if row is not None:
            readers = f", read by {', '.join(row.groups)}" if row.groups else ""
            lines.append(
                f"{name}: {row.partitions} partitions, {amounts.full(row.records)} records, {amounts.size(row.size_bytes)}{readers}"
            )
        else:
            lines.append(name)
    text = "\n".join([*lines, "", "All their records are lost. Nothing brings them back."])
    wanted = names[0] if len(names) == 1 else f"delete {len(names)}"
    confirm = Confirm(f"delete {changes.counted(names, 'topic')}", text, wanted, change.words)
    app.push_screen(confirm, lambda is_meant: make(app, change, then) if is_meant else None)


# -- one setting -----------------------------------------------------------------------------------------------------------------


def edit_setting(app: EvApp, topic: str, entry: ConfigEntry, then: Then) -> None:
    if not app.may(WRITES):
        return
    if entry.read_only:
        app.tell(f"{entry.name} cannot be changed while it runs", "warning")
        return
    old = "" if entry.sensitive or entry.value is None else entry.value

    def preview(values: Values) -> str:
        new = values["value"]
        before = "(not shown)" if entry.sensitive else f"{old}{meaning_of(entry.name, old)}"
        return f"now    {before}  ({entry.source})\nthen   {new}{meaning_of(entry.name, new)}"

    about = " ".join((entry.documentation or "").split())
    form = Form(
        f"{entry.name} of {topic}",
        (Field("value", entry.type if entry.type != "unknown" else "value", old),),
        lambda values: changes.set_config(topic, entry.name, values["value"]).words,
        text=about,
        preview=preview,
    )

    def done(values: dict[str, str] | None) -> None:
        if values is None:
            return
        if values["value"] == old and entry.source == "topic":
            app.tell("nothing has changed")
            return
        make(app, changes.set_config(topic, entry.name, values["value"]), then)

    app.push_screen(form, done)


def forget_setting(app: EvApp, topic: str, entry: ConfigEntry, then: Then) -> None:
    """Back to the default. What was set can be had again by `ev undo`."""
    if entry.source != "topic":
        app.tell(f"{entry.name} is not set for this topic: it has the default", "warning")
        return
    if not app.may(DESTROYS):
        return
    change = changes.unset_config(topic, entry.name)
    default = next((value for _, value, source in entry.synonyms if source != "topic"), None)
    text = f"now    {entry.value}{meaning_of(entry.name, entry.value or '')}\nthen   {'the default' if default is None else default}"
    confirm = Confirm(f"{entry.name} of {topic} back to the default", text, entry.name, change.words)
    app.push_screen(confirm, lambda is_meant: make(app, change, then) if is_meant else None)


# -- what is typed ---------------------------------------------------------------------------------------------------------------


def number(text: str) -> int | None:
    stripped = text.strip()
    return int(stripped) if stripped.isascii() and stripped.isdigit() else None


def wrong_number(text: str) -> str | None:
    return None if not text.strip() or number(text) else "a number from 1, or nothing"


def listed(text: str) -> list[str]:
    """Words as a shell has them: with quotes, where a value has spaces. While a quote is open, what there is."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def wrong_words(text: str) -> str | None:
    try:
        shlex.split(text)
    except ValueError as error:
        return str(error)
    return None


def settings(text: str) -> list[tuple[str, str]]:
    """KEY=VALUE, several; those that are not whole yet are left out."""
    found = [word.partition("=") for word in listed(text)]
    return [(key, value) for key, equals, value in found if key and equals]


def wrong_settings(text: str) -> str | None:
    wrong = wrong_words(text)
    if wrong is not None:
        return wrong
    for word in listed(text):
        key, equals, _ = word.partition("=")
        if not key or not equals:
            return f"{word!r} sets nothing: write KEY=VALUE"
    return None


def meaning_of(key: str, value: str) -> str:
    """What a number stands for: ` (7d)`, ` (1.1 GB)`; nothing where it says all itself."""
    if not value.lstrip("-").isdigit():
        return ""
    amount = int(value)
    if amount in (2**63 - 1, 2**31 - 1):
        return " (no limit)"
    if key.endswith(".ms"):
        return "" if 0 <= amount < 1000 else f" ({duration_text(amount)})"
    if key.endswith(".bytes"):
        return " (no limit)" if amount < 0 else "" if amount < 1000 else f" ({size_text(amount)})"
    return ""
