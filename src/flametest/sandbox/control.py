"""Messages between the sandbox's own processes: JSON, one a packet, with at most one file descriptor.

Used on `SOCK_SEQPACKET` pairs between supervisor and cluster process, and between cluster process and NodePort
forwarder. A packet is never split, an end that vanished is read as the end of the stream, and a descriptor that the
receiver has no use for is closed here. Standard library only.
"""

import array
import errno
import json
import os
import socket
from dataclasses import dataclass
from typing import Any

__all__ = ["PACKET_BYTES_MAX", "Message", "pair", "receive", "send"]

PACKET_BYTES_MAX = 65536


@dataclass(frozen=True, slots=True)
class Message:
    """One packet: its content and the descriptor that came with it (None without; the receiver owns it)."""

    content: dict[str, Any]
    descriptor: int | None = None


def pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected ends, neither inherited by programs that are started."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(end: socket.socket, content: dict[str, Any], descriptor: int | None = None) -> None:
    """Send one message; the sender keeps its own copy of ``descriptor``.

    Raises:
        OSError: the other end is gone, or the message is too long for it to read.
    """
    data = json.dumps(content, separators=(",", ":")).encode()
    if len(data) > PACKET_BYTES_MAX:
        raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
    if descriptor is None:
        end.send(data)
    else:
        socket.send_fds(end, [data], [descriptor])


def receive(end: socket.socket) -> Message | None:
    """Return the next message, or None when the other end is gone. Raises BlockingIOError when there is none yet."""
    descriptors = array.array("i")
    room = socket.CMSG_SPACE(descriptors.itemsize)
    try:
        data, ancillary, _, _ = end.recvmsg(PACKET_BYTES_MAX, room, socket.MSG_CMSG_CLOEXEC)
    except ConnectionError:
        return None
    for level, kind, payload in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(payload[: len(payload) - len(payload) % descriptors.itemsize])
    if not data:
        for descriptor in descriptors:
            os.close(descriptor)
        return None
    return Message(json.loads(data), descriptors[0] if descriptors else None)
