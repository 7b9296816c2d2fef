"""Every setting of the engine: a row with its name, type, unit, default, bounds and one line of doc.

A setting has Kafka's name where Kafka has one; names that begin with `ev.` are this engine's own. A row is declared once, as an
attribute of `Settings` (dots become underscores), and serves three times: it parses and bounds what a person wrote, it is the
typed attribute that the code reads (`settings.log_segment_bytes`), and it is a line of DescribeConfigs.

`TOPIC_SETTINGS` lists what can be set per topic. Most topic settings have the broker's setting of another name as their
default (`retention.ms` falls back to `log.retention.ms`); the row behind both is the same one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final, Generic, Self, TypeVar, overload

from ev.errors import SettingError

KIB: Final = 1 << 10
MIB: Final = 1 << 20
GIB: Final = 1 << 30
SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
INT_MAX: Final = (1 << 31) - 1
LONG_MAX: Final = (1 << 63) - 1

Value = TypeVar("Value")


class Setting(Generic[Value]):
    """One row. Read through an instance of `Settings` it is the value, read through the class it is the row itself."""

    #: Kafka's number for the type, as DescribeConfigs reports it.
    KIND: int = 0
    KIND_NAME: str = "unknown"

    def __init__(self, name: str, default: Value, doc: str, *, unit: str = "", alias: str | None = None) -> None:
        self.name = name
        self.default = default
        self.doc = doc
        self.unit = unit
        self.alias = alias
        self.attribute = ""

    def __set_name__(self, owner: type, attribute: str) -> None:
        self.attribute = attribute

    # There is no __set__: the value in the instance's dictionary wins, and reading a setting costs what reading any attribute costs.
    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Value: ...
    def __get__(self, instance: object | None, owner: type) -> Self | Value:
        return self if instance is None else self.default

    def parse(self, text: str) -> Value:
        raise NotImplementedError

    def render(self, value: Value) -> str:
        return str(value)

    def bounds(self) -> str:
        """The permitted values in words, for messages and manuals."""
        return f"any {self.KIND_NAME}"

    def refused(self, text: str) -> SettingError:
        return SettingError(f"Invalid value {text!r} for {self.name}: expected {self.bounds()}")


class Number(Setting[int]):
    KIND = 5
    KIND_NAME = "long"

    def __init__(
        self, name: str, default: int, doc: str, *, low: int = 0, high: int = LONG_MAX, unit: str = "", alias: str | None = None
    ) -> None:
        super().__init__(name, default, doc, unit=unit, alias=alias)
        self.low = low
        self.high = high
        if high <= INT_MAX:
            self.KIND, self.KIND_NAME = 3, "int"

    def parse(self, text: str) -> int:
        stripped = text.strip()
        digits = stripped[1:] if stripped[:1] in ("-", "+") else stripped
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):
            raise self.refused(text)
        value = int(stripped)
        if not self.low <= value <= self.high:
            raise self.refused(text)
        return value

    def bounds(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"a whole number from {self.low} to {self.high}{unit}"


class Ratio(Setting[float]):
    KIND = 6
    KIND_NAME = "double"

    def parse(self, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise self.refused(text) from None
        if not 0.0 <= value <= 1.0:
            raise self.refused(text)
        return value

    def bounds(self) -> str:
        return "a number from 0 to 1"


class Switch(Setting[bool]):
    KIND = 1
    KIND_NAME = "boolean"

    def parse(self, text: str) -> bool:
        match text.strip().lower():
            case "true":
                return True
            case "false":
                return False
        raise self.refused(text)

    def render(self, value: bool) -> str:
        return "true" if value else "false"

    def bounds(self) -> str:
        return "true or false"


class Text(Setting[str]):
    KIND = 2
    KIND_NAME = "string"

    def parse(self, text: str) -> str:
        return text


class Choice(Setting[str]):
    KIND = 2
    KIND_NAME = "string"

    def __init__(self, name: str, default: str, doc: str, *, choices: tuple[str, ...]) -> None:
        super().__init__(name, default, doc)
        self.choices = choices

    def parse(self, text: str) -> str:
        value = text.strip()
        if value not in self.choices:
            raise self.refused(text)
        return value

    def bounds(self) -> str:
        return "one of " + ", ".join(self.choices)


class Words(Setting[tuple[str, ...]]):
    """A comma-separated list; `choices` empty means that any word will do."""

    KIND = 7
    KIND_NAME = "list"

    def __init__(self, name: str, default: tuple[str, ...], doc: str, *, choices: tuple[str, ...] = ()) -> None:
        super().__init__(name, default, doc)
        self.choices = choices

    def parse(self, text: str) -> tuple[str, ...]:
        words = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
        if self.choices and not set(words) <= set(self.choices):
            raise self.refused(text)
        return words

    def render(self, value: tuple[str, ...]) -> str:
        return ",".join(value)

    def bounds(self) -> str:
        return "a list of " + (", ".join(self.choices) if self.choices else "words separated by commas")


CODECS: Final = ("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer")


class Settings:
    """The settings of one engine; immutable once it runs."""

    # ---- topics
    num_partitions = Number("num.partitions", 1, "Partitions of a topic that is created without saying how many.", low=1, high=10_000)
    auto_create_topics_enable = Switch(
        "auto.create.topics.enable", True, "Create a topic when a client that allows it asks for one that does not exist."
    )
    delete_topic_enable = Switch("delete.topic.enable", True, "Allow topics to be deleted.")
    ev_partitions_max = Number("ev.partitions.max", 100_000, "The most partitions that all topics together may have.", low=1, high=INT_MAX)

    # ---- the log
    log_segment_bytes = Number(
        "log.segment.bytes", GIB, "The largest size of one segment file; a fuller one is sealed.", low=1024, high=INT_MAX, unit="bytes"
    )
    log_roll_ms = Number("log.roll.ms", 7 * DAY_MS, "A segment is sealed when its first record is older than this.", low=1, unit="ms")
    log_roll_jitter_ms = Number("log.roll.jitter.ms", 0, "Kept for Kafka's tools; segments are sealed at log.roll.ms exactly.", unit="ms")
    log_index_interval_bytes = Number(
        "log.index.interval.bytes", 4096, "An index entry is written once per this many bytes of log.", high=INT_MAX, unit="bytes"
    )
    log_index_size_max_bytes = Number(
        "log.index.size.max.bytes",
        10 * MIB,
        "The largest size of an index file; a full index seals its segment.",
        low=4,
        high=INT_MAX,
        unit="bytes",
    )
    log_retention_ms = Number(
        "log.retention.ms", 7 * DAY_MS, "Segments older than this are deleted; -1 keeps them for ever.", low=-1, unit="ms"
    )
    log_retention_bytes = Number(
        "log.retention.bytes",
        -1,
        "The oldest segments of a partition larger than this are deleted; -1 sets no limit.",
        low=-1,
        unit="bytes",
    )
    log_retention_check_interval_ms = Number(
        "log.retention.check.interval.ms", 5 * MINUTE_MS, "How often segments are checked against their retention.", low=1, unit="ms"
    )
    log_cleanup_policy = Words(
        "log.cleanup.policy",
        ("delete",),
        "What happens to old segments: deleted, compacted by key, or both.",
        choices=("delete", "compact"),
    )
    file_delete_delay_ms = Number(
        "log.segment.delete.delay.ms",
        MINUTE_MS,
        "How long a deleted file stays on disk under another name for those who still read it.",
        unit="ms",
        alias="file.delete.delay.ms",
    )
    log_message_timestamp_type = Choice(
        "log.message.timestamp.type",
        "CreateTime",
        "Whose clock stamps a record: the producer's or the broker's.",
        choices=("CreateTime", "LogAppendTime"),
    )
    log_message_timestamp_before_max_ms = Number(
        "log.message.timestamp.before.max.ms", LONG_MAX, "How far a record's timestamp may lie before the broker's clock.", unit="ms"
    )
    log_message_timestamp_after_max_ms = Number(
        "log.message.timestamp.after.max.ms", HOUR_MS, "How far a record's timestamp may lie after the broker's clock.", unit="ms"
    )
    message_max_bytes = Number(
        "message.max.bytes", 1_048_588, "The largest record batch that is accepted, after compression.", high=INT_MAX, unit="bytes"
    )
    compression_type = Choice(
        "compression.type", "producer", "The codec of the log; producer keeps what the producer chose.", choices=CODECS
    )
    compression_gzip_level = Number(
        "compression.gzip.level", -1, "The level when the broker compresses with gzip; -1 is the library's.", low=-1, high=9
    )
    compression_lz4_level = Number("compression.lz4.level", 9, "The level when the broker compresses with lz4.", low=1, high=17)
    compression_zstd_level = Number("compression.zstd.level", 3, "The level when the broker compresses with zstd.", low=-131_072, high=22)
    log_cleaner_delete_retention_ms = Number(
        "log.cleaner.delete.retention.ms", DAY_MS, "How long compaction keeps the marker of a deleted key.", unit="ms"
    )
    log_cleaner_min_compaction_lag_ms = Number(
        "log.cleaner.min.compaction.lag.ms", 0, "How long a record stays uncompacted at least.", unit="ms"
    )
    log_cleaner_max_compaction_lag_ms = Number(
        "log.cleaner.max.compaction.lag.ms", LONG_MAX, "How long a record may stay uncompacted at most.", low=1, unit="ms"
    )
    log_cleaner_min_cleanable_ratio = Ratio(
        "log.cleaner.min.cleanable.ratio", 0.5, "The share of uncompacted bytes from which a log is compacted."
    )
    log_flush_interval_messages = Number(
        "log.flush.interval.messages",
        LONG_MAX,
        "Kept for Kafka's tools; this engine syncs before it answers, see ev.durability.",
        low=1,
    )
    log_flush_interval_ms = Number(
        "log.flush.interval.ms", LONG_MAX, "Kept for Kafka's tools; this engine syncs before it answers, see ev.durability.", unit="ms"
    )
    log_preallocate = Switch("log.preallocate", False, "Kept for Kafka's tools; this engine never reserves disk space for segments.")
    log_local_retention_ms = Number("log.local.retention.ms", -2, "Kept for Kafka's tools; there is no tiered storage.", low=-2, unit="ms")
    log_local_retention_bytes = Number(
        "log.local.retention.bytes", -2, "Kept for Kafka's tools; there is no tiered storage.", low=-2, unit="bytes"
    )
    min_insync_replicas = Number(
        "min.insync.replicas", 1, "Replicas that must have a record of acks=all; this engine has one.", low=1, high=INT_MAX
    )
    default_replication_factor = Number(
        "default.replication.factor", 1, "Replicas of a topic that is created without saying how many; this engine has one.", low=1, high=1
    )
    unclean_leader_election_enable = Switch(
        "unclean.leader.election.enable", False, "Kept for Kafka's tools; with one replica there is nothing to elect."
    )

    # ---- producers
    producer_id_expiration_ms = Number(
        "producer.id.expiration.ms", DAY_MS, "How long a producer's sequence numbers are remembered after its last batch.", low=1, unit="ms"
    )

    # ---- transactions
    transaction_max_timeout_ms = Number(
        "transaction.max.timeout.ms", 15 * MINUTE_MS, "The longest timeout that a transactional producer may ask for.", low=1, unit="ms"
    )
    transactional_id_expiration_ms = Number(
        "transactional.id.expiration.ms",
        7 * DAY_MS,
        "How long a transactional id is remembered after its last transaction.",
        low=1,
        unit="ms",
    )
    transaction_state_log_num_partitions = Number(
        "transaction.state.log.num.partitions", 4, "Partitions of __transaction_state when it is created.", low=1, high=1000
    )
    transaction_state_log_segment_bytes = Number(
        "transaction.state.log.segment.bytes", 100 * MIB, "The segment size of __transaction_state.", low=1024, high=INT_MAX, unit="bytes"
    )
    transaction_partition_verification_enable = Switch(
        "transaction.partition.verification.enable",
        True,
        "Whether a transactional batch is refused when its partition was not added to the transaction.",
    )

    # ---- groups and offsets
    offsets_topic_num_partitions = Number(
        "offsets.topic.num.partitions", 4, "Partitions of __consumer_offsets when it is created.", low=1, high=1000
    )
    offsets_topic_segment_bytes = Number(
        "offsets.topic.segment.bytes", 100 * MIB, "The segment size of __consumer_offsets.", low=1024, high=INT_MAX, unit="bytes"
    )
    offsets_retention_minutes = Number(
        "offsets.retention.minutes",
        7 * 24 * 60,
        "How long the offsets of a group without members are kept.",
        low=1,
        high=INT_MAX,
        unit="minutes",
    )
    offsets_retention_check_interval_ms = Number(
        "offsets.retention.check.interval.ms", 10 * MINUTE_MS, "How often offsets are checked for their retention.", low=1, unit="ms"
    )
    offset_metadata_max_bytes = Number(
        "offset.metadata.max.bytes", 4096, "The longest note that may be committed with an offset.", high=INT_MAX, unit="bytes"
    )
    group_initial_rebalance_delay_ms = Number(
        "group.initial.rebalance.delay.ms",
        0,
        "How long a new group waits for more members before its first rebalance.",
        high=INT_MAX,
        unit="ms",
    )
    group_min_session_timeout_ms = Number(
        "group.min.session.timeout.ms",
        6 * SECOND_MS,
        "The shortest session timeout that a member may ask for.",
        low=1,
        high=INT_MAX,
        unit="ms",
    )
    group_max_session_timeout_ms = Number(
        "group.max.session.timeout.ms",
        30 * MINUTE_MS,
        "The longest session timeout that a member may ask for.",
        low=1,
        high=INT_MAX,
        unit="ms",
    )
    group_max_size = Number("group.max.size", INT_MAX, "The most members that one group may have.", low=1, high=INT_MAX)
    group_consumer_session_timeout_ms = Number(
        "group.consumer.session.timeout.ms",
        45_000,
        "How long a member of a group of the new protocol may be silent.",
        low=1,
        high=INT_MAX,
        unit="ms",
    )
    group_consumer_heartbeat_interval_ms = Number(
        "group.consumer.heartbeat.interval.ms",
        5_000,
        "How often the members of a group of the new protocol are told to report.",
        low=1,
        high=INT_MAX,
        unit="ms",
    )
    group_consumer_max_size = Number(
        "group.consumer.max.size", INT_MAX, "The most members that one group of the new protocol may have.", low=1, high=INT_MAX
    )

    # ---- requests and connections
    fetch_max_bytes = Number(
        "fetch.max.bytes", 55 * MIB, "The most bytes that one fetch returns, whatever it asked for.", low=1024, high=INT_MAX, unit="bytes"
    )
    max_incremental_fetch_session_cache_slots = Number(
        "max.incremental.fetch.session.cache.slots",
        1000,
        "How many consumers may have an incremental fetch session; 0 gives nobody one.",
        high=1_000_000,
    )
    socket_request_max_bytes = Number(
        "socket.request.max.bytes",
        100 * MIB,
        "The largest request; a larger one closes its connection.",
        low=1024,
        high=INT_MAX,
        unit="bytes",
    )
    queued_max_request_bytes = Number(
        "queued.max.request.bytes", 256 * MIB, "The most bytes of requests in work; beyond it no socket is read.", low=MIB, unit="bytes"
    )
    max_connections = Number(
        "max.connections", INT_MAX, "The most connections at a time; the limit on open files bounds it too.", low=1, high=INT_MAX
    )
    connections_max_idle_ms = Number(
        "connections.max.idle.ms",
        10 * MINUTE_MS,
        "A connection that has been silent for this long is closed; -1 never does.",
        low=-1,
        unit="ms",
    )

    # ---- this engine's own
    ev_durability = Choice(
        "ev.durability",
        "fsync",
        "fsync: acks=all and all metadata are on disk before they are acknowledged. os: the operating system decides when.",
        choices=("fsync", "os"),
    )
    ev_io_uring = Switch(
        "ev.io.uring", True, "Whether journal writes go through Linux's io_uring where there is one; a thread does them otherwise."
    )
    ev_flush_method = Choice(
        "ev.flush.method",
        "auto",
        "How a commit round reaches the disk: one write to the journal, a sync of each partition file, or auto, by size.",
        choices=("auto", "journal", "file"),
    )
    ev_disk_min_free_bytes = Number(
        "ev.disk.min.free.bytes",
        256 * MIB,
        "Produce is refused while the disk has less free space than this, or than 5 % of its size if that is smaller.",
        unit="bytes",
    )
    ev_validate_records = Choice(
        "ev.validate.records",
        "header",
        "What is checked of a produced batch: its header and checksum, or each record in it too.",
        choices=("header", "deep"),
    )
    ev_checkpoint_interval_ms = Number(
        "ev.checkpoint.interval.ms",
        5 * SECOND_MS,
        "How long files that only the journal covers may wait for their own sync.",
        low=1,
        unit="ms",
    )
    ev_checkpoint_bytes = Number(
        "ev.checkpoint.bytes",
        64 * MIB,
        "How many bytes that only the journal covers may wait for their own sync.",
        low=64 * KIB,
        unit="bytes",
    )

    def __init__(self, **values: Any) -> None:
        """`values` by attribute name; what is not named has its default."""
        unknown = values.keys() - BY_ATTRIBUTE.keys()
        if unknown:
            raise TypeError(f"no such setting: {', '.join(sorted(unknown))}")
        for attribute, row in BY_ATTRIBUTE.items():
            self.__dict__[attribute] = values.get(attribute, row.default)
        self.given: frozenset[str] = frozenset(BY_ATTRIBUTE[attribute].name for attribute in values)
        self._check()

    def __setattr__(self, name: str, value: object) -> None:
        if name != "given":
            raise AttributeError(f"settings do not change while the engine runs: {name}")
        self.__dict__[name] = value

    @classmethod
    def from_mapping(cls, texts: Mapping[str, str]) -> Self:
        """Settings from what a person wrote: names and texts. Raises SettingError that says what was expected."""
        values: dict[str, Any] = {}
        for name, text in texts.items():
            row = row_named(name)
            if row.attribute in values:
                raise SettingError(f"{row.name} is given twice: also as {row.alias}")
            values[row.attribute] = row.parse(text)
        return cls(**values)

    def rendered(self, row: Setting[Any]) -> str:
        """The value of `row` as Kafka's tools print it."""
        return row.render(self.__dict__[row.attribute])

    def _check(self) -> None:
        if self.group_min_session_timeout_ms > self.group_max_session_timeout_ms:
            raise SettingError(
                f"group.min.session.timeout.ms ({self.group_min_session_timeout_ms}) must not be above "
                f"group.max.session.timeout.ms ({self.group_max_session_timeout_ms})"
            )


BY_ATTRIBUTE: Final[dict[str, Setting[Any]]] = {name: row for name, row in vars(Settings).items() if isinstance(row, Setting)}
BY_NAME: Final[dict[str, Setting[Any]]] = {name: row for row in BY_ATTRIBUTE.values() for name in (row.name, row.alias) if name is not None}


def rows() -> Iterator[Setting[Any]]:
    """Every row once, sorted by name."""
    yield from sorted(BY_ATTRIBUTE.values(), key=lambda row: row.name)


def row_named(name: str) -> Setting[Any]:
    row = BY_NAME.get(name)
    if row is None:
        near = get_close_matches(name, BY_NAME, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise SettingError(f"There is no setting {name!r}{hint}")
    return row


class TopicSetting:
    """One setting of a topic: the row that parses it, and the broker's setting that is its default, if there is one."""

    __slots__ = ("broker", "name", "row")

    def __init__(self, name: str, row: Setting[Any], *, broker: bool = True) -> None:
        self.name = name
        self.row = row
        self.broker = row if broker else None

    def parse(self, text: str) -> Any:
        try:
            return self.row.parse(text)
        except SettingError:
            raise SettingError(f"Invalid value {text!r} for configuration {self.name}: expected {self.row.bounds()}") from None

    def default(self, settings: Settings) -> Any:
        return self.row.default if self.broker is None else settings.__dict__[self.broker.attribute]


def _topic_only(row: Setting[Any]) -> TopicSetting:
    return TopicSetting(row.name, row, broker=False)


TOPIC_SETTINGS: Final[dict[str, TopicSetting]] = {
    setting.name: setting
    for setting in (
        TopicSetting("cleanup.policy", Settings.log_cleanup_policy),
        TopicSetting("compression.gzip.level", Settings.compression_gzip_level),
        TopicSetting("compression.lz4.level", Settings.compression_lz4_level),
        TopicSetting("compression.type", Settings.compression_type),
        TopicSetting("compression.zstd.level", Settings.compression_zstd_level),
        TopicSetting("delete.retention.ms", Settings.log_cleaner_delete_retention_ms),
        TopicSetting("file.delete.delay.ms", Settings.file_delete_delay_ms),
        TopicSetting("flush.messages", Settings.log_flush_interval_messages),
        TopicSetting("flush.ms", Settings.log_flush_interval_ms),
        _topic_only(Words("follower.replication.throttled.replicas", (), "Kept for Kafka's tools; there are no followers.")),
        TopicSetting("index.interval.bytes", Settings.log_index_interval_bytes),
        _topic_only(Words("leader.replication.throttled.replicas", (), "Kept for Kafka's tools; there are no followers.")),
        TopicSetting("local.retention.bytes", Settings.log_local_retention_bytes),
        TopicSetting("local.retention.ms", Settings.log_local_retention_ms),
        TopicSetting("max.compaction.lag.ms", Settings.log_cleaner_max_compaction_lag_ms),
        TopicSetting("max.message.bytes", Settings.message_max_bytes),
        TopicSetting("message.timestamp.after.max.ms", Settings.log_message_timestamp_after_max_ms),
        TopicSetting("message.timestamp.before.max.ms", Settings.log_message_timestamp_before_max_ms),
        TopicSetting("message.timestamp.type", Settings.log_message_timestamp_type),
        TopicSetting("min.cleanable.dirty.ratio", Settings.log_cleaner_min_cleanable_ratio),
        TopicSetting("min.compaction.lag.ms", Settings.log_cleaner_min_compaction_lag_ms),
        TopicSetting("min.insync.replicas", Settings.min_insync_replicas),
        TopicSetting("preallocate", Settings.log_preallocate),
        _topic_only(Switch("remote.log.copy.disable", False, "Kept for Kafka's tools; there is no tiered storage.")),
        _topic_only(Switch("remote.log.delete.on.disable", False, "Kept for Kafka's tools; there is no tiered storage.")),
        _topic_only(Switch("remote.storage.enable", False, "Kept for Kafka's tools; there is no tiered storage.")),
        TopicSetting("retention.bytes", Settings.log_retention_bytes),
        TopicSetting("retention.ms", Settings.log_retention_ms),
        TopicSetting("segment.bytes", Settings.log_segment_bytes),
        TopicSetting("segment.index.bytes", Settings.log_index_size_max_bytes),
        TopicSetting("segment.jitter.ms", Settings.log_roll_jitter_ms),
        TopicSetting("segment.ms", Settings.log_roll_ms),
        TopicSetting("unclean.leader.election.enable", Settings.unclean_leader_election_enable),
    )
}


def topic_setting_named(name: str) -> TopicSetting:
    setting = TOPIC_SETTINGS.get(name)
    if setting is None:
        raise SettingError(f"Unknown topic config name: {name}")
    return setting


def topic_values(settings: Settings, overrides: Mapping[str, str]) -> dict[str, Any]:
    """Every topic setting with its value under these overrides. Raises SettingError for a name or a value that is refused."""
    parsed = {name: topic_setting_named(name).parse(text) for name, text in overrides.items()}
    if parsed.get("remote.storage.enable"):
        raise SettingError("remote.storage.enable=true is refused: this engine has no tiered storage")
    values = {name: parsed[name] if name in parsed else setting.default(settings) for name, setting in TOPIC_SETTINGS.items()}
    if values["min.compaction.lag.ms"] > values["max.compaction.lag.ms"]:
        raise SettingError("min.compaction.lag.ms must not be above max.compaction.lag.ms")
    return values
