"""When it is the machine that sends which could not: out of file descriptors, ports, memory or threads.

Such a request never left, and tells nothing of the system under test (connect(2), socket(2)). Its sample says so by an
error of its own, ``generator: EMFILE`` for one, and makes its scenario inconclusive. Standard library only.
"""

import errno
import os
import socket
from collections.abc import Iterable

from flametest.model.samples import OWN_ERROR

__all__ = ["exhaustion"]

# What the kernel answers before anything is sent. EADDRNOTAVAIL and EADDRINUSE: no local port is left to connect from.
_OWN = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.EADDRINUSE, errno.ENOMEM, errno.ENOBUFS}
)  # fmt: skip
_NO_THREAD = "can't start new thread"


def exhaustion(causes: Iterable[BaseException]) -> str:
    """Return the class of an error that the sending machine itself caused, of what ``causes`` holds; else empty.

    A name that was not found counts when this process has no descriptor left to ask for it with: resolvers do not tell.
    """
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno in _OWN and not isinstance(cause, socket.gaierror):
            return f"{OWN_ERROR} {errno.errorcode[cause.errno]}"
        if isinstance(cause, MemoryError) or (isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_MEMORY):
            return f"{OWN_ERROR} ENOMEM"
        if isinstance(cause, socket.gaierror) and _has_no_descriptor():
            return f"{OWN_ERROR} EMFILE"
        if isinstance(cause, RuntimeError) and str(cause) == _NO_THREAD:
            return f"{OWN_ERROR} no threads"
    return ""


def _has_no_descriptor() -> bool:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    return False
