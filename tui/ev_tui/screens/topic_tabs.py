"""The tables about one topic: partitions with what moves in them, settings, groups, volume by time, directories."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ev_tui import amounts
from ev_tui.asked import Asked, of_cluster
from ev_tui.changes import named, option
from ev_tui.screens.topic_changes import meaning_of
from ev_tui.tabs import Tab, TabPage
from ev_tui.widgets.line import Piece
from ev_tui.widgets.line_table import Column, Row

if TYPE_CHECKING:
    from ev.client.admin import Admin
    from ev.client.results import ConfigEntry
    from ev_cli.model.rates import Rate
    from ev_cli.model.snapshot import PartitionRow, Snapshot
    from ev_tui.screens.topic import TopicPage

Values = Sequence[float | None]

SHADES = " ░▒▓█"
HEAT = 30
"""Buckets of 10 s that are seen: five minutes."""


class TopicTab(Tab):
    """A table about the topic of the page."""

    def __init__(self, page: TabPage) -> None:
        self.topic = cast("TopicPage", page).topic
        super().__init__(page)

    def wants(self) -> dict[str, Any]:
        return {"topics": [self.topic], "topic_details": [self.topic]}


# -- partitions ------------------------------------------------------------------------------------------------------------------


class PartitionsTab(TopicTab):
    """Who leads, who follows, what is in it; and the last five minutes of each as shades."""

    TITLE = "Partitions"
    EMPTY = "no partitions are known"
    HEATS = ("rate", "lag", "size")

    def __init__(self, page: TabPage) -> None:
        self.heat = "rate"
        self.top = 0.0
        super().__init__(page)
        self.transactions: Asked[list[OpenTransaction]] = Asked(of_cluster(self._ask_transactions), old_s=10.0)

    def columns(self) -> Sequence[Column]:
        return (
            Column("P", 4, right=True, keep=0),
            Column("LEAD", 4, lambda leader: "none" if leader < 0 else str(leader), right=True, keep=5, tone=_leaderless),
            Column("ISR", 7, _in_sync, keep=7, tone=lambda isr: "bad" if isr.missing else None, order=lambda isr: -isr.missing),
            Column("LOW", 9, amounts.full, right=True, keep=9),
            Column("END", 11, amounts.full, right=True, keep=8, descending=True),
            Column("RECORDS", 8, amounts.short, right=True, keep=3, descending=True),
            Column("SIZE", 8, amounts.size, right=True, keep=6, descending=True),
            Column("REC/S", 7, amounts.per_second, right=True, keep=2, order=_by_rate, descending=True),
            Column("5 MIN, 10 s EACH", HEAT, self._shades, keep=4, tone=lambda _: "accent", order=_newest, descending=True),
            Column("MAX LAG", 8, amounts.short, right=True, keep=1, descending=True, tone=lambda lag: "warn" if lag else None),
        )

    def _shades(self, values: Values) -> str:
        return shades(values, HEAT, self.top) if self.heat != "size" else bar(values[-1], self.top, HEAT)

    def next_heat(self) -> None:
        self.heat = self.HEATS[(self.HEATS.index(self.heat) + 1) % len(self.HEATS)]

    def rows(self, snapshot: Snapshot) -> list[Row]:
        partitions = snapshot.partitions.get(self.topic, ())
        heats = self._heats(snapshot, partitions)
        self.top = max((value for heat in heats for value in heat if value is not None), default=0.0)
        return [
            (
                partition.index,
                partition.leader,
                InSync(partition.in_sync, len(partition.replicas) - len(partition.in_sync)),
                partition.start,
                partition.end,
                partition.records,
                partition.size_bytes,
                partition.rate,
                heat,
                partition.max_lag,
            )
            for partition, heat in zip(partitions, heats, strict=True)
        ]

    def _heats(self, snapshot: Snapshot, partitions: Iterable[PartitionRow]) -> list[Values]:
        if self.heat == "size":
            return [(partition.size_bytes,) for partition in partitions]
        if self.heat == "rate":
            return [partition.history for partition in partitions]
        row = snapshot.topics.get(self.topic)
        histories: dict[int, list[Values]] = {}
        for group in row.groups if row is not None else ():
            for one in snapshot.group_partitions.get(group, ()):
                if one.topic == self.topic:
                    histories.setdefault(one.index, []).append(one.history)
        return [highest(histories.get(partition.index, [])) for partition in partitions]

    def heading(self, snapshot: Snapshot) -> str:
        row = snapshot.topics.get(self.topic)
        said = [] if row is None or row.skew is None or row.partitions < 2 else [f"skew x{row.skew:.1f} (p{row.hottest_partition})"]
        return " · ".join([*said, f"shades: {self.heat} (v)"])

    def note(self, snapshot: Snapshot) -> tuple[Piece, ...]:
        """Open transactions hold readers of committed records back; what was not answered is not as new as the rest."""
        rows = snapshot.partitions.get(self.topic, ())
        pieces = transactions_note(self.transactions.answer or [], {one.index: one.end for one in rows}, int(time.time() * 1000))
        failed = [one for one in rows if one.error is not None]
        if failed:
            more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
            pieces += ((f" p{failed[0].index}{more}: {failed[0].error}", "bad"),)
        return pieces

    @property
    def aside(self) -> Asked[Any] | None:
        return self.transactions

    def wants(self) -> dict[str, Any]:
        snapshot = self.page.ev.snapshot
        row = None if snapshot is None else snapshot.topics.get(self.topic)
        groups = () if row is None or self.heat != "lag" else row.groups
        return {**super().wants(), "groups": list(groups) or None, "group_details": groups}

    def open_row(self, key: Any) -> None:
        self.page.ev.go("tail", f"{self.topic}:{key}")

    def command(self) -> Sequence[str]:
        return ("topic", "describe", "-o", "wide", "--section", "summary,partitions", *named([self.topic]))

    def _ask_transactions(self, admin: Admin) -> list[OpenTransaction]:
        (topic,) = admin.describe_topics([self.topic])
        found = admin.producers([(self.topic, one.index) for one in topic.partitions if one.leader >= 0])
        return [
            OpenTransaction(index, producer.producer_id, producer.started_at, producer.last_timestamp)
            for (_, index), producers in found.items()
            for producer in producers.producers
            if producer.started_at is not None
        ]


@dataclass(frozen=True, slots=True)
class InSync:
    """The replicas that have everything, and how many have not."""

    replicas: tuple[int, ...]
    missing: int


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A producer that has begun and neither committed nor aborted; when it last wrote."""

    partition: int
    producer_id: int
    started_at: int
    last_write_ms: int


def transactions_note(transactions: Sequence[OpenTransaction], ends: dict[int, int | None], now_ms: int) -> tuple[Piece, ...]:
    """One line about the transaction that holds back the most, and how many more there are."""

    def held_back(one: OpenTransaction) -> int:
        end = ends.get(one.partition)
        return 0 if end is None else max(0, end - one.started_at)

    if not transactions:
        return ()
    worst = max(transactions, key=held_back)
    more = f", and {len(transactions) - 1} more" if len(transactions) > 1 else ""
    age_s = max(0, now_ms - worst.last_write_ms) / 1000
    return (
        (" open transaction: ", "warn"),
        (f"committed readers of p{worst.partition} are {held_back(worst):,} back{more}", "warn"),
        (f" · producer {worst.producer_id} from {worst.started_at:,}, last write {amounts.span(age_s)} ago", ""),
    )


def _leaderless(leader: int) -> str | None:
    return "bad" if leader < 0 else None


def _in_sync(isr: InSync) -> str:
    return ",".join(map(str, isr.replicas)) + (f" -{isr.missing}" if isr.missing else "")


def _by_rate(rate: Rate) -> float:
    return rate.per_s


def _newest(values: Values) -> float | None:
    return values[-1] if values else None


def shades(values: Values, width: int, top: float) -> str:
    """The newest values as shades, newest at the right: a dot where nothing was measured, a blank for nothing."""
    shown = values[-width:]
    steps = len(SHADES) - 1
    cells = []
    for value in shown:
        if value is None:
            cells.append("·")
        elif value <= 0 or top <= 0:
            cells.append(" ")
        else:
            cells.append(SHADES[min(steps, max(1, round(value / top * steps)))])
    return "".join(cells).rjust(width, "·")


def bar(value: float | None, top: float, width: int) -> str:
    """How much of the largest it is."""
    if value is None or top <= 0:
        return amounts.UNKNOWN
    return "█" * max(1 if value else 0, round(value / top * width))


def highest(histories: Sequence[Values]) -> Values:
    """Of several histories, the highest value of each moment; they end at the same one."""
    if not histories:
        return (None,)
    width = max(len(one) for one in histories)
    rows: list[list[float | None]] = [[*[None] * (width - len(one)), *one] for one in histories]
    return [max((value for value in moment if value is not None), default=None) for moment in zip(*rows, strict=True)]


# -- settings --------------------------------------------------------------------------------------------------------------------


class ConfigTab(TopicTab):
    """Every setting: its value, whether it was set for this topic, what it is for."""

    TITLE = "Config"
    EMPTY = "no settings are told"

    def __init__(self, page: TabPage) -> None:
        super().__init__(page)
        self._asked: Asked[dict[str, ConfigEntry]] = Asked(of_cluster(self._ask))

    def columns(self) -> Sequence[Column]:
        return (
            Column("KEY", 38, keep=0),
            Column("VALUE", 20, grow=True, keep=1),
            Column("FROM", 8, keep=2, tone=lambda source: "accent" if source == "topic" else "dim"),
            Column("WHAT IT IS FOR", 30, grow=True, keep=9, tone=lambda _: "dim"),
        )

    @property
    def asked(self) -> Asked[Any] | None:
        return self._asked

    def _ask(self, admin: Admin) -> dict[str, ConfigEntry]:
        (described,) = admin.describe_configs("topic", [self.topic], documentation=True, synonyms=True)
        if described.error is not None:
            raise described.error
        return described.entries

    @property
    def current(self) -> ConfigEntry | None:
        return (self._asked.answer or {}).get(self.table.current_key)

    def rows(self, snapshot: Snapshot) -> list[Row]:
        entries = sorted((self._asked.answer or {}).values(), key=lambda entry: entry.name)
        return [(entry.name, value_of(entry), entry.source, " ".join((entry.documentation or "").split())) for entry in entries]

    def heading(self, snapshot: Snapshot) -> str:
        entries = (self._asked.answer or {}).values()
        return f"{len(entries)} settings, {sum(entry.source == 'topic' for entry in entries)} set here" if entries else ""

    def note(self, snapshot: Snapshot) -> tuple[Piece, ...]:
        entry = self.current
        about = "" if entry is None else " ".join((entry.documentation or "").split())
        return ((f" {about}", "dim"),) if about else ()

    def open_row(self, key: Any) -> None:
        cast("TopicPage", self.page).action_edit()

    def command(self) -> Sequence[str]:
        return ("config", "get", "-a", "--docs", *named([f"topic/{self.topic}"]))


def value_of(entry: ConfigEntry) -> str:
    if entry.sensitive:
        return "(not shown)"
    value = entry.value
    return amounts.UNKNOWN if value is None else f"{value}{meaning_of(entry.name, value)}"


# -- groups ----------------------------------------------------------------------------------------------------------------------


class GroupsTab(TopicTab):
    """Who reads it, and how far behind in this topic."""

    TITLE = "Groups"
    EMPTY = "no group has committed an offset in it"
    SORT = 3

    def columns(self) -> Sequence[Column]:
        return (
            Column("GROUP", 24, grow=True, keep=0),
            Column("STATE", 12, keep=6),
            Column("MEMBERS", 7, amounts.full, right=True, keep=7),
            Column("LAG HERE", 9, amounts.short, right=True, keep=1, descending=True, tone=lambda lag: "warn" if lag else None),
            Column("10 MIN", 10, lambda values: amounts.sparkline(values, 10), keep=5, tone=lambda _: "accent", order=_newest),
            Column("ETA", 8, amounts.span, right=True, keep=3),
            Column("TIME LAG", 9, lambda ms: amounts.ago(ms / 1000), right=True, keep=4, descending=True),
            Column("VERDICT", 9, str, keep=2),
        )

    def rows(self, snapshot: Snapshot) -> list[Row]:
        topic = snapshot.topics.get(self.topic)
        return [] if topic is None else [self._row(snapshot, name) for name in topic.groups if name in snapshot.groups]

    def _row(self, snapshot: Snapshot, name: str) -> Row:
        group = snapshot.groups[name]
        own = [one for one in snapshot.group_partitions.get(name, ()) if one.topic == self.topic]
        lags = [one.lag for one in own]
        known = [lag for lag in lags if lag is not None]
        etas = [one.eta_s for one in own if one.eta_s is not None]
        times = [one.time_lag_ms for one in own if one.time_lag_ms is not None]
        return (
            name,
            group.state,
            group.members,
            sum(known) if known and len(known) == len(lags) else None,
            added([one.history for one in own]),
            max(etas, default=None),
            max(times, default=None),
            group.verdict,
        )

    def heading(self, snapshot: Snapshot) -> str:
        count = len(self.table.rows)
        return f"read by {count:,} group{'' if count == 1 else 's'}"

    def wants(self) -> dict[str, Any]:
        groups = [str(key) for key in self.table.visible_keys]
        return {**super().wants(), "groups": groups or None, "group_details": groups}

    def command(self) -> Sequence[str]:
        name = self.table.current_key
        return (
            ("group", "list", "-o", "wide") if name is None else ("group", "describe", *option("--topic", self.topic), *named([str(name)]))
        )

    def open_row(self, key: Any) -> None:
        self.page.ev.go("group", str(key))


def added(histories: Sequence[Values]) -> Values:
    """The sums of several histories that end at the same moment; unknown where one of them is."""
    if not histories:
        return (None,)
    width = min(len(one) for one in histories)
    rows = [list(one)[len(one) - width :] for one in histories]
    sums: list[float | None] = []
    for moment in zip(*rows, strict=True):
        known = [value for value in moment if value is not None]
        sums.append(sum(known) if len(known) == len(moment) else None)
    return sums


# -- volume by time --------------------------------------------------------------------------------------------------------------


TIMELINE = 24
BAR = 40


class TimelineTab(TopicTab):
    """How many offsets each part of the topic's life has, by the timestamps of records; nothing is read for it.

    The time between the oldest record and now is cut into equal parts, and the brokers are asked which offset each edge has.
    """

    TITLE = "Timeline"
    EMPTY = "no record has a timestamp"
    SORT = None

    def __init__(self, page: TabPage) -> None:
        self.top = 0.0
        super().__init__(page)
        self._asked: Asked[list[Volume]] = Asked(of_cluster(self._ask), old_s=10.0)

    def columns(self) -> Sequence[Column]:
        return (
            Column("FROM", 19, lambda ms: time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ms / 1000)), keep=0),
            Column("LASTS", 8, amounts.span, right=True, keep=5),
            Column("OFFSETS", 10, amounts.full, right=True, keep=1),
            Column("PER S", 9, lambda rate: amounts.short(rate) if rate >= 10 else f"{rate:.1f}", right=True, keep=3),
            Column("", BAR, lambda count: bar(count, self.top, BAR), keep=2, tone=lambda _: "accent"),
        )

    @property
    def asked(self) -> Asked[Any] | None:
        return self._asked

    def _ask(self, admin: Admin) -> list[Volume]:
        (topic,) = admin.describe_topics([self.topic])
        if topic.error is not None:
            raise topic.error
        places = [(self.topic, one.index) for one in topic.partitions if one.leader >= 0]
        oldest = [one.timestamp for one in admin.list_offsets(dict.fromkeys(places, 0)).values() if one.error is None and one.offset >= 0]
        now_ms = int(time.time() * 1000)
        if not oldest:
            return []
        edges = edges_of(min(oldest), now_ms, TIMELINE)
        ends = {place: one.offset for place, one in admin.list_offsets(dict.fromkeys(places, "latest")).items()}
        found = []
        for edge in edges[:-1]:
            at = admin.list_offsets(dict.fromkeys(places, edge))
            found.append([_offset(at[place], ends[place]) for place in places])
        return volumes(edges, [*found, [ends[place] for place in places]])

    def rows(self, snapshot: Snapshot) -> list[Row]:
        answer = self._asked.answer or []
        self.top = max((one.offsets for one in answer), default=0.0)
        return [
            (one.from_ms, one.lasts_ms / 1000, one.offsets, one.offsets / (one.lasts_ms / 1000), one.offsets) for one in reversed(answer)
        ]

    def heading(self, snapshot: Snapshot) -> str:
        return "offsets by the time of records, the newest first"

    def note(self, snapshot: Snapshot) -> tuple[Piece, ...]:
        return ((" from ListOffsets, no record is read: compacted records and marks of transactions count, too", "dim"),)

    def command(self) -> Sequence[str]:
        key = self.table.current_key
        at = [] if key is None else ["--at", str(key)]
        return ("topic", "offsets", *at, *named([self.topic]))

    def open_row(self, key: Any) -> None:
        self.page.ev.go("tail", self.topic)


@dataclass(frozen=True, slots=True)
class Volume:
    """A part of the time, and how many offsets are in it."""

    from_ms: int
    lasts_ms: int
    offsets: int


def edges_of(first_ms: int, now_ms: int, parts: int) -> list[int]:
    """The edges of so many equal parts of the time, each at least a second long."""
    step = max(1000, -(-(now_ms + 1 - first_ms) // parts))
    return [first_ms + step * index for index in range(parts + 1) if first_ms + step * (index - 1) <= now_ms]


def _offset(found: Any, end: int) -> int | None:
    """The first offset at or after an edge: the end, when no record is as young."""
    return None if found.error is not None else end if found.offset < 0 else found.offset


def volumes(edges: Sequence[int], offsets: Sequence[Sequence[int | None]]) -> list[Volume]:
    """What lies between the edges. Timestamps need not grow with offsets: less than nothing is nothing."""
    found = []
    for index in range(len(edges) - 1):
        count = sum(
            max(0, after - before)
            for before, after in zip(offsets[index], offsets[index + 1], strict=True)
            if before is not None and after is not None
        )
        found.append(Volume(edges[index], edges[index + 1] - edges[index], count))
    return found


# -- directories -----------------------------------------------------------------------------------------------------------------


class DirectoriesTab(TopicTab):
    """Where each replica lies, and how large it is: all that brokers elsewhere tell of their files."""

    TITLE = "Log dirs"
    EMPTY = "no broker tells of a replica"

    def __init__(self, page: TabPage) -> None:
        super().__init__(page)
        self._asked: Asked[list[Row]] = Asked(of_cluster(self._ask))

    def columns(self) -> Sequence[Column]:
        return (
            Column("REPLICA", 9, keep=0),
            Column("BROKER", 6, amounts.full, right=True, keep=1),
            Column("SIZE", 9, amounts.size, right=True, keep=2, descending=True),
            Column("DIRECTORY", 30, grow=True, keep=4),
        )

    @property
    def asked(self) -> Asked[Any] | None:
        return self._asked

    def _ask(self, admin: Admin) -> list[Row]:
        rows = [
            (index, directory.broker, size, directory.path)
            for directory in admin.log_directories()
            for (topic, index), size in directory.partitions.items()
            if topic == self.topic
        ]
        return [(f"p{index}@{broker}", broker, size, path) for index, broker, size, path in sorted(rows)]

    def rows(self, snapshot: Snapshot) -> list[Row]:
        return self._asked.answer or []

    def heading(self, snapshot: Snapshot) -> str:
        return f"{len(self.table.rows):,} replicas, {amounts.size(sum(row[2] for row in self.table.rows))}"

    def note(self, snapshot: Snapshot) -> tuple[Piece, ...]:
        return ((" log directories only: segments are seen where the engine is on this machine", "dim"),)

    def command(self) -> Sequence[str]:
        return ("cluster", "logdirs", "--by", "partition", *option("--topic", self.topic))
