"""Finds out who answers at an address that is taken: an engine of ours, a Kafka, or something else."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ev.broker.configs import BROKER
from ev.endpoints import format_address
from ev.errors import KafkaError, MalformedError
from ev.server.listener import local_address
from ev.server.process import user_name
from ev.wire.codec import decode, encode
from ev.wire.header import decode_response_header, encode_request_header
from ev.wire.messages.k03_metadata import MetadataRequest, MetadataResponse
from ev.wire.messages.k18_api_versions import ApiVersionsRequest, ApiVersionsResponse
from ev.wire.messages.k32_describe_configs import DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse

if TYPE_CHECKING:
    from ev.endpoints import Address
    from ev.wire.codec import Message

ANSWER_WAIT_S: Final = 1.0
FRAME_BYTES_MAX: Final = 1 << 20
LISTENING: Final = "0A"
Response = TypeVar("Response", bound="Message")


def describe(address: Address) -> str:
    """One sentence that says who listens at `address`, and what to do about it."""
    place = format_address(address)
    owner = owner_of_port(address[1])
    try:
        with socket.create_connection(local_address(address), timeout=ANSWER_WAIT_S) as connection:
            _exchange(connection, 18, 0, ApiVersionsRequest(), ApiVersionsResponse)
            data_dir = _engine_directory(connection)
    except (OSError, MalformedError, KafkaError):
        whose = f" of user {owner}" if owner else ""
        return f"{place} is taken by something{whose} that is no Kafka; take another port with --listen HOST:PORT or EV_LISTEN"
    if data_dir is None:
        return f"a Kafka answers at {place}; use it with -b {place}, or take another port with --listen HOST:PORT or EV_LISTEN"
    whose = f"user {owner}'s ev engine" if owner else "another ev engine"
    return f"{whose} with the data directory {data_dir} answers at {place}; use it with -b {place}, or take another port with --listen"


def _engine_directory(connection: socket.socket) -> str | None:
    """The data directory of the engine that answers; None when it is some other Kafka."""
    metadata = _exchange(connection, 3, 1, MetadataRequest(topics=[]), MetadataResponse)
    name = str(metadata.controller_id)
    asked = DescribeConfigsResource(resource_type=BROKER, resource_name=name, configuration_keys=["ev.durability", "log.dirs"])
    described = _exchange(connection, 32, 1, DescribeConfigsRequest(resources=[asked]), DescribeConfigsResponse)
    values = {config.name: config.value for result in described.results for config in result.configs}
    return values.get("log.dirs", "") if "ev.durability" in values else None


def _exchange(connection: socket.socket, key: int, version: int, request: Any, response: type[Response]) -> Response:
    body = encode_request_header(key, version, 1, "ev") + encode(request, version)
    connection.sendall(len(body).to_bytes(4, "big") + body)
    size = int.from_bytes(_received(connection, 4), "big", signed=True)
    if not 4 <= size <= FRAME_BYTES_MAX:
        raise MalformedError(f"an answer of {size} bytes")
    frame = _received(connection, size)
    _, position = decode_response_header(frame, key, version)
    message, _ = decode(response, version, frame, position)
    return message


def _received(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise ConnectionResetError("closed before the answer")
        data += piece
    return data


def owner_of_port(port: int) -> str:
    """The name of the user who listens on this TCP port, where the system tells (Linux); empty otherwise."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError, ValueError, IndexError), open(table, encoding="ascii") as lines:
            next(lines)
            for line in lines:
                fields = line.split()
                if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    return user_name(int(fields[7]))
    return ""
