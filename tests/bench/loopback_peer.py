"""The other end of a measurement over loopback: a process that drains what it is sent, or sends it back. Standard library only.

python -S -P loopback_peer.py drain|echo PORT
"""

import socket
import sys


def main(what: str, port: str) -> None:
    with socket.create_connection(("127.0.0.1", int(port))) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        room = memoryview(bytearray(1 << 20))
        while size := connection.recv_into(room):
            if what == "echo":
                connection.sendall(room[:size])


if __name__ == "__main__":
    main(*sys.argv[1:])
