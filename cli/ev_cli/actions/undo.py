"""ev undo: takes back a change that was noted in the journal, if what it changed is still as it left it."""

from __future__ import annotations

from ev_cli import journal, output
from ev_cli.actions.several import report
from ev_cli.failures import DONE, NOT_FOUND, Failure, UsageFailure
from ev_cli.inverses import HIDDEN, KINDS
from ev_cli.journal import Change
from ev_cli.naming import confirm
from ev_cli.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Items = dict[str, Any]


def undo(options: Any) -> int:
    if options.list_them:
        if options.number is not None:
            raise UsageFailure("--list and a number contradict each other", "give one of them")
        return _list(options)
    session = Session(options)
    known = journal.changes()
    with session.admin() as admin:
        cluster = admin.cluster().cluster_id
        change = _chosen(options.number, known, cluster, session.where)
        read, restore = KINDS[change.kind]
        now = read(admin, change.subject, [*change.after])
        wanted = steps(change, now)
        _show(change, now, wanted, options)
        if options.dry_run:
            return DONE
        confirm(f"take back change {change.number} ({output.safe(change.what)}) on {session.where}", options)
        inverse = Change(
            change.kind, change.subject, f"undo {change.number}: {change.what}", {key: now[key] for key in wanted}, wanted, change.number
        )
        outcomes = journal.undoable(session, admin, [inverse], lambda: restore(admin, change.subject, wanted))
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    status = report(failed, "", options, session)
    if not failed:
        session.talk(f"took back change {change.number} ({output.safe(change.what)}) on {session.where}")
    return status


def steps(change: Change, now: Items) -> Items:
    """The items that have to be put back, with the values that they shall have. What has changed since is refused."""
    moved = [item for item in change.after if now[item] != change.after[item] and now[item] != change.before[item]]
    if moved:
        more = f" and {len(moved) - 1} more" if len(moved) > 1 else ""
        raise Failure(
            f"{output.safe(moved[0])}{more} of change {change.number} ({change.what}) has changed since",
            f"it was left at {value_text(change.after[moved[0]])} and is {value_text(now[moved[0]])} now; nothing was taken back",
        )
    wanted = {item: value for item, value in change.before.items() if now[item] != value}
    if not wanted:
        raise Failure(f"change {change.number} ({change.what}) has nothing to take back", "everything is as it was before it")
    hidden = [item for item, value in wanted.items() if value == HIDDEN]
    if hidden:
        raise Failure(f"{hidden[0]} was a secret, which is not kept", "set it again")
    return wanted


def _chosen(text: str | None, known: list[Change], cluster: str | None, where: str) -> Change:
    """The change that shall be taken back: by number, or the newest of this cluster that still stands."""
    gone = journal.undone(known)
    if text is None:
        standing = [change for change in known if change.cluster == cluster and change.number not in gone and change.undoes is None]
        if not standing:
            raise Failure(f"there is nothing to undo on {where}", "`ev undo --list` shows every change that was noted", code=NOT_FOUND)
        return standing[-1]
    if not text.isdigit():
        raise UsageFailure(f"{text!r} is no number of a change", "`ev undo --list` shows them")
    found = next((change for change in known if change.number == int(text)), None)
    if found is None:
        raise Failure(f"no change {text}", "`ev undo --list` shows every change that was noted", code=NOT_FOUND)
    if found.cluster != cluster:
        raise Failure(f"change {text} was made on {found.where}, this is {where}", "name that cluster with -C or -b")
    if found.number in gone:
        raise Failure(f"change {text} has been taken back already")
    if found.kind not in KINDS:
        raise Failure(f"this version of ev cannot take back changes of kind {found.kind}")
    return found


def _show(change: Change, now: Items, wanted: Items, options: Any) -> None:
    """What would be put back; on stdout as asked for, or, where a question follows, on stderr."""
    table = output.Table(("item", "now", "back_to"))
    for item, value in wanted.items():
        table.add(item=item, now=value_text(now[item]), back_to=value_text(value))
    if options.dry_run or options.output or options.json:
        output.show(table, options)
    elif not options.quiet:
        output.say(output.aligned(table, False).rstrip("\n"))


def value_text(value: Any) -> str | None:
    """A value for a person: an offset alone, unless it carries metadata."""
    if isinstance(value, list):
        return f"{value[0]} {value[1]}".rstrip()
    if value == HIDDEN:
        return "(secret)"
    if isinstance(value, float) and value == int(value):
        return str(int(value))  # a quota travels as one
    return None if value is None else "yes" if value is True else str(value)


def _list(options: Any) -> int:
    known = journal.changes()
    gone = journal.undone(known)
    table = output.Table(("number", "timestamp", "where", "what", "undone"), ("cluster", "kind", "items"))
    for change in reversed(known):
        table.add(
            number=change.number,
            timestamp=change.time_ms,
            where=change.where,
            what=change.what,
            undone=change.number in gone,
            cluster=change.cluster,
            kind=change.kind,
            items=len(change.after),
        )
    output.show(table, options)
    return DONE
