"""What this broker serves: every handler module of `ev.broker.handlers`, by API key."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ev.wire.catalog import API
from ev.wire.codec import decoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

HANDLERS = (
    "k00_produce",
    "k01_fetch",
    "k02_list_offsets",
    "k03_metadata",
    "k08_offset_commit",
    "k09_offset_fetch",
    "k10_find_coordinator",
    "k11_join_group",
    "k12_heartbeat",
    "k13_leave_group",
    "k14_sync_group",
    "k15_describe_groups",
    "k16_list_groups",
    "k17_sasl_handshake",
    "k18_api_versions",
    "k19_create_topics",
    "k20_delete_topics",
    "k21_delete_records",
    "k22_init_producer_id",
    "k23_offset_for_leader_epoch",
    "k24_add_partitions_to_txn",
    "k25_add_offsets_to_txn",
    "k26_end_txn",
    "k27_write_txn_markers",
    "k28_txn_offset_commit",
    "k29_describe_acls",
    "k30_create_acls",
    "k31_delete_acls",
    "k32_describe_configs",
    "k33_alter_configs",
    "k34_alter_replica_log_dirs",
    "k35_describe_log_dirs",
    "k36_sasl_authenticate",
    "k37_create_partitions",
    "k42_delete_groups",
    "k43_elect_leaders",
    "k44_incremental_alter_configs",
    "k45_alter_partition_reassignments",
    "k46_list_partition_reassignments",
    "k47_offset_delete",
    "k48_describe_client_quotas",
    "k49_alter_client_quotas",
    "k50_describe_user_scram_credentials",
    "k51_alter_user_scram_credentials",
    "k55_describe_quorum",
    "k57_update_features",
    "k60_describe_cluster",
    "k61_describe_producers",
    "k64_unregister_broker",
    "k65_describe_transactions",
    "k66_list_transactions",
    "k68_consumer_group_heartbeat",
    "k69_consumer_group_describe",
    "k74_list_config_resources",
    "k75_describe_topic_partitions",
)


class Served:
    """One API: its versions, how its requests are decoded, and who handles them."""

    __slots__ = ("decoders", "handle", "key", "max_version", "min_version", "request_class", "response_class")

    def __init__(
        self, key: int, versions: tuple[int, int], handle: Callable[[Broker, Call], None], request_class: type, response_class: type
    ) -> None:
        self.key = key
        self.min_version, self.max_version = versions
        self.handle = handle
        self.request_class = request_class
        self.response_class = response_class
        self.decoders: dict[int, Callable[..., tuple[Any, int]]] = {}  # those that were used, by version

    def decoder(self, version: int) -> Callable[..., tuple[Any, int]]:
        """The decoder of this version's requests, compiled when it is first asked for."""
        found = self.decoders.get(version)
        if found is None:
            found = self.decoders[version] = decoder(self.request_class, version)
        return found


def load() -> dict[int, Served]:
    """Import every handler and return what is served, by key."""
    apis = {}
    for name in HANDLERS:
        handler = import_module(f"ev.broker.handlers.{name}")
        messages = API[handler.KEY].load()
        apis[handler.KEY] = Served(handler.KEY, handler.VERSIONS, handler.handle, messages.REQUEST, messages.RESPONSE)
    return apis
