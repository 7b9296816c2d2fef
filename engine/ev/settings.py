"""Every setting of the engine: a row with its name, type, unit, default, bounds and one line of doc.

A setting has Kafka's name where Kafka has one; names that begin with `ev.` are this engine's own. A row is declared once, as an
attribute of `Settings` or of a class that it is made of (dots become underscores), and serves three times: it parses and bounds what
a person wrote, it is the typed attribute that the code reads (`settings.log_segment_bytes`), and it is a line of DescribeConfigs.

`TOPIC_SETTINGS` lists what can be set per topic. Most topic settings have the broker's setting of another name as their
default (`retention.ms` falls back to `log.retention.ms`); the row behind both is the same one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final, Self

from ev.coarser_settings import COARSER, in_milliseconds, refuse_coarser
from ev.connection_settings import ConnectionSettings
from ev.coordinator_settings import CoordinatorSettings
from ev.errors import SettingError
from ev.setting_types import INT_MAX, LONG_MAX, Choice, Number, Ratio, Secret, Setting, Switch, Text, Words
from ev.setting_units import DAY_MS, GIB, HOUR_MS, KIB, MIB, MINUTE_MS, SECOND_MS

LISTENER_PREFIX: Final = "listener.name."
CODECS: Final = ("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer")


class Settings(CoordinatorSettings, ConnectionSettings):
    """The settings of one engine. They do not change: what is changed while it runs makes new ones."""

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

    # ---- this engine's own
    ev_durability = Choice(
        "ev.durability",
        "fsync",
        "fsync: acks=all and all metadata are on disk before they are acknowledged. os: the operating system decides when.",
        choices=("fsync", "os"),
    )
    ev_metrics_listen = Text(
        "ev.metrics.listen", "", "HOST:PORT where Prometheus may ask for figures (GET /metrics); nobody may when it is empty."
    )
    ev_metrics_hosts = Words(
        "ev.metrics.hosts", (), "Further names that a request for figures may call this host; 127.0.0.1, localhost and [::1] always may."
    )
    ev_metrics_partitions_max = Number(
        "ev.metrics.partitions.max", 1000, "With more partitions than this their figures are not given singly.", low=0, high=INT_MAX
    )
    ev_log_format = Choice(
        "ev.log.format",
        "text",
        "What a line of the engine's own log looks like: text for people, or json, one object a line.",
        choices=("text", "json"),
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
        self.of_listeners: Mapping[str, Mapping[str, str]] = {}  # what is set for a single one, by the name of the listener
        self._check()

    def __setattr__(self, name: str, value: object) -> None:
        if name not in ("given", "of_listeners"):
            raise AttributeError(f"settings do not change in place: {name}")
        self.__dict__[name] = value

    @classmethod
    def from_mapping(cls, texts: Mapping[str, str]) -> Self:
        """Settings from what a person wrote: names and texts. Raises SettingError that says what was expected."""
        values: dict[str, Any] = {}
        of_listeners: dict[str, dict[str, str]] = {}
        for name, text in in_milliseconds(texts).items():
            if name.startswith(LISTENER_PREFIX):
                listener, _, common_name = name.removeprefix(LISTENER_PREFIX).partition(".")
                try:
                    row_named(common_name).parse(text)
                except SettingError as error:
                    raise SettingError(f"{name}: {error}") from None
                of_listeners.setdefault(listener.upper(), {})[common_name] = text
                continue
            row = row_named(name)
            if row.attribute in values:
                raise SettingError(f"{row.name} is given twice: also as {row.alias}")
            values[row.attribute] = row.parse(text)
        settings = cls(**values)
        settings.of_listeners = of_listeners
        return settings

    def for_listener(self, name: str) -> Settings:
        """The settings with those that are set for this listener alone in the place of the others."""
        return self.overridden(self.of_listeners.get(name, {}))

    def overridden(self, texts: Mapping[str, str]) -> Settings:
        """The settings with these in the place of their own; they still know what was given at the start. Raises SettingError."""
        values = {row.attribute: self.value_of(row) for row in rows() if row.name in self.given}
        parsed = {row.attribute: row.parse(text) for row, text in ((row_named(name), text) for name, text in texts.items())}
        settings = Settings(**{**values, **parsed})
        settings.given = self.given
        settings.of_listeners = self.of_listeners
        return settings

    def value_of(self, row: Setting[Any]) -> Any:
        return self.__dict__[row.attribute]

    def rendered(self, row: Setting[Any]) -> str:
        """The value of `row` as Kafka's tools print it."""
        return row.render(self.value_of(row))

    def _check(self) -> None:
        if not self.max_connections_per_ip and not self.max_connections_per_ip_overrides:
            raise SettingError("max.connections.per.ip can be set to 0 only if max.connections.per.ip.overrides is set")
        for low, high in RANGES:
            least, most = self.value_of(low), self.value_of(high)
            if least > most:
                raise SettingError(f"{low.name} ({least}) must not be above {high.name} ({most})")


RANGES: Final = (
    (Settings.group_min_session_timeout_ms, Settings.group_max_session_timeout_ms),
    (Settings.group_consumer_min_session_timeout_ms, Settings.group_consumer_max_session_timeout_ms),
    (Settings.group_consumer_min_heartbeat_interval_ms, Settings.group_consumer_max_heartbeat_interval_ms),
    (Settings.group_consumer_min_assignment_interval_ms, Settings.group_consumer_max_assignment_interval_ms),
)


BY_ATTRIBUTE: Final[dict[str, Setting[Any]]] = {
    name: row
    for part in (Settings, CoordinatorSettings, ConnectionSettings)
    for name, row in vars(part).items()
    if isinstance(row, Setting)
}
BY_NAME: Final[dict[str, Setting[Any]]] = {name: row for row in BY_ATTRIBUTE.values() for name in (row.name, row.alias) if name is not None}


def rows() -> Iterator[Setting[Any]]:
    """Every row once, sorted by name."""
    yield from sorted(BY_ATTRIBUTE.values(), key=lambda row: row.name)


def row_named(name: str) -> Setting[Any]:
    row = BY_NAME.get(name)
    if row is None:
        refuse_coarser(name)
        raise SettingError(f"There is no setting {name!r}{did_you_mean(name, [*BY_NAME, *COARSER], 0.6)}")
    return row


def is_secret(name: str) -> bool:
    """Whether the setting of this name, perhaps that of a single listener, is one that is shown to nobody."""
    if name.startswith(LISTENER_PREFIX):
        name = name.removeprefix(LISTENER_PREFIX).partition(".")[2]
    return isinstance(BY_NAME.get(name), Secret)


def did_you_mean(name: str, names: Iterable[str], likeness: float = 0.75) -> str:
    """The end of a message about a name that there is not: the nearest that there is, or nothing."""
    near = get_close_matches(name, list(names), n=1, cutoff=likeness)
    return f"; did you mean {near[0]}?" if near else ""


class ResourceSetting:
    """A setting that a resource (a topic, a group) may have of its own: the row that parses it, and the broker's that is its default."""

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
        return self.row.default if self.broker is None else settings.value_of(self.broker)


def _topic_only(row: Setting[Any]) -> ResourceSetting:
    return ResourceSetting(row.name, row, broker=False)


TOPIC_SETTINGS: Final[dict[str, ResourceSetting]] = {
    setting.name: setting
    for setting in (
        ResourceSetting("cleanup.policy", Settings.log_cleanup_policy),
        ResourceSetting("compression.gzip.level", Settings.compression_gzip_level),
        ResourceSetting("compression.lz4.level", Settings.compression_lz4_level),
        ResourceSetting("compression.type", Settings.compression_type),
        ResourceSetting("compression.zstd.level", Settings.compression_zstd_level),
        ResourceSetting("delete.retention.ms", Settings.log_cleaner_delete_retention_ms),
        ResourceSetting("file.delete.delay.ms", Settings.file_delete_delay_ms),
        ResourceSetting("flush.messages", Settings.log_flush_interval_messages),
        ResourceSetting("flush.ms", Settings.log_flush_interval_ms),
        _topic_only(Words("follower.replication.throttled.replicas", (), "Kept for Kafka's tools; there are no followers.")),
        ResourceSetting("index.interval.bytes", Settings.log_index_interval_bytes),
        _topic_only(Words("leader.replication.throttled.replicas", (), "Kept for Kafka's tools; there are no followers.")),
        ResourceSetting("local.retention.bytes", Settings.log_local_retention_bytes),
        ResourceSetting("local.retention.ms", Settings.log_local_retention_ms),
        ResourceSetting("max.compaction.lag.ms", Settings.log_cleaner_max_compaction_lag_ms),
        ResourceSetting("max.message.bytes", Settings.message_max_bytes),
        ResourceSetting("message.timestamp.after.max.ms", Settings.log_message_timestamp_after_max_ms),
        ResourceSetting("message.timestamp.before.max.ms", Settings.log_message_timestamp_before_max_ms),
        ResourceSetting("message.timestamp.type", Settings.log_message_timestamp_type),
        ResourceSetting("min.cleanable.dirty.ratio", Settings.log_cleaner_min_cleanable_ratio),
        ResourceSetting("min.compaction.lag.ms", Settings.log_cleaner_min_compaction_lag_ms),
        ResourceSetting("min.insync.replicas", Settings.min_insync_replicas),
        ResourceSetting("preallocate", Settings.log_preallocate),
        _topic_only(Switch("remote.log.copy.disable", False, "Kept for Kafka's tools; there is no tiered storage.")),
        _topic_only(Switch("remote.log.delete.on.disable", False, "Kept for Kafka's tools; there is no tiered storage.")),
        _topic_only(Switch("remote.storage.enable", False, "Kept for Kafka's tools; there is no tiered storage.")),
        ResourceSetting("retention.bytes", Settings.log_retention_bytes),
        ResourceSetting("retention.ms", Settings.log_retention_ms),
        ResourceSetting("segment.bytes", Settings.log_segment_bytes),
        ResourceSetting("segment.index.bytes", Settings.log_index_size_max_bytes),
        ResourceSetting("segment.jitter.ms", Settings.log_roll_jitter_ms),
        ResourceSetting("segment.ms", Settings.log_roll_ms),
        ResourceSetting("unclean.leader.election.enable", Settings.unclean_leader_election_enable),
    )
}


def topic_setting_named(name: str) -> ResourceSetting:
    setting = TOPIC_SETTINGS.get(name)
    if setting is None:
        raise SettingError(f"Unknown topic config name: {name}{did_you_mean(name, TOPIC_SETTINGS)}")
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
