"""The journal behind `ev undo`: written before the change, whole after a crash, bounded, and shared by many commands at once."""

from __future__ import annotations

import concurrent.futures
import pathlib
import types
from typing import Any, cast

import pytest

from ev.client.results import Outcome
from ev.errors import KafkaError
from ev_cli import journal
from ev_cli.actions.undo import steps, value_text
from ev_cli.failures import Failure
from ev_cli.inverses import HIDDEN
from ev_cli.journal import Change


class Cluster:
    """As much of an admin client and a session as the journal asks."""

    where = "here"

    def __init__(self) -> None:
        self.said: list[str] = []

    def cluster(self) -> Any:
        return types.SimpleNamespace(cluster_id="c")

    def talk(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def state(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "ev" / journal.FILE


def note(*changes: Change, outcomes: list[Outcome] | None = None) -> Cluster:
    one = Cluster()
    journal.undoable(cast(Any, one), cast(Any, one), changes, lambda: outcomes or [Outcome("x")])
    return one


def change(before: Any, after: Any, undoes: int | None = None) -> Change:
    return Change("config", ["topic", "t"], "alter topic t", {"k": before}, {"k": after}, undoes)


def test_a_change_is_written_before_it_is_made(state: pathlib.Path) -> None:
    """And nothing is written of one that changes nothing, or that was refused."""
    seen: list[bytes] = []
    one = Cluster()

    def make() -> list[Outcome]:
        seen.append(state.read_bytes())
        return [Outcome("t")]

    journal.undoable(cast(Any, one), cast(Any, one), [change("1", "2")], make)
    assert b'"before": {"k": "1"}' in seen[0]
    assert one.said == ["`ev undo 1` takes it back"]
    note(change("2", "2"))
    note(change("2", "3"), outcomes=[Outcome("t", KafkaError(40))])
    note(change("2", "4"))
    assert [(found.number, found.after["k"]) for found in journal.changes()] == [(1, "2"), (3, "4")]


def test_a_line_that_a_crash_cut_off_harms_nothing(state: pathlib.Path) -> None:
    """What comes later stands on a line of its own."""
    note(change("1", "2"))
    state.write_bytes(state.read_bytes() + b'{"number": 2, "ti')
    note(change("2", "3"))
    assert [(found.number, found.after["k"]) for found in journal.changes()] == [(1, "2"), (2, "3")]


def test_many_commands_at_once_number_their_changes(state: pathlib.Path) -> None:
    """Each change has a number of its own."""
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: note(change(str(number), "x")), range(40)))
    assert sorted(found.number for found in journal.changes()) == list(range(1, 41))


def test_the_journal_has_a_bound(state: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest changes stay, with their numbers."""
    monkeypatch.setattr(journal, "BYTES_MAX", 2000)
    monkeypatch.setattr(journal, "CHANGES_KEPT", 3)
    for number in range(30):
        note(change(str(number), str(number + 1)))
    assert state.stat().st_size < 3000
    assert journal.changes()[-1].number == 30


def test_without_a_place_for_the_journal_the_change_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a remark says that it cannot be taken back."""
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    assert "will not know of this change" in note(change("1", "2")).said[0]


def test_an_undo_that_is_undone_makes_the_change_stand_again() -> None:
    """And so on."""
    known = [change("1", "2"), change("2", "1", 1), change("1", "2", 2)]
    for number, one in enumerate(known, 1):
        one.number = number
    assert journal.undone(known[:2]) == {1}
    assert journal.undone(known) == {2}


def test_values_are_shown_as_a_person_writes_them() -> None:
    """A quota travels as a number with a fraction; an offset has metadata only where it has some."""
    assert [value_text(value) for value in (1048576.0, 0.5, [7, ""], [7, "note"], True, HIDDEN, "x")] == [
        "1048576", "0.5", "7", "7 note", "yes", "(secret)", "x"
    ]  # fmt: skip
    assert value_text(None) is None


def test_only_what_is_as_it_was_left_is_put_back() -> None:
    """Items that the change never reached need nothing; what somebody else has touched since is refused, secrets too."""
    one = Change("config", ["topic", "t"], "alter", {"a": "1", "b": None}, {"a": "2", "b": "3"})
    assert steps(one, {"a": "2", "b": "3"}) == {"a": "1", "b": None}
    assert steps(one, {"a": "2", "b": None}) == {"a": "1"}
    with pytest.raises(Failure, match="has changed since"):
        steps(one, {"a": "9", "b": "3"})
    with pytest.raises(Failure, match="nothing to take back"):
        steps(one, {"a": "1", "b": None})
    with pytest.raises(Failure, match="secret"):
        steps(Change("config", [], "", {"a": HIDDEN}, {"a": None}), {"a": None})
