"""Groups of the new protocol under random members: no partition ever has two owners, and in the end everything is given out."""

from __future__ import annotations

from random import Random

import pytest

from ev.errors import ErrorCode
from support.simulated_members import REBALANCE_MS, SESSION_MS, Client, Coordinator


def assert_disjoint(clients: list[Client], coordinator: Coordinator) -> None:
    owners: dict[tuple[bytes, int], str] = {}
    members = {member.member_id for member in coordinator.described().members}
    for client in clients:
        if client.id not in members:
            continue  # it was too late with something, and learns with its next heartbeat that it lost everything
        for place in client.has:
            assert place not in owners, f"{place} is read by {owners[place]} and {client.id}"
            owners[place] = client.id


@pytest.mark.parametrize("seed", range(60))
def test_no_partition_has_two_readers_and_all_are_read_in_the_end(seed: int) -> None:
    """Members come, go, fall silent and lose answers; topics grow and come and go; the coordinator restarts."""
    random = Random(seed)
    coordinator = Coordinator()
    coordinator.topics.create("a", 5)
    coordinator.topics.create("b", 3)
    clients = [Client(coordinator, f"m{number}", random.choice([["a"], ["b"], ["a", "b"]])) for number in range(5)]
    for _ in range(300):
        client = random.choice(clients)
        match random.choice(["beat"] * 14 + ["lose"] * 2 + ["leave", "time", "time", "long", "restart", "grow"]):
            case "beat":
                client.beat()
            case "lose":
                client.beat(answer_is_lost=True)
            case "leave":
                if client.epoch:
                    client.leave()
            case "time":
                coordinator.pass_time(random.randint(1, 3000))
            case "long":
                coordinator.pass_time(SESSION_MS // 2)
            case "restart":
                coordinator.restart()
            case "grow":
                if random.random() < 0.5:
                    coordinator.topics.create("a", min(coordinator.topics.partitions["a"] + 1, 12))
                elif "c" in coordinator.topics.partitions:
                    coordinator.topics.delete("c")
                else:
                    coordinator.topics.create("c", 2)
        for each in clients:
            if coordinator.now_ms - each.last_ms >= SESSION_MS:
                each.has, each.says, each.epoch = set(), False, 0
        assert_disjoint(clients, coordinator)
    for client in clients:
        client.beat()
    for _ in range(12):
        for client in clients:
            client.says = True
            client.beat()
            coordinator.pass_time(10)
            assert_disjoint(clients, coordinator)
    read = {place for client in clients for place in client.has}
    wanted = {name for client in clients for name in client.topics if name in coordinator.topics.partitions}
    assert len(read) == sum(coordinator.topics.partitions[name] for name in wanted)
    described = coordinator.described()
    assert described.group_state == "Stable"
    assert {client.epoch for client in clients} == {described.group_epoch}
    coordinator.restart()
    again = coordinator.described()
    assert (again.group_state, again.group_epoch, len(again.members)) == ("Stable", described.group_epoch, len(clients))


def two_members() -> tuple[Coordinator, Client, Client]:
    coordinator = Coordinator()
    coordinator.topics.create("a", 4)
    first, second = Client(coordinator, "first", ["a"]), Client(coordinator, "second", ["a"])
    first.beat()
    second.beat()
    return coordinator, first, second


def test_who_does_not_let_go_in_time_is_thrown_out() -> None:
    """After its rebalance timeout, though its heartbeats come; then the other one gets everything."""
    coordinator, first, second = two_members()
    for _ in range(4):
        first.says = True
        assert first.beat(lets_go=False) == 0
        assert second.beat() == 0
        coordinator.pass_time(REBALANCE_MS // 4 + 1)
    assert first.beat() == ErrorCode.UNKNOWN_MEMBER_ID
    second.beat()
    assert len(second.has) == 4


def test_who_is_silent_is_thrown_out() -> None:
    """After the session timeout; a heartbeat in time keeps it."""
    coordinator, first, second = two_members()
    coordinator.pass_time(SESSION_MS - 1)
    assert second.beat() == 0
    coordinator.pass_time(1)
    assert first.beat() == ErrorCode.UNKNOWN_MEMBER_ID
    second.beat()
    assert len(second.has) == 4


def test_sessions_begin_anew_at_a_start() -> None:
    """Whoever lives has a session timeout to show it, and goes on in its epoch."""
    coordinator, first, second = two_members()
    first.beat()
    first.beat()
    second.beat()
    coordinator.pass_time(SESSION_MS - 1)
    coordinator.restart()
    coordinator.pass_time(SESSION_MS - 1)
    epochs = first.epoch, second.epoch
    assert first.beat() == second.beat() == 0
    assert (first.epoch, second.epoch) == epochs
    assert len(first.has | second.has) == 4
