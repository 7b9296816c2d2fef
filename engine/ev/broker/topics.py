"""The topics: what exists, by name and by id, as the metadata log tells it.

The metadata log `__ev_metadata-0` is an ordinary log of ordinary record batches. Each record says all there is to know about
one thing, under a key that names the thing, so that the newest record of a key is its state and compaction may drop the rest:

    key                                   value
    {"kind":"topic","name":"orders"}      {"v":1,"id":"<base64url>","partitions":3,"config":{"retention.ms":"1000"}}
    {"kind":"topic","name":"orders"}      null: the topic was deleted
    {"kind":"group_config","name":"g"}    {"v":1,"config":{"consumer.session.timeout.ms":"50000"}}: what was set for a group
    {"kind":"group_config","name":"g"}    null: nothing is set for it any more
    {"kind":"broker_config","name":"1"}   {"v":1,"config":{"log.retention.ms":"1000"}}: what was set at run time for this broker
    {"kind":"broker_config","name":""}    the same for all brokers; null: nothing is
    {"kind":"acl","resource":"topic", …}  {"v":1}: this ACL is there; null: it is not (see `ev.broker.acls`)
    {"kind":"client_metrics_config",…}    {"v":1,"config":{"interval.ms":"1000"}}: likewise for a subscription to metrics of clients
    {"kind":"client_quota","name":"users/u"} {"v":1,"quotas":{"producer_byte_rate":1024.0}}: see ev.broker.client_quotas; null: none is set
    {"kind":"feature","name":…}           {"v":1,"level":1,"epoch":2}: the level of a feature (see `ev.broker.features`)
    {"kind":"producer_ids"}               {"v":1,"next":2000}: every id below `next` may have been handed out
    {"kind":"scram_user","name":"jo"}     see `ev.broker.scram_users`, and {"kind":"scram_secret"} too

Records of other kinds than topics and producer ids are known since format 2 of the data directory, which is noted before the first of
them is written.

State changes in `replay()` and nowhere else: a change is a record, appended and then replayed like any other, so that a
restart is only a longer replay.

A topic's directories follow its records, never the other way round: they are made when the record that creates the topic is
on disk, and renamed away when the record that deletes it is. `partition.metadata` in each directory names the topic's id, and
only the directory that has the id of the record is ever served. So a crash at any point between shows either the old topic,
or none, or an empty new one.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any, Final

from ev.errors import DiskError, ErrorCode, KafkaError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

METADATA_TOPIC: Final = "__ev_metadata"
OFFSETS_TOPIC: Final = "__consumer_offsets"
TRANSACTIONS_TOPIC: Final = "__transaction_state"
INTERNAL_TOPICS: Final = frozenset({OFFSETS_TOPIC, TRANSACTIONS_TOPIC, METADATA_TOPIC})

NAME_LENGTH_MAX: Final = 249
NAME_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
RECORD_VERSION: Final = 1
TOPIC: Final = "topic"
PRODUCER_IDS: Final = "producer_ids"
GROUP_CONFIG: Final = "group_config"
BROKER_CONFIG: Final = "broker_config"
ACL: Final = "acl"
SCRAM_USER: Final = "scram_user"
SCRAM_SECRET: Final = "scram_secret"
CLIENT_METRICS_CONFIG: Final = "client_metrics_config"
CLIENT_QUOTA: Final = "client_quota"
FEATURE: Final = "feature"
KINDS: Final = frozenset(
    {
        TOPIC,
        PRODUCER_IDS,
        GROUP_CONFIG,
        BROKER_CONFIG,
        ACL,
        SCRAM_USER,
        SCRAM_SECRET,
        CLIENT_METRICS_CONFIG,
        CLIENT_QUOTA,
        FEATURE,
    }
)
FORMAT_1_KEYS: Final = (b'{"kind":"topic",', b'{"kind":"producer_ids"')
ZERO_ID: Final = bytes(16)

Record = tuple[bytes, bytes | None]


def check_topic_name(name: str) -> None:
    """Kafka's rules for the name of a topic. Raises KafkaError INVALID_TOPIC_EXCEPTION."""
    problem = None
    if not name:
        problem = "the empty string is not allowed"
    elif name in (".", ".."):
        problem = f"'{name}' is not allowed"
    elif len(name) > NAME_LENGTH_MAX:
        problem = f"the length of '{name}' is longer than the max allowed length {NAME_LENGTH_MAX}"
    elif not NAME_CHARACTERS.issuperset(name):
        problem = f"'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
    elif name == METADATA_TOPIC:
        problem = f"'{name}' is the engine's own log"
    if problem is not None:
        raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Topic name is invalid: {problem}")


def missing_code(name: str) -> int:
    """The error code for a topic that is not there: whether there could be one of this name."""
    try:
        check_topic_name(name)
    except KafkaError as error:
        return error.code
    return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def id_to_text(topic_id: bytes) -> str:
    """A topic id as Kafka prints it: base64url without padding."""
    return urlsafe_b64encode(topic_id).decode().rstrip("=")


def id_from_text(text: str) -> bytes:
    return urlsafe_b64decode(text + "==")


class Topic:
    """One topic: its identity, its size and what was set for it. Never changed in place: a change is a new object."""

    __slots__ = ("config", "id", "internal", "name", "partition_count")

    def __init__(self, name: str, topic_id: bytes, partition_count: int, config: Mapping[str, str]) -> None:
        self.name = name
        self.id = topic_id
        self.partition_count = partition_count
        self.config = dict(config)
        self.internal = name in INTERNAL_TOPICS

    def __repr__(self) -> str:
        return f"Topic({self.name!r}, id={id_to_text(self.id)}, partitions={self.partition_count}, config={self.config})"

    def with_partitions(self, count: int) -> Topic:
        return Topic(self.name, self.id, count, self.config)

    def with_config(self, config: Mapping[str, str]) -> Topic:
        return Topic(self.name, self.id, self.partition_count, config)


class Topics:
    """Every topic, by name and by id."""

    def __init__(self) -> None:
        self._by_name: dict[str, Topic] = {}
        self._by_id: dict[bytes, Topic] = {}
        self._by_metric_name: dict[str, set[str]] = {}
        self.partition_count = 0
        self.version = 0  # another one after every change
        self.deleted: set[bytes] = set()  # ids of topics whose deletion is on record, as far as the log goes back

    def __len__(self) -> int:
        return len(self._by_name)

    def __iter__(self) -> Iterator[Topic]:
        return iter(self._by_name.values())

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def get(self, name: str) -> Topic | None:
        return self._by_name.get(name)

    def exists(self, name: str) -> bool:
        return name in self._by_name

    def internal(self, name: str) -> bool:
        return name in INTERNAL_TOPICS

    def partitions_of(self, name: str) -> int:
        """How many partitions the topic has; 0 when there is none."""
        topic = self._by_name.get(name)
        return 0 if topic is None else topic.partition_count

    def by_id(self, topic_id: bytes) -> Topic | None:
        return self._by_id.get(topic_id)

    def name_of(self, topic_id: bytes) -> str | None:
        topic = self._by_id.get(topic_id)
        return None if topic is None else topic.name

    def collision(self, name: str) -> str | None:
        """The name of another topic that Kafka's metrics could not tell from this one, in which '.' and '_' are the same."""
        others = self._by_metric_name.get(_metric_name(name))
        return min((other for other in others if other != name), default=None) if others else None

    def replay(self, name: str, state: dict[str, Any] | None) -> None:
        """One record of kind `topic` from the metadata log."""
        self.version += 1
        old = self._by_name.pop(name, None)
        if old is not None:
            del self._by_id[old.id]
            self._by_metric_name[_metric_name(name)].discard(name)
            self.partition_count -= old.partition_count
        if old is not None and (state is None or id_from_text(state["id"]) != old.id):
            self.deleted.add(old.id)
        if state is None:
            return
        topic = Topic(name, id_from_text(state["id"]), state["partitions"], state["config"])
        self._by_name[name] = topic
        self._by_id[topic.id] = topic
        self._by_metric_name.setdefault(_metric_name(name), set()).add(name)
        self.partition_count += topic.partition_count


def _metric_name(name: str) -> str:
    return name.replace(".", "_")


def topic_record(topic: Topic) -> Record:
    """The record that says that this topic exists, as it is."""
    state = {"v": RECORD_VERSION, "id": id_to_text(topic.id), "partitions": topic.partition_count, "config": topic.config}
    return _topic_key(topic.name), _json(state)


def deletion_record(name: str) -> Record:
    """The record that says that the topic of this name is gone."""
    return _topic_key(name), None


def config_record(kind: str, name: str, config: Mapping[str, str]) -> Record:
    """The record that says what is set for a resource that is no topic."""
    return metadata_record(kind, name, {"v": RECORD_VERSION, "config": dict(config)} if config else None)


def metadata_record(kind: str, name: str, state: dict[str, Any] | None) -> Record:
    """The record that says what there is to know about a thing; None: that it is gone."""
    return _json({"kind": kind, "name": name}), None if state is None else _json(state)


def quota_record(path: str, quotas: Mapping[str, float]) -> Record:
    """The record that says which quotas an entity has."""
    return _json({"kind": CLIENT_QUOTA, "name": path}), _json({"v": RECORD_VERSION, "quotas": dict(quotas)}) if quotas else None


def feature_record(name: str, level: int, epoch: int) -> Record:
    """The record that says which level a feature has, since which epoch of features."""
    return _json({"kind": FEATURE, "name": name}), _json({"v": RECORD_VERSION, "level": level, "epoch": epoch})


def read_record(key: bytes, value: bytes | None) -> tuple[str, str, dict[str, Any] | None]:
    """One record of the metadata log: (kind, name, state). Raises DiskError when it was written by a newer version."""
    try:
        head = json.loads(key)
        state = None if value is None else json.loads(value)
        version = RECORD_VERSION if state is None else state["v"]
        kind, name = head["kind"], head.get("name", "")
    except (ValueError, KeyError, TypeError) as error:
        raise DiskError(f"the metadata log holds a record that does not parse: key {key[:80]!r}") from error
    if version != RECORD_VERSION or kind not in KINDS:
        raise DiskError(
            f"the metadata log holds a record ({kind!r}, version {version}) that a newer version of ev wrote; start that version"
        )
    return kind, name, state


def format_of(key: bytes) -> int:
    """The lowest format of a data directory whose engines know such a record (see `ev.log.upgrade`)."""
    return 1 if key.startswith(FORMAT_1_KEYS) else 2


def _topic_key(name: str) -> bytes:
    return _json({"kind": TOPIC, "name": name})


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
