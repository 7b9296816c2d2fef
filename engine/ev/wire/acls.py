"""Kafka's numbers for what ACLs are made of, and the words that people and records say for them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

CLUSTER_NAME: Final = "kafka-cluster"
"""The only name of a resource of kind CLUSTER."""
WILDCARD: Final = "*"
"""The name that stands for every resource of a kind, and the host that stands for every host."""


class Resource:
    """Kinds of resources (ResourceType.java)."""

    UNKNOWN = 0
    ANY = 1
    TOPIC = 2
    GROUP = 3
    CLUSTER = 4
    TRANSACTIONAL_ID = 5
    DELEGATION_TOKEN = 6
    USER = 7


class Pattern:
    """How the name of a binding's resource is meant (PatternType.java). MATCH is for filters: every pattern that fits a name."""

    UNKNOWN = 0
    ANY = 1
    MATCH = 2
    LITERAL = 3
    PREFIXED = 4


class Operation:
    """What one may do with a resource (AclOperation.java)."""

    UNKNOWN = 0
    ANY = 1
    ALL = 2
    READ = 3
    WRITE = 4
    CREATE = 5
    DELETE = 6
    ALTER = 7
    DESCRIBE = 8
    CLUSTER_ACTION = 9
    DESCRIBE_CONFIGS = 10
    ALTER_CONFIGS = 11
    IDEMPOTENT_WRITE = 12
    CREATE_TOKENS = 13
    DESCRIBE_TOKENS = 14
    TWO_PHASE_COMMIT = 15


class Permission:
    """AclPermissionType.java."""

    UNKNOWN = 0
    ANY = 1
    DENY = 2
    ALLOW = 3


def _words(table: type) -> dict[int, str]:
    """The numbers that a binding may have, with the words that records say for them."""
    general = ("UNKNOWN", "ANY", "MATCH")
    return {number: name.lower() for name, number in vars(table).items() if name.isupper() and name not in general}


RESOURCE_WORDS: Final = _words(Resource)
PATTERN_WORDS: Final = _words(Pattern)
OPERATION_WORDS: Final = _words(Operation)
PERMISSION_WORDS: Final = _words(Permission)
RESOURCE_NUMBERS: Final = {word: number for number, word in RESOURCE_WORDS.items()}
PATTERN_NUMBERS: Final = {word: number for number, word in PATTERN_WORDS.items()}
OPERATION_NUMBERS: Final = {word: number for number, word in OPERATION_WORDS.items()}
PERMISSION_NUMBERS: Final = {word: number for number, word in PERMISSION_WORDS.items()}
