"""The engine's figures for Prometheus: read when somebody asks, from counters and state that are there anyway.

Names are those that Prometheus' JMX exporter makes of Kafka's, where Kafka has such a figure; what begins with `ev_` is the engine's own.
Nothing here looks at every partition when there are many: figures of single partitions are left out above `ev.metrics.partitions.max`,
and a gauge says so.

    kafka_server_brokertopicmetrics_...      bytes and records that came in, bytes of Fetch answers
    kafka_network_requestmetrics_...         requests, how long they took, errors, by API
    kafka_server_socket_server_metrics_...   connections and bytes
    kafka_log_log_...                        of single partitions: where they begin, where they end, their size
    ev_...                                   commit rounds, journal, the loop's stalls, memory for requests, groups
    process_...                              as every exporter has them
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from typing import TYPE_CHECKING, Final

from ev.errors import ErrorCode
from ev.server.exposition import Exposition
from ev.server.traffic import REPLY_BYTES, SUM_MS
from ev.wire.catalog import API

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.server.listener import Limits
    from ev.server.stalls import Stalls
    from ev.server.world import LoopWorld

FETCH: Final = 1
GROUPS_MAX: Final = 10_000
TOOK_BOUNDS: Final = [(bits + 1, str((1 << bits) - 1)) for bits in range(15)]
"""Up to 16 s; a time of N ms is counted as at most N."""
SYNC_BOUNDS: Final = [(bits + 1, f"{(1 << bits) / 1e6:g}") for bits in range(6, 24)]
ERROR_NAMES: Final = {value: name for name, value in vars(ErrorCode).items() if isinstance(value, int)}


class Metrics:
    """Where the figures come from."""

    def __init__(self, broker: Broker, limits: Limits, world: LoopWorld, stalls: Stalls, version: str, started_ms: int) -> None:
        self._broker = broker
        self._limits = limits
        self._world = world
        self._stalls = stalls
        self._version = version
        self._started_ms = started_ms
        self._page_bytes = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096

    def text(self) -> str:
        """All of them as they are now."""
        shown = Exposition()
        self._topics(shown)
        self._requests(shown)
        self._connections(shown)
        self._commits(shown)
        self._partitions(shown)
        self._groups(shown)
        self._loop(shown)
        self._process(shown)
        return shown.text()

    def _topics(self, shown: Exposition) -> None:
        committer, traffic = self._broker.committer, self._limits.traffic
        name = "kafka_server_brokertopicmetrics"
        shown.one(f"{name}_messagesin_total", "counter", "Records appended and on disk.", committer.records_total)
        shown.one(f"{name}_bytesin_total", "counter", "Bytes appended to all logs.", committer.bytes_total)
        shown.one(f"{name}_bytesout_total", "counter", "Bytes of answers to Fetch.", traffic.answered[FETCH][REPLY_BYTES])

    def _requests(self, shown: Exposition) -> None:
        traffic = self._limits.traffic
        used = [(API[key].name, row) for key, row in enumerate(traffic.answered) if key in API and any(row)]
        name = "kafka_network_requestmetrics"
        shown.family(f"{name}_requests_total", "counter", "Requests that were answered.")
        for api, row in used:
            shown.sample(f"{name}_requests_total", sum(row[:SUM_MS]), {"request": api})
        shown.family(f"{name}_totaltimems", "histogram", "Milliseconds from a request's arrival until its answer was handed to the socket.")
        for api, row in used:
            shown.histogram(f"{name}_totaltimems", row[:SUM_MS], TOOK_BOUNDS, row[SUM_MS], {"request": api})
        shown.family(f"{name}_responsebytes_total", "counter", "Bytes of answers.")
        for api, row in used:
            shown.sample(f"{name}_responsebytes_total", row[REPLY_BYTES], {"request": api})
        shown.family(f"{name}_errors_total", "counter", "Answers that were an error as a whole; those of single partitions do not count.")
        for (key, code), count in sorted(self._broker.runtime.errors.items()):
            labels = {"request": API[key].name if key in API else str(key), "error": ERROR_NAMES.get(code, str(code))}
            shown.sample(f"{name}_errors_total", count, labels)
        shown.one(
            "ev_requests_refused_total", "counter", "Connections that were closed for what was in a request.", traffic.connections_closed
        )

    def _connections(self, shown: Exposition) -> None:
        limits, traffic = self._limits, self._limits.traffic
        name = "kafka_server_socket_server_metrics"
        shown.one(f"{name}_connection_count", "gauge", "Open connections.", limits.connection_quotas.count)
        shown.one(f"{name}_connection_creation_total", "counter", "Connections that were accepted.", traffic.connections_opened)
        limit = limits.connection_quotas.limit(self._broker.settings)
        shown.one(f"{name}_connection_limit", "gauge", "The most connections that there may be.", limit)
        shown.one(f"{name}_connection_refused_total", "counter", "Connections beyond that.", limits.refused)
        shown.one(f"{name}_failed_authentication_total", "counter", "Clients that are not who they say.", traffic.authentications_failed)
        shown.one(f"{name}_incoming_byte_total", "counter", "Bytes of requests.", traffic.bytes_in)
        shown.one(f"{name}_outgoing_byte_total", "counter", "Bytes of answers.", sum(row[REPLY_BYTES] for row in traffic.answered))
        shown.one("ev_request_memory_bytes", "gauge", "Memory of requests that are not answered yet.", limits.budget.bytes_held)
        shown.one("ev_request_memory_limit_bytes", "gauge", "queued.max.request.bytes.", limits.budget.bytes_max)

    def _commits(self, shown: Exposition) -> None:
        committer, syncs = self._broker.committer, self._world.syncs
        shown.one("ev_commit_rounds_total", "counter", "Commit rounds on disk.", committer.synced_round)
        total = committer.partitions_total
        shown.one("ev_commit_partitions_total", "counter", "Partitions that had something in a round, added up.", total)
        shown.family("ev_commit_sync_seconds", "histogram", "How long it took to bring a round to disk.")
        shown.histogram("ev_commit_sync_seconds", syncs.buckets, SYNC_BOUNDS, syncs.sum_us / 1e6)
        journal = committer.journal
        if journal is not None:
            shown.one("ev_journal_used_bytes", "gauge", "Bytes of the journal's half in use.", journal.active.position)
            shown.one("ev_journal_bytes", "gauge", "Size of the journal's two halves.", sum(half.capacity for half in journal.halves))
        free, total = self._broker.store.disk.free_bytes(self._broker.store.directory)
        shown.one("ev_disk_free_bytes", "gauge", "Free space of the data directory's file system.", free)
        shown.one("ev_disk_bytes", "gauge", "Size of that file system.", total)
        shown.one("ev_disk_writable", "gauge", "0: there is too little space, records are refused.", int(self._broker.store.writable))

    def _partitions(self, shown: Exposition) -> None:
        broker = self._broker
        count = broker.topics.partition_count
        shown.one("kafka_server_replicamanager_partitioncount", "gauge", "Partitions of all topics.", count)
        shown.one("kafka_controller_kafkacontroller_globaltopiccount", "gauge", "Topics.", len(broker.topics))
        left_out = count > broker.settings.ev_metrics_partitions_max
        shown.one("ev_metrics_partitions_left_out", "gauge", "1: more than ev.metrics.partitions.max, not shown singly.", int(left_out))
        if left_out:
            return
        partitions = [partition for topic in broker.store.topics.values() for partition in topic.partitions]
        families = (
            ("kafka_log_log_logstartoffset", "The first offset of the log.", [each.log_start_offset for each in partitions]),
            ("kafka_log_log_logendoffset", "The offset that the next record will have.", [each.end_offset for each in partitions]),
            ("kafka_log_log_size", "Bytes of the log.", [each.size_bytes for each in partitions]),
            ("kafka_log_log_numlogsegments", "Segments of the log.", [len(each.segments) for each in partitions]),
            (
                "ev_partition_damaged",
                "1: damage was found, the partition takes no writes.",
                [int(each.damaged is not None) for each in partitions],
            ),
        )
        labels = [{"topic": each.topic, "partition": str(each.index)} for each in partitions]
        for name, text, values in families:
            shown.family(name, "gauge", text)
            for label, value in zip(labels, values, strict=True):
                shown.sample(name, value, label)

    def _groups(self, shown: Exposition) -> None:
        groups = self._broker.groups.groups
        count = groups.count
        shown.one("kafka_coordinator_group_groupmetadatamanager_numgroups", "gauge", "Groups.", count)
        if count <= GROUPS_MAX:
            name = "kafka_server_group_coordinator_metrics_group_count"
            shown.family(name, "gauge", "Groups by their state.")
            for state, number in sorted(Counter(groups.states()).items()):
                shown.sample(name, number, {"state": state})

    def _loop(self, shown: Exposition) -> None:
        recent_s, ever_s = self._stalls.seconds()
        name = "ev_loop_longest_stall_seconds"
        shown.family(name, "gauge", "The longest that nobody was served because of one thing: within the last minute, and ever.")
        shown.sample(name, round(recent_s, 6), {"since": "minute"})
        shown.sample(name, round(ever_s, 6), {"since": "start"})

    def _process(self, shown: Exposition) -> None:
        shown.family("ev_info", "gauge", "The engine's version and its cluster.")
        shown.sample("ev_info", 1, {"version": self._version, "cluster_id": self._broker.cluster_id})
        shown.one("process_start_time_seconds", "gauge", "When the engine was started.", self._started_ms / 1000)
        times = os.times()
        shown.one("process_cpu_seconds_total", "counter", "Processor time.", round(times.user + times.system, 2))
        if sys.platform == "linux":
            with contextlib.suppress(OSError, ValueError, IndexError):
                with open("/proc/self/statm", encoding="ascii") as file:
                    shown.one("process_resident_memory_bytes", "gauge", "Memory.", int(file.read().split()[1]) * self._page_bytes)
                shown.one("process_open_fds", "gauge", "Open files.", len(os.listdir("/proc/self/fd")))
