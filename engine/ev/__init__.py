"""ev: Apache Kafka's job without the JVM.

The layers, each knowing only those below it:

    server         asyncio: sockets, connections, the daemon
    broker         requests -> responses; one handler file per API; no sockets
    coordinators   groups: plain functions of (state, event, now)
    log            partitions on disk: segments, indexes, journal, recovery
    wire           bytes <-> values: messages, record batches, compression
    errors clock disk randomness settings     the ground

    client         Producer, Consumer, Admin; stands on the wire, knows nothing of the broker

The public names are loaded when they are first used, so that `import ev` costs next to nothing.
"""

__version__ = "0.1.0"
