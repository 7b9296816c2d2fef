"""The screens that only read, against three Apache Kafka brokers of which one is killed: they go on, and say what is amiss."""

from __future__ import annotations

import json
import pathlib
import signal

import pytest
from textual.pilot import Pilot

from ev_tui.app import EvApp
from ev_tui.tabs import TabPage
from support.apache_kafka import ORDERLY, Kafka
from support.command_line import CommandLine
from support.terminal_ui import options, run_app, text_of, until

pytestmark = [pytest.mark.java, pytest.mark.slow]


def test_a_broker_that_dies_is_told_and_the_rest_is_read(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """Figures are those of `ev topic describe`; without one broker partitions have other leaders, and nothing waits for the dead one."""
    with Kafka(nodes=3, directory=tmp_path / "kafka", properties={**ORDERLY, "min.insync.replicas": "1"}, heap="512m") as kafka:
        with_address = ("-b", kafka.bootstrap)
        ev(*with_address, "topic", "create", "spread", "-p", "6", "-r", "3", "--wait", "-c", "retention.ms=3600000")
        ev(*with_address, "produce", "spread", data=b"".join(b"%d\n" % number for number in range(600)))
        ev(*with_address, "consume", "spread", "-g", "reader", "-n", "100")

        async def steps(app: EvApp, pilot: Pilot[int]) -> None:
            app.go("topic", "spread")
            page = app.page
            assert isinstance(page, TabPage)
            await until(pilot, lambda: sum(row[5] or 0 for row in page.list.rows) == 600)
            said = json.loads(ev.shell(f"{app.command_text} -o json").out)
            assert [(row[0], row[1], row[4]) for row in page.list.rows] == [
                (one["partition"], one["leader"], one["end"]) for one in said["partitions"]
            ]
            for _ in range(4):
                await pilot.press("right")
                await until(pilot, lambda: page.list.rows)
            assert {row[1] for row in page.list.rows} == {1, 2, 3}  # every broker has a replica of each partition
            await pilot.press("right")

            kafka.kill(1, signal.SIGKILL)
            await until(pilot, lambda: page.list.rows and all(row[1] in (2, 3) for row in page.list.rows), timeout_s=60)
            await until(pilot, lambda: "6 under-replicated" in text_of(app), timeout_s=60)
            ev(*with_address, "produce", "spread", data=b"more\n" * 60)
            await until(pilot, lambda: sum(row[5] or 0 for row in page.list.rows) == 660, timeout_s=30)
            await pilot.press("right")
            await until(pilot, lambda: page.list.rows, timeout_s=30)
            assert page.list.go_to("retention.ms")
            assert page.list.current is not None
            assert page.list.current[1:3] == ("3600000 (1h)", "topic")
            await pilot.press("right")
            said = json.loads(ev.shell(f"{app.command_text} -o json").out)
            await until(pilot, lambda: page.list.rows and page.list.rows[0][3] == said["total_lag"], timeout_s=30)
            app.go("security")
            security = app.page
            assert isinstance(security, TabPage)
            for reason in ("authorizer", "nobody", "no quotas"):
                await until(pilot, lambda reason=reason: reason in text_of(app).lower(), timeout_s=30)  # type: ignore[misc]
                await pilot.press("right")

        run_app(steps, (120, 30), given=options(bootstrap=kafka.bootstrap))
