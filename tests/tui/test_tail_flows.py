"""Records on the screen, key by key, against a real engine: tail, filter, pause, seek, open, compare, copy, produce, search."""

from __future__ import annotations

import os
import pathlib
import sys
import time
from collections.abc import Awaitable, Callable

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from ev.client import Producer
from ev_cli.running import Options
from ev_tui.app import EvApp
from ev_tui.screens.record import RecordPage
from ev_tui.screens.search import SearchPage
from ev_tui.screens.tail import TailPage
from ev_tui.widgets.text_lines import TextLines
from support.command_line import CommandLine
from support.hostile import HOSTILE, trespasses
from support.terminal_session import TerminalSession
from support.terminal_ui import SaidModel, connected, options, run_app, text_of, until

pytestmark = pytest.mark.slow

Steps = Callable[[EvApp, Pilot[int]], Awaitable[None]]

NAMED = {" ": "space", ".": "full_stop", ">": "greater_than_sign", "<": "less_than_sign", "=": "equals_sign", "-": "minus", ":": "colon"}


async def type_text(pilot: Pilot[int], text: str) -> None:
    await pilot.press(*[NAMED.get(character, character) for character in text])


def address_of(command_line: CommandLine) -> str:
    return str(command_line("server", "status", "--json").json["address"])


@pytest.fixture
def topic(one_engine: CommandLine, request: pytest.FixtureRequest) -> str:
    """A topic of this test's own, with three partitions."""
    name = f"t{os.urandom(4).hex()}"
    one_engine("topic", "create", name, "-p", "3", "-q")
    return name


def run(engine: CommandLine, steps: Steps, size: tuple[int, int] = (110, 24)) -> None:
    """With a model that says nothing: records come from the engine itself."""
    run_app(steps, size, model=SaidModel(connected()), given=address_options(engine))


def address_options(engine: CommandLine) -> Options:
    return options(bootstrap=address_of(engine), quiet=True)


def tail_of(app: EvApp) -> TailPage:
    assert isinstance(app.page, TailPage)
    return app.page


def values_of(page: TailPage | SearchPage) -> list[bytes | None]:
    return [row.value for row in page.ring.rows(0, 1_000_000)]


def numbered(engine: CommandLine, topic: str, first: int, last: int, *arguments: str) -> None:
    lines = "".join(f'{{"n":{number}}}\n' for number in range(first, last + 1))
    engine("produce", topic, "--partitioner", "rr", *arguments, data=lines.encode())


def test_a_tail_follows_filters_and_pauses(one_engine: CommandLine, topic: str) -> None:
    """What comes is seen; a filter is about what came before it, too; paused, the window stands still and counts what is new."""
    numbered(one_engine, topic, 1, 30)

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("tail", topic)
        await until(pilot, lambda: '{"n":30}' in text_of(app))
        page = tail_of(app)
        await until(pilot, lambda: f"TAIL {topic}[3] FOLLOW" in text_of(app))
        assert f"$ ev tail {topic} --read-uncommitted -b " in text_of(app)

        await pilot.press("slash")
        await type_text(pilot, "value.n >")
        await until(pilot, lambda: "--where, column" in text_of(app))
        await type_text(pilot, " 25")
        await pilot.press("enter")
        await until(pilot, lambda: len(values_of(page)) == 5)
        assert f"ev tail {topic} --where 'value.n > 25' --read-uncommitted" in app.command_text
        numbered(one_engine, topic, 20, 28)
        await until(pilot, lambda: len(values_of(page)) == 8)
        await until(pilot, lambda: "matched 8" in text_of(app))

        await pilot.press("space")
        seen = [row.offset for row in page.tail._rows]
        numbered(one_engine, topic, 100, 139)
        await until(pilot, lambda: len(values_of(page)) == 48)
        await until(pilot, lambda: "paused: 32 new below" in text_of(app))
        assert [row.offset for row in page.tail._rows][: len(seen)] == seen
        await pilot.press("f")
        await until(pilot, lambda: '{"n":138}' in text_of(app))
        await pilot.press("escape")
        await until(pilot, lambda: page.where == "" and len(values_of(page)) == 79)

    run(one_engine, steps)


def test_a_tail_goes_to_a_time_and_to_offsets(one_engine: CommandLine, topic: str) -> None:
    """From there on, with the command that does the same; G is at the newest again."""
    for hour in range(3):
        numbered(one_engine, topic, 10 * hour, 10 * hour + 8, "--timestamp", f"2026-01-31T{10 + hour}:00:00")

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("tail", topic)
        page = tail_of(app)
        await until(pilot, lambda: len(values_of(page)) == 27)
        assert [row.timestamp for row in page.ring.rows(0, 100)] == sorted(row.timestamp for row in page.ring.rows(0, 100))
        await pilot.press("T")
        await type_text(pilot, "2026-01-31T11:30:00")
        await pilot.press("enter")
        await until(pilot, lambda: len(values_of(page)) == 9)
        assert min(row.value for row in page.ring.rows(0, 100) if row.value) == b'{"n":20}'
        assert "--since 2026-01-31T11:30:00" in app.command_text
        assert not page.tail.following
        await pilot.press("O")
        await type_text(pilot, "-1")
        await pilot.press("enter")
        await until(pilot, lambda: len(values_of(page)) == 3)
        assert f"ev tail {topic} -o -1 --read-uncommitted" in app.command_text
        await pilot.press("O")
        await type_text(pilot, "nonsense")
        await pilot.press("enter")
        await until(pilot, lambda: "'nonsense' is no offset" in text_of(app))
        await pilot.press("escape", "G")
        assert page.tail.following

    run(one_engine, steps)


def test_a_tail_goes_from_bar_to_bar_and_into_a_file(one_engine: CommandLine, topic: str, tmp_path: pathlib.Path) -> None:
    """A bar for each minute that has records; what is read is written as ev reads it back, and over nothing that is there."""
    now_ms = int(time.time() * 1000)
    for minutes, first in ((30, 0), (10, 10), (0, 20)):
        numbered(one_engine, topic, first, first + 2, "--timestamp", str(now_ms - minutes * 60_000))
    path = tmp_path / "records.jsonl"

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("tail", topic)
        page = tail_of(app)
        await until(pilot, lambda: page.slider.volume is not None and len(values_of(page)) == 9)
        assert "~9 records" in text_of(app)
        await pilot.press("less_than_sign")
        await until(pilot, lambda: len(values_of(page)) == 6)
        await pilot.press("full_stop")
        await until(pilot, lambda: len(values_of(page)) == 3)
        assert " --since 20" in app.command_text
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.focused, Input))
        app.focused.value = str(path)  # type: ignore[union-attr]
        await pilot.press("enter")
        await until(pilot, lambda: path.exists() and path.read_bytes().count(b"\n") == 3)
        one_engine("produce", topic, "-J", str(path))
        await until(pilot, lambda: len(values_of(page)) == 6)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.focused, Input))
        app.focused.value = str(path)  # type: ignore[union-attr]
        await pilot.press("enter")
        await until(pilot, lambda: "already" in text_of(app))

    run(one_engine, steps)


def test_the_mouse_moves_the_window_and_opens_records(one_engine: CommandLine, topic: str) -> None:
    """The wheel ends following; a click chooses, two open."""
    numbered(one_engine, topic, 1, 60, "-p", "0")

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("tail", topic)
        page = tail_of(app)
        await until(pilot, lambda: '{"n":60}' in text_of(app))
        top = page.tail.top
        page.tail.post_message(events.MouseScrollUp(page.tail, 5, 5, 0, -1, 0, False, False, False))
        await until(pilot, lambda: page.tail.top == top - 3)
        assert not page.tail.following
        await pilot.click(page.tail, offset=(20, 3))
        await until(pilot, lambda: page.tail.cursor == page.tail.top + 2)
        await pilot.click(page.tail, offset=(20, 3), times=2)
        await until(pilot, lambda: isinstance(app.page, RecordPage))
        assert app.page.place == (topic, 0, top - 3 + 2)  # type: ignore[union-attr]

    run(one_engine, steps)


def test_transactions_are_seen_as_what_they_became(one_engine: CommandLine, topic: str) -> None:
    """Open, then committed or aborted, with the markers; u leaves only what is committed."""
    address = address_of(one_engine)

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("tail", f"{topic}:0")
        page = tail_of(app)
        with Producer(address, transactional_id=f"x-{topic}") as producer:
            producer.init_transactions()
            for value, commits in ((b"kept", True), (b"lost", False)):
                producer.begin_transaction()
                producer.produce(topic, value, partition=0)
                producer.flush()
                await until(pilot, lambda value=value: any(f"?  {value.decode()}" in line for line in text_of(app).splitlines()))  # type: ignore[misc]
                (producer.commit_transaction if commits else producer.abort_transaction)()
        await until(pilot, lambda: "C  kept" in text_of(app) and "A  lost" in text_of(app))
        assert "(aborted)" in text_of(app), text_of(app)
        assert "COMMIT producer" in text_of(app)
        assert "ABORT producer" in text_of(app)
        await pilot.press("u")
        await until(pilot, lambda: [row.value for row in page.ring.rows(0, 100) if not row.origin.is_control] == [b"kept"])
        assert "--read-uncommitted" not in app.command_text

    run(one_engine, steps)


def test_a_record_is_opened_compared_and_copied(one_engine: CommandLine, topic: str) -> None:
    """All of it, its neighbours, what differs; each copy is what it says."""
    for number in range(3):
        one_engine("produce", topic, "-p", "1", "-k", "key", "-H", "trace=abc", "--value", f'{{"n":{number},"same":true}}')
    copied: list[str] = []

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.copy = lambda text, what: copied.append(text)  # type: ignore[method-assign]
        app.go("tail", topic)
        await until(pilot, lambda: '{"n":2' in text_of(app))
        await pilot.press("k", "enter")
        await until(pilot, lambda: isinstance(app.page, RecordPage) and '"same": true' in text_of(app))
        assert f"{topic}/1@1" in text_of(app)
        assert f"ev get {topic}/1/1 " in app.command_text
        await pilot.press("j")
        await until(pilot, lambda: f"{topic}/1@2" in text_of(app))
        await pilot.press("j")
        await until(pilot, lambda: "is the newest record" in text_of(app))
        await pilot.press("k")
        await until(pilot, lambda: f"{topic}/1@1" in text_of(app))
        for tab, shown in (("Key", "key"), ("Headers", "trace = abc"), ("Hex", "7b 22 6e 22"), ("Batch", "leader epoch")):
            await pilot.press("tab")
            await until(pilot, lambda tab=tab, shown=shown: f"[{tab}]" in text_of(app) and shown in app.screen.query_one(TextLines).text)  # type: ignore[misc]
        for key in "vkjlcp":
            await pilot.press("y", key)
            await pilot.pause()
        assert copied[0] == '{"n":1,"same":true}'
        assert copied[1] == "key"
        shown = one_engine("get", f"{topic}/1/1", "-J").json
        assert one_engine("produce", topic, "-J", data=copied[2].encode() + b"\n").status == 0
        assert copied[3].startswith("ev://127.0.0.1:")
        assert one_engine.shell(copied[4]).out.decode().strip() != ""
        assert one_engine.shell(copied[5]).status == 0
        for again in (3, 4):
            found = one_engine("consume", topic, "-o", f"-{again}", "-e", "-J").lines
            assert any('"value":"{\\"n\\":1,\\"same\\":true}"' in line and '"trace","abc"' in line for line in found), (found, shown)

        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.page, TailPage))
        await pilot.press("g", "m", "m", "d")
        await until(pilot, lambda: "same hidden (=)" in text_of(app))
        assert "- n " in text_of(app)
        assert "+ n " in text_of(app)

    run(one_engine, steps)


def test_a_record_is_produced(one_engine: CommandLine, topic: str) -> None:
    """From the form, and through the command that the form shows: both are the same record."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("tail", topic)
        page = tail_of(app)
        await pilot.press("p")
        await type_text(pilot, "k 1")
        await pilot.press("tab")
        await type_text(pilot, "first line")
        await pilot.press("enter", "2", "tab")
        await type_text(pilot, "h=x y")
        await pilot.press("tab", "2")
        await until(pilot, lambda: "--header='h=x y'" in text_of(app) or "'--header=h=x y'" in text_of(app))
        command = app.command_of(app.screen.draft.words())  # type: ignore[attr-defined]
        await pilot.press("f10")
        await until(pilot, lambda: len(values_of(page)) == 1)
        assert one_engine.shell(command).status == 0
        await until(pilot, lambda: len(values_of(page)) == 2)
        rows = page.ring.rows(0, 10)
        assert [(row.key, row.value, list(row.headers), row.origin.partition) for row in rows] == [
            (b"k 1", b"first line\n2", [("h", b"x y")], 2)
        ] * 2

    run(one_engine, steps)


def test_nothing_is_produced_where_one_only_looks(one_engine: CommandLine, topic: str) -> None:
    """The key says why not."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("tail", topic)
        await pilot.press("p")
        await pilot.pause()
        assert len(app.screen_stack) == 2
        assert any("only for looking" in toast.message for toast in app._notifications)

    given = options(bootstrap=address_of(one_engine), quiet=True, readonly=True)
    run_app(steps, model=SaidModel(connected()), given=given)


def test_a_search_goes_over_everything_and_stops_when_told(one_engine: CommandLine, topic: str) -> None:
    """All partitions to where they ended, with how far it is; what it finds is what the shown command finds."""
    numbered(one_engine, topic, 1, 5000)

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("search", topic)
        await until(pilot, lambda: isinstance(app.focused, Input))
        page = app.page
        assert isinstance(page, SearchPage)
        await type_text(pilot, "value.n in [7, 4321]")
        await pilot.press("enter")
        await until(pilot, lambda: "done" in text_of(app) and "hits 2" in text_of(app))
        assert "100%" in text_of(app)
        assert sorted(filter(None, values_of(page))) == sorted(one_engine.shell(app.command_text).out.splitlines())
        await pilot.press("S")
        await until(pilot, lambda: page.job is not None and not page.job.is_running)

    run(one_engine, steps)


def test_an_engine_that_dies_is_said_and_comes_back_by_itself(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """Killed under a tail: the tail brings the local engine back, and records come without a key."""
    ev("topic", "create", "orders", "-p", "1")
    numbered(ev, "orders", 1, 5)
    given = options(data_dir=str(ev.data_dir), listen="127.0.0.1:0", quiet=True)

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("tail", "orders")
        await until(pilot, lambda: '{"n":5}' in text_of(app))
        pid = ev("server", "status", "--json").json["pid"]
        os.kill(pid, 9)
        await until(pilot, lambda: ev("server", "status", "--json", status=None).json["pid"] not in (pid, None), 30)
        numbered(ev, "orders", 6, 9)
        await until(pilot, lambda: '{"n":9}' in text_of(app), 30)
        assert '{"n":1}' in text_of(app), "what was there stays"

    run_app(steps, (110, 24), model=SaidModel(connected()), given=given)


def test_hostile_records_are_only_text(one_engine: CommandLine, topic: str, tmp_path: pathlib.Path) -> None:
    """Escape sequences in values, keys and headers, on every screen that shows records: the raw output has none of them."""
    evil = HOSTILE.encode("utf-8", "surrogatepass")
    address = address_of(one_engine)
    with Producer(address) as producer:
        for value in (evil, b'{"EVIL":"\\u001b]0;x\\u0007"}', evil.replace(b"\0", b"").decode("utf-8", "ignore").encode()):
            producer.produce(topic, value, evil, headers=[(HOSTILE.replace("\ud800", ""), evil)], partition=0)
        producer.flush()
    program = pathlib.Path(__file__).with_name("hostile_record_visits.py")
    report = tmp_path / "report"
    command = [sys.executable, "-P", str(program), str(report), address, topic]
    with TerminalSession(command, size=(140, 45)) as terminal:
        assert terminal.wait() == 0, terminal.raw[-3000:]
    assert trespasses(terminal.raw) == []
    lines = report.read_text().splitlines()
    assert lines
    assert all(line.endswith(" shown") for line in lines), lines


def test_a_screen_that_is_left_reads_nothing(one_engine: CommandLine, topic: str) -> None:
    """Nobody looks: the reader waits, and goes on when one comes back."""
    numbered(one_engine, topic, 1, 3)

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("tail", topic)
        page = tail_of(app)
        await until(pilot, lambda: len(values_of(page)) == 3)
        app.go("topics")
        await until(pilot, lambda: page.reader is not None and page.reader.figures(time.monotonic()).waits)
        numbered(one_engine, topic, 4, 6)
        await pilot.pause(0.3)
        assert len(values_of(page)) == 3
        app.go("tail", topic)
        await until(pilot, lambda: len(values_of(page)) == 6)

    run(one_engine, steps)
