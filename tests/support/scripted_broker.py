"""Brokers that a test writes the answers for: real sockets, sensible answers by default, faults where the test asks for them.

with ScriptedCluster(nodes=2, topics={"t": 3}) as cluster:
    cluster.script(0, lambda call: CLOSE)            the next Produce costs its connection
    cluster.script(0, refuse(6), keep=True)          every further Produce is answered with error 6
    Producer(cluster.bootstrap) ...
    cluster.calls(0)                                 the Produce requests that came, in order
    cluster.values("t", 0)                           what is in the partition's log

A partition's log accepts idempotent batches as Kafka does: in sequence, recognising the last five of each producer.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from ev.errors import ErrorCode
from ev.wire.catalog import API
from ev.wire.codec import decode, encode
from ev.wire.header import decode_request_header, response_header
from ev.wire.messages import (
    k00_produce,
    k03_metadata,
    k10_find_coordinator,
    k18_api_versions,
    k22_init_producer_id,
    k24_add_partitions_to_txn,
    k25_add_offsets_to_txn,
    k26_end_txn,
    k28_txn_offset_commit,
)
from ev.wire.records import check_crc, decode_batch, read_header

CLOSE = object()
"""A script's answer: close the connection instead."""
SILENT = object()
"""A script's answer: say nothing, ever."""
VERSIONS = {
    0: (3, 12), 1: (4, 12), 2: (1, 7), 3: (0, 12), 8: (2, 8), 9: (1, 8), 10: (0, 4), 18: (0, 3), 22: (0, 4), 24: (0, 3), 25: (0, 4),
    26: (0, 5), 28: (0, 5),
}  # fmt: skip


class Call:
    """One request as a broker got it."""

    def __init__(self, node: int, key: int, version: int, client_id: str | None, request: Any) -> None:
        self.node = node
        self.key = key
        self.version = version
        self.client_id = client_id
        self.request = request


Script = Callable[[Call], Any]


def refuse(code: int) -> Script:
    """A Produce answer with this code for every partition that was sent."""

    def answer(call: Call) -> Any:
        return produce_response(call.request, lambda topic, partition, records: (code, -1))

    return answer


def produce_response(request: Any, judge: Callable[[str, int, Any], tuple[int, int]]) -> Any:
    """The answer that gives each partition the code and base offset of `judge`."""
    topics = []
    for topic in request.topic_data:
        rows = []
        for data in topic.partition_data:
            code, base_offset = judge(topic.name, data.index, data.records)
            rows.append(k00_produce.PartitionProduceResponse(index=data.index, error_code=code, base_offset=base_offset))
        topics.append(k00_produce.TopicProduceResponse(name=topic.name, partition_responses=rows))
    return k00_produce.ProduceResponse(responses=topics)


def refuse_transactionally(code: int) -> Script:
    """The same for any request about a transaction."""

    def answer(call: Call) -> Any:
        match call.key:
            case 0:
                return refuse(code)(call)
            case 22:
                return k22_init_producer_id.InitProducerIdResponse(error_code=code)
            case 24:
                return added_to_transaction(call.request, code)
            case 25:
                return k25_add_offsets_to_txn.AddOffsetsToTxnResponse(error_code=code)
            case 26:
                return k26_end_txn.EndTxnResponse(error_code=code)
        return offsets_in_transaction(call.request, code)

    return answer


def added_to_transaction(request: Any, code: int) -> Any:
    results = [
        k24_add_partitions_to_txn.AddPartitionsToTxnTopicResult(
            topic.name, [k24_add_partitions_to_txn.AddPartitionsToTxnPartitionResult(index, code) for index in topic.partitions]
        )
        for topic in request.v3_and_below_topics
    ]
    return k24_add_partitions_to_txn.AddPartitionsToTxnResponse(results_by_topic_v3_and_below=results)


def offsets_in_transaction(request: Any, code: int) -> Any:
    topics = [
        k28_txn_offset_commit.TxnOffsetCommitResponseTopic(
            topic.name, [k28_txn_offset_commit.TxnOffsetCommitResponsePartition(row.partition_index, code) for row in topic.partitions]
        )
        for topic in request.topics
    ]
    return k28_txn_offset_commit.TxnOffsetCommitResponse(topics=topics)


class PartitionLog:
    """Values in order, and each producer's last five batches."""

    def __init__(self, batch_bytes_max: int) -> None:
        self.values: list[bytes | None] = []
        self.batches: list[bytes] = []
        self.duplicates = 0
        self.batch_bytes_max = batch_bytes_max
        self._last: dict[int, list[tuple[int, int, int, int]]] = defaultdict(list)

    def append(self, records: Any) -> tuple[int, int]:
        """Error code and base offset."""
        batch = bytes(records)
        header = read_header(batch)
        if not check_crc(batch, 0, len(batch)):
            return ErrorCode.CORRUPT_MESSAGE, -1
        if len(batch) > self.batch_bytes_max:
            return ErrorCode.MESSAGE_TOO_LARGE, -1
        if header.producer_id >= 0:
            known = self._last[header.producer_id]
            for epoch, first, last, offset in known[-5:]:
                if (epoch, first, last) == (header.producer_epoch, header.base_sequence, header.last_sequence):
                    self.duplicates += 1
                    return ErrorCode.NONE, offset
            expected = 0
            if known and known[-1][0] == header.producer_epoch:
                expected = (known[-1][2] + 1) & 0x7FFFFFFF
            if header.base_sequence != expected:
                return ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, -1
            known.append((header.producer_epoch, header.base_sequence, header.last_sequence, len(self.values)))
        offset = len(self.values)
        self.values += decode_batch(batch).values
        self.batches.append(batch)
        return ErrorCode.NONE, offset

    def forget_producers(self) -> None:
        self._last.clear()


class ScriptedCluster:
    """Nodes 1 … n; partition p of every topic is led by node 1 + p % n unless `leaders` says otherwise."""

    def __init__(self, nodes: int = 1, topics: dict[str, int] | None = None, *, batch_bytes_max: int = 1 << 20) -> None:
        self.topics = dict(topics or {})
        self.leaders: dict[tuple[str, int], int] = {}
        self.versions = dict(VERSIONS)
        self.logs: dict[tuple[str, int], PartitionLog] = defaultdict(lambda: PartitionLog(batch_bytes_max))
        self.producer_ids = 0
        self.transactional_ids: dict[str, tuple[int, int]] = {}
        """Producer id and epoch. Every transaction is allowed; who ends one in version 5 or later gets the next epoch."""
        self.features: dict[str, int] = {}
        self.features_epoch = 0
        self._calls: list[Call] = []
        self._scripts: dict[int, list[tuple[Script, bool]]] = defaultdict(list)
        self._lock = threading.RLock()
        self._threads: list[threading.Thread] = []
        self._sockets: set[socket.socket] = set()
        self._listeners = {node: socket.create_server(("127.0.0.1", 0)) for node in range(1, nodes + 1)}
        self.ports = {node: int(listener.getsockname()[1]) for node, listener in self._listeners.items()}

    @property
    def bootstrap(self) -> str:
        return ",".join(f"127.0.0.1:{port}" for port in self.ports.values())

    def __enter__(self) -> ScriptedCluster:
        for node, listener in self._listeners.items():
            self._spawn(self._accept, node, listener)
        return self

    def __exit__(self, *_: object) -> None:
        for node in list(self._listeners):
            self.stop(node)
        self.disconnect()
        for thread in self._threads:
            thread.join(timeout=20)

    def stop(self, node: int) -> None:
        """Nobody listens there any more; connections stay."""
        listener = self._listeners.pop(node)
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()

    def disconnect(self) -> None:
        """Close every connection."""
        with self._lock:
            connections = list(self._sockets)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def script(self, key: int, *answers: Script, keep: bool = False) -> None:
        """What the next requests of an API get: a message, perhaps with the version to write it in, CLOSE, SILENT, or None for the ordinary
        answer. `keep`: for good."""
        with self._lock:
            self._scripts[key] += [(answer, keep) for answer in answers]

    def unscript(self, key: int) -> None:
        """From now on the ordinary answers."""
        with self._lock:
            self._scripts.pop(key, None)

    def calls(self, key: int | None = None) -> list[Call]:
        """The requests of an API, or of all, that came so far."""
        with self._lock:
            return [call for call in self._calls if key is None or call.key == key]

    def all_calls(self) -> list[Call]:
        """Every request that came so far, in order."""
        with self._lock:
            return list(self._calls)

    def values(self, topic: str, partition: int) -> list[bytes | None]:
        """What was appended to a partition."""
        with self._lock:
            return list(self.logs[topic, partition].values)

    # Threads

    def _spawn(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, node: int, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with self._lock:
                    self._sockets.add(connection)
                self._spawn(self._serve, node, connection)

    def _serve(self, node: int, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while True:
                frame = self._receive(connection, int.from_bytes(self._receive(connection, 4), "big"))
                header, position = decode_request_header(frame)
                request, _ = decode(API[header.api_key].request, header.api_version, frame, position)
                call = Call(node, header.api_key, header.api_version, header.client_id, request)
                with self._lock:
                    self._calls.append(call)
                    answer = self._answer(call)
                if answer is CLOSE:
                    break
                if answer is SILENT or answer is None:
                    continue
                version = call.version
                if isinstance(answer, tuple):
                    answer, version = answer
                body = response_header(call.key, call.version, header.correlation_id) + encode(answer, version)
                connection.sendall(len(body).to_bytes(4, "big") + body)
        with self._lock:
            self._sockets.discard(connection)

    @staticmethod
    def _receive(connection: socket.socket, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = connection.recv(size - len(data))
            if not piece:
                raise ConnectionError("the client went away")
            data += piece
        return data

    # Answers

    def _answer(self, call: Call) -> Any:
        scripts = self._scripts.get(call.key)
        if scripts:
            script, keep = scripts[0]
            if not keep:
                del scripts[0]
            answer = script(call)
            if answer is not None:
                return answer
        return self.answer(call)

    def answer(self, call: Call) -> Any:
        """The ordinary answer, for a script that changes something in it."""
        ordinary: dict[int, Script] = {
            0: self._produce,
            3: self._metadata,
            10: self._find_coordinator,
            18: self._api_versions,
            22: self._init_producer_id,
            24: lambda call: added_to_transaction(call.request, ErrorCode.NONE),
            25: lambda _: k25_add_offsets_to_txn.AddOffsetsToTxnResponse(),
            26: self._end_transaction,
            28: lambda call: offsets_in_transaction(call.request, ErrorCode.NONE),
        }
        return ordinary[call.key](call)

    def leader(self, topic: str, partition: int) -> int:
        return self.leaders.get((topic, partition), 1 + partition % len(self.ports))

    def _api_versions(self, call: Call) -> Any:
        rows = [k18_api_versions.ApiVersion(key, low, high) for key, (low, high) in self.versions.items()]
        features = [k18_api_versions.FinalizedFeatureKey(name, level, level) for name, level in self.features.items()]
        return k18_api_versions.ApiVersionsResponse(
            api_keys=rows, finalized_features=features, finalized_features_epoch=self.features_epoch
        )

    def _metadata(self, call: Call) -> Any:
        names = list(self.topics) if call.request.topics is None else [row.name for row in call.request.topics]
        rows = []
        for name in names:
            partitions = [
                k03_metadata.MetadataResponsePartition(
                    partition_index=index, leader_id=self.leader(name, index), leader_epoch=0, replica_nodes=[1], isr_nodes=[1]
                )
                for index in range(self.topics.get(name, 0))
            ]
            code = ErrorCode.NONE if name in self.topics else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            rows.append(k03_metadata.MetadataResponseTopic(error_code=code, name=name, partitions=partitions))
        brokers = [k03_metadata.MetadataResponseBroker(node, "127.0.0.1", port) for node, port in self.ports.items()]
        return k03_metadata.MetadataResponse(brokers=brokers, cluster_id="scripted", controller_id=1, topics=rows)

    def _find_coordinator(self, call: Call) -> Any:
        return k10_find_coordinator.FindCoordinatorResponse(node_id=1, host="127.0.0.1", port=self.ports[1])

    def _init_producer_id(self, call: Call) -> Any:
        name = call.request.transactional_id
        if name in self.transactional_ids:
            return k22_init_producer_id.InitProducerIdResponse(0, 0, *self._next_epoch(name))
        self.producer_ids += 1
        if name is not None:
            self.transactional_ids[name] = self.producer_ids, 0
        return k22_init_producer_id.InitProducerIdResponse(producer_id=self.producer_ids, producer_epoch=0)

    def _next_epoch(self, name: str) -> tuple[int, int]:
        producer_id, epoch = self.transactional_ids[name]
        self.transactional_ids[name] = producer_id, epoch + 1
        return self.transactional_ids[name]

    def _end_transaction(self, call: Call) -> Any:
        name, asked = call.request.transactional_id, (call.request.producer_id, call.request.producer_epoch)
        if call.version < 5:
            return k26_end_txn.EndTxnResponse()
        producer_id, epoch = self.transactional_ids[name]
        resent = asked == (producer_id, epoch - 1)
        return k26_end_txn.EndTxnResponse(0, 0, *((producer_id, epoch) if resent else self._next_epoch(name)))

    def _produce(self, call: Call) -> Any:
        def judge(topic: str, partition: int, records: Any) -> tuple[int, int]:
            if self.leader(topic, partition) != call.node:
                return ErrorCode.NOT_LEADER_OR_FOLLOWER, -1
            return self.logs[topic, partition].append(records)

        response = produce_response(call.request, judge)
        return response if call.request.acks else SILENT
