"""Every way in which ev says no: Kafka's error codes and the exceptions of the engine.

    EvError
    ├── KafkaError                  a broker answered with an error code (or is about to)
    │   ├── NotOneBatchError        what was to be appended is not exactly one record batch
    │   └── RecordsRefusedError     some records of a batch are not what the topic takes; knows which
    ├── MalformedError              bytes from the wire or the disk that do not parse
    │   └── CorruptBatchError       a record batch whose checksum, counts or compressed payload lie
    ├── ClientError                 the client could not do what it was asked for
    │   ├── UnreachableError        nothing answers at the address
    │   ├── TimedOutError           it took longer than the caller allowed
    │   ├── AuthenticationError     the broker does not accept who we are
    │   ├── UnsupportedApiError     the broker is too old or too new for the request
    │   ├── UnknownTopicError       no such topic; knows the nearest name
    │   ├── UnknownGroupError       no such group; knows the nearest name
    │   ├── TransactionError        a transaction cannot go on; knows whether it may have been committed
    │   │   ├── TransactionFailedError      it can be aborted, and then the next one begun
    │   │   ├── TransactionUnknownError     its commit was not answered: ask again
    │   │   └── TransactionFatalError       its producer is at its end, too
    │   │       └── ProducerFencedError         because another one has taken over its transactional id
    │   └── ClosedError             used after close()
    ├── DiskError                   the data directory cannot be used
    └── SettingError                a setting has an unknown name or a value outside its bounds

What Kafka reports per partition travels as an error code in the response and is raised only where one thing was asked for.
"""

from __future__ import annotations


class ErrorCode:
    """Kafka's error codes (4.3), by Kafka's names."""

    UNKNOWN_SERVER_ERROR = -1
    NONE = 0
    OFFSET_OUT_OF_RANGE = 1
    CORRUPT_MESSAGE = 2
    UNKNOWN_TOPIC_OR_PARTITION = 3
    INVALID_FETCH_SIZE = 4
    LEADER_NOT_AVAILABLE = 5
    NOT_LEADER_OR_FOLLOWER = 6
    REQUEST_TIMED_OUT = 7
    BROKER_NOT_AVAILABLE = 8
    REPLICA_NOT_AVAILABLE = 9
    MESSAGE_TOO_LARGE = 10
    STALE_CONTROLLER_EPOCH = 11
    OFFSET_METADATA_TOO_LARGE = 12
    NETWORK_EXCEPTION = 13
    COORDINATOR_LOAD_IN_PROGRESS = 14
    COORDINATOR_NOT_AVAILABLE = 15
    NOT_COORDINATOR = 16
    INVALID_TOPIC_EXCEPTION = 17
    RECORD_LIST_TOO_LARGE = 18
    NOT_ENOUGH_REPLICAS = 19
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20
    INVALID_REQUIRED_ACKS = 21
    ILLEGAL_GENERATION = 22
    INCONSISTENT_GROUP_PROTOCOL = 23
    INVALID_GROUP_ID = 24
    UNKNOWN_MEMBER_ID = 25
    INVALID_SESSION_TIMEOUT = 26
    REBALANCE_IN_PROGRESS = 27
    INVALID_COMMIT_OFFSET_SIZE = 28
    TOPIC_AUTHORIZATION_FAILED = 29
    GROUP_AUTHORIZATION_FAILED = 30
    CLUSTER_AUTHORIZATION_FAILED = 31
    INVALID_TIMESTAMP = 32
    UNSUPPORTED_SASL_MECHANISM = 33
    ILLEGAL_SASL_STATE = 34
    UNSUPPORTED_VERSION = 35
    TOPIC_ALREADY_EXISTS = 36
    INVALID_PARTITIONS = 37
    INVALID_REPLICATION_FACTOR = 38
    INVALID_REPLICA_ASSIGNMENT = 39
    INVALID_CONFIG = 40
    NOT_CONTROLLER = 41
    INVALID_REQUEST = 42
    UNSUPPORTED_FOR_MESSAGE_FORMAT = 43
    POLICY_VIOLATION = 44
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45
    DUPLICATE_SEQUENCE_NUMBER = 46
    INVALID_PRODUCER_EPOCH = 47
    INVALID_TXN_STATE = 48
    INVALID_PRODUCER_ID_MAPPING = 49
    INVALID_TRANSACTION_TIMEOUT = 50
    CONCURRENT_TRANSACTIONS = 51
    TRANSACTION_COORDINATOR_FENCED = 52
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53
    SECURITY_DISABLED = 54
    OPERATION_NOT_ATTEMPTED = 55
    KAFKA_STORAGE_ERROR = 56
    LOG_DIR_NOT_FOUND = 57
    SASL_AUTHENTICATION_FAILED = 58
    UNKNOWN_PRODUCER_ID = 59
    REASSIGNMENT_IN_PROGRESS = 60
    DELEGATION_TOKEN_AUTH_DISABLED = 61
    DELEGATION_TOKEN_NOT_FOUND = 62
    DELEGATION_TOKEN_OWNER_MISMATCH = 63
    DELEGATION_TOKEN_REQUEST_NOT_ALLOWED = 64
    DELEGATION_TOKEN_AUTHORIZATION_FAILED = 65
    DELEGATION_TOKEN_EXPIRED = 66
    INVALID_PRINCIPAL_TYPE = 67
    NON_EMPTY_GROUP = 68
    GROUP_ID_NOT_FOUND = 69
    FETCH_SESSION_ID_NOT_FOUND = 70
    INVALID_FETCH_SESSION_EPOCH = 71
    LISTENER_NOT_FOUND = 72
    TOPIC_DELETION_DISABLED = 73
    FENCED_LEADER_EPOCH = 74
    UNKNOWN_LEADER_EPOCH = 75
    UNSUPPORTED_COMPRESSION_TYPE = 76
    STALE_BROKER_EPOCH = 77
    OFFSET_NOT_AVAILABLE = 78
    MEMBER_ID_REQUIRED = 79
    PREFERRED_LEADER_NOT_AVAILABLE = 80
    GROUP_MAX_SIZE_REACHED = 81
    FENCED_INSTANCE_ID = 82
    ELIGIBLE_LEADERS_NOT_AVAILABLE = 83
    ELECTION_NOT_NEEDED = 84
    NO_REASSIGNMENT_IN_PROGRESS = 85
    GROUP_SUBSCRIBED_TO_TOPIC = 86
    INVALID_RECORD = 87
    UNSTABLE_OFFSET_COMMIT = 88
    THROTTLING_QUOTA_EXCEEDED = 89
    PRODUCER_FENCED = 90
    RESOURCE_NOT_FOUND = 91
    DUPLICATE_RESOURCE = 92
    UNACCEPTABLE_CREDENTIAL = 93
    INCONSISTENT_VOTER_SET = 94
    INVALID_UPDATE_VERSION = 95
    FEATURE_UPDATE_FAILED = 96
    PRINCIPAL_DESERIALIZATION_FAILURE = 97
    SNAPSHOT_NOT_FOUND = 98
    POSITION_OUT_OF_RANGE = 99
    UNKNOWN_TOPIC_ID = 100
    DUPLICATE_BROKER_REGISTRATION = 101
    BROKER_ID_NOT_REGISTERED = 102
    INCONSISTENT_TOPIC_ID = 103
    INCONSISTENT_CLUSTER_ID = 104
    TRANSACTIONAL_ID_NOT_FOUND = 105
    FETCH_SESSION_TOPIC_ID_ERROR = 106
    INELIGIBLE_REPLICA = 107
    NEW_LEADER_ELECTED = 108
    OFFSET_MOVED_TO_TIERED_STORAGE = 109
    FENCED_MEMBER_EPOCH = 110
    UNRELEASED_INSTANCE_ID = 111
    UNSUPPORTED_ASSIGNOR = 112
    STALE_MEMBER_EPOCH = 113
    MISMATCHED_ENDPOINT_TYPE = 114
    UNSUPPORTED_ENDPOINT_TYPE = 115
    UNKNOWN_CONTROLLER_ID = 116
    UNKNOWN_SUBSCRIPTION_ID = 117
    TELEMETRY_TOO_LARGE = 118
    INVALID_REGISTRATION = 119
    TRANSACTION_ABORTABLE = 120
    INVALID_RECORD_STATE = 121
    SHARE_SESSION_NOT_FOUND = 122
    INVALID_SHARE_SESSION_EPOCH = 123
    FENCED_STATE_EPOCH = 124
    INVALID_VOTER_KEY = 125
    DUPLICATE_VOTER = 126
    VOTER_NOT_FOUND = 127
    INVALID_REGULAR_EXPRESSION = 128
    REBOOTSTRAP_REQUIRED = 129
    STREAMS_INVALID_TOPOLOGY = 130
    STREAMS_INVALID_TOPOLOGY_EPOCH = 131
    STREAMS_TOPOLOGY_FENCED = 132
    SHARE_SESSION_LIMIT_REACHED = 133


RETRIABLE = frozenset((
    2, 3, 5, 6, 7, 9, 13, 14, 15, 16, 19, 20, 41, 51, 56, 70, 71, 72, 74, 75, 78, 80, 83, 84, 88, 89, 100, 103, 106, 122, 123, 133,
))  # fmt: skip
"""The codes after which the same request may succeed later, as Kafka's Java client sees it."""

MESSAGES = {
    -1: "the broker failed in a way it had not foreseen; its log says more",
    0: "no error",
    1: "the offset is outside what the partition holds",
    2: "the record batch is damaged: checksum, length or a missing key on a compacted topic",
    3: "this broker does not have that topic or partition",
    4: "the fetch size is not valid",
    5: "the partition has no leader at the moment",
    6: "this broker is not the partition's leader, or not one of its replicas",
    7: "the broker ran out of time",
    8: "the broker is not available",
    9: "the replica is not available",
    10: "the record batch is larger than the topic allows",
    11: "another controller has taken over",
    12: "the metadata of the offset commit is too long",
    13: "the connection was lost before the answer came",
    14: "the group or transaction coordinator is still loading its state",
    15: "the coordinator is not available",
    16: "this broker does not coordinate that group or transactional id",
    17: "the topic name is not allowed",
    18: "the records of one request are larger than a segment",
    19: "fewer replicas are in sync than the topic asks for",
    20: "the records were written, but to fewer replicas than the topic asks for",
    21: "acks must be -1, 0 or 1",
    22: "the group has moved on to another generation",
    23: "the member's protocols share nothing with those of the group",
    24: "the group id is not valid",
    25: "the group does not know that member",
    26: "the session timeout is outside the broker's bounds",
    27: "the group is rebalancing: rejoin it",
    28: "the offset commit is too large",
    29: "not authorized for that topic",
    30: "not authorized for that group",
    31: "not authorized for the cluster",
    32: "a timestamp is outside what the topic allows",
    33: "the broker does not offer that SASL mechanism",
    34: "the request does not fit the state of the SASL exchange",
    35: "the broker does not support that version of the request",
    36: "the topic exists already",
    37: "the number of partitions is not valid",
    38: "the replication factor is not valid",
    39: "the replica assignment is not valid",
    40: "the configuration is not valid",
    41: "this broker is not the controller",
    42: "the request is not valid: the broker's log says why",
    43: "the topic's message format does not support that",
    44: "the request breaks a policy of the cluster",
    45: "a sequence number of the producer is missing",
    46: "a sequence number of the producer came twice",
    47: "a newer producer with the same id has taken over",
    48: "the transaction is in a state that does not allow that",
    49: "that producer id does not belong to the transactional id",
    50: "the transaction timeout is larger than the broker allows",
    51: "another change of the same transaction is under way",
    52: "another coordinator has taken over the transaction",
    53: "not authorized for that transactional id",
    54: "security is switched off on this broker",
    55: "not tried, because another part of the request failed",
    56: "the broker's disk failed or is full",
    57: "the broker has no such log directory",
    58: "authentication failed",
    59: "the broker has forgotten that producer id",
    60: "the partition is being reassigned",
    61: "delegation tokens are switched off",
    62: "no such delegation token",
    63: "the delegation token belongs to someone else",
    64: "delegation tokens need another kind of authentication",
    65: "not authorized for that delegation token",
    66: "the delegation token has expired",
    67: "the principal type is not supported",
    68: "the group is not empty",
    69: "no such group",
    70: "the broker has no such fetch session",
    71: "the fetch session's epoch is not the expected one",
    72: "the leader has no listener that matches this one",
    73: "deleting topics is switched off",
    74: "the leader epoch is older than the broker's",
    75: "the leader epoch is newer than the broker's",
    76: "the compression codec is not supported",
    77: "the broker epoch is an old one",
    78: "the leader is new and cannot tell that offset yet",
    79: "the group asks the member to join again with the id it was given",
    80: "the preferred leader is not available",
    81: "the group is full",
    82: "another member with the same group instance id has taken over",
    83: "no replica may become leader",
    84: "no election is needed",
    85: "no reassignment is under way",
    86: "a member of the group is subscribed to the topic",
    87: "a record is not valid",
    88: "an open transaction holds offsets of the group",
    89: "the quota for such changes is used up for now",
    90: "a newer producer with the same transactional id has taken over",
    91: "no such resource",
    92: "the request names a resource twice",
    93: "the credential does not fulfil the rules",
    94: "the set of voters is not the expected one",
    95: "the feature version is not valid",
    96: "the feature could not be updated",
    97: "the forwarded principal could not be read",
    98: "no such snapshot",
    99: "the position is outside the snapshot",
    100: "this broker does not know that topic id",
    101: "the broker id is already registered",
    102: "the broker id is not registered",
    103: "the topic id in the log is another one",
    104: "the cluster id is another one",
    105: "no such transactional id",
    106: "the fetch session mixes topic ids and topic names",
    107: "the replica may not join the in-sync set",
    108: "the change made another replica leader",
    109: "the offset is in tiered storage only",
    110: "the member epoch is an old one",
    111: "another member still holds that group instance id",
    112: "the assignor is not supported",
    113: "the member epoch is behind the coordinator's",
    114: "the endpoint serves another kind of request",
    115: "the broker does not support that kind of endpoint",
    116: "the controller id is not known",
    117: "the telemetry subscription is not the current one",
    118: "the telemetry payload is too large",
    119: "the broker's registration is not valid",
    120: "the transaction has failed: abort it to go on",
    121: "the record's delivery state does not allow that",
    122: "no such share session",
    123: "the share session's epoch is not the expected one",
    124: "the share group's state epoch is not the expected one",
    125: "the voter's key is another one",
    126: "the voter is there already",
    127: "no such voter",
    128: "the regular expression is not valid",
    129: "the client's metadata is too old: begin again from the bootstrap servers",
    130: "the topology is not valid",
    131: "the topology epoch is not valid",
    132: "the topology epoch is an old one",
    133: "the broker has too many share sessions",
}
"""One line for people per code."""

_NAMES: dict[int, str] = {}


def error_name(code: int) -> str:
    """Kafka's name of a code; a code that 4.3 does not know reads as `ERROR_<code>`."""
    if not _NAMES:
        _NAMES.update({value: name for name, value in vars(ErrorCode).items() if name.isupper()})
    return _NAMES.get(code) or f"ERROR_{code}"


def error_retriable(code: int) -> bool:
    """Whether the same request may succeed later."""
    return code in RETRIABLE


def error_message(code: int) -> str:
    """What a code means, in one line without a full stop."""
    return MESSAGES.get(code) or f"the broker answered with error code {code}, which this version does not know"


class EvError(Exception):
    """The root of the family: catch it to catch everything that ev raises on purpose."""


class KafkaError(EvError):
    """An error code of the Kafka protocol, with a message that says more than the code where there is one."""

    def __init__(self, code: int, message: str | None = None) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message or error_message(code)

    @property
    def name(self) -> str:
        return error_name(self.code)

    @property
    def retriable(self) -> bool:
        return self.code in RETRIABLE

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"


class NotOneBatchError(KafkaError):
    """What was to be appended is not exactly one record batch of format 2, and was not looked at further."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.INVALID_RECORD, message)


class RecordsRefusedError(KafkaError):
    """A batch that is refused for some of its records: the index of each, with what is wrong with it."""

    def __init__(self, code: int, message: str, records: dict[int, str]) -> None:
        super().__init__(code, message)
        self.records = records


class MalformedError(EvError):
    """Bytes that do not parse. Never the fault of the reader: it has read nothing outside the buffer."""


class CorruptBatchError(MalformedError):
    """A record batch that parses as a header but whose content contradicts it."""


class ClientError(EvError):
    """The client could not do what it was asked for, and no broker's error code says why."""


class UnreachableError(ClientError):
    """Nothing answers at the address, or the connection broke and did not come back."""


class TimedOutError(ClientError):
    """It took longer than the caller allowed. What was sent may or may not have happened."""


class AuthenticationError(ClientError):
    """The broker does not accept who we are, or the two sides share no mechanism."""


class UnsupportedApiError(ClientError):
    """The broker speaks no version of a request that this client speaks."""


class UnknownTopicError(ClientError):
    """No such topic."""

    def __init__(self, topic: str, nearest: str | None = None) -> None:
        super().__init__(topic, nearest)
        self.topic = topic
        self.nearest = nearest

    def __str__(self) -> str:
        return f"no topic {self.topic!r}" + (f"; did you mean {self.nearest!r}?" if self.nearest else "")


class UnknownGroupError(ClientError):
    """No such group."""

    def __init__(self, group: str, nearest: str | None = None) -> None:
        super().__init__(group, nearest)
        self.group = group
        self.nearest = nearest

    def __str__(self) -> str:
        return f"no group {self.group!r}" + (f"; did you mean {self.nearest!r}?" if self.nearest else "")


class TransactionError(ClientError):
    """A transaction cannot go on. `committed` is False when it was not committed, None when nobody knows; `reason` is what caused it."""

    def __init__(self, message: str, reason: EvError | None = None, committed: bool | None = False) -> None:
        super().__init__(message, reason, committed)
        self.message = message
        self.reason = reason
        self.committed = committed

    def __str__(self) -> str:
        return self.message


class TransactionFailedError(TransactionError):
    """A part of the transaction failed for good: abort it. The producer can go on with the next one."""


class TransactionUnknownError(TransactionError):
    """The coordinator was asked to commit and has not answered: the transaction may be committed or not. Asking again tells."""


class TransactionFatalError(TransactionError):
    """The producer is at its end: close it. What was open is aborted by the broker when its time is over, or by the next producer."""


class ProducerFencedError(TransactionFatalError):
    """Another producer with the same transactional id has taken over, or the broker has aborted a transaction that took too long."""


class ClosedError(ClientError):
    """A producer, consumer or connection was used after it had been closed."""


class DiskError(EvError):
    """The data directory cannot be used: locked, of a newer version, not ours, not writable or damaged."""


class SettingError(EvError):
    """A setting has an unknown name or a value outside its bounds; the message names it, the bounds and the value."""
