"""Security and contexts as they are seen, and going from one cluster to another."""

from __future__ import annotations

import pathlib

import pytest
from textual.pilot import Pilot

from ev.client.quotas import Quota
from ev.client.results import Acl
from ev_tui.app import EvApp
from ev_tui.screens.security_changes import acl_of, entity_of, number_of, quota_text
from support.command_line import CommandLine
from support.said_admin import SaidAdmin
from support.terminal_ui import SaidModel, check_screen, connected, options, run_app, text_of, until

SIZES = [(80, 24), (120, 40)]


def said_admin() -> SaidAdmin:
    return SaidAdmin(
        acls=[
            Acl("topic", "orders", "User:alice", "read"),
            Acl("topic", "pay", "User:*", "all", pattern="prefixed", permission="deny", host="10.1.2.3"),
            Acl("cluster", "kafka-cluster", "User:bob", "idempotent_write"),
        ],
        users={"alice": {"SCRAM-SHA-256": 16384, "SCRAM-SHA-512": 4096}, "bob": {"SCRAM-SHA-512": 16384}},
        quotas=[
            Quota({"user": None}, {"producer_byte_rate": 10485760.0}),
            Quota({"client-id": "a", "user": "b"}, {"request_percentage": 0.5}),
        ],
    )


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
def test_security_as_it_is_seen(size: tuple[int, int]) -> None:
    """Rights, users, quotas, and the dialogs that change them; ones' own keys of each tab."""
    at = "x".join(map(str, size))

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.session.admin = said_admin()  # type: ignore[method-assign, assignment]
        app.go("security")
        await until(pilot, lambda: "User:alice" in text_of(app))
        check_screen(app, f"security-acls-{at}", clock=True)
        await pilot.press("n")
        check_screen(app, f"security-add-acl-{at}", clock=True)
        await pilot.press("escape", "D")
        check_screen(app, f"security-remove-acl-{at}", clock=True)
        await pilot.press("escape", "right")
        await until(pilot, lambda: "SCRAM-SHA-256" in text_of(app))
        check_screen(app, f"security-users-{at}", clock=True)
        await pilot.press("right")
        await until(pilot, lambda: "request_percentage" in text_of(app))
        check_screen(app, f"security-quotas-{at}", clock=True)

    run_app(steps, size, model=SaidModel(connected()))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
def test_contexts_as_they_are_seen(size: tuple[int, int], tmp_path: pathlib.Path) -> None:
    """Where each is, how it is spoken to, what may be done there; a file that is none is told."""
    at = "x".join(map(str, size))
    config = tmp_path / "config.toml"
    config.write_text(
        'current = "prod"\n'
        '[contexts.prod]\nbootstrap = ["10.0.0.1:9092", "10.0.0.2:9092"]\nprotected = true\n[contexts.prod.tls]\n'
        '[contexts.audit]\nbootstrap = "audit:9092"\nreadonly = true\n'
    )

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        await pilot.press("C")
        check_screen(app, f"contexts-{at}", clock=True)
        config.write_text("[contexts")
        await pilot.press("r")
        await until(pilot, lambda: "the configuration is no TOML" in text_of(app))
        assert "audit" in text_of(app)

    run_app(steps, size, model=SaidModel(connected()))


def test_from_one_cluster_to_another(one_engine: CommandLine, tmp_path: pathlib.Path) -> None:
    """Enter on a context: its topics, its marks, commands that name it; a context that does not answer says so and can be left."""
    one_engine("topic", "create", "over-there", "--if-not-exists")
    (tmp_path / "config.toml").write_text(
        f'[contexts.there]\nbootstrap = ["{one_engine.address}"]\nreadonly = true\n[contexts.nobody]\nbootstrap = ["127.0.0.1:1"]\n'
    )

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        for name, text in (("nobody", "127.0.0.1:1"), ("there", "over-there")):
            app.go("contexts")
            await pilot.pause()
            assert app.page is not None
            assert app.page.list.go_to(name)  # type: ignore[attr-defined]
            await pilot.press("enter")
            app.go("topics")
            await until(pilot, lambda name=name, text=text: name in text_of(app).splitlines()[0] and text in text_of(app))  # type: ignore[misc]
        assert " RO " in text_of(app)
        assert app.command_text.endswith(" -C there")
        app.go("contexts")
        await pilot.pause()
        assert [row[:2] for row in app.page.list.rows if row[1]] == [("local", "current"), ("there", "here")]  # type: ignore[union-attr]

    run_app(steps, (120, 30), given=options(bootstrap=one_engine.address))


def test_what_the_forms_mean() -> None:
    """A star at the end of a name is a prefix, alone it is every name; a principal without a kind is a user."""
    form = {"permission": "Deny", "principal": "alice", "operation": "Describe-Configs", "resource": "topic", "name": "pay*", "host": "*"}
    assert acl_of(form) == Acl("topic", "pay", "User:alice", "describe_configs", pattern="prefixed", permission="deny")
    assert acl_of({**form, "name": "*", "permission": "allow"}) == Acl("topic", "*", "User:alice", "describe_configs")
    assert acl_of({**form, "resource": "cluster", "principal": "Group:x", "name": "pay*"}).name == "kafka-cluster"
    assert entity_of({"user": "(default)", "client-id": "a", "ip": ""}) == {"client-id": "a", "user": None}
    assert [number_of(text) for text in ("10MiB", " 1.5k ", "much", "")] == [10485760.0, 1500.0, None, None]
    assert [quota_text("producer_byte_rate", 10485760.0), quota_text("request_percentage", 0.5)] == ["10485760 (10.5 MB/s)", "0.5"]
