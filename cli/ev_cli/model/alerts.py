"""Rules that speak up: a group too far behind, a topic that gets what it should not, a replica, a broker or a disk in trouble.

    [[rule]]
    kind = "lag"             lag, time-lag, received, under-replicated, broker-gone or disk
    of = "payments-*"        a pattern of groups, topics or brokers; all, when it is left out
    above = 1000000          records; for time-lag "10m"; for disk "90%" of the volume
    for = "5m"               it must have been so for this long; received: within this time
    name = "payments late"   what it is called

What is not known fulfils no rule, and ends none that is fulfilled.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ev_cli.failures import UsageFailure
from ev_cli.model.snapshot import Alert
from ev_cli.times import duration_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from ev_cli.model.snapshot import Snapshot

KINDS = ("lag", "time-lag", "received", "under-replicated", "broker-gone", "disk")
NEEDS_NO_LIMIT = ("received", "under-replicated", "broker-gone")
EVERY_S = 1.0
"""Rules are looked at no oftener."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `above` is in records, milliseconds or hundredths, as its kind has it."""

    kind: str
    of: str = "*"
    above: float = 0
    for_s: float = 0.0
    name: str = ""

    @property
    def title(self) -> str:
        return self.name or (self.kind if self.of == "*" else f"{self.kind} {self.of}")


DEFAULTS = (
    Rule("under-replicated", for_s=60.0),
    Rule("broker-gone"),
    Rule("disk", above=90),
)
"""The rules where nobody has written any."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What people have said about alerts: keys that were acknowledged, and until when (ms) others are muted."""

    acknowledged: frozenset[str] = frozenset()
    muted: tuple[tuple[str, int], ...] = ()

    def muted_until_ms(self, key: str, now_ms: int) -> int | None:
        return next((until_ms for muted, until_ms in self.muted if muted == key and until_ms > now_ms), None)


def rules_of(content: Mapping[str, Any]) -> tuple[list[Rule], list[str]]:
    """The rules of a file's content, and what is wrong with those that are none."""
    rows = content.get("rule", [])
    if not isinstance(rows, list):
        return [], ["rule is no list of tables: write [[rule]]"]
    rules: list[Rule] = []
    problems = [f"{name} is unknown: rules are written as [[rule]]" for name in content if name != "rule"]
    for number, row in enumerate(rows, 1):
        try:
            rules.append(rule_of(row))
        except (UsageFailure, TypeError, ValueError) as problem:
            problems.append(f"rule {number}: {problem}")
    return rules, problems


def rule_of(row: Any) -> Rule:
    if not isinstance(row, dict):
        raise ValueError("is no table")
    unknown = row.keys() - {"kind", "of", "above", "for", "name"}
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))} is unknown; there are kind, of, above, for, name")
    kind = row.get("kind")
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r} is unknown; one of {', '.join(KINDS)}")
    if "above" not in row and kind not in NEEDS_NO_LIMIT:
        raise ValueError(f"{kind} needs above")
    for_s = duration_ms(str(row.get("for", "1m" if kind == "received" else "0s")), "for") / 1000
    return Rule(kind, str(row.get("of", "*")), limit_of(kind, row.get("above", 0)), for_s, str(row.get("name", "")))


def limit_of(kind: str, value: Any) -> float:
    if kind == "time-lag":
        return duration_ms(str(value), "above")
    if kind == "disk":
        return float(str(value).removesuffix("%"))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"above is a number, not {value!r}")
    return float(value)


class Watch:
    """Rules against what happens: for how long each has been fulfilled, by which thing."""

    def __init__(self, rules: list[Rule]) -> None:
        self.rules = rules
        self._since: dict[str, tuple[float, int]] = {}
        self._received: dict[str, deque[tuple[float, int]]] = {}
        self._held: set[str] = set()
        self.ended: set[str] = set()
        """Alerts that were there and are there no more, since `evaluated` was called last."""

    def evaluated(self, snapshot: Snapshot, marks: Marks) -> list[Alert]:
        """The alerts at this moment, those first that began last. Without a connection they stay as they were, and none is new."""
        alerts = []
        fulfilled: set[str] = set()
        unknown: set[str] = set()
        for rule in self.rules:
            for about, text in self._looked_at(rule, snapshot):
                key = f"{rule.kind}:{rule.title}:{about}"
                if text is None:
                    unknown.add(key)
                elif text:
                    fulfilled.add(key)
                    began, began_ms = self._since.setdefault(key, (snapshot.at, snapshot.time_ms))
                    if rule.kind == "received" or snapshot.at - began >= rule.for_s:
                        muted = marks.muted_until_ms(key, snapshot.time_ms)
                        alerts.append(Alert(key, rule.title, about, text, began_ms, key in marks.acknowledged, muted))
        held = {alert.key for alert in alerts}
        self.ended = self._held - held - unknown
        self._held = held | (self._held & unknown)
        for key in self._since.keys() - fulfilled - unknown:
            del self._since[key]
        return sorted(alerts, key=lambda alert: (-alert.since_ms, alert.key))

    def _looked_at(self, rule: Rule, snapshot: Snapshot) -> Iterator[tuple[str, str | None]]:
        """The things that a rule is about, each with what is wrong: empty when nothing is, None when that is not known."""
        match rule.kind:
            case "lag":
                for name, group in snapshot.groups.items():
                    if fnmatchcase(name, rule.of):
                        yield name, said(group.lag, rule.above, lambda lag: f"lag {lag:,} > {rule.above:,.0f}")
            case "time-lag":
                for name, group in snapshot.groups.items():
                    if fnmatchcase(name, rule.of):
                        yield (
                            name,
                            said(group.time_lag_ms, rule.above, lambda lag: f"{lag // 1000:,} s late > {rule.above / 1000:,.0f} s"),
                        )
            case "received":
                for name, topic in snapshot.topics.items():
                    if fnmatchcase(name, rule.of):
                        came = self._came(f"{rule.title}:{name}", topic.received, snapshot.at, rule.for_s)
                        yield name, said(came, rule.above, lambda came: f"received {came:,} in {rule.for_s:.0f} s")
            case "under-replicated":
                for name, topic in snapshot.topics.items():
                    if fnmatchcase(name, rule.of):
                        yield name, said(topic.under_replicated, 0, lambda count: f"{count} of its partitions lack replicas")
            case "broker-gone":
                for broker in snapshot.brokers:
                    if fnmatchcase(str(broker.node_id), rule.of):
                        yield str(broker.node_id), "" if broker.is_here else f"broker at {broker.host}:{broker.port} is gone"
            case "disk":
                for broker in snapshot.brokers:
                    if fnmatchcase(str(broker.node_id), rule.of):
                        used = used_of(broker.total_bytes, broker.usable_bytes)
                        yield str(broker.node_id), said(used, rule.above, lambda used: f"disk {used:.0f} % full > {rule.above:.0f} %")

    def _came(self, key: str, received: int | None, at: float, within_s: float) -> int | None:
        """How many records came in this time."""
        if received is None:
            return None
        readings = self._received.setdefault(key, deque())
        if not readings or received != readings[-1][1]:
            readings.append((at, received))
        while len(readings) > 1 and readings[1][0] <= at - within_s:
            readings.popleft()
        last_at, last = readings[-1]
        if last_at <= at - within_s:
            return 0
        return last - readings[0][1]


def said(value: Any, above: float, say: Any) -> str | None:
    """What to say of a value that is above its limit."""
    if value is None:
        return None
    return str(say(value)) if value > above else ""


def used_of(total_bytes: int | None, usable_bytes: int | None) -> float | None:
    """How full a volume is, in hundredths."""
    if not total_bytes or usable_bytes is None:
        return None
    return 100 * (total_bytes - usable_bytes) / total_bytes
