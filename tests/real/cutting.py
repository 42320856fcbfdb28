"""A TCP proxy before PostgreSQL that cuts connections around COMMIT.

It knows no more of the protocol than how a message begins: a letter and a length.
https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import random
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from tests.proxy import Proxy

COMMIT = b"COMMIT\0"
KINDS = (
    "before COMMIT is sent",
    "COMMIT is sent in part",
    "COMMIT is sent, nobody waits",
    "COMMIT lands late",
    "the answer is not seen",
    "the answer is seen in part",
    "before a statement",
)
"""Where connections are cut."""
PATIENCE = 60
"""Seconds after which a connection that is still open is a failure."""
_LANDS = {"COMMIT is sent, nobody waits", "COMMIT lands late"}
"""Where the server does what it was told, and then finds nobody there."""


@dataclass(slots=True)
class Cutter:
    """Draws what is cut, every kind before any comes again, and counts it."""

    chance: random.Random
    rate: float
    """Of the commits that are cut."""
    fired: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _next: list[str] = field(default_factory=list)

    def draw(self, message: bytes) -> str:
        """Return how the connection is cut now that a client sends this; empty if it is not."""
        commits = COMMIT in message
        with self._lock:
            if self.chance.random() >= (self.rate if commits else self.rate / 60):
                return ""
            self._next = self._next or self.chance.sample(KINDS[:-1], len(KINDS) - 1)
            kind = self._next.pop() if commits else KINDS[-1]
            self.fired[kind] += 1
            return kind

    def pause(self) -> float:
        """Return how long a COMMIT takes that lands late: also longer than anybody looks for it."""
        with self._lock:
            return self.chance.random() * 0.3


class CuttingProxy(Proxy):
    """Passes bytes to a PostgreSQL server, and cuts; a context manager. Without TLS, which hides what is sent."""

    def __init__(self, host: str, port: int, cutter: Cutter) -> None:
        super().__init__(f"http://{host}:{port}")
        self.cutter = cutter

    @property
    def port(self) -> int:
        """Return where it listens."""
        return int(self._listener.getsockname()[1])

    def rest(self) -> None:
        """Wait until nobody is connected: then what lands late has landed."""
        give_up = time.monotonic() + PATIENCE
        while self._sockets:
            assert time.monotonic() < give_up, "somebody is still connected"
            time.sleep(0.01)

    def _connect(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server:
            for opened in (client, server):
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._sockets |= {client, server}
            connection = _Connection(self.cutter, client, server)
            upwards = threading.Thread(target=connection.pass_statements, daemon=True)
            upwards.start()
            connection.pass_answers()
            upwards.join()
            with self._lock:
                self._sockets -= {client, server}


class _Connection:
    """One client's connection and ours to the server."""

    def __init__(self, cutter: Cutter, client: socket.socket, server: socket.socket) -> None:
        self._cutter, self._client, self._server = cutter, client, server
        self._cut = ""

    def pass_statements(self) -> None:
        """Pass what the client says."""
        begun = False
        with suppress(OSError):
            while data := self._client.recv(65536):
                kind = self._cutter.draw(data) if begun else ""
                begun = True  # the first message opens the connection
                if not kind:
                    self._server.sendall(data)
                elif kind in _LANDS:
                    self._leave(kind, data)
                    return
                elif not self._goes_on(kind, data):
                    break
        self.close()

    def _leave(self, kind: str, data: bytes) -> None:
        """Cut the client off, and let the server do what it was told."""
        _close(self._client)
        if kind == "COMMIT lands late":
            time.sleep(self._cutter.pause())
        self._server.sendall(data)
        self._server.shutdown(socket.SHUT_WR)

    def _goes_on(self, kind: str, data: bytes) -> bool:
        """Send what still passes; return whether the answer is waited for."""
        if kind == "COMMIT is sent in part":
            self._server.sendall(data[:-3])
        if not kind.startswith("the answer"):
            return False
        self._cut = kind
        self._server.sendall(data)
        return True

    def pass_answers(self) -> None:
        """Pass what the server says."""
        with suppress(OSError):
            while data := self._server.recv(65536):
                if self._cut:
                    if self._cut == "the answer is seen in part":
                        self._client.sendall(data[:3])
                    break
                with suppress(OSError):
                    self._client.sendall(data)
        self.close()

    def close(self) -> None:
        """Cut both."""
        for opened in (self._client, self._server):
            _close(opened)


def _close(opened: socket.socket) -> None:
    with suppress(OSError):
        opened.shutdown(socket.SHUT_RDWR)
