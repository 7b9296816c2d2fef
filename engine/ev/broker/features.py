"""The features of the cluster (KIP-584): which levels there may be, and which is in force.

Clients read them and do as they say: with transaction.version 2 they leave it to writing to add partitions to a transaction (KIP-890).
Without group.version 1 nobody is served the new protocol of groups (KIP-848). metadata.version is what Kafka's tools know a release by;
its level follows from the program alone. A change is kept in the metadata log, and raises the epoch by which clients tell news from
what they have. (FeatureControlManager.java)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ev.errors import ErrorCode, KafkaError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GROUP: Final = "group.version"
METADATA: Final = "metadata.version"
TRANSACTION: Final = "transaction.version"
SUPPORTED: Final = {GROUP: (0, 1), METADATA: (7, 30), TRANSACTION: (0, 2)}
"""The lowest and the highest level of each feature."""
NEW: Final = {GROUP: 1, METADATA: 30, TRANSACTION: 2}
"""The levels where none was set."""
FIRST_EPOCH: Final = 1

UPGRADE: Final = 1
SAFE_DOWNGRADE: Final = 2
UNSAFE_DOWNGRADE: Final = 3


class Features:
    """The levels that are in force. Changes in `replay()` only."""

    def __init__(self) -> None:
        self._levels = dict(NEW)
        self.epoch = FIRST_EPOCH

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Every feature that is in force, and its level."""
        return ((name, level) for name, level in self._levels.items() if level)

    def level(self, name: str) -> int:
        return self._levels[name]

    def replay(self, name: str, level: int, epoch: int) -> None:
        """One record of the metadata log: since this epoch the feature has this level."""
        self._levels[name] = level
        self.epoch = max(self.epoch, epoch)

    def changed(self, wanted: Mapping[str, tuple[int, int]], node_id: int) -> dict[str, int]:
        """The new levels of those features that change, when these (level, type of the update) are wanted. Raises KafkaError."""
        for name, (level, kind) in wanted.items():
            problem = self._problem(name, level, kind, node_id)
            if problem is not None:
                raise KafkaError(ErrorCode.INVALID_UPDATE_VERSION, problem)
        return {name: level for name, (level, _) in wanted.items() if level != self._levels[name]}

    def _problem(self, name: str, level: int, kind: int, node_id: int) -> str | None:
        problem = None
        if kind not in (UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE):
            problem = "The controller does not support the given upgrade type."
        elif level < 0:
            problem = "A feature version cannot be less than 0."
        elif name not in SUPPORTED:
            problem = f"Local controller {node_id} does not support this feature."
        elif not SUPPORTED[name][0] <= level <= SUPPORTED[name][1]:
            problem = f"Local controller {node_id} only supports versions {SUPPORTED[name][0]}-{SUPPORTED[name][1]}"
        elif level < self._levels[name] and kind == UPGRADE:
            problem = "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade."
        elif level > self._levels[name] and kind != UPGRADE:
            problem = "Can't downgrade to a newer version."
        elif name == METADATA and level < self._levels[name]:
            why = "Refusing to perform the requested downgrade because it might delete metadata information."
            why = "Unsafe metadata downgrade is not supported in this version." if kind == UNSAFE_DOWNGRADE else why
            return f"Unsupported {METADATA} downgrade from {self._levels[name]} to {level}. {why}"
        return None if problem is None else f"Invalid update version {level} for feature {name}. {problem}"
