"""The memory that requests may hold: places are taken in order, what was begun can be finished, and everything is given back."""

from __future__ import annotations

from collections.abc import Callable

from ev.server.budget import Budget
from ev.wire.messages.k18_api_versions import ApiVersionsRequest
from support.engine import Engine
from support.raw_client import RawClient

StartEngine = Callable[..., Engine]
MIB = 1 << 20


class Waiter:
    """Somebody in line."""

    def __init__(self) -> None:
        self.served = False

    def room(self) -> None:
        self.served = True


def test_places_are_given_in_the_order_in_which_they_were_asked_for() -> None:
    """A small frame does not overtake a large one for ever."""
    budget = Budget(100)
    first, large, small = Waiter(), Waiter(), Waiter()
    assert budget.reserve(first, 60)
    assert not budget.reserve(large, 80)
    assert not budget.reserve(small, 10)
    budget.give_back(60)
    assert (large.served, small.served) == (True, True)
    assert budget.bytes_held == 90


def test_a_frame_larger_than_the_budget_goes_alone() -> None:
    """It waits until nobody else holds anything; otherwise it would wait for ever."""
    budget = Budget(100)
    small, huge = Waiter(), Waiter()
    assert budget.reserve(small, 10)
    assert not budget.reserve(huge, 500)
    budget.give_back(10)
    assert huge.served


def test_who_leaves_the_line_holds_up_nobody() -> None:
    """A connection that closes while it waits makes way for the next one."""
    budget = Budget(100)
    first, gone, next_one = Waiter(), Waiter(), Waiter()
    assert budget.reserve(first, 60)
    assert not budget.reserve(gone, 80)
    assert not budget.reserve(next_one, 40)
    assert budget.forget(gone)
    assert next_one.served
    assert not budget.forget(first)


def test_large_frames_beyond_the_budget_wait_unread_and_all_are_answered(start_engine: StartEngine) -> None:
    """Ten clients begin 1 MiB each where 2 MiB may be held: the engine takes one after the other, and small ones meanwhile."""
    engine = start_engine(settings={"queued.max.request.bytes": str(2 * MIB)})
    clients = [RawClient(engine.address) for _ in range(10)]
    try:
        frames = []
        for client in clients:
            request = client.frame(18, 3, ApiVersionsRequest(client_software_name="n" * MIB, client_software_version="1"))
            client.send(request[: MIB // 8])
            frames.append(request)
        with RawClient(engine.address) as other:
            assert other.ask(18, 0, ApiVersionsRequest()).error_code == 0
        # The last ones are in line behind the first ones, which are half sent: finish in the order of arrival.
        for client, request in zip(clients, frames, strict=True):
            client.send(request[MIB // 8 :])
            assert client.answer(18, 3).error_code == 0
    finally:
        for client in clients:
            client.close()


def test_who_takes_a_place_and_does_not_go_on_makes_way_for_those_who_wait(start_engine: StartEngine) -> None:
    """Otherwise a few requests that were begun would stop all large ones for half a minute."""
    engine = start_engine(settings={"queued.max.request.bytes": str(2 * MIB)})
    with RawClient(engine.address) as slow, RawClient(engine.address) as large:
        slow.send((2 * MIB - 100).to_bytes(4, "big") + b"\0")
        request = large.frame(18, 3, ApiVersionsRequest(client_software_name="n" * MIB, client_software_version="1"))
        large.send(request[: MIB // 2])
        large.send(request[MIB // 2 :])
        assert large.answer(18, 3).error_code == 0
        assert slow.closed()


def test_clients_that_leave_in_the_middle_of_a_frame_give_their_places_back(start_engine: StartEngine) -> None:
    """Otherwise a few of them would stop the engine for good."""
    engine = start_engine(settings={"queued.max.request.bytes": str(2 * MIB)})
    for _ in range(5):
        with RawClient(engine.address) as client:
            request = client.frame(18, 3, ApiVersionsRequest(client_software_name="n" * MIB, client_software_version="1"))
            client.send(request[: MIB // 2])
    with RawClient(engine.address) as client:
        assert client.ask(18, 3, ApiVersionsRequest(client_software_name="n" * MIB, client_software_version="1")).error_code == 0
