"""Text that attacks a terminal, a model that has it everywhere, and the judge of what reached the terminal."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from ev_cli.model.rates import Rate
from ev_cli.model.snapshot import Alert, DirectoryRow, Event, GroupPartitionRow, MemberRow, PartitionRow, Snapshot
from support.terminal_ui import connected, group, topic

HOSTILE = (
    "EVIL\x1b]0;title\x07\x1b]52;c;ZXZpbA==\x07\x1b[7777m\x1b[7777;7777H\x9b7777m"
    "\x1bP7777q\x1b\\\x08\r\n\t\x7f\u202e[bold]\u2066\x00\ud800[/]"
)
"""A title, a clipboard, colours, movement, a device string, C1, directions, a lone surrogate, and markup."""

_WHAT_TEXTUAL_SAYS = re.compile(
    rb"\x1b\[(?:\d+(?:;\d+)*)?m"  # colours
    rb"|\x1b\[\d+;\d+H"  # where
    rb"|\x1b\[\?\d+[hl]"  # modes
    rb"|\x1b\[\?\d+\$p"  # questions about modes
    rb"|\x1b\[[<>]\d*u"  # the keyboard
    rb"|\x1b\]22;[a-z-]*\x07"  # the shape of the mouse's pointer
    rb"|\x1b\]52;c;[A-Za-z0-9+/=]*\x07"  # what was copied with a key
)


def trespasses(raw: bytes) -> list[bytes]:
    """What in the output is neither text nor something that the interface itself says."""
    rest = _WHAT_TEXTUAL_SAYS.sub(b"", raw)
    found = re.findall(rb".{0,10}[\x00-\x09\x0b\x0c\x0e-\x1f\x7f].{0,20}", rest, re.DOTALL)  # line ends are Textual's between lines
    text = rest.decode("utf-8", "replace")
    found += [one.encode() for one in re.findall("[\x80-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]", text)]
    found += re.findall(rb"\x1b\[\??[;\d]*7777[;\d]*.", raw)
    return found


def hostile_snapshot() -> Snapshot:
    """A cluster whose every text attacks."""
    evil = HOSTILE
    rate = Rate(1.0, 10.0)
    partition = (evil, 0)
    row = topic(evil, rate=rate, bytes_rate=rate, groups=(evil,), max_lag=3, error=evil, records=3)
    detail = values(PartitionRow, topic=evil, index=0, leader=1, replicas=(1,), in_sync=(1,), offline=(), history=(None,) * 60, error=evil)
    lagging = values(GroupPartitionRow, topic=evil, index=0, lag=3, history=(1.0,) * 60, member=evil, member_id=evil, host=evil)
    member = MemberRow(evil, evil, evil, evil, (partition,), 3)
    behind = group(evil, state=evil, protocol_type=evil, type=evil, topics=(evil,), lag=3, verdict_about=(partition,), error=evil)
    snapshot = connected(
        topics={evil: row},
        partitions={evil: (detail,)},
        groups={evil: behind},
        group_partitions={evil: (lagging,)},
        members={evil: (member,)},
        records_in=rate,
        events=(Event(0, "created", evil, evil),),
        alerts=(Alert(evil, evil, evil, evil, 0, False, None),),
        refused={"groups": evil},
    )
    broker = dataclasses.replace(snapshot.brokers[0], host=evil, rack=evil)
    directory = DirectoryRow(1, evil, 1, 1, None, None, evil)
    return dataclasses.replace(snapshot, brokers=(broker,), cluster_id=evil, directories=(directory,))


def values(row: type[Any], **given: Any) -> Any:
    """A row in which nothing is known but what is given."""
    return row(**{**{field.name: None for field in dataclasses.fields(row)}, **given})
