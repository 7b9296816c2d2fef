"""The broker: what all handlers share, and the order in which a topic comes into being and goes.

A change of metadata is appended to the metadata log and replayed at once; nothing is rolled back later. What has to follow on
disk follows when the record is safe:

    create     record appended ──synced──> directories made ──> answered
    delete     record and tombstones of offsets appended ──synced──> directories renamed away, waiting fetches woken ──> answered

Every answer that looked at topics, configurations or producer ids leaves after the round that holds the metadata log's newest
record at that time (`metadata_round`).
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from ev.broker.acls import ACLS_MAX, CHANGES_MAX, Acls, read_acl_key
from ev.broker.apis import load
from ev.broker.authorizer import SUPPORTED, Authorizer
from ev.broker.broker_configs import BrokerConfigs
from ev.broker.client_metrics import SUBSCRIPTIONS_MAX, ClientMetrics
from ev.broker.client_quotas import ENTITIES_MAX, ClientQuotas
from ev.broker.config_rules import NewTopicRules
from ev.broker.directories import DirectoryMaking
from ev.broker.features import Features
from ev.broker.fetch_sessions import FetchSessions
from ev.broker.group_runtime import GroupRuntime
from ev.broker.loggers import change_levels
from ev.broker.producer_ids import ProducerIds
from ev.broker.quick_produce import QuickProduce
from ev.broker.replay import replayed
from ev.broker.runtime import Runtime
from ev.broker.scram_users import SECRET_BYTES, USERS_MAX, ScramUsers, secret_record, user_record
from ev.broker.throttling import Throttling
from ev.broker.topics import (
    ACL,
    BROKER_CONFIG,
    CLIENT_METRICS_CONFIG,
    CLIENT_QUOTA,
    FEATURE,
    GROUP_CONFIG,
    OFFSETS_TOPIC,
    SCRAM_SECRET,
    SCRAM_USER,
    TOPIC,
    TRANSACTIONS_TOPIC,
    Topic,
    Topics,
    check_topic_name,
    config_record,
    deletion_record,
    feature_record,
    format_of,
    quota_record,
    read_record,
    topic_record,
)
from ev.broker.transaction_runtime import TransactionRuntime
from ev.broker.upkeep import Upkeep
from ev.broker.waiting import Waiting
from ev.coordinators.group_config import CONFIGURED_GROUPS_MAX, GroupConfigs
from ev.errors import ErrorCode, KafkaError
from ev.log.config import TopicConfig
from ev.log.layout import LOCK
from ev.wire.acls import CLUSTER_NAME, Operation, Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ev.broker.acls import Acl
    from ev.broker.alter import Plan
    from ev.broker.client_quotas import Entity
    from ev.broker.runtime import Call, World
    from ev.broker.scram_users import ByMechanism
    from ev.broker.topics import Record
    from ev.clock import Clock
    from ev.log.partition import Partition
    from ev.log.store import Store
    from ev.randomness import Randomness
    from ev.settings import Settings

logger = logging.getLogger("ev.broker")
Item = TypeVar("Item")

PARTITIONS_PER_TOPIC_MAX = 10_000


class Broker:
    """One engine's broker over its store. The constructor reads the metadata log and opens every partition."""

    def __init__(self, *, settings: Settings, clock: Clock, randomness: Randomness, store: Store, world: World) -> None:
        self.settings = settings  # what counts now: another one when something is set at run time
        self.broker_configs = BrokerConfigs(settings, store.node_id)
        self.clock = clock
        self.randomness = randomness
        self.store = store
        self.committer = store.committer
        store.on_failure(world.fail)
        self.runtime = Runtime(store.committer, clock, world, store.knock)
        self.waiting = Waiting(self.runtime)
        self.runtime.moved = self.waiting.moved
        self.apis = load()
        self.topics = Topics()
        self.group_configs = GroupConfigs(settings)
        self.producer_ids = ProducerIds()
        self.acls = Acls()
        self.authorizer = Authorizer.configured(settings, self.acls)
        self.scram_users = ScramUsers()
        self.features = Features()
        self.features_round = 0  # the round that holds the newest change of them
        self.client_metrics = ClientMetrics()
        self.client_quotas = ClientQuotas()
        self.throttling = Throttling(self.client_quotas, settings, clock)
        self._case_matters = not store.disk.exists(f"{store.directory}/{LOCK.upper()}")
        self.quick_produce = QuickProduce(self)
        self._replay_metadata()
        if self.authorizer is not None and not (self.acls or settings.super_users or settings.allow_everyone_if_no_acl_found):
            logger.warning("nobody may do anything: there is an authorizer, but there are no super.users and no ACLs")
        self._open_topics()
        self.fetch_sessions = FetchSessions(randomness, settings.max_incremental_fetch_session_cache_slots)
        self.groups = GroupRuntime(self)
        self.groups.start()
        self.transactions = TransactionRuntime(self)
        self.transactions.start()
        self.upkeep = Upkeep(store, self.runtime, clock)
        self.upkeep.ask()

    @property
    def cluster_id(self) -> str:
        return self.store.cluster_id

    @property
    def node_id(self) -> int:
        return self.store.node_id

    def advertised(self, call: Call) -> tuple[str, int]:
        """Where the client that sent this call is told to connect: where its listener says, or else where it found us."""
        return call.connection.local_address

    # Who may do what.

    def allows(self, call: Call, operation: int, resource_type: int, name: str, *, quiet: bool = False) -> bool:
        """Whether the client that sent this call may do this with this resource. Without an authorizer everybody may do everything."""
        authorizer = self.authorizer
        return authorizer is None or authorizer.allows(call.principal, call.client_host, operation, resource_type, name, quiet=quiet)

    def allows_on_cluster(self, call: Call, operation: int, *, quiet: bool = False) -> bool:
        return self.allows(call, operation, Resource.CLUSTER, CLUSTER_NAME, quiet=quiet)

    def allowed_topics(
        self, call: Call, operation: int, topics: list[Item], name_of: Callable[[Item], str | None]
    ) -> tuple[list[Item], list[Item]]:
        """What a request says of topics, parted into those with which the client may do this and those with which it may not.

        A topic that was asked for by an id that nobody has, has no name (None): it is left to be answered as unknown.
        """
        if self.authorizer is None:
            return topics, []
        allowed: list[Item] = []
        forbidden: list[Item] = []
        for topic in topics:
            name = name_of(topic)
            (allowed if name is None or self.allows(call, operation, Resource.TOPIC, name) else forbidden).append(topic)
        return allowed, forbidden

    def operations(self, call: Call, resource_type: int, name: str) -> int:
        """What the client may do with the resource, as a bit field."""
        if self.authorizer is None:
            return sum(1 << operation for operation in SUPPORTED[resource_type])
        return self.authorizer.operations(call.principal, call.client_host, resource_type, name)

    def cluster_operations(self, call: Call) -> int:
        """The same for the cluster, if the client may describe it; 0 if not."""
        return self.operations(call, Resource.CLUSTER, CLUSTER_NAME) if self.allows_on_cluster(call, Operation.DESCRIBE) else 0

    def change_acls(self, added: Iterable[Acl], removed: Iterable[Acl], now_ms: int) -> None:
        """Add ACLs and take some away; the answer waits for `metadata_round`. Raises KafkaError, and then nothing has changed."""
        new = [acl for acl in dict.fromkeys(added) if acl not in self.acls]
        gone = [acl for acl in dict.fromkeys(removed) if acl in self.acls]
        if max(len(new), len(gone)) > CHANGES_MAX or len(self.acls) + len(new) > ACLS_MAX:
            text = f"One request may change at most {CHANGES_MAX} ACLs, and there may be at most {ACLS_MAX} of them."
            raise KafkaError(ErrorCode.POLICY_VIOLATION, text)
        records = [acl.record(exists=True) for acl in new] + [acl.record(exists=False) for acl in gone]
        if records:
            self._append(records, now_ms)

    # The metadata log.

    @property
    def metadata_round(self) -> int:
        """The round that holds the newest record of the metadata log: answers about metadata wait for it."""
        return self.store.metadata.dirty_round

    def _replay_metadata(self) -> None:
        for key, value in replayed(self.store.metadata):
            self._replay(key or b"", value)
            self.store.require_format(format_of(key or b""))

    def _replay(self, key: bytes, value: bytes | None) -> None:
        kind, name, state = read_record(key, value)
        if kind == TOPIC:
            self.topics.replay(name, state)
        elif kind == ACL:
            self.acls.replay(read_acl_key(key), exists=state is not None)
        elif kind == GROUP_CONFIG:
            self.group_configs.replay(name, None if state is None else state["config"])
        elif kind == BROKER_CONFIG:
            self.broker_configs.replay(name, None if state is None else state["config"])
            self.settings = self.store.settings = self.broker_configs.settings
        elif kind == SCRAM_USER:
            self.scram_users.replay(name, state)
        elif kind == SCRAM_SECRET and state is not None:
            self.scram_users.replay_secret(state)
        elif kind == FEATURE:
            if state is not None:
                self.features.replay(name, state["level"], state["epoch"])
        elif kind == CLIENT_METRICS_CONFIG:
            self.client_metrics.replay(name, None if state is None else state["config"])
        elif kind == CLIENT_QUOTA:
            self.client_quotas.replay(name, None if state is None else state["quotas"])
            self.throttling.quotas_changed()
            self.quick_produce.is_off = self.throttling.active
        elif state is not None:
            self.producer_ids.replay(state)

    def _append(self, records: Sequence[Record], now_ms: int) -> int:
        """Append metadata records and replay them; returns their round. Raises KafkaError, and then nothing has changed."""
        try:
            self.store.require_format(max((format_of(key) for key, _ in records), default=0))
        except OSError as error:
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"The format of the data directory could not be noted: {error}") from error
        appended = self.store.metadata.append_records(records, now_ms)
        for key, value in records:
            self._replay(key, value)
        return appended.round

    # Topics.

    def _open_topics(self) -> None:
        topics = {topic.name: (topic.id, topic.partition_count, self.config_of(topic)) for topic in self.topics}
        self.store.open_topics(topics, self.topics.deleted)
        self.topics.deleted.clear()

    def config_of(self, topic: Topic) -> TopicConfig:
        """What the topic's log is told to do."""
        return TopicConfig.build(self.settings, topic.config)

    def partition(self, name: str, index: int, current_leader_epoch: int = -1) -> Partition:
        """The partition that a request names, if the leader epoch that the client knows (-1: none) is ours. Raises KafkaError."""
        partition = self.store.partition(name, index) if name in self.topics else None
        if partition is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        if 0 <= current_leader_epoch != partition.leader_epoch:
            older = current_leader_epoch < partition.leader_epoch
            raise KafkaError(ErrorCode.FENCED_LEADER_EPOCH if older else ErrorCode.UNKNOWN_LEADER_EPOCH)
        return partition

    def new_topic(self, name: str, partition_count: int, config: Mapping[str, str | None]) -> Topic:
        """A topic that may be created: checked, with an id of its own, not yet existing. Raises KafkaError."""
        check_topic_name(name)
        if name in self.topics:
            raise KafkaError(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{name}' already exists.")
        other = self.topics.collision(name) or self._same_directory(name)
        if other is not None:
            raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Topic '{name}' collides with existing topic: {other}")
        count = self.settings.num_partitions if partition_count == -1 else partition_count
        self.check_partition_count(count, count)
        return Topic(name, self.randomness.uuid(), count, NewTopicRules(self.settings).checked(config))

    def _same_directory(self, name: str) -> str | None:
        """The topic whose directory a topic of this name would take, where the file system makes no difference between a and A."""
        if self._case_matters:
            return None
        folded = name.casefold()
        return next((topic.name for topic in self.topics if topic.name.casefold() == folded), None)

    def new_offsets_topic(self) -> Topic:
        """The topic that groups keep their state in, as it is when it is created for them."""
        config = {"cleanup.policy": "compact", "segment.bytes": str(self.settings.offsets_topic_segment_bytes)}
        return self.new_topic(OFFSETS_TOPIC, self.settings.offsets_topic_num_partitions, config)

    def new_transactions_topic(self) -> Topic:
        """The topic that transactions keep their state in, likewise."""
        config = {"cleanup.policy": "compact", "segment.bytes": str(self.settings.transaction_state_log_segment_bytes)}
        return self.new_topic(TRANSACTIONS_TOPIC, self.settings.transaction_state_log_num_partitions, config)

    def check_partition_count(self, count: int, added: int) -> None:
        """Whether a topic may have this many partitions, `added` of them new. Raises KafkaError."""
        if count <= 0:
            raise KafkaError(ErrorCode.INVALID_PARTITIONS, "Number of partitions was set to an invalid non-positive value.")
        if count > PARTITIONS_PER_TOPIC_MAX:
            raise KafkaError(ErrorCode.INVALID_PARTITIONS, f"A topic may have at most {PARTITIONS_PER_TOPIC_MAX} partitions.")
        if self.topics.partition_count + added > self.settings.ev_partitions_max:
            raise KafkaError(
                ErrorCode.POLICY_VIOLATION, f"All topics together may have at most {self.settings.ev_partitions_max} partitions."
            )

    def create_topics(self, topics: Sequence[Topic], now_ms: int, done: Callable[[], None]) -> None:
        """Create topics that `new_topic` made. `done` is called when they are there, or are not: then they do not exist any more.

        Raises KafkaError when the metadata log cannot take the records; nothing has changed then.
        """
        if not self.store.writable:
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, "The disk has too little free space to create topics.")
        written = self._append([topic_record(topic) for topic in topics], now_ms)

        def made() -> None:
            for topic in topics:
                if self.topics.by_id(topic.id) is not None:
                    logger.info("topic %s created with %d partitions", topic.name, topic.partition_count)
            done()

        making = DirectoryMaking(self, topics, self._creation_failed, made)
        self.runtime.after_round(written, making.run)

    def _creation_failed(self, topic: Topic, error: OSError) -> None:
        """Take the topic back, by a record like any other."""
        logger.error("topic %s could not be created: %s", topic.name, error)
        with suppress(KafkaError):  # then the next start tries to make it
            self.delete_topics([topic], self.clock.wall_ms(), lambda: None)

    def add_partitions(self, grown: Sequence[Topic], now_ms: int, done: Callable[[], None]) -> None:
        """Give existing topics the partition counts of `grown`. `done` is called when the new partitions are there, or are not."""
        if not self.store.writable:
            raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, "The disk has too little free space to create partitions.")
        written = self._append([topic_record(topic) for topic in grown], now_ms)
        making = DirectoryMaking(self, grown, self._growth_failed, done)
        self.runtime.after_round(written, making.run)

    def _growth_failed(self, topic: Topic, error: OSError) -> None:
        """Let the topic have the partitions that it has."""
        logger.error("topic %s could not be given %d partitions: %s", topic.name, topic.partition_count, error)
        with suppress(KafkaError):  # then the next start tries to make them
            there = len(self.store.topics[topic.name].partitions)
            self._append([topic_record(topic.with_partitions(there))], self.clock.wall_ms())

    def configure(self, plan: Plan, now_ms: int) -> int:
        """Replace configurations, for which there is a plan; returns the round that their answer waits for.

        Raises KafkaError, and then nothing has changed.
        """
        added = sum(1 for name, config in plan.groups.items() if config and not self.group_configs.of(name))
        if added and len(self.group_configs) + added > CONFIGURED_GROUPS_MAX:
            raise KafkaError(ErrorCode.POLICY_VIOLATION, f"At most {CONFIGURED_GROUPS_MAX} groups may have a configuration of their own.")
        new = sum(1 for name, config in plan.client_metrics.items() if config and not self.client_metrics.of(name))
        if new and len(self.client_metrics) + new > SUBSCRIPTIONS_MAX:
            raise KafkaError(ErrorCode.POLICY_VIOLATION, f"There may be at most {SUBSCRIPTIONS_MAX} subscriptions to metrics of clients.")
        records = [topic_record(topic) for topic in plan.topics.values()]
        records += [config_record(GROUP_CONFIG, name, config) for name, config in plan.groups.items()]
        records += [config_record(BROKER_CONFIG, name, config) for name, config in plan.brokers.items()]
        records += [config_record(CLIENT_METRICS_CONFIG, name, config) for name, config in plan.client_metrics.items()]
        written = self._append(records, now_ms) if records else self.metadata_round
        change_levels(plan.loggers)
        for topic in self.topics if plan.brokers else plan.topics.values():
            if self.store.partition(topic.name, 0) is not None:
                self.store.set_config(topic.name, self.config_of(topic))
        return written

    def delete_topics(self, topics: Sequence[Topic], now_ms: int, done: Callable[[], None]) -> None:
        """Delete topics. Their names are free at once; `done` is called when their directories are out of the way."""
        written = self._append([deletion_record(topic.name) for topic in topics], now_ms)
        for topic in topics:
            self.groups.topic_deleted(topic.name, topic.id)

        def remove_directories() -> None:
            for topic in topics:
                self._remove_directories(topic)
            done()

        self.runtime.after_round(written, remove_directories)

    def _remove_directories(self, topic: Topic) -> None:
        gone = [self.store.partition(topic.name, index) for index in range(topic.partition_count)]
        try:
            self.store.delete_topic(topic.name)
        except OSError as error:
            logger.error("topic %s is deleted, but its files are still in their place: %s", topic.name, error)
        self.topics.deleted.discard(topic.id)
        self.quick_produce.forget(topic)
        for partition in gone:
            if partition is not None:
                self.waiting.gone(partition)
        logger.info("topic %s deleted", topic.name)

    def set_quotas(self, changed: Mapping[Entity, Mapping[str, float]], now_ms: int) -> None:
        """Replace all quotas of these entities. Raises KafkaError, and then nothing has changed."""
        added = sum(1 for entity, quotas in changed.items() if quotas and not self.client_quotas.of(entity))
        if added and len(self.client_quotas) + added > ENTITIES_MAX:
            raise KafkaError(ErrorCode.POLICY_VIOLATION, f"At most {ENTITIES_MAX} entities may have quotas.")
        self._append([quota_record(entity.path(), quotas) for entity, quotas in changed.items()], now_ms)

    def set_features(self, levels: Mapping[str, int], now_ms: int) -> None:
        """Put features at other levels in force. Raises KafkaError, and then nothing has changed."""
        records = [feature_record(name, level, self.features.epoch + 1) for name, level in levels.items()]
        self.features_round = self._append(records, now_ms)

    # Producer ids.

    def producer_id(self, now_ms: int) -> int:
        """A producer id that was never given before. Its answer waits for `metadata_round`."""
        if self.producer_ids.exhausted:
            self._append([self.producer_ids.claim()], now_ms)
            self.producer_ids.open_block()
        return self.producer_ids.take()

    # Users.

    def alter_users(self, users: Mapping[str, ByMechanism], now_ms: int) -> int:
        """Give users these credentials in the place of those that they have; returns the round that the answer waits for.

        Raises KafkaError, and then nothing has changed.
        """
        added = sum(1 for name, credentials in users.items() if credentials and not self.scram_users.of(name))
        if added and len(self.scram_users) + added > USERS_MAX:
            raise KafkaError(ErrorCode.POLICY_VIOLATION, f"There may be at most {USERS_MAX} users.")
        return self._append([user_record(name, credentials) for name, credentials in users.items()], now_ms)

    def keep_secret(self, now_ms: int) -> None:
        """Have the secret that authentication needs: the directory's, which does not change as long as there is one."""
        if not self.scram_users.secret:
            self._append([secret_record(self.randomness.bytes(SECRET_BYTES))], now_ms)
