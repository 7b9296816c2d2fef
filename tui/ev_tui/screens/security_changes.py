"""The dialogs that add and remove ACLs, users and quotas. A password is typed unseen, and stands in no command that is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ev_cli.protection import DESTROYS, WRITES
from ev_tui import amounts, changes
from ev_tui.screens.topic_changes import make
from ev_tui.widgets.dialog import Confirm, Field, Form

if TYPE_CHECKING:
    from ev.client.quotas import Quota
    from ev.client.results import Acl
    from ev_tui.app import EvApp

Then = Callable[[], None]
Values = Mapping[str, str]

RESOURCES = ("topic", "group", "transactional-id", "cluster")
PERMISSIONS = ("allow", "deny")
QUOTAS = ("producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate", "connection_creation_rate")


def _one_of(*words: str) -> Callable[[str], str | None]:
    return lambda text: None if text.strip().lower().replace("_", "-") in words else f"one of {', '.join(words)}"


def _needed(text: str) -> str | None:
    return None if text.strip() else "it is needed"


# -- ACLs ------------------------------------------------------------------------------------------------------------------------


def add_acl(app: EvApp, then: Then, like: Acl | None) -> None:
    """A form, filled in as the ACL under the cursor is."""
    if not app.may(WRITES):
        return
    from ev.client.acls import OPERATIONS

    operations = tuple(word.replace("_", "-") for word in OPERATIONS if word not in ("unknown", "any"))
    form = Form(
        "add an ACL",
        (
            Field("permission", "allow or deny", "allow" if like is None else like.permission, check=_one_of(*PERMISSIONS)),
            Field("principal", "who", "" if like is None else like.principal, "alice, User:alice, * for everybody", check=_needed),
            Field(
                "operation",
                "may do what",
                "" if like is None else like.operation.replace("_", "-"),
                ", ".join(operations),
                _one_of(*operations),
            ),
            Field(
                "resource", "with", "topic" if like is None else like.resource.replace("_", "-"), ", ".join(RESOURCES), _one_of(*RESOURCES)
            ),
            Field("name", "of this name", "" if like is None else named_as(like), "NAME, PREFIX* for all that begin so, * for all"),
            Field("host", "from", "*" if like is None else like.host, "an address, or *", check=_needed),
        ),
        lambda values: changes.add_acl(acl_of(values)).words,
    )

    def done(values: dict[str, str] | None) -> None:
        if values is None:
            return
        if not values["name"] and values["resource"].strip().lower() != "cluster":
            app.tell("an ACL is about a name; * means all", "warning")
            return
        make(app, changes.add_acl(acl_of(values)), then)

    app.push_screen(form, done)


def named_as(acl: Acl) -> str:
    """A name as the form has it."""
    return "" if acl.resource == "cluster" else acl.name + ("*" if acl.pattern == "prefixed" else "")


def acl_of(values: Values) -> Acl:
    """The ACL that the form describes. A name with a star at its end is a prefix; a star alone is every name."""
    from ev.client.acls import CLUSTER
    from ev.client.results import Acl

    word = values["resource"].strip().lower().replace("-", "_")
    resource = word if word in changes.RESOURCE_FLAGS else "cluster" if word == "cluster" else "topic"
    principal = values["principal"].strip()
    name = values["name"]
    is_prefix = len(name) > 1 and name.endswith("*") and resource != "cluster"
    return Acl(
        resource,
        CLUSTER if resource == "cluster" else name[:-1] if is_prefix else name,
        principal if ":" in principal else f"User:{principal}",
        values["operation"].strip().lower().replace("-", "_"),
        pattern="prefixed" if is_prefix else "literal",
        host=values["host"].strip(),
        permission="deny" if values["permission"].strip().lower() == "deny" else "allow",
    )


def remove_acl(app: EvApp, acl: Acl, then: Then) -> None:
    if not app.may(DESTROYS):
        return
    if not changes.can_be_named(acl):
        app.tell(f"`ev acl` has no word for {acl.resource}: it cannot be removed from here", "warning")
        return
    change = changes.remove_acl(acl)
    text = f"{acl}\n\n`ev undo` takes it back."
    confirm = Confirm("remove an ACL", text, acl.principal, change.words)
    app.push_screen(confirm, lambda is_meant: make(app, change, then) if is_meant else None)


# -- users -----------------------------------------------------------------------------------------------------------------------


def add_user(app: EvApp, then: Then) -> None:
    if app.may(WRITES):
        _ask_password(app, "add a user", None, then)


def change_password(app: EvApp, name: str, then: Then) -> None:
    if app.may(WRITES):
        _ask_password(app, f"another password for {name}", name, then)


def _ask_password(app: EvApp, title: str, name: str | None, then: Then) -> None:
    from ev.client.users import MECHANISMS

    def change(values: Values) -> changes.Change:
        chosen = [word for word in MECHANISMS if word == values["mechanism"].strip().upper()]
        return changes.set_password(values["name"] if name is None else name, values["password"], chosen, is_new=name is None)

    fields = (
        *([Field("name", "name", check=_needed)] if name is None else []),
        Field("mechanism", "mechanism", "", f"both of {', '.join(MECHANISMS)}", check=lambda text: _mechanism(text, tuple(MECHANISMS))),
        Field("password", "password", check=lambda text: None if text else "it is needed", secret=True),
        Field("again", "the same again", secret=True),
    )
    form = Form(title, fields, lambda values: change(values).words, text="The command asks for the password itself.")

    def done(values: dict[str, str] | None) -> None:
        if values is None:
            return
        if values["password"] != values["again"]:
            app.tell("the two passwords are not the same: nothing was done", "warning")
            return
        make(app, change(values), then)

    app.push_screen(form, done)


def _mechanism(text: str, known: tuple[str, ...]) -> str | None:
    return None if not text.strip() or text.strip().upper() in known else f"one of {', '.join(known)}, or nothing"


def remove_users(app: EvApp, names: Sequence[str], then: Then) -> None:
    if not names or not app.may(DESTROYS):
        return
    change = changes.remove_users(names)
    text = "\n".join([*names, "", "Their passwords are lost; connections that are there stay. `ev undo` does not bring them back."])
    wanted = names[0] if len(names) == 1 else f"remove {len(names)}"
    confirm = Confirm(f"remove {changes.counted(names, 'user')}", text, wanted, change.words)
    app.push_screen(confirm, lambda is_meant: make(app, change, then) if is_meant else None)


# -- quotas ----------------------------------------------------------------------------------------------------------------------


def set_quota(app: EvApp, then: Then, quota: Quota | None = None, key: str = "") -> None:
    """One quota of a user, a client id, both, or an address. (default) stands for all that have none of their own."""
    if not app.may(WRITES):
        return
    entity = {} if quota is None else quota.entity
    value = "" if quota is None else changes.number_text(quota.values[key])

    def change(values: Values) -> changes.Change:
        return changes.set_quota(entity_of(values), values["key"].strip().replace("-", "_"), number_of(values["value"]) or 0.0)

    form = Form(
        "set a quota",
        (
            Field("user", "user", name_text(entity, "user"), "NAME, or (default)"),
            Field("client-id", "client id", name_text(entity, "client-id"), "ID, or (default)"),
            Field("ip", "address", name_text(entity, "ip"), "ADDRESS, or (default)"),
            Field("key", "quota", key, ", ".join(QUOTAS), check=_needed),
            Field(
                "value",
                "value",
                value,
                "1000000, 10MiB",
                check=lambda text: None if number_of(text) is not None else "a number, also 10MiB",
            ),
        ),
        lambda values: change(values).words,
    )

    def done(values: dict[str, str] | None) -> None:
        if values is None:
            return
        wanted = entity_of(values)
        if not wanted or ("ip" in wanted and len(wanted) > 1):
            app.tell("a quota is of a user, a client id or both, or else of an address", "warning")
            return
        make(app, change(values), then)

    app.push_screen(form, done)


DEFAULT = "(default)"


def name_text(entity: Mapping[str, str | None], kind: str) -> str:
    return "" if kind not in entity else DEFAULT if entity[kind] is None else str(entity[kind])


def entity_of(values: Values) -> dict[str, str | None]:
    """What is named, as the quotas of a cluster are."""
    return {kind: None if values[kind] == DEFAULT else values[kind] for kind in ("client-id", "ip", "user") if values[kind]}


def number_of(text: str) -> float | None:
    from ev_cli.failures import Failure
    from ev_cli.sizes import number_of as number

    try:
        return float(number(text.strip(), "value"))
    except Failure:
        return None


def unset_quota(app: EvApp, quota: Quota, key: str, then: Then) -> None:
    from ev.client.quotas import entity_text

    if not app.may(DESTROYS):
        return
    change = changes.unset_quota(quota.entity, key)
    text = f"{entity_text(quota.entity)}: {key} is {quota_text(key, quota.values[key])}\n\n`ev undo` takes it back."
    confirm = Confirm("take a quota away", text, key, change.words)
    app.push_screen(confirm, lambda is_meant: make(app, change, then) if is_meant else None)


def quota_text(key: str, value: float) -> str:
    """The number, and what it is in bytes."""
    text = changes.number_text(value)
    return f"{text} ({amounts.size(round(value))}/s)" if key.endswith("_byte_rate") and value >= 1000 else text
