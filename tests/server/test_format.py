"""The data directory's version in a life with an engine: topics and records leave it as it is, settings at run time raise it."""

from __future__ import annotations

from ev.broker.configs import GROUP
from ev.log.checkpoint import State
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k19_create_topics import CreatableTopic, CreateTopicsRequest
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest
from ev.wire.messages.k44_incremental_alter_configs import AlterableConfig, AlterConfigsResource, IncrementalAlterConfigsRequest
from ev.wire.records import encode_batch
from support.engine import Engine
from support.raw_client import RawClient


def noted(engine: Engine) -> int:
    state = State.parse((engine.directory / "ev.state").read_bytes())
    assert state is not None
    return state.format


def test_it_rises_before_a_setting_is_written_that_older_engines_do_not_know(engine: Engine) -> None:
    """And not for anything else. A directory that says less than it holds, because a development version wrote it, is corrected."""
    with RawClient(engine.address) as client:
        topic = CreatableTopic(name="t", num_partitions=1, replication_factor=1, assignments=[], configs=[])
        assert client.ask(19, 5, CreateTopicsRequest(topics=[topic], timeout_ms=10_000)).topics[0].error_code == 0
        assert client.ask(22, 1, InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1000)).error_code == 0
        data = TopicProduceData(name="t", partition_data=[PartitionProduceData(index=0, records=encode_batch([b"v"]))])
        client.ask(0, 9, ProduceRequest(acks=-1, timeout_ms=5000, topic_data=[data]))
        assert noted(engine) == 1
        entry = AlterableConfig(name="consumer.session.timeout.ms", config_operation=0, value="50000")
        resource = AlterConfigsResource(resource_type=GROUP, resource_name="g", configs=[entry])
        assert client.ask(44, 1, IncrementalAlterConfigsRequest(resources=[resource])).responses[0].error_code == 0
    assert noted(engine) == 2
    engine.kill()
    state = State.parse((engine.directory / "ev.state").read_bytes())
    assert state is not None
    (engine.directory / "ev.state").write_bytes(State(1, state.epoch).encode())
    engine.start()
    assert noted(engine) == 2
