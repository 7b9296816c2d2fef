"""An Admin that answers what a test says about settings, rights, users, quotas and directories, and whose texts may attack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ev.client.brokers import LogDirectory
from ev.client.coordinated import ActiveProducer, PartitionProducers
from ev.client.quotas import Quota
from ev.client.results import Acl, ConfigDescription, ConfigEntry, FoundOffset, TopicDescription
from ev.client.users import UserDescription
from support.cluster_answers import topic


def setting(name: str, value: str | None, source: str = "default", documentation: str = "", **parts: Any) -> ConfigEntry:
    """One setting of a topic."""
    synonyms = [(name, value, source), (name, "604800000", "default")]
    return ConfigEntry(name, value, source, False, parts.get("sensitive", False), parts.get("kind", "string"), documentation, synonyms)


class SaidAdmin:
    """Answers at once. What it has no answer for fails as a broker would that refuses it."""

    def __init__(
        self,
        *,
        settings: Iterable[ConfigEntry] = (),
        acls: Iterable[Acl] = (),
        users: Mapping[str, dict[str, int]] | None = None,
        quotas: Iterable[Quota] = (),
        directories: Iterable[LogDirectory] = (),
        producers: Mapping[tuple[str, int], list[ActiveProducer]] | None = None,
        offsets: Mapping[tuple[str, int], Mapping[int, int]] | None = None,
    ) -> None:
        self._settings = {entry.name: entry for entry in settings}
        self._acls = list(acls)
        self._users = [UserDescription(name, iterations) for name, iterations in (users or {}).items()]
        self._quotas = list(quotas)
        self._directories = list(directories)
        self._producers = producers or {}
        self._offsets = offsets or {}

    def __call__(self) -> SaidAdmin:
        return self

    def __enter__(self) -> SaidAdmin:
        return self

    def __exit__(self, *error: object) -> None: ...

    def describe_configs(self, kind: str, names: list[str], **wanted: Any) -> list[ConfigDescription]:
        return [ConfigDescription(kind, name, self._settings) for name in names]

    def describe_topics(self, names: list[str]) -> list[TopicDescription]:
        return [topic(name) for name in names]

    def acls(self, asked: object) -> list[Acl]:
        return self._acls

    def users(self) -> list[UserDescription]:
        return self._users

    def quotas(self) -> list[Quota]:
        return self._quotas

    def log_directories(self) -> list[LogDirectory]:
        return self._directories

    def producers(self, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], PartitionProducers]:
        return {partition: PartitionProducers(self._producers.get(partition, [])) for partition in partitions}

    def list_offsets(self, at: Mapping[tuple[str, int], int | str]) -> dict[tuple[str, int], FoundOffset]:
        """`offsets` has the records of a partition: their offsets by timestamp."""
        return {partition: self._offset(self._offsets.get(partition, {}), where) for partition, where in at.items()}

    def _offset(self, records: Mapping[int, int], where: int | str) -> FoundOffset:
        if where == "latest":
            return FoundOffset(max(records.values(), default=-1) + 1)
        found = min((time_ms for time_ms in records if time_ms >= int(where)), default=None)
        return FoundOffset(-1) if found is None else FoundOffset(records[found], found)


def hostile_admin(evil: str) -> SaidAdmin:
    """Every text of it is this one."""
    return SaidAdmin(
        settings=[setting(evil, evil, "topic", evil, kind=evil), setting(evil + "2", evil, evil, evil)],
        acls=[Acl("topic", evil, evil, "read", host=evil)],
        users={evil: {evil: 4096}},
        quotas=[Quota({"user": evil}, {evil: 1.0})],
        directories=[LogDirectory(1, evil, -1, -1, {(evil, 0): 3})],
        producers={(evil, 0): [ActiveProducer(7, 0, 1, 0, 0, 1)]},
        offsets={(evil, 0): {1_000: 0, 2_000: 1}},
    )
