"""ev config: the settings of topics, brokers, groups and client metrics, where they come from, and what they change to."""

from __future__ import annotations

from ev_cli import output
from ev_cli.actions.several import report
from ev_cli.failures import DONE, NOT_FOUND, Failure, UsageFailure, no_such
from ev_cli.inverses import config_change
from ev_cli.journal import undoable
from ev_cli.naming import nearest
from ev_cli.partitions import broker_id
from ev_cli.plans import Plan
from ev_cli.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from ev.client.admin import Admin
    from ev.client.results import ConfigDescription, ConfigEntry

KINDS = ("topic", "broker", "group", "client-metrics", "broker-logger")
ALL_BROKERS = "*"


class Entity:
    """What the settings are of, as it is written: topic/payments, broker/1, broker/*."""

    def __init__(self, text: str) -> None:
        kind, slash, name = text.partition("/")
        kind = kind.lower()
        kind = kind if kind in KINDS else kind.removesuffix("s")
        if kind in ("user", "client", "ip", "client-id"):
            raise UsageFailure(f"{text!r} has quotas, no settings", "`ev quota` looks after them")
        if not slash or kind not in KINDS or not name:
            raise UsageFailure(
                f"{text!r} is nothing that has settings", "write topic/NAME, broker/ID, broker/*, group/NAME or client-metrics/NAME"
            )
        self.kind = kind
        self.name = name
        self.text = f"{kind}/{name}"

    @property
    def resource(self) -> str:
        """Its name on the wire: that of all brokers together is empty."""
        return "" if self.kind == "broker" and self.name == ALL_BROKERS else self.name


def get_config(options: Any) -> int:
    session = Session(options)
    entity = Entity(options.entity)
    form = output.output_format(options)
    with session.admin() as admin:
        described = _described(admin, entity, session, documentation=options.docs, synonyms=form not in ("table", "tsv", "name"))
    entries = _chosen(described, options.keys, entity, everything=options.all_configs)
    columns = ("key", "value", "source", "documentation") if options.docs and form not in ("table", "wide") else ("key", "value", "source")
    table = output.Table(columns, ("type", "read_only", "synonyms"))
    for entry in entries:
        row = _row(entry)
        if options.docs:
            row["documentation"] = entry.documentation
        table.add(**row)
    if options.docs and form in ("table", "wide"):
        output.write_text("\n".join(_with_documentation(entry) for entry in entries))
        return DONE
    if form in ("table", "wide"):
        for row in table.rows:
            row["synonyms"] = [f"{one['source']}:{one['name']}={output.safe(str(one['value']))}" for one in row["synonyms"]]
    output.show(table, options)
    if not entries and not options.keys:
        session.talk(f"nothing is set for {output.safe(entity.text)} on {session.where}; -a shows the defaults")
    return DONE


def _row(entry: ConfigEntry) -> dict[str, Any]:
    return {
        "key": entry.name,
        "value": entry.value,
        "source": entry.source,
        "type": entry.type,
        "read_only": entry.read_only,
        "sensitive": entry.sensitive,
        "synonyms": [{"name": name, "value": value, "source": source} for name, value, source in entry.synonyms],
    }


def _with_documentation(entry: ConfigEntry) -> str:
    import textwrap

    value = "(not shown)" if entry.sensitive else entry.value
    about = textwrap.fill(" ".join((entry.documentation or "").split()), 100, initial_indent="    ", subsequent_indent="    ")
    return f"{output.safe(f'{entry.name} = {value}')}  ({entry.source}, {entry.type})\n" + (
        "".join(f"{output.safe(line)}\n" for line in about.splitlines())
    )


def _described(admin: Admin, entity: Entity, session: Session, **wanted: Any) -> ConfigDescription:
    """All settings of an entity that is there."""
    if entity.kind in ("broker", "broker-logger") and entity.resource:
        broker_id(entity.name, [broker.node_id for broker in admin.cluster().brokers], session)
    described = admin.describe_configs(entity.kind, [entity.resource], **wanted)[0]
    if described.error is not None:
        if entity.kind == "topic" and described.error.code == 3:  # UNKNOWN_TOPIC_OR_PARTITION
            raise no_such("topic", entity.name, nearest(entity.name, [topic.name for topic in admin.topics(internal=True)]), session.where)
        raise described.error
    return described


def _chosen(described: ConfigDescription, keys: list[str], entity: Entity, *, everything: bool) -> list[ConfigEntry]:
    """The settings that were named, or all, or those that were set: for this very thing, or, for a broker, in its file."""
    for key in keys:
        if key not in described.entries:
            near = nearest(key, described.entries)
            hint = f"did you mean {near!r}?" if near else f"`ev config get {entity.text} -a` shows all"
            raise Failure(f"{entity.text} has no setting {key!r}", hint, code=NOT_FOUND)
    if keys:
        return [described.entries[key] for key in keys]
    ordered = sorted(described.entries.values(), key=lambda entry: entry.name)
    is_broker = entity.kind in ("broker", "broker-logger")
    return [entry for entry in ordered if everything or (entry.source != "default" if is_broker else not entry.is_default)]


def set_config(options: Any) -> int:
    entity = Entity(options.entity)
    values = pairs([*options.values, *options.configs], "KEY=VALUE")
    append, subtract = pairs(options.append, "--append KEY=VALUE"), pairs(options.subtract, "--subtract KEY=VALUE")
    if not (values or append or subtract):
        raise UsageFailure(f"it is not said what to set for {entity.text}", "write KEY=VALUE, several with spaces between them")
    return _change(Session(options), options, entity, Change(values, (), append, subtract))


def unset_config(options: Any) -> int:
    return _change(Session(options), options, Entity(options.entity), Change({}, options.keys, {}, {}))


class Change:
    """What is to become of settings."""

    def __init__(self, values: Mapping[str, str], unset: Iterable[str], append: Mapping[str, str], subtract: Mapping[str, str]) -> None:
        self.values = values
        self.unset = list(unset)
        self.append = append
        self.subtract = subtract

    def rows(self, entries: Mapping[str, ConfigEntry]) -> Iterable[tuple[str, ConfigEntry | None, str | None]]:
        """(key, the setting as it is, its value afterwards) of each; None: what the default is."""
        for key, value in self.values.items():
            yield key, entries.get(key), value
        for key, value in self.append.items():
            before = _items(entries.get(key))
            yield key, entries.get(key), ",".join([*before, *[item for item in value.split(",") if item not in before]])
        for key, value in self.subtract.items():
            yield key, entries.get(key), ",".join(item for item in _items(entries.get(key)) if item not in value.split(","))
        for key in self.unset:
            yield key, entries.get(key), None


def check_unset(described: ConfigDescription, keys: list[str], entity: Entity) -> None:
    """To unset what is set nowhere changes nothing; what no such thing can have is a slip of the finger. Of brokers and client metrics only
    what is set may be told, so nothing is known of the rest."""
    if entity.kind in ("topic", "group") and described.error is None:
        _chosen(described, keys, entity, everything=False)


def _items(entry: ConfigEntry | None) -> list[str]:
    return entry.value.split(",") if entry is not None and entry.value else []


def _change(session: Session, options: Any, entity: Entity, change: Change) -> int:
    plan = Plan(session, options, ("key", "now", "then"), ("source", "entity"))
    with session.admin() as admin:
        described = _described(admin, entity, session)
        check_unset(described, change.unset, entity)
        for key, entry, then in change.rows(described.entries):
            now = None if entry is None or entry.sensitive else entry.value
            plan.add(
                key=key, now=now, then="(default)" if then is None else then, source=entry.source if entry else None, entity=entity.text
            )
        if options.dry_run:
            checked = _alter(admin, entity, change, validate_only=True)
            if checked.error is None:
                plan.only_shown()
                return DONE
            checked.name = entity.text
            return report([checked], "", options, session)
        noted = config_change(
            admin, entity.kind, entity.resource, change.values, unset=change.unset, append=change.append, subtract=change.subtract
        )
        (outcome,) = undoable(session, admin, [noted], lambda: [_alter(admin, entity, change)])
    outcome.name = entity.text
    return report([outcome], "altered", options, session)


def _alter(admin: Admin, entity: Entity, change: Change, *, validate_only: bool = False) -> Any:
    return admin.alter_configs(
        entity.kind,
        entity.resource,
        change.values,
        unset=change.unset,
        append=change.append,
        subtract=change.subtract,
        validate_only=validate_only,
    )


def pairs(items: Iterable[str], form: str) -> dict[str, str]:
    """KEY=VALUE texts as a mapping."""
    found = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise UsageFailure(f"{item!r} sets nothing", f"write {form}")
        found[key] = value
    return found
