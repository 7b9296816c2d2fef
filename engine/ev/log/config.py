"""What one topic's log is told to do: the settings of a topic, resolved, as plain numbers.

Kafka's names, with dots turned into underscores. A topic's own settings win over the broker's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ev.settings import Settings, topic_values
from ev.wire.compression import codec_name

LIBRARY_LEVEL = -1
CODECS = {codec_name(codec): codec for codec in range(5)}


@dataclass(frozen=True, slots=True)
class TopicConfig:
    """The settings that the log itself looks at."""

    segment_bytes: int = 1 << 30
    segment_ms: int = 7 * 24 * 3600 * 1000
    segment_index_bytes: int = 10 << 20
    index_interval_bytes: int = 4096
    retention_ms: int = 7 * 24 * 3600 * 1000
    retention_bytes: int = -1
    max_message_bytes: int = 1_048_588
    message_timestamp_type: str = "CreateTime"
    message_timestamp_before_max_ms: int = (1 << 63) - 1
    message_timestamp_after_max_ms: int = 3600 * 1000
    cleanup_policy: tuple[str, ...] = ("delete",)
    compression_type: str = "producer"
    compression_level: int | None = None
    file_delete_delay_ms: int = 60_000
    min_insync_replicas: int = 1
    validate_deep: bool = False
    delete_retention_ms: int = 24 * 3600 * 1000
    min_cleanable_ratio: float = 0.5
    min_compaction_lag_ms: int = 0
    max_compaction_lag_ms: int = (1 << 63) - 1

    @classmethod
    def build(cls, settings: Settings, overrides: Mapping[str, str]) -> TopicConfig:
        """The settings of a topic that has these of its own. Raises SettingError for a name or a value that is refused."""
        values = topic_values(settings, overrides)
        return cls(
            segment_bytes=values["segment.bytes"],
            segment_ms=values["segment.ms"],
            segment_index_bytes=values["segment.index.bytes"],
            index_interval_bytes=values["index.interval.bytes"],
            retention_ms=values["retention.ms"],
            retention_bytes=values["retention.bytes"],
            max_message_bytes=values["max.message.bytes"],
            message_timestamp_type=values["message.timestamp.type"],
            message_timestamp_before_max_ms=values["message.timestamp.before.max.ms"],
            message_timestamp_after_max_ms=values["message.timestamp.after.max.ms"],
            cleanup_policy=tuple(values["cleanup.policy"]),
            compression_type=values["compression.type"],
            compression_level=_level(values),
            file_delete_delay_ms=values["file.delete.delay.ms"],
            min_insync_replicas=values["min.insync.replicas"],
            validate_deep=settings.ev_validate_records == "deep",
            delete_retention_ms=values["delete.retention.ms"],
            min_cleanable_ratio=values["min.cleanable.dirty.ratio"],
            min_compaction_lag_ms=values["min.compaction.lag.ms"],
            max_compaction_lag_ms=values["max.compaction.lag.ms"],
        )

    @property
    def compacted(self) -> bool:
        return "compact" in self.cleanup_policy

    @property
    def deleted_by_age(self) -> bool:
        return "delete" in self.cleanup_policy and self.retention_ms >= 0

    @property
    def deleted_by_size(self) -> bool:
        return "delete" in self.cleanup_policy and self.retention_bytes >= 0

    @property
    def log_append_time(self) -> bool:
        return self.message_timestamp_type == "LogAppendTime"

    @property
    def codec(self) -> int | None:
        """The codec that the log insists upon; None when it keeps what the producer chose."""
        if self.compression_type == "producer":
            return None
        return CODECS["none" if self.compression_type == "uncompressed" else self.compression_type]

    @property
    def keeps_batches_as_they_are(self) -> bool:
        """Whether a batch goes to the log without its records being looked at."""
        return not (self.compacted or self.log_append_time or self.validate_deep or self.codec is not None)


def _level(values: Mapping[str, Any]) -> int | None:
    """The level for the codec that the log insists upon; None leaves it to the library."""
    level: int | None = values.get(f"compression.{values['compression.type']}.level")
    return None if level == LIBRARY_LEVEL and values["compression.type"] == "gzip" else level
