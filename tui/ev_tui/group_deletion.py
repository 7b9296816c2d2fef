"""Deleting groups from the interface: asked for by name, with its inverse in the journal, as `ev group delete` does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev_cli.failures import Failure, as_failure
from ev_cli.protection import DESTROYS
from ev_tui.frame import counted
from ev_tui.harmless import safe
from ev_tui.widgets.dialog import Confirm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ev.client.results import Outcome
    from ev_cli.journal import Change
    from ev_cli.session import Session
    from ev_tui.app import EvApp


def ask_to_delete(ev: EvApp, names: Sequence[str], then: Callable[[], None]) -> None:
    """A dialog, and the deletion if the name was typed. Says why where that is not allowed."""
    if not names or not ev.may(DESTROYS):
        return
    snapshot = ev.snapshot
    rows = {} if snapshot is None else snapshot.groups
    busy = [name for name in names if name in rows and rows[name].members]
    text = "\n".join(safe(name) for name in names[:10]) + ("\n…" if len(names) > 10 else "")
    text += "\n\nWhat is committed is forgotten; `ev undo` brings the offsets back."
    if busy:
        text += f"\n⚠ {counted(len(busy), 'group')} still {'has' if len(busy) == 1 else 'have'} members: the cluster will refuse."
    words = ["group", "delete", "-y", *(names if not any(name.startswith("-") for name in names) else ["--", *names])]

    def answered(is_meant: bool | None) -> None:
        if is_meant:
            ev.change(words, DESTROYS, lambda session: delete_groups(session, names), then)

    what = names[0] if len(names) == 1 else counted(len(names), "group")
    ev.push_screen(Confirm(f"Delete {what}", text, what, words), answered)


def delete_groups(session: Session, names: Sequence[str]) -> str:
    """In a thread. What is told at the end."""
    from ev_cli.group_moves import committed_by, delete

    session.options.quiet = True
    with session.admin() as admin:
        changes, outcomes = delete(session, admin, {name: committed_by(admin, name) for name in names})
    raise_first(outcomes, session)
    what = f"group {names[0]}" if len(names) == 1 else counted(len(names), "group")
    return f"deleted {what}{undo_text(changes)}"


def raise_first(outcomes: Sequence[Outcome], session: Session) -> None:
    """A Failure for the first item that was refused, with the number of the others."""
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if not failed:
        return
    first = as_failure(failed[0].error or Failure("refused"), session.where)
    more = f" ({len(failed)} of {len(outcomes)} were refused)" if len(outcomes) > 1 else ""
    raise Failure(f"{failed[0].name}: {first.message}{more}", first.hint, code=first.code)


def undo_text(changes: Iterable[Change]) -> str:
    """How to take it back; or that nobody will know how."""
    real = [change for change in changes if change.before != change.after]
    if not real:
        return ""
    if not all(change.number for change in real):
        return "; ev undo does not know of it: its journal cannot be written"
    return "; " + " and ".join([f"`ev undo {change.number}`" for change in real[:3]]) + f" take{'s' if len(real) == 1 else ''} it back"
