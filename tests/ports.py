"""Ports for servers that want to be told one: between asking for a free port and listening nobody else may get it."""

from __future__ import annotations

import socket


def kept_port() -> socket.socket:
    """Return a socket that is bound to a free port of 127.0.0.1 and does not listen.

    Linux gives the port to nobody who asks for any, and to a server that asks for this one, if it sets SO_REUSEADDR.
    Until that listens, connections are refused.
    """
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    return kept
