"""ACLs: the bindings that say who may do what with which resources, as the metadata log tells them.

A binding is its own name: there is nothing to say about it but that it is there. So the whole of it is the key of its record in the
metadata log (`ev.broker.topics` shows the others), and a record without a value takes it away:

    key                                                                                                          value
    {"kind":"acl","resource":"topic","pattern":"prefixed","name":"a-","principal":"User:u","host":"*",
     "operation":"read","permission":"allow"}                                                                    {"v":1}

Numbers are Kafka's, and so are the rules of what a filter matches (ResourcePatternFilter, AccessControlEntryFilter) and of what may
be created (AclApis, AclControlManager.validateNewAcl).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ev.broker.topics import ACL, RECORD_VERSION
from ev.errors import DiskError, ErrorCode, KafkaError
from ev.wire.acls import (
    CLUSTER_NAME,
    OPERATION_NUMBERS,
    OPERATION_WORDS,
    PATTERN_NUMBERS,
    PATTERN_WORDS,
    PERMISSION_NUMBERS,
    PERMISSION_WORDS,
    RESOURCE_NUMBERS,
    RESOURCE_WORDS,
    WILDCARD,
    Operation,
    Pattern,
    Permission,
    Resource,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ev.broker.topics import Record

ACLS_MAX: Final = 100_000
CHANGES_MAX: Final = 10_000
"""How many ACLs one request may change (QuorumController.MAX_RECORDS_PER_USER_OP)."""


class Acl(NamedTuple):
    """One binding."""

    resource_type: int
    name: str
    pattern: int
    principal: str
    host: str
    operation: int
    permission: int

    def record(self, *, exists: bool) -> Record:
        """The record that says that the binding is there, or that it is gone."""
        key = {
            "kind": ACL,
            "resource": RESOURCE_WORDS[self.resource_type],
            "pattern": PATTERN_WORDS[self.pattern],
            "name": self.name,
            "principal": self.principal,
            "host": self.host,
            "operation": OPERATION_WORDS[self.operation],
            "permission": PERMISSION_WORDS[self.permission],
        }
        return _json(key), _json({"v": RECORD_VERSION}) if exists else None

    def check(self) -> None:
        """Whether there may be such a binding. Raises KafkaError INVALID_REQUEST."""
        problem = None
        if self.resource_type == Resource.CLUSTER and self.name != CLUSTER_NAME:
            problem = f"The only valid name for the CLUSTER resource is {CLUSTER_NAME}"
        elif not self.name:
            problem = "Invalid empty resource name"
        elif self.resource_type not in RESOURCE_WORDS:
            problem = f"Invalid resourceType {self.resource_type}"
        elif self.pattern not in PATTERN_WORDS:
            problem = f"Invalid patternType {self.pattern}"
        elif self.operation not in OPERATION_WORDS:
            problem = f"Invalid operation {self.operation}"
        elif self.permission not in PERMISSION_WORDS:
            problem = f"Invalid permissionType {self.permission}"
        elif not all(self.principal.partition(":")):
            problem = f"Invalid principal {self.principal!r}: TYPE:NAME is expected, for example User:alice"
        if problem is not None:
            raise KafkaError(ErrorCode.INVALID_REQUEST, problem)


class AclFilter(NamedTuple):
    """What bindings are looked for; null and ANY fit everything."""

    resource_type: int
    name: str | None
    pattern: int
    principal: str | None
    host: str | None
    operation: int
    permission: int

    @property
    def is_unknown(self) -> bool:
        """Whether it asks for something that has no number here."""
        return not (
            (self.resource_type == Resource.ANY or self.resource_type in RESOURCE_WORDS)
            and (self.pattern in (Pattern.ANY, Pattern.MATCH) or self.pattern in PATTERN_WORDS)
            and (self.operation == Operation.ANY or self.operation in OPERATION_WORDS)
            and (self.permission == Permission.ANY or self.permission in PERMISSION_WORDS)
        )

    def fits(self, acl: Acl) -> bool:
        return (
            self.resource_type in (Resource.ANY, acl.resource_type)
            and self.operation in (Operation.ANY, acl.operation)
            and self.permission in (Permission.ANY, acl.permission)
            and self.principal in (None, acl.principal)
            and self.host in (None, acl.host)
            and self._fits_pattern(acl)
        )

    def _fits_pattern(self, acl: Acl) -> bool:
        if self.pattern not in (Pattern.ANY, Pattern.MATCH, acl.pattern):
            return False
        if self.name is None or self.name == acl.name:
            return True
        if self.pattern != Pattern.MATCH:
            return False
        return acl.name == WILDCARD if acl.pattern == Pattern.LITERAL else self.name.startswith(acl.name)


def read_acl_key(key: bytes) -> Acl:
    """The binding that a record of the metadata log is about. Raises DiskError when a newer version wrote it."""
    head = json.loads(key)
    try:
        return Acl(
            RESOURCE_NUMBERS[head["resource"]],
            head["name"],
            PATTERN_NUMBERS[head["pattern"]],
            head["principal"],
            head["host"],
            OPERATION_NUMBERS[head["operation"]],
            PERMISSION_NUMBERS[head["permission"]],
        )
    except KeyError as error:
        raise DiskError(
            f"the metadata log holds an ACL ({error} in {key!r}) that a newer version of ev wrote; start that version"
        ) from error


class Acls:
    """Every binding. Changes in `replay()` only."""

    def __init__(self) -> None:
        self._all: dict[Acl, None] = {}  # these are sets that keep the order in which things came
        self._literal: dict[tuple[int, str], dict[Acl, None]] = {}
        self._prefixed: dict[int, Prefixes] = {}
        self.changes = 0  # counted from the start of the log
        self.on_change: Callable[[], None] | None = None

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, acl: Acl) -> bool:
        return acl in self._all

    def fitting(self, asked: AclFilter) -> list[Acl]:
        """The bindings that a filter fits."""
        return [acl for acl in self._all if asked.fits(acl)]

    def about(self, resource_type: int, name: str) -> Iterator[Acl]:
        """Every binding that has something to say about this resource: under its name, under a prefix of it, and those for all."""
        literal = self._literal
        yield from literal.get((resource_type, name), ())
        if name != WILDCARD:
            yield from literal.get((resource_type, WILDCARD), ())
        prefixed = self._prefixed.get(resource_type)
        if prefixed is not None:
            yield from prefixed.of(name)

    def of_type(self, resource_type: int) -> Iterator[Acl]:
        """Every binding about resources of this kind."""
        return (acl for acl in self._all if acl.resource_type == resource_type)

    def replay(self, acl: Acl, *, exists: bool) -> None:
        """One record of kind `acl` from the metadata log."""
        if exists == (acl in self._all):
            return
        if exists:
            self._all[acl] = None
        else:
            del self._all[acl]
        if acl.pattern == Pattern.LITERAL:
            _put(self._literal, (acl.resource_type, acl.name), acl, exists=exists)
        else:
            self._prefixed.setdefault(acl.resource_type, Prefixes()).put(acl, exists=exists)
        self.changes += 1
        if self.on_change is not None:
            self.on_change()


class Prefixes:
    """The bindings about names with some prefix, found by one look for each length that a prefix has."""

    def __init__(self) -> None:
        self._acls: dict[str, dict[Acl, None]] = {}
        self._counts: dict[int, int] = {}  # of bindings, by the length of their prefixes
        self._lengths: list[int] = []  # the shortest first

    def of(self, name: str) -> Iterator[Acl]:
        for length in self._lengths:
            if length > len(name):
                return
            yield from self._acls.get(name[:length], ())

    def put(self, acl: Acl, *, exists: bool) -> None:
        _put(self._acls, acl.name, acl, exists=exists)
        length = len(acl.name)
        count = self._counts[length] = self._counts.get(length, 0) + (1 if exists else -1)
        if count == 0:
            del self._counts[length]
        if count == 0 or (count == 1 and exists):
            self._lengths = sorted(self._counts)


def _put(table: dict[Any, dict[Acl, None]], key: Any, acl: Acl, *, exists: bool) -> None:
    if exists:
        table.setdefault(key, {})[acl] = None
        return
    del table[key][acl]
    if not table[key]:
        del table[key]


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
