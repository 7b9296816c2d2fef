"""Changes that one can make from the screens: each is the `ev` command that does the same, and what does it.

They go the way that the command's action goes: what `ev undo` can take back is noted in its journal first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ev_cli.failures import DONE, Failure
from ev_cli.protection import DESTROYS, WRITES

if TYPE_CHECKING:
    from ev.client.admin import Admin
    from ev.client.results import Acl, Outcome
    from ev_cli import journal
    from ev_cli.session import Session


@dataclass(frozen=True, slots=True)
class Change:
    """`words` stand behind `ev`; `do` makes the change and says what has become of it."""

    words: tuple[str, ...]
    effect: str
    do: Callable[[Session], str]


def option(flag: str, value: str) -> list[str]:
    """An option with its value; one that begins with a dash must not look like an option."""
    return [f"{flag}={value}"] if value.startswith("-") else [flag, value]


def named(names: Sequence[str]) -> list[str]:
    """Names at the end of a command."""
    return ["--", *names] if any(name.startswith("-") for name in names) else list(names)


# -- topics ----------------------------------------------------------------------------------------------------------------------


def create_topic(name: str, partitions: int | None, replication: int | None, configs: Mapping[str, str]) -> Change:
    words = ["topic", "create"]
    words += [] if partitions is None else ["-p", str(partitions)]
    words += [] if replication is None else ["-r", str(replication)]
    words += _settings(configs)

    def do(session: Session) -> str:
        from ev.client.results import NewTopic

        topic = NewTopic(name, -1 if partitions is None else partitions, -1 if replication is None else replication, dict(configs))
        with session.admin() as admin:
            _all_done(admin.create_topics([topic]))
        return f"created topic {name}"

    return Change((*words, *named([name])), WRITES, do)


def delete_topics(names: Sequence[str]) -> Change:
    def do(session: Session) -> str:
        with session.admin() as admin:
            _all_done(admin.delete_topics(names))
        return f"deleted {counted(names, 'topic')}"

    return Change(("topic", "delete", *named(names)), DESTROYS, do)


def alter_topics(names: Sequence[str], partitions: int | None, values: Mapping[str, str], unset: Sequence[str]) -> Change:
    """Give topics so many partitions, these settings, and the defaults of those in `unset`."""
    words = ["topic", "alter"]
    words += [] if partitions is None else ["-p", str(partitions)]
    words += _settings(values)
    for key in unset:
        words += option("--unset", key)

    def do(session: Session) -> str:
        said = f"altered {counted(names, 'topic')}"
        with session.admin() as admin:
            if partitions is not None:
                _all_done(admin.create_partitions(dict.fromkeys(names, partitions)))
            return said + _alter(session, admin, names, values, unset) if values or unset else said

    return Change((*words, *named(names)), WRITES, do)


def _settings(values: Mapping[str, str]) -> list[str]:
    return [word for key, value in values.items() for word in option("-c", f"{key}={value}")]


def set_config(topic: str, key: str, value: str) -> Change:
    def do(session: Session) -> str:
        with session.admin() as admin:
            return f"{key} of {topic} is {value}" + _alter(session, admin, [topic], {key: value}, ())

    words = ("config", "set", *named([f"topic/{topic}", f"{key}={value}"]))
    return Change(words, WRITES, do)


def unset_config(topic: str, key: str) -> Change:
    def do(session: Session) -> str:
        with session.admin() as admin:
            return f"{key} of {topic} is what the default is" + _alter(session, admin, [topic], {}, (key,))

    return Change(("config", "unset", *named([f"topic/{topic}", key])), DESTROYS, do)


def _alter(session: Session, admin: Admin, topics: Sequence[str], values: Mapping[str, str], unset: Sequence[str]) -> str:
    from ev_cli.inverses import config_change

    noted = [config_change(admin, "topic", topic, values, unset=unset) for topic in topics]
    return _undoable(session, admin, noted, lambda: [admin.alter_configs("topic", topic, values, unset=unset) for topic in topics])


# -- security --------------------------------------------------------------------------------------------------------------------


RESOURCE_FLAGS = {"topic": "--topic", "group": "--group", "transactional_id": "--transactional-id"}


def _acl_words(acl: Acl) -> list[str]:
    resource = ["--cluster"] if acl.resource == "cluster" else option(RESOURCE_FLAGS[acl.resource], acl.name)
    words = [*option("--principal", acl.principal), "--operation", acl.operation.replace("_", "-"), *resource]
    words += ["--prefixed"] if acl.pattern == "prefixed" else []
    return words


def add_acl(acl: Acl) -> Change:
    words = ["acl", "add", *_acl_words(acl)]
    words += [] if acl.host == "*" else option("--host", acl.host)
    words += ["--deny"] if acl.permission == "deny" else []

    def do(session: Session) -> str:
        from ev_cli.inverses import acls_change, exactly

        with session.admin() as admin:
            change = acls_change("add ACLs", added=[] if admin.acls(exactly(acl)) else [acl])
            return f"added: {acl}" + _undoable(session, admin, [change], lambda: admin.create_acls([acl]))

    return Change(tuple(words), WRITES, do)


def can_be_named(acl: Acl) -> bool:
    """Whether the options of `ev acl` can say exactly this one."""
    return acl.resource in RESOURCE_FLAGS or acl.resource == "cluster"


def remove_acl(acl: Acl) -> Change:
    permission = "--deny" if acl.permission == "deny" else "--allow"
    words = ("acl", "remove", *_acl_words(acl), *option("--host", acl.host), permission)

    def do(session: Session) -> str:
        from ev.client.results import Outcome
        from ev_cli.inverses import acls_change, exactly

        with session.admin() as admin:
            change = acls_change("remove ACLs", removed=[acl])
            gone = _undoable(session, admin, [change], lambda: [Outcome(str(one)) for one in admin.delete_acls([exactly(acl)])])
            return f"removed: {acl}" + gone

    return Change(words, DESTROYS, do)


def set_password(name: str, password: str, mechanisms: Sequence[str], *, is_new: bool) -> Change:
    """The command that is shown asks for the password: nobody's shell shall remember it."""
    words = ["user", "add" if is_new else "alter"]
    for mechanism in mechanisms:
        words += ["--mechanism", mechanism]

    def do(session: Session) -> str:
        from ev.client.users import MECHANISMS

        with session.admin() as admin:
            wanted = list(mechanisms or MECHANISMS)
            known = {user.name: user.iterations for user in admin.users()}.get(name, {}) if is_new else {}
            there = [mechanism for mechanism in wanted if mechanism in known]
            if there:
                raise Failure(f"{name} has a password for {' and '.join(there)} already", "`e` on the user gives another")
            _all_done([admin.set_password(name, password.encode("utf-8", "surrogateescape"), mechanism) for mechanism in wanted])
        return f"{'added' if is_new else 'altered'} user {name}"

    return Change((*words, *named([name])), WRITES, do)


def remove_users(names: Sequence[str]) -> Change:
    def do(session: Session) -> str:
        with session.admin() as admin:
            known = {user.name: user.iterations for user in admin.users()}
            missing = [name for name in names if name not in known]
            if missing:
                raise Failure(f"there is no user {missing[0]!r} any more")
            _all_done([admin.remove_password(name, mechanism) for name in names for mechanism in known[name]])
        return f"removed {counted(names, 'user')}"

    return Change(("user", "remove", *named(names)), DESTROYS, do)


QUOTA_FLAGS = {"user": "--user", "client-id": "--client-id", "ip": "--ip"}


def _entity_words(entity: Mapping[str, str | None]) -> list[str]:
    words: list[str] = []
    for kind, name in entity.items():
        words += ["--default", kind] if name is None else option(QUOTA_FLAGS[kind], name)
    return words


def set_quota(entity: Mapping[str, str | None], key: str, value: float) -> Change:
    words = ("quota", "set", *_entity_words(entity), f"{key}={number_text(value)}")
    return Change(words, WRITES, lambda session: _alter_quota(session, entity, key, value))


def unset_quota(entity: Mapping[str, str | None], key: str) -> Change:
    words = ("quota", "unset", *_entity_words(entity), key)
    return Change(words, DESTROYS, lambda session: _alter_quota(session, entity, key, None))


def number_text(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _alter_quota(session: Session, entity: Mapping[str, str | None], key: str, value: float | None) -> str:
    from ev.client.quotas import entity_text
    from ev_cli.inverses import quota_change

    text = entity_text(entity)
    values, unset = ({}, [key]) if value is None else ({key: value}, [])
    with session.admin() as admin:
        now = next((quota.values for quota in admin.quotas(entity, strict=True) if quota.entity == entity), {})
        change = quota_change(f"alter quotas of {text}", entity, now, {**values, **dict.fromkeys(unset)})
        undo = _undoable(session, admin, [change], lambda: [admin.alter_quotas(entity, values, unset=unset)])
    return f"altered quotas of {text}{undo}"


# -- how they go -----------------------------------------------------------------------------------------------------------------


def undo(number: int) -> Change:
    """Take back a change that was noted, exactly as the command does."""

    def do(session: Session) -> str:
        from ev_cli.actions.undo import undo as take_back
        from ev_cli.running import Options

        options = Options({**vars(session.options), "number": str(number), "yes": True, "quiet": True})
        if take_back(options) != DONE:
            raise Failure(f"change {number} was not taken back")
        return f"took back change {number}"

    return Change(("undo", str(number)), DESTROYS, do)


def _undoable(session: Session, admin: Admin, noted: Sequence[journal.Change], make: Callable[[], list[Outcome]]) -> str:
    """Note the inverses, make the changes; how to take them back, as a person is told it."""
    from ev_cli.journal import undoable

    _all_done(undoable(session, admin, noted, make))
    numbers = [change.number for change in noted if change.number]
    return f" · `ev undo{f' {numbers[0]}' if len(numbers) == 1 else ''}` takes it back" if numbers else ""


def _all_done(outcomes: Iterable[Outcome]) -> None:
    """Raise when a part was refused, and say how many were not."""
    listed = list(outcomes)
    failed = [outcome for outcome in listed if outcome.error is not None]
    if not failed:
        return
    if len(listed) > 1:
        done = len(listed) - len(failed)
        raise Failure(f"{failed[0].name}: {failed[0].error}; {done} of {len(listed)} were done")
    failed[0].or_raise()


def counted(names: Sequence[str], noun: str) -> str:
    return f"{noun} {names[0]}" if len(names) == 1 else f"{len(names)} {noun}s"
