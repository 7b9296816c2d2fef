"""The admin client: what is asked about a cluster and changed in it, one method per question, plain values as answers.

Lists and mappings go in, and come out in the same order; an item that the broker refused carries its error. What passes by itself (a
controller or coordinator that moves, a leader election, a broker that restarts) is tried again until `timeout_ms` is over. What cannot be
asked at all raises: ClientError when nobody answers, KafkaError when the whole question is refused.

    from ev.client import Admin
    from ev.client.results import NewTopic

    with Admin("localhost:9092") as admin:
        for created in admin.create_topics([NewTopic("orders", partitions=3, configs={"retention.ms": "60000"})]):
            created.or_raise()
        ends = admin.list_offsets({("orders", index): "latest" for index in range(3)})
        print({place: end.offset for place, end in ends.items()})
"""

from __future__ import annotations

from ev.client.brokers import BrokerQuestions
from ev.client.cluster import Cluster
from ev.client.connection import REQUEST_TIMEOUT_MS
from ev.client.coordinated import TransactionQuestions
from ev.client.coordinator import Coordinator
from ev.client.delegation import TokenQuestions
from ev.client.offsets import (
    COMMIT_VERSION_MAX,
    FETCH_VERSION_MAX,
    FETCH_VERSION_OF_MANY_GROUPS,
    commit_codes,
    commit_request,
    fetch_request,
    fetched_offsets,
    grouped,
    list_request,
    listed_offsets,
)
from ev.client.positions import EARLIEST, LATEST
from ev.client.quotas import QuotaQuestions
from ev.client.replicas import ReplicaQuestions
from ev.client.results import (
    CONFIG_SOURCES,
    CONFIG_TYPES,
    Broker,
    ClusterDescription,
    CommittedOffset,
    ConfigDescription,
    ConfigEntry,
    CreatedTopic,
    DeletedRecords,
    FoundOffset,
    GroupDescription,
    GroupListing,
    Outcome,
    TopicDescription,
    TopicPartitionDescription,
)
from ev.client.routing import ask_controller, ask_coordinator, ask_leaders
from ev.client.survey import SurveyQuestions, classic_description, consumer_description
from ev.client.users import ITERATIONS, MECHANISMS, UserDescription, upsertion, user_description
from ev.errors import ErrorCode, KafkaError, UnsupportedApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType
    from typing import Any, TypeVar

    from ev.client.acls import AclFilter
    from ev.client.results import Acl, NewTopic
    from ev.wire.messages.k03_metadata import MetadataResponse, MetadataResponseTopic

    TopicPartition = tuple[str, int]
    K = TypeVar("K")

MAX_TIMESTAMP = -3
TIMESTAMPS = {"earliest": EARLIEST, "latest": LATEST, "max-timestamp": MAX_TIMESTAMP}
RESOURCE_TYPES = {"topic": 2, "broker": 4, "broker-logger": 8, "client-metrics": 16, "group": 32}
OPERATIONS = {"set": 0, "delete": 1, "append": 2, "subtract": 3}


def error_of(code: int, message: str | None = None) -> KafkaError | None:
    return KafkaError(code, message) if code else None


class Admin(BrokerQuestions, ReplicaQuestions, QuotaQuestions, TokenQuestions, TransactionQuestions, SurveyQuestions):
    """Not safe for threads. Other options are those of `ev.client.cluster.Cluster`.

    `timeout_ms` bounds every call, `request_timeout_ms` each of its requests. An address at which nothing answers is reported at once
    (UnreachableError); a broker that was there and is gone is waited for. What a broker refuses for one item stays with that item, as its
    `error`; KafkaError is raised where one thing was asked for.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        client_id: str = "ev",
        timeout_ms: int | None = None,
        request_timeout_ms: int = REQUEST_TIMEOUT_MS,
        **cluster_options: Any,
    ) -> None:
        self.timeout_ms = request_timeout_ms if timeout_ms is None else timeout_ms
        self._unreached = Cluster(bootstrap, client_id=client_id, request_timeout_ms=request_timeout_ms, **cluster_options)

    def __enter__(self) -> Admin:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._unreached.close()

    @property
    def _cluster(self) -> Cluster:
        """The cluster, once somebody has answered there."""
        if not self._unreached.metadata.brokers:
            self._unreached.refresh((), timeout_ms=self.timeout_ms)
        return self._unreached

    # ---- topics ----

    def create_topics(self, topics: Iterable[NewTopic], *, validate_only: bool = False) -> list[CreatedTopic]:
        """Make topics, or see whether they could be made. They are there when it returns, on the broker that was asked; others may take a
        moment to hear of them."""
        from ev.wire.messages.k19_create_topics import (  # noqa: PLC0415 - each API is loaded when it is used
            CreatableReplicaAssignment,
            CreatableTopic,
            CreatableTopicConfig,
            CreateTopicsRequest,
        )

        wanted = [
            CreatableTopic(
                topic.name,
                topic.partitions,
                topic.replication_factor,
                [CreatableReplicaAssignment(index, brokers) for index, brokers in topic.replicas.items()],
                [CreatableTopicConfig(name, value) for name, value in topic.configs.items()],
            )
            for topic in topics
        ]
        response = ask_controller(
            self._cluster,
            CreateTopicsRequest(topics=wanted, timeout_ms=self.timeout_ms, validate_only=validate_only),
            lambda answer: [row.error_code for row in answer.topics],
            self.timeout_ms,
        )
        rows = {row.name: row for row in response.topics}
        return [
            CreatedTopic(name, error_of(row.error_code, row.error_message), row.topic_id, row.num_partitions, row.replication_factor)
            for name, row in in_order([topic.name for topic in wanted], rows)
        ]

    def delete_topics(self, names: Iterable[str]) -> list[Outcome]:
        """Delete topics with all that is in them."""
        from ev.wire.messages.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState  # noqa: PLC0415

        wanted = list(names)
        by_id = DeleteTopicsRequest(topics=[DeleteTopicState(name=name) for name in wanted], timeout_ms=self.timeout_ms)
        response = ask_controller(self._cluster, by_id, lambda answer: [row.error_code for row in answer.responses], self.timeout_ms)
        rows = {row.name: row for row in response.responses}
        return [Outcome(name, error_of(row.error_code, row.error_message)) for name, row in in_order(wanted, rows)]

    def topics(self, internal: bool = False) -> list[TopicDescription]:
        """All topics by name; those that the cluster keeps for itself only when asked for."""
        found = [topic_description(row) for row in self._metadata(None).topics]
        return sorted((topic for topic in found if internal or not topic.internal), key=lambda topic: topic.name)

    def survey_topics(self) -> tuple[ClusterDescription, list[TopicDescription]]:
        """The brokers, and all topics by name, internal ones too; what is asked next goes to the leaders that are named here."""
        from ev.wire.messages.k03_metadata import MetadataRequest  # noqa: PLC0415

        response = self._cluster.call(MetadataRequest(topics=None, allow_auto_topic_creation=False), timeout_ms=self.timeout_ms)
        self._cluster.learn(response)
        brokers = sorted((Broker(row.node_id, row.host, row.port, row.rack) for row in response.brokers), key=lambda row: row.node_id)
        topics = sorted((topic_description(row) for row in response.topics), key=lambda topic: topic.name)
        return ClusterDescription(response.cluster_id, response.controller_id, brokers), topics

    def describe_topics(self, names: Iterable[str]) -> list[TopicDescription]:
        """Each with its partitions; UNKNOWN_TOPIC_OR_PARTITION as the error of one that does not exist. Never creates a topic."""
        wanted = list(names)
        rows = {row.name: row for row in self._metadata(wanted).topics} if wanted else {}
        return [topic_description(row) for _, row in in_order(wanted, rows)]

    def create_partitions(self, totals: Mapping[str, int], *, validate_only: bool = False) -> list[Outcome]:
        """Make topics grow to so many partitions."""
        from ev.wire.messages.k37_create_partitions import CreatePartitionsRequest, CreatePartitionsTopic  # noqa: PLC0415

        request = CreatePartitionsRequest(timeout_ms=self.timeout_ms, validate_only=validate_only)
        for name, count in totals.items():
            topic = CreatePartitionsTopic(name=name, count=count)
            topic.assignments = None
            request.topics.append(topic)
        response = ask_controller(self._cluster, request, lambda answer: [row.error_code for row in answer.results], self.timeout_ms)
        rows = {row.name: row for row in response.results}
        return [Outcome(name, error_of(row.error_code, row.error_message)) for name, row in in_order(totals, rows)]

    def delete_records(self, before: Mapping[TopicPartition, int]) -> dict[TopicPartition, DeletedRecords]:
        """Delete what lies before these offsets; -1 deletes all that there is."""
        from ev.wire.messages.k21_delete_records import (  # noqa: PLC0415
            DeleteRecordsPartition,
            DeleteRecordsRequest,
            DeleteRecordsTopic,
        )

        def build(wanted: dict[TopicPartition, tuple[int, int]]) -> DeleteRecordsRequest:
            topics = [
                DeleteRecordsTopic(name, [DeleteRecordsPartition(index, offset) for index, (offset, _) in items])
                for name, items in grouped(wanted).items()
            ]
            return DeleteRecordsRequest(topics=topics, timeout_ms=self.timeout_ms)

        def read(response: Any) -> dict[TopicPartition, DeletedRecords]:
            return {
                (topic.name, row.partition_index): DeletedRecords(row.low_watermark, error_of(row.error_code))
                for topic in response.topics
                for row in topic.partitions
            }

        return ask_leaders(self._cluster, before, build, read, lambda error: DeletedRecords(-1, error), self.timeout_ms)

    def list_offsets(
        self, at: Mapping[TopicPartition, int | str], *, isolation: str = "read_uncommitted"
    ) -> dict[TopicPartition, FoundOffset]:
        """The offset at `earliest`, `latest` or `max-timestamp`, or of the first record with this timestamp (ms) or a later one."""
        timestamps = {partition: TIMESTAMPS[where] if isinstance(where, str) else where for partition, where in at.items()}
        level = 1 if isolation == "read_committed" else 0
        return ask_leaders(
            self._cluster,
            timestamps,
            lambda wanted: list_request(wanted, level, self.timeout_ms),
            listed_offsets,
            lambda error: FoundOffset(-1, error=error),
            self.timeout_ms,
        )

    # ---- configs ----

    def describe_configs(
        self, kind: str, names: Iterable[str], *, keys: Iterable[str] | None = None, documentation: bool = False, synonyms: bool = False
    ) -> list[ConfigDescription]:
        """Settings of topics, brokers (by id), groups or client-metrics; all of them, or those in `keys`."""
        from ev.wire.messages.k32_describe_configs import DescribeConfigsRequest, DescribeConfigsResource  # noqa: PLC0415

        chosen = None if keys is None else list(keys)
        wanted = list(dict.fromkeys(names))
        rows: dict[str, Any] = {}
        for node, some in by_broker(kind, wanted).items():
            request = DescribeConfigsRequest(include_synonyms=synonyms, include_documentation=documentation)
            for name in some:
                resource = DescribeConfigsResource(resource_type=RESOURCE_TYPES[kind], resource_name=name)
                resource.configuration_keys = chosen
                request.resources.append(resource)
            rows.update({row.resource_name: row for row in self._call(request, node).results})
        return [
            ConfigDescription(kind, name, config_entries(row.configs), error_of(row.error_code, row.error_message))
            for name, row in in_order(wanted, rows)
        ]

    def alter_configs(
        self,
        kind: str,
        name: str,
        values: Mapping[str, str] | None = None,
        *,
        unset: Iterable[str] = (),
        append: Mapping[str, str] | None = None,
        subtract: Mapping[str, str] | None = None,
        validate_only: bool = False,
    ) -> Outcome:
        """Change these settings of one thing and leave the others. `append` and `subtract` are for settings that are lists."""
        from ev.wire.messages.k44_incremental_alter_configs import (  # noqa: PLC0415
            AlterableConfig,
            AlterConfigsResource,
            IncrementalAlterConfigsRequest,
        )

        changes = [AlterableConfig(key, OPERATIONS["set"], value) for key, value in (values or {}).items()]
        changes += [AlterableConfig(key, OPERATIONS["delete"], None) for key in unset]
        changes += [AlterableConfig(key, OPERATIONS["append"], value) for key, value in (append or {}).items()]
        changes += [AlterableConfig(key, OPERATIONS["subtract"], value) for key, value in (subtract or {}).items()]
        resource = AlterConfigsResource(RESOURCE_TYPES[kind], name, changes)
        request = IncrementalAlterConfigsRequest(resources=[resource], validate_only=validate_only)
        ((node, _),) = by_broker(kind, [name]).items()
        (row,) = self._call(request, node).responses
        return Outcome(name, error_of(row.error_code, row.error_message))

    # ---- groups ----

    def groups(self, *, states: Iterable[str] = (), types: Iterable[str] = ()) -> list[GroupListing]:
        """All groups by name, asked of every broker."""
        from ev.wire.messages.k16_list_groups import ListGroupsRequest  # noqa: PLC0415

        chosen_states, chosen_types = list(states), list(types)
        found: dict[str, GroupListing] = {}
        self._cluster.retry(lambda: self._cluster.refresh(()), self.timeout_ms)
        for node in sorted(self._cluster.metadata.brokers):
            response = self._call(ListGroupsRequest(states_filter=chosen_states, types_filter=chosen_types), node)
            for row in response.groups:
                found[row.group_id] = GroupListing(row.group_id, row.protocol_type, row.group_state, row.group_type)
        return [found[group] for group in sorted(found)]

    def describe_groups(self, groups: Iterable[str]) -> list[GroupDescription]:
        """Each with its members and what they read. One that does not exist has the state Dead and the error GROUP_ID_NOT_FOUND."""
        return [self._describe_group(group) for group in groups]

    def delete_groups(self, groups: Iterable[str]) -> list[Outcome]:
        """Delete groups without members, and all that they have committed."""
        from ev.wire.messages.k42_delete_groups import DeleteGroupsRequest  # noqa: PLC0415

        found = []
        for group in groups:
            response = self._ask_coordinator(group, DeleteGroupsRequest(groups_names=[group]), lambda answer: answer.results[0].error_code)
            found.append(Outcome(group, error_of(response.results[0].error_code)))
        return found

    def committed_offsets(self, group: str, partitions: Iterable[TopicPartition] | None = None) -> dict[TopicPartition, CommittedOffset]:
        """What a group has committed; without `partitions` everything. A group that does not exist has committed nothing."""
        response = self._ask_coordinator(
            group,
            fetch_request(group, partitions, FETCH_VERSION_OF_MANY_GROUPS),
            lambda answer: fetched_offsets(answer)[0],
            version_max=FETCH_VERSION_MAX,
        )
        code, found = fetched_offsets(response)
        if code:
            raise KafkaError(code)
        return dict(sorted(found.items()))

    def alter_committed_offsets(
        self, group: str, offsets: Mapping[TopicPartition, int | CommittedOffset]
    ) -> dict[TopicPartition, KafkaError | None]:
        """Commit for a group that has no members at the moment."""
        values = {p: value if isinstance(value, CommittedOffset) else CommittedOffset(value) for p, value in offsets.items()}
        response = self._ask_coordinator(
            group,
            commit_request(group, values),
            lambda answer: first_passing(commit_codes(answer).values()),
            version_max=COMMIT_VERSION_MAX,
        )
        return {partition: error_of(code) for partition, code in commit_codes(response).items()}

    def delete_committed_offsets(self, group: str, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, KafkaError | None]:
        """Forget what a group has committed for partitions of topics that none of its members reads."""
        from ev.wire.messages.k47_offset_delete import (  # noqa: PLC0415
            OffsetDeleteRequest,
            OffsetDeleteRequestPartition,
            OffsetDeleteRequestTopic,
        )

        topics = [
            OffsetDeleteRequestTopic(name, [OffsetDeleteRequestPartition(index) for index, _ in items])
            for name, items in grouped(dict.fromkeys(partitions)).items()
        ]
        response = self._ask_coordinator(group, OffsetDeleteRequest(group_id=group, topics=topics), lambda answer: answer.error_code)
        if response.error_code:
            raise KafkaError(response.error_code)
        return {(topic.name, row.partition_index): error_of(row.error_code) for topic in response.topics for row in topic.partitions}

    def remove_member(self, group: str, member_id: str, instance_id: str | None = None) -> Outcome:
        """Take a member out of a group as if it had left. A static member is named by its instance id."""
        from ev.wire.messages.k13_leave_group import LeaveGroupRequest, MemberIdentity  # noqa: PLC0415

        member = MemberIdentity(member_id if instance_id is None else "", instance_id, "removed by an administrator")
        response = self._ask_coordinator(group, LeaveGroupRequest(group_id=group, members=[member]), lambda answer: answer.error_code)
        code = response.error_code or next((row.error_code for row in response.members), 0)
        return Outcome(member_id, error_of(code))

    # ---- users ----

    def users(self) -> list[UserDescription]:
        """All users that have SCRAM credentials, by name."""
        from ev.wire.messages.k50_describe_user_scram_credentials import DescribeUserScramCredentialsRequest  # noqa: PLC0415

        # No names are all of them, and so is null; but to those who may not ask Kafka answers nothing at all when it is null.
        answer = self._call(DescribeUserScramCredentialsRequest(users=[]), None)
        return sorted((user_description(row) for row in answer.results), key=lambda user: user.name)

    def set_password(self, name: str, password: bytes, mechanism: str, iterations: int = ITERATIONS) -> Outcome:
        """Give a user, who need not be there, this password for one mechanism. What travels is salted."""
        from ev.wire.messages.k51_alter_user_scram_credentials import AlterUserScramCredentialsRequest  # noqa: PLC0415

        return self._alter_user(name, AlterUserScramCredentialsRequest(upsertions=[upsertion(name, password, mechanism, iterations)]))

    def remove_password(self, name: str, mechanism: str) -> Outcome:
        """Take a user's password for one mechanism away; without any there is no such user."""
        from ev.wire.messages.k51_alter_user_scram_credentials import (  # noqa: PLC0415
            AlterUserScramCredentialsRequest,
            ScramCredentialDeletion,
        )

        return self._alter_user(name, AlterUserScramCredentialsRequest(deletions=[ScramCredentialDeletion(name, MECHANISMS[mechanism][0])]))

    def _alter_user(self, name: str, request: Any) -> Outcome:
        (row,) = ask_controller(self._cluster, request, lambda answer: [row.error_code for row in answer.results], self.timeout_ms).results
        return Outcome(name, error_of(row.error_code, row.error_message))

    # ---- the cluster ----

    def cluster(self) -> ClusterDescription:
        """The id of the cluster, its controller and its brokers."""
        from ev.wire.messages.k60_describe_cluster import DescribeClusterRequest  # noqa: PLC0415

        try:
            answer = self._call(DescribeClusterRequest(), None)
        except UnsupportedApiError:
            answer = self._metadata([])
            brokers = [Broker(row.node_id, row.host, row.port, row.rack) for row in answer.brokers]
        else:
            brokers = [Broker(row.broker_id, row.host, row.port, row.rack) for row in answer.brokers]
        return ClusterDescription(answer.cluster_id, answer.controller_id, sorted(brokers, key=lambda broker: broker.node_id))

    # ---- inside ----

    # ---- ACLs ----

    def acls(self, asked: AclFilter) -> list[Acl]:
        """The ACLs that a filter fits, in the order of what they are about."""
        from ev.client.acls import describe_request, described, in_order  # noqa: PLC0415

        return in_order(described(self._call(describe_request(asked), None)))

    def create_acls(self, wanted: Iterable[Acl]) -> list[Outcome]:
        """One that is there already is no error."""
        from ev.client.acls import creation  # noqa: PLC0415
        from ev.wire.messages.k30_create_acls import CreateAclsRequest  # noqa: PLC0415

        acls = list(wanted)
        rows = self._call(CreateAclsRequest([creation(acl) for acl in acls]), None).results
        return [Outcome(str(acl), error_of(row.error_code, row.error_message)) for acl, row in zip(acls, rows, strict=True)]

    def delete_acls(self, filters: Iterable[AclFilter]) -> list[Acl]:
        """Delete what the filters fit; returns what has gone, in the order of what it was about."""
        from ev.client.acls import delete_filter, deleted, in_order  # noqa: PLC0415
        from ev.wire.messages.k31_delete_acls import DeleteAclsRequest  # noqa: PLC0415

        gone: list[Acl] = []
        for result in self._call(DeleteAclsRequest([delete_filter(each) for each in filters]), None).filter_results:
            if result.error_code:
                raise KafkaError(result.error_code, result.error_message)
            gone += [acl for acl in map(deleted, result.matching_acls) if acl not in gone]
        return in_order(gone)

    def _call(self, request: Any, node: int | None) -> Any:
        """Ask one broker, or any, and raise the error that speaks for the whole answer."""
        if node is not None and node not in self._cluster.metadata.brokers:
            self._cluster.retry(lambda: self._cluster.refresh(()), self.timeout_ms)

        def ask() -> Any:
            response = self._cluster.call(request, node, timeout_ms=self.timeout_ms)
            code = getattr(response, "error_code", ErrorCode.NONE)
            if code:
                raise KafkaError(code, getattr(response, "error_message", None))
            return response

        return self._cluster.retry(ask, self.timeout_ms)

    def _metadata(self, names: list[str] | None) -> MetadataResponse:
        """The brokers' own words: what the cluster object knows leaves out topics without a leader."""
        from ev.wire.messages.k03_metadata import MetadataRequest, MetadataRequestTopic  # noqa: PLC0415

        topics = None if names is None else [MetadataRequestTopic(name=name) for name in names]
        response: MetadataResponse = self._call(MetadataRequest(topics=topics, allow_auto_topic_creation=False), None)
        return response

    def _ask_coordinator(self, group: str, request: Any, code_of: Any, version_max: int | None = None) -> Any:
        return ask_coordinator(Coordinator(self._cluster, group, dedicated=False), request, code_of, self.timeout_ms, version_max)

    def _describe_group(self, group: str) -> GroupDescription:
        from ev.wire.messages.k15_describe_groups import DescribeGroupsRequest  # noqa: PLC0415

        response = self._ask_coordinator(group, DescribeGroupsRequest(groups=[group]), lambda answer: answer.groups[0].error_code)
        described = classic_description(response.groups[0], self._cluster.coordinator(group, timeout_ms=self.timeout_ms))
        if described.state != "Dead":
            return described
        return self._describe_consumer_group(group, described.coordinator) or described

    def _describe_consumer_group(self, group: str, coordinator: int) -> GroupDescription | None:
        """The same for a group of the newer protocol (KIP-848), which the older question does not see. None when it is not one either."""
        from ev.wire.messages.k69_consumer_group_describe import ConsumerGroupDescribeRequest  # noqa: PLC0415

        request = ConsumerGroupDescribeRequest(group_ids=[group])
        try:
            response = self._ask_coordinator(group, request, lambda answer: answer.groups[0].error_code)
        except UnsupportedApiError:
            return None
        row = response.groups[0]
        return None if row.error_code else consumer_description(row, coordinator)


def in_order(names: Iterable[K], rows: Mapping[Any, Any]) -> list[tuple[K, Any]]:
    """The rows of an answer in the order of the question."""
    return [(name, rows[name]) for name in names if name in rows]


def first_passing(codes: Iterable[int]) -> int:
    """A code after which it is worth asking again, if there is one."""
    return next((code for code in codes if code and KafkaError(code).retriable and code != ErrorCode.UNKNOWN_TOPIC_OR_PARTITION), 0)


def by_broker(kind: str, names: list[str]) -> dict[int | None, list[str]]:
    """Settings of a broker are asked of that broker; all others, together, of any."""
    if kind not in ("broker", "broker-logger"):
        return {None: names} if names else {}
    return {int(name) if name else None: [name] for name in names}


def topic_description(row: MetadataResponseTopic) -> TopicDescription:
    partitions = [
        TopicPartitionDescription(
            partition.partition_index,
            partition.leader_id,
            partition.leader_epoch,
            list(partition.replica_nodes),
            list(partition.isr_nodes),
            list(partition.offline_replicas),
            error_of(partition.error_code),
        )
        for partition in sorted(row.partitions, key=lambda partition: partition.partition_index)
    ]
    return TopicDescription(row.name or "", row.topic_id, row.is_internal, partitions, error_of(row.error_code))


def config_entries(rows: Iterable[Any]) -> dict[str, ConfigEntry]:
    return {
        row.name: ConfigEntry(
            row.name,
            row.value,
            CONFIG_SOURCES.get(row.config_source, "unknown"),
            row.read_only,
            row.is_sensitive,
            CONFIG_TYPES.get(row.config_type, "unknown"),
            row.documentation,
            [(synonym.name, synonym.value, CONFIG_SOURCES.get(synonym.source, "unknown")) for synonym in row.synonyms],
        )
        for row in sorted(rows, key=lambda row: row.name)
    }
