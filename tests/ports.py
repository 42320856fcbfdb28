"""Ports for servers that want to be told one: between asking for a free port and listening nobody else may get it."""

from __future__ import annotations

import socket
import sys


def kept_port() -> tuple[int, socket.socket]:
    """Return a free port of 127.0.0.1, and a socket that keeps it until it is closed.

    The socket is bound and does not listen. Linux gives the port to nobody who asks for any, and to a server that asks
    for this one, if it sets SO_REUSEADDR; until that listens, connections are refused. Other systems would refuse the
    server, too, so there the port is not kept.
    """
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    port: int = kept.getsockname()[1]
    if sys.platform != "linux":
        kept.close()
    return port, kept
