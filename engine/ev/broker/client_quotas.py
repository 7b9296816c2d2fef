"""Client quotas: what is set for whom, and whose quota it is that holds for a client.

A quota is set for an entity: a user, a client id, the two together, or an address, each of them by name or for all that have no
quota of their own (the default). Of the eight levels of users and client ids the first that has a quota of the kind in question
holds (ClientQuotaManager):

    /users/<user>/clients/<client id>      /users/<default>/clients/<client id>
    /users/<user>/clients/<default>        /users/<default>/clients/<default>
    /users/<user>                          /users/<default>
                                           /clients/<client id>
                                           /clients/<default>

All connections for which the same level holds, and which have the same names on it, share one limit. In the metadata log an entity is
named by such a path, its names percent-encoded; a client without a client id has none of the quotas of client ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote, unquote

from ev.errors import ErrorCode, KafkaError
from ev.setting_types import INT_MAX, LONG_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

USER: Final = "user"
CLIENT_ID: Final = "client-id"
IP: Final = "ip"

PRODUCER_BYTE_RATE: Final = "producer_byte_rate"
CONSUMER_BYTE_RATE: Final = "consumer_byte_rate"
REQUEST_PERCENTAGE: Final = "request_percentage"
CONTROLLER_MUTATION_RATE: Final = "controller_mutation_rate"
CONNECTION_CREATION_RATE: Final = "connection_creation_rate"

WHOLE_NUMBERS: Final = {PRODUCER_BYTE_RATE: LONG_MAX, CONSUMER_BYTE_RATE: LONG_MAX, CONNECTION_CREATION_RATE: INT_MAX}
"""The quotas that have no fractions, and their largest values."""
OF_CLIENTS: Final = frozenset({PRODUCER_BYTE_RATE, CONSUMER_BYTE_RATE, REQUEST_PERCENTAGE, CONTROLLER_MUTATION_RATE})
OF_ADDRESSES: Final = frozenset({CONNECTION_CREATION_RATE})

ENTITIES_MAX: Final = 100_000
"""For how many entities something may be set."""

ABSENT: Final = ""
DEFAULT_NAME: Final = "<default>"
FOLDERS: Final = {"users": USER, "clients": CLIENT_ID, "ips": IP}


class Entity(NamedTuple):
    """Whom a quota is for. Of each kind a name, None for the default, or ABSENT."""

    user: str | None = ABSENT
    client_id: str | None = ABSENT
    ip: str | None = ABSENT

    def parts(self) -> Iterator[tuple[str, str | None]]:
        """(kind, name) of what it has, by Kafka's names."""
        for kind, name in zip((USER, CLIENT_ID, IP), self, strict=True):
            if name != ABSENT:
                yield kind, name

    def path(self) -> str:
        return "/".join(
            f"{folder}/{DEFAULT_NAME if name is None else quote(name, safe='')}"
            for folder, name in zip(FOLDERS, self, strict=True)
            if name != ABSENT
        )


def entity_of_path(path: str) -> Entity:
    """The entity of `Entity.path`."""
    words = path.split("/")
    names = {FOLDERS[folder]: None if name == DEFAULT_NAME else unquote(name) for folder, name in zip(words[::2], words[1::2], strict=True)}
    return Entity(names.get(USER, ABSENT), names.get(CLIENT_ID, ABSENT), names.get(IP, ABSENT))


def entity_of(parts: Mapping[str, str | None]) -> Entity:
    """The entity that a request names, by Kafka's rules. Raises KafkaError INVALID_REQUEST."""
    if not parts:
        raise refused("Invalid empty client quota entity")
    for kind, name in parts.items():
        if kind not in (USER, CLIENT_ID, IP):
            raise refused(f"Unhandled client quota entity type: {kind}")
        if name == "":
            raise refused(f"Empty {kind} not supported")
    if IP in parts and len(parts) > 1:
        raise refused("Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId")
    return Entity(parts.get(USER, ABSENT), parts.get(CLIENT_ID, ABSENT), parts.get(IP, ABSENT))


def check_quota(entity: Entity, key: str, value: float) -> None:
    """Whether the entity may have this quota. Raises KafkaError INVALID_REQUEST."""
    if key not in (OF_CLIENTS if entity.ip == ABSENT else OF_ADDRESSES):
        raise refused(f"Invalid configuration key {key}")
    if not value > 0.0:
        raise refused(f"Quota {key} must be greater than 0")
    largest = WHOLE_NUMBERS.get(key)
    if largest is None:
        return
    if value > float(largest):
        raise refused(f"Proposed value for {key} is too large for {'a LONG' if largest == LONG_MAX else 'an INT'}.")
    if value % 1.0 > 1e-6:
        raise refused(f"{key} cannot be a fractional value.")


def refused(message: str) -> KafkaError:
    return KafkaError(ErrorCode.INVALID_REQUEST, message)


class Limit(NamedTuple):
    """The quota that holds for a client: a number, and the names that those have in common who share it."""

    user: str
    client_id: str
    bound: float


class ClientQuotas:
    """Every quota that is set. Changes in `replay()` only."""

    def __init__(self) -> None:
        self._by_entity: dict[Entity, dict[str, float]] = {}
        self._by_key: dict[str, dict[Entity, float]] = {key: {} for key in OF_CLIENTS | OF_ADDRESSES}
        self.version = 0  # another one after every change

    def __len__(self) -> int:
        return len(self._by_entity)

    def __iter__(self) -> Iterator[tuple[Entity, dict[str, float]]]:
        yield from self._by_entity.items()

    def of(self, entity: Entity) -> Mapping[str, float]:
        return self._by_entity.get(entity, {})

    def replay(self, path: str, quotas: Mapping[str, float] | None) -> None:
        """One record of the metadata log; None: nothing is set for the entity any more."""
        self.version += 1
        entity = entity_of_path(path)
        for key in self._by_entity.pop(entity, {}):
            del self._by_key[key][entity]
        if quotas:
            self._by_entity[entity] = dict(quotas)
            for key, value in quotas.items():
                self._by_key[key][entity] = value

    def any_of(self, key: str) -> bool:
        """Whether anybody has a quota of this kind."""
        return bool(self._by_key[key])

    def limit(self, key: str, user: str, client_id: str) -> Limit | None:
        """The quota of this kind that holds for a client; None when none does."""
        bounds = self._by_key[key]
        levels: list[tuple[Entity, tuple[str, str]]] = [(Entity(user), (user, "")), (Entity(None), (user, ""))]
        if client_id:
            both, clients = (user, client_id), ("", client_id)
            levels[0:0] = [(Entity(user, client_id), both), (Entity(user, None), both)]
            levels[3:3] = [(Entity(None, client_id), both), (Entity(None, None), both)]
            levels += [(Entity(client_id=client_id), clients), (Entity(client_id=None), clients)]
        for entity, shared_by in levels:
            bound = bounds.get(entity)
            if bound is not None:
                return Limit(*shared_by, bound)
        return None

    def connections_per_second(self, ip: str) -> float | None:
        """How many connections of this address are taken in a second; None when there is no limit."""
        bounds = self._by_key[CONNECTION_CREATION_RATE]
        own = bounds.get(Entity(ip=ip))
        return bounds.get(Entity(ip=None)) if own is None else own
