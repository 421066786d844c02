"""Close the sockets that kafka-python drops, so that only our own leaks fail a test.

A client of kafka-python 3.0 that is closed while it connects leaves that attempt's socket
to the garbage collector, which then warns in whichever test is running.
"""

import socket

from kafka.net.inet import KafkaNetSocket

__all__ = ["close_dropped_sockets"]


class _KafkaSocket(socket.socket):
    def __del__(self) -> None:
        self.close()


def close_dropped_sockets() -> None:
    """Let each socket of kafka-python's close without a warning when it is collected."""

    def create(
        _: KafkaNetSocket,
        family: int = socket.AF_UNSPEC,
        sock_type: int = socket.SOCK_STREAM,
        proto: int = socket.IPPROTO_TCP,
    ) -> socket.socket:
        return _KafkaSocket(family, sock_type, proto)

    KafkaNetSocket.socket = create
