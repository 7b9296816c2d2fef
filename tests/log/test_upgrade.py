"""The version of the data directory: as low as what is in it allows, raised before it has to be, and older ones are brought forward."""

from __future__ import annotations

from functools import partial

import pytest

from ev.disk import Disk
from ev.log import store
from ev.log.checkpoint import FIRST_FORMAT, FORMAT, State
from ev.log.upgrade import STEPS, Step, upgrade
from support.simulated_disk import SimulatedDisk
from support.stores import HandStore

STATE = "/data/ev.state"


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk(["/data"])


@pytest.fixture
def hand(disk: SimulatedDisk) -> HandStore:
    return HandStore("/data", disk=disk)


def noted(disk: SimulatedDisk) -> int:
    state = State.parse(disk.read(STATE))
    assert state is not None
    return state.format


def test_a_new_directory_has_the_first_format(hand: HandStore, disk: SimulatedDisk) -> None:
    """An engine of before may still have it, also after restarts of this one."""
    assert noted(disk) == FIRST_FORMAT
    hand.restart(clean=False)
    assert noted(disk) == FIRST_FORMAT


def test_the_format_rises_when_something_needs_it_and_never_falls(hand: HandStore, disk: SimulatedDisk) -> None:
    """It is on disk when the call returns."""
    hand.store.require_format(2)
    assert noted(disk) == 2
    hand.store.require_format(1)
    assert noted(disk) == 2
    hand.restart(clean=False)
    assert noted(disk) == 2


def test_the_steps_go_up_one_by_one_to_the_newest() -> None:
    """The table has each format after the first, once."""
    assert [step.target for step in STEPS] == list(range(FIRST_FORMAT + 1, FORMAT + 1))


def test_an_older_directory_is_brought_forward(hand: HandStore, disk: SimulatedDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step has its say before anything else of the start, once; then the format is noted, and the leader epoch goes on."""
    taken = []

    def run(disk: Disk, directory: str) -> None:
        assert disk.exists(f"{directory}/.kafka_cleanshutdown"), "nothing was done yet"
        taken.append(noted(disk))  # type: ignore[arg-type]

    hand.store.close()
    monkeypatch.setattr(store, "upgrade", partial(upgrade, steps=(Step(2, "it is new", run),)))
    before = hand.store.epoch
    hand.open()
    assert (taken, noted(disk), hand.store.epoch) == ([FIRST_FORMAT], 2, before + 1)
    hand.restart(clean=True)
    assert taken == [FIRST_FORMAT]


def test_a_step_that_a_crash_has_stopped_is_taken_again(hand: HandStore, disk: SimulatedDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it has done by then; the format says that it is not over, and an engine of before may still have the directory."""
    calls = []

    def run(disk: Disk, directory: str) -> None:
        calls.append(directory)
        if not disk.exists(f"{directory}/half"):
            disk.replace(f"{directory}/half", b"")
            raise OSError("the power went")

    hand.store.close()
    monkeypatch.setattr(store, "upgrade", partial(upgrade, steps=(Step(2, "it is new", run),)))
    with pytest.raises(OSError, match="the power went"):
        hand.open()
    assert noted(disk) == FIRST_FORMAT
    hand.open()
    assert (len(calls), noted(disk)) == (2, 2)


def test_several_steps_are_taken_in_order(disk: SimulatedDisk) -> None:
    """Each is noted before the next begins; those that have nothing to do are left out."""
    order: list[tuple[int, int]] = []
    disk.replace(STATE, State(1, 7).encode())

    def step(target: int) -> Step:
        return Step(target, "", lambda *_: order.append((target, noted_by_hand(disk))))

    end = upgrade(disk, "/data", State(1, 7), (Step(2, "", None), step(3), step(4)))
    assert order == [(3, 1), (4, 3)]
    assert (end.format, end.epoch, noted_by_hand(disk)) == (4, 7, 4)


def noted_by_hand(disk: SimulatedDisk) -> int:
    """The same of a format that this engine does not read."""
    return int(disk.read(STATE).decode().split("format ")[1].split("\n")[0])
